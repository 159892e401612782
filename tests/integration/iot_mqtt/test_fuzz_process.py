"""The running process under mutated packets over real TLS, a bystander sending ten messages a second meanwhile."""

import asyncio
import contextlib
import random
import time
from pathlib import Path

import pytest

from tests.integration.iot_mqtt.conftest import running
from tests.performance.iot_mqtt import load
from tests.property.iot_mqtt.grammar import mutated, seeds
from tests.unit.iot_mqtt import wire

PACKETS_EACH = 50


def rss_mb(pid: int) -> float:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


class Bystander:
    """Hears itself, ten times a second."""

    def __init__(self) -> None:
        self.said = 0
        self.heard: list[int] = []
        self.slowest_s = 0.0
        self.spoke_at = 0.0

    def hear(self, payload: bytes) -> None:
        self.heard.append(int(payload))
        self.slowest_s = max(self.slowest_s, time.perf_counter() - self.spoke_at)

    async def talk(self, client: load.Client, stop: asyncio.Event) -> None:
        while not stop.is_set():
            self.said += 1
            self.spoke_at = time.perf_counter()
            client.transport.write(wire.publish("bystander", b"%d" % self.said, qos=1, pid=self.said % 60_000 + 1))
            await asyncio.sleep(0.1)


async def attack(port, tls, dice, packets, *, v5: bool) -> None:
    with contextlib.suppress(OSError):
        reader, writer = await asyncio.open_connection("127.0.0.1", port, ssl=tls, server_hostname="localhost")
        writer.write(wire.connect(f"fuzz{dice.randrange(9)}", v5=v5))
        await reader.read(4)  # CONNACK has begun to arrive
        for _ in range(PACKETS_EACH):
            writer.write(mutated(dice, packets))
            await writer.drain()
            if reader.at_eof() or writer.is_closing():
                break
        writer.close()
        await writer.wait_closed()


@pytest.mark.parametrize("connections", [60, pytest.param(2_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
@pytest.mark.filterwarnings("ignore::ResourceWarning")
async def test_a_bystander_loses_nothing_while_others_send_rubbish(tmp_path, connections):
    with running(tmp_path) as local:
        identity = local.identity("fuzz")
        tls, port = load.context(local.ca, identity.certificate, identity.key), local.ports["mqtt"]
        bystander, stop, dice = Bystander(), asyncio.Event(), random.Random(7)
        client = await load.open_client(port, tls, "bystander", bystander.hear)
        client.on_ack = lambda: None
        await load.subscribe(client, "bystander")
        talking = asyncio.create_task(bystander.talk(client, stop))
        packets = {v5: seeds(v5=v5) for v5 in (False, True)}
        halfway = 0.0
        for number in range(connections):
            v5 = dice.random() < 0.6
            await attack(port, tls, dice, packets[v5], v5=v5)
            if number == connections // 2:
                halfway = rss_mb(local.pid)
        stop.set()
        await talking
        async with asyncio.timeout(60):
            while len(bystander.heard) < bystander.said:
                await asyncio.sleep(0.02)
        grown = rss_mb(local.pid) - halfway
        client.transport.close()
    print(f"{connections} connections, {bystander.said} said, slowest {bystander.slowest_s:.3f} s, +{grown:.1f} MB")
    assert bystander.heard == list(range(1, bystander.said + 1))
    assert bystander.slowest_s < (1 if connections > 1_000 else 30)  # by the clock: said of an idle machine alone
    assert grown < 10
