"""A subscriber that stops reading holds up nobody but itself, and what it loses is counted."""

import asyncio
import json
import time

import pytest

from infra.local.iot.mqtt.limits import Limits
from tests.integration.iot_mqtt.conftest import running
from tests.performance.iot_mqtt import load
from tests.performance.iot_mqtt.bench import POLICY
from tests.unit.iot_mqtt import wire


def p99(values: list[float]) -> float:
    return sorted(values)[int(len(values) * 0.99)]


class Paced:
    """Publishes at a steady rate and takes the time to each PUBACK."""

    def __init__(self, client: load.Client, topic: str) -> None:
        self.client, self.topic = client, topic
        self.sent: list[float] = []
        self.latencies: list[float] = []
        client.on_ack = self._acknowledged

    def _acknowledged(self) -> None:
        self.latencies.append(time.perf_counter() - self.sent[len(self.latencies)])

    async def run(self, per_s: float, seconds: float) -> None:
        started = time.perf_counter()
        while (now := time.perf_counter()) - started < seconds:
            self.sent.append(now)
            frame = wire.publish(self.topic, b"%.6f" % now + b"." * 180, qos=1, pid=len(self.sent) % 60_000 + 1)
            self.client.transport.write(frame)
            await asyncio.sleep(max(0.0, started + len(self.sent) / per_s - time.perf_counter()))


async def sleeper_under_load(port, tls, *, seconds: float) -> dict:
    arrivals: list[float] = []
    slept: list[bytes] = []
    other = await load.open_client(
        port,
        tls,
        "bench-other",
        lambda payload: arrivals.append(time.perf_counter() - float(payload[:16].rstrip(b"."))),
    )
    sleeper = await load.open_client(port, tls, "bench-sleeper", slept.append)
    for client in (other, sleeper):
        await load.subscribe(client, "bench/slow/+")
    publishers = [Paced(await load.open_client(port, tls, f"bench-p{n}"), f"bench/slow/{n}") for n in range(5)]
    await asyncio.gather(*(one.run(40, seconds) for one in publishers))
    usual, usual_ack = p99(arrivals), p99([x for one in publishers for x in one.latencies])
    arrivals.clear()
    for one in publishers:
        one.sent, one.latencies = [], []
    before = len(slept)
    sleeper.transport.pause_reading()
    await asyncio.gather(*(one.run(40, seconds) for one in publishers))
    await asyncio.sleep(0.5)
    ack, others, sent = (
        p99([x for one in publishers for x in one.latencies]),
        p99(arrivals),
        sum(len(one.sent) for one in publishers),
    )
    sleeper.transport.resume_reading()
    deadline = time.monotonic() + 60
    while len(slept) < before + sent and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    for client in (other, sleeper, *(one.client for one in publishers)):
        client.transport.close()
    report = {"puback_p99_ms": ack * 1000, "others_p99_ms": others * 1000, "usual_p99_ms": usual * 1000}
    report["usual_puback_p99_ms"] = usual_ack * 1000
    return report | {"sent": sent, "to_sleeper": len(slept) - before}


async def overflow(port, tls, *, messages: int) -> tuple[int, int]:
    """How many messages were sent to a subscriber that slept through all but the last, and how many reached it."""
    slept: list[bytes] = []
    sleeper = await load.open_client(port, tls, "bench-deep", slept.append)
    await load.subscribe(sleeper, "bench/deep")
    sleeper.transport.pause_reading()
    flood = await load.open_client(port, tls, "bench-flood")

    async def publish(payload: bytes, count: int) -> None:
        publisher = load.Publisher(flood, "bench/deep", payload, count, 50)
        publisher.start()
        await asyncio.wait_for(publisher.done, 300)

    await publish(b"x" * 100, messages)
    sleeper.transport.resume_reading()
    sent, last, began = messages, b"", time.monotonic()
    while slept[-1:] != [last]:  # in order: what came before the last is there, or lost
        if sent == messages or (sent - messages) * 5 < time.monotonic() - began:
            sent, last = sent + 1, b"%d" % sent
            await publish(last, 1)
        await asyncio.sleep(0.05)
    sleeper.transport.close()
    return sent, len(slept)


@pytest.mark.parametrize("seconds", [1.5, pytest.param(5, marks=pytest.mark.long)])
async def test_a_sleeping_subscriber_holds_up_nobody_but_itself(tmp_path, seconds):
    with running(tmp_path, "--no-rates") as local:
        identity = local.identity("bench", POLICY)
        tls = load.context(local.ca, identity.certificate, identity.key)
        report = await sleeper_under_load(local.ports["mqtt"], tls, seconds=seconds)
        print(json.dumps(report))
        # Twice the usual; on a busy machine the usual of so short a run is noise. The long run is for an idle one.
        noise_ms = 100 if seconds > 2 else 1_000
        assert report["puback_p99_ms"] <= max(2 * report["usual_puback_p99_ms"], noise_ms)
        assert report["others_p99_ms"] <= max(2 * report["usual_p99_ms"], noise_ms)
        assert report["to_sleeper"] == report["sent"]


async def test_what_a_sleeper_loses_past_its_bound_is_what_the_counter_says(tmp_path):
    messages = Limits().queued_messages + 2_000
    with running(tmp_path, "--no-rates") as local:
        identity = local.identity("bench", POLICY)
        tls = load.context(local.ca, identity.certificate, identity.key)
        sent, received = await overflow(local.ports["mqtt"], tls, messages=messages)
    log = (tmp_path / "log").read_text()
    counted = json.loads(log.rpartition("dropped in all: ")[2].splitlines()[0])
    assert received < sent
    assert counted == {"queue_full": sent - received}
