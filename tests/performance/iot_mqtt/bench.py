"""The gateway weighed: CPU a message beside mosquitto in the same run, connections held, fan-out and shared fan-in."""

import asyncio
import contextlib
import os
import shutil
import socket
import ssl
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import uvloop

from tests.integration.iot_mqtt.conftest import Identity, Local, running
from tests.performance.iot_mqtt import load
from tests.unit.iot_mqtt.harness import document, statement

PUBLISHERS = 20
PAYLOAD = b"x" * 200
POLICY = document(
    statement("iot:Connect", "client/bench-*"),
    statement(["iot:Publish", "iot:Receive"], "topic/bench/*"),
    statement("iot:Subscribe", "topicfilter/bench/*"),
)
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass
class Broker:
    """A broker to weigh."""

    port: int
    pid: int
    tls: ssl.SSLContext

    def cpu_s(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    def rss_mb(self) -> float:
        lines = Path(f"/proc/{self.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


@contextlib.contextmanager
def brokers(directory: Path) -> Iterator[dict[str, Broker]]:
    with running(directory, "--no-rates") as local, contextlib.ExitStack() as stack:
        identity = local.identity("bench", POLICY)
        tls = load.context(local.ca, identity.certificate, identity.key)
        found = {"gateway": Broker(local.ports["mqtt"], local.pid, tls)}
        if shutil.which("mosquitto"):
            found["mosquitto"] = stack.enter_context(mosquitto(local, identity, tls))
        yield found


@contextlib.contextmanager
def mosquitto(local: Local, identity: Identity, tls: ssl.SSLContext) -> Iterator[Broker]:
    directory = local.settings.state_dir / "mosquitto"
    directory.mkdir()
    directory.chmod(0o755)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    ca = local.ca.parent
    (directory / "acl").write_text("topic readwrite bench/#\n")
    (directory / "conf").write_text(
        f"listener {port} 127.0.0.1\ncafile {ca}/ca.pem\ncertfile {ca}/server.pem\nkeyfile {ca}/server.key\n"
        f"require_certificate true\nallow_anonymous true\nacl_file {directory}/acl\npersistence false\n"
        f"user {os.environ.get('USER') or 'root'}\nmax_inflight_messages 100\nmax_queued_messages 100000\n"
    )
    process = subprocess.Popen(["mosquitto", "-c", str(directory / "conf")], stderr=subprocess.PIPE)
    try:
        deadline = time.monotonic() + 5
        while True:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            if process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"mosquitto did not start: {process.stderr.read().decode()}")
            time.sleep(0.05)
        yield Broker(port, process.pid, tls)
    finally:
        process.terminate()
        process.wait()
        process.stderr.close()


async def stream(broker: Broker, in_flight: int, count: int) -> float:
    """CPU microseconds a message: 20 publishers, 1 subscriber, 200 bytes, QoS 1."""
    received, complete, gate = 0, asyncio.get_running_loop().create_future(), load.Gate()

    def on_message(_: bytes) -> None:
        nonlocal received
        received += 1
        gate.heard()
        if received == count:
            complete.set_result(None)

    tag = f"bench-{in_flight}"
    subscriber = await load.open_client(broker.port, broker.tls, f"{tag}-s", on_message)
    await load.subscribe(subscriber, "bench/stream/+")
    clients = [await load.open_client(broker.port, broker.tls, f"{tag}-{n}") for n in range(PUBLISHERS)]
    publishers = [
        load.Publisher(client, f"bench/stream/{n}", PAYLOAD, count // PUBLISHERS, in_flight, gate=gate)
        for n, client in enumerate(clients)
    ]
    before = broker.cpu_s()
    for publisher in publishers:
        publisher.start()
    await asyncio.wait_for(asyncio.gather(complete, *(one.done for one in publishers)), 300)
    used = broker.cpu_s() - before
    for client in [subscriber, *clients]:
        client.transport.close()
    return used / count * 1e6


async def hold(broker: Broker, devices: int, seconds: float, per_s: float = 80) -> dict:
    """Devices ramped and held: how many were lost, MB for a thousand."""
    before, started = broker.rss_mb(), time.monotonic()
    opening = []
    for number in range(devices):
        opening.append(asyncio.create_task(load.open_client(broker.port, broker.tls, f"bench-hold-{number}")))
        await asyncio.sleep(max(0.0, started + number / per_s - time.monotonic()))
    clients = await asyncio.gather(*opening)
    ramp_s = time.monotonic() - started
    await asyncio.sleep(seconds)
    report = {
        "devices": devices,
        "ramped_per_s": round(devices / ramp_s, 1),
        "held_s": seconds,
        "dropped": sum(client.lost for client in clients),
        "mb_per_1000": round((broker.rss_mb() - before) / devices * 1000, 1),
    }
    for client in clients:
        client.transport.close()
    return report


async def fan(broker: Broker, devices: int, messages: int) -> dict:  # noqa: C901 - one step after another
    """1 to all, then all to a shared group of five: nothing lost, nothing double."""
    loop = asyncio.get_running_loop()
    got: list[bytes] = []
    whole = loop.create_future()

    def collect(expected: int):
        def on_message(payload: bytes) -> None:
            got.append(payload)
            if len(got) == expected:
                whole.set_result(None)

        return on_message

    clients = [
        await load.open_client(broker.port, broker.tls, f"bench-fan-{n}", collect(devices * messages))
        for n in range(devices)
    ]
    for client in clients:
        await load.subscribe(client, "bench/fan")
    sender = await load.open_client(broker.port, broker.tls, "bench-fan-out")
    started = time.monotonic()
    publisher = load.Publisher(sender, "bench/fan", PAYLOAD, messages, 10)
    publisher.start()
    await asyncio.wait_for(asyncio.gather(whole, publisher.done), 120)
    out = {"fan_out_deliveries": len(got), "fan_out_s": round(time.monotonic() - started, 2)}
    shared: list[bytes] = []
    members = [await load.open_client(broker.port, broker.tls, f"bench-shared-{n}", shared.append) for n in range(5)]
    for member in members:
        await load.subscribe(member, "$share/bench/bench/in/+")
    publishers = [load.Publisher(client, f"bench/in/{n}", b"%d" % n, 1, 1) for n, client in enumerate(clients)]
    for one in publishers:
        one.start()
    await asyncio.wait_for(asyncio.gather(*(one.done for one in publishers)), 60)
    deadline = time.monotonic() + 20
    while len(shared) < devices and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    for client in [*clients, *members, sender]:
        client.transport.close()
    lost = devices - len(set(shared))
    return out | {"fan_in": len(shared), "fan_in_lost": lost, "fan_in_double": len(shared) - len(set(shared))}


async def measure(found: dict[str, Broker], *, messages: int, devices: int, seconds: float, rounds: int) -> dict:
    report: dict = {}
    for in_flight in (10, 1):
        figures: dict[str, list[float]] = {name: [] for name in found}
        for _ in range(rounds):
            for name, broker in found.items():
                figures[name].append(await stream(broker, in_flight, messages))
        medians = {name: sorted(values)[len(values) // 2] for name, values in figures.items()}
        for name, value in medians.items():
            report[f"{name}_us_at_{in_flight}"] = round(value, 1)
        if "mosquitto" in medians:
            report[f"ratio_at_{in_flight}"] = round(medians["gateway"] / medians["mosquitto"], 2)
    report["fan"] = await fan(found["gateway"], min(devices, 1000), 10)
    report["hold"] = await hold(found["gateway"], devices, seconds)
    return report


def weigh(*, messages: int, devices: int, seconds: float, rounds: int) -> dict:
    """Return every figure, taken in one run."""
    with tempfile.TemporaryDirectory() as directory, brokers(Path(directory)) as found:
        return uvloop.run(measure(found, messages=messages, devices=devices, seconds=seconds, rounds=rounds))
