"""Whatever arrives, the gateway neither crashes nor hangs, and nobody else notices."""

import asyncio
import gc
import logging
import random
import time
from datetime import timedelta
from pathlib import Path

import pytest

from infra.local.iot.mqtt.limits import Limits
from tests.property.iot_mqtt.grammar import mutated, seeds, truncations
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, FakeReserved

GATE, LONG = 2_000, 100_000


class Fuzz:
    """A gateway under attack, and a bystander who talks to a friend meanwhile."""

    def __init__(self, broker, talker, listener) -> None:
        self.broker, self.talker, self.listener = broker, talker, listener
        self.said = 0
        self.slowest_s = 0.0

    @classmethod
    async def start(cls):
        limits = Limits(
            publishes_per_s=1e9, bytes_per_s=1e12, connects_per_s=1e9, queued_messages=50, connect_timeout_s=0.01
        )
        broker = Broker(limits, reserved=[FakeReserved("$aws/things/")])
        listener = await broker.subscribed("listener", ("bystander", 0), keep_alive=1200)
        return cls(broker, await broker.connected("talker", keep_alive=1200), listener)

    async def attack(self, raw: bytes, *, v5: bool, connected: bool) -> None:
        client = self.broker.client(v5=v5)
        if connected:
            client.send(wire.connect("fuzz", v5=v5))
        started = time.process_time()
        client.send(raw)
        self.slowest_s = max(self.slowest_s, time.process_time() - started)
        client.connection.lost()

    async def bystander(self) -> None:
        self.said += 1
        self.talker.send(wire.publish("bystander", b"%d" % self.said))
        assert (await self.listener.one()).payload == b"%d" % self.said
        self.broker.tap.received.clear()
        self.broker.gateway.reserved[0].received.clear()
        self.broker.clock.move(timedelta(hours=200))

    def held_mb(self) -> float:
        """Memory of this process."""
        gc.collect()
        lines = Path("/proc/self/status").read_text().splitlines()
        return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS")) / 1024


async def run_fuzz(count: int, caplog, *, every: int = 1) -> Fuzz:
    """Attack with every truncation (or one in ``every``), then with ``count`` mutated packets."""
    caplog.set_level(logging.ERROR)
    fuzz, dice = await Fuzz.start(), random.Random(20_260_501)
    packets = {v5: seeds(v5=v5) for v5 in (False, True)}
    attacks = [(raw, v5, connected) for v5 in packets for raw in truncations(v5=v5) for connected in (False, True)]
    attacks = attacks[::every]
    halfway = 0.0
    for number in range(count + len(attacks)):
        if number < len(attacks):
            raw, v5, connected = attacks[number]
        else:
            v5, connected = dice.random() < 0.6, dice.random() < 0.8
            raw = mutated(dice, packets[v5])
        await fuzz.attack(raw, v5=v5, connected=connected)
        if number % 100 == 0:
            await fuzz.bystander()
        if number % 1_000 == 0:
            await asyncio.sleep(0.02)
        if number == len(attacks) + count // 2:
            await asyncio.sleep(0.6)
            halfway = fuzz.held_mb()
    await asyncio.sleep(0.6)
    grown = fuzz.held_mb() - halfway
    assert not [record for record in caplog.records if record.exc_info]
    assert fuzz.slowest_s < 1
    assert grown < 5, f"{grown:.1f} MB more than at half time"
    return fuzz


async def test_a_short_fuzz_breaks_nothing(caplog):
    await run_fuzz(GATE, caplog, every=5)


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_a_hundred_thousand_mutated_packets_break_nothing(caplog):
    fuzz = await run_fuzz(LONG, caplog)
    print(f"{LONG} mutated packets, slowest {fuzz.slowest_s * 1000:.1f} ms, bystander said {fuzz.said}")
