"""Telemetry gathers readings into buckets and forgets only what was acknowledged."""

import asyncio
import contextlib
import json
import random

import pytest

from device_client.config import TelemetrySettings
from device_client.connection.memory import MemoryConnection
from device_client.errors import ConfigurationError, NotConnectedError, RefusedError
from device_client.features.telemetry import Telemetry
from device_client.hardware.thermostat import Battery, ThermalSensor
from device_client.store.outbox import Outbox
from device_client.topics import Topics


class FakeClock:
    """Both clocks move when somebody sleeps; the wall clock can be stepped."""

    def __init__(self) -> None:
        self.now_s = 100.0
        self.wall_offset_ms = 1_732_380_000_000

    def wall_ms(self) -> int:
        return self.wall_offset_ms + round(self.now_s * 1_000)

    def monotonic_s(self) -> float:
        return self.now_s

    async def sleep(self, seconds: float) -> None:
        self.now_s += seconds
        await asyncio.sleep(0)


class Bench:
    def __init__(self, path, *, connection=None, **settings):
        self.clock = FakeClock()
        self.connection = connection or MemoryConnection()
        self.outbox = Outbox(path / "o.db", boot="aa", capacity=100)
        self.telemetry = Telemetry(
            settings=TelemetrySettings(**settings),
            topics=Topics(stage="dev", thing="t-1"),
            connection=self.connection,
            outbox=self.outbox,
            sensors=[ThermalSensor(dice=random.Random(1)), Battery(dice=random.Random(2))],
            clock=self.clock,
            dice=random.Random(3),
        )

    def sample(self, times: int, *, every_s: float = 1.0) -> None:
        for _ in range(times):
            self.telemetry.sample()
            self.clock.now_s += every_s

    def documents(self):
        return [json.loads(bucket.payload) for bucket in self.outbox.waiting()]


def test_a_bucket_closes_at_its_number_of_readings(tmp_path):
    bench = Bench(tmp_path, flush_readings=4)
    bench.sample(9)
    assert [one["dt"] for one in bench.documents()] == [[0, 1000, 2000, 3000], [0, 1000, 2000, 3000]]
    assert [one["seq"] for one in bench.documents()] == [0, 1]


def test_a_bucket_closes_after_its_time(tmp_path):
    bench = Bench(tmp_path, flush_readings=1000, flush_after_s=5.0)
    bench.sample(7, every_s=2.0)
    assert [one["dt"] for one in bench.documents()] == [[0, 2000, 4000], [0, 2000, 4000]]


def test_a_step_of_the_wall_clock_closes_the_bucket_and_bends_no_offset(tmp_path):
    bench = Bench(tmp_path, flush_readings=1000)
    bench.sample(2)
    bench.clock.wall_offset_ms -= 60_000
    bench.sample(2)
    bench.outbox.seal()
    first, second = bench.documents()
    assert (first["dt"], second["dt"]) == ([0, 1000], [0, 1000])
    assert second["t0"] == first["t0"] + 2_000 - 60_000


@pytest.mark.parametrize(("name", "value"), [("flush_readings", 1001), ("flush_readings", 0), ("flush_after_s", 3601)])
def test_bounds_that_the_backend_would_refuse_are_refused_at_the_start(tmp_path, name, value):
    with pytest.raises(ConfigurationError, match=name):
        Bench(tmp_path, **{name: value})


async def test_stopping_closes_the_open_bucket_and_waits_for_its_acknowledgement(tmp_path):
    bench = Bench(tmp_path, flush_readings=1000)
    await bench.connection.start()
    await bench.telemetry.start()
    for _ in range(5):
        await asyncio.sleep(0)
    await bench.telemetry.stop()
    counts = bench.telemetry.counts
    assert counts.readings_taken >= 1
    assert counts.readings_acknowledged == counts.readings_taken
    assert bench.outbox.waiting() == []


async def test_nothing_leaves_the_outbox_before_its_acknowledgement_and_a_lost_one_goes_again(tmp_path):
    failures = [NotConnectedError("lost before the PUBACK"), RefusedError("quota", reason=0x97), None]

    def answer(_topic, _payload):
        failure = failures.pop(0)
        assert bench.outbox.waiting(), "removed before it was acknowledged"
        if failure is not None:
            raise failure

    bench = Bench(tmp_path, connection=MemoryConnection(answer))
    bench.sample(1)
    bench.outbox.seal()
    await bench.connection.start()
    sender = asyncio.create_task(bench.telemetry._send_for_ever())
    async with asyncio.timeout(60):
        while bench.outbox.waiting():
            await asyncio.sleep(0)
    sender.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sender
    assert failures == []
    assert bench.telemetry.counts.messages_acknowledged == 1


async def test_a_payload_that_will_never_be_taken_is_put_aside(tmp_path):
    def answer(_topic, payload):
        if json.loads(payload)["seq"] == 0:
            raise RefusedError("payload format", reason=0x99)

    bench = Bench(tmp_path, connection=MemoryConnection(answer), flush_readings=1)
    bench.sample(2)
    await bench.connection.start()
    sender = asyncio.create_task(bench.telemetry._send_for_ever())
    async with asyncio.timeout(60):
        while bench.outbox.waiting():
            await asyncio.sleep(0)
    sender.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await sender
    assert [json.loads(payload)["seq"] for _, payload in bench.connection.published] == [1]
    assert bench.telemetry.counts.messages_refused == 1


def test_the_rooms_temperature_does_not_depend_on_how_often_it_is_asked():
    coarse = ThermalSensor(dice=random.Random(1), noise_c=0.0, temperature_c=10.0, setpoint_c=0.0)
    fine = ThermalSensor(dice=random.Random(1), noise_c=0.0, temperature_c=10.0, setpoint_c=0.0)
    for sensor, steps in ((coarse, 1), (fine, 100)):
        sensor.read(0.0)
        for step in range(1, steps + 1):
            sensor.read(step * 600.0 / steps)
    assert coarse.temperature_c == pytest.approx(fine.temperature_c, abs=1e-9)
    assert coarse.temperature_c < 10.0


class Needle:
    """A sensor that shows what it is told to."""

    metric = "temperature_c"
    value: float | None = 20.0

    def read(self, _now_s):
        return self.value


async def test_a_reading_that_leaves_its_bounds_overtakes_once_and_closes_its_bucket(tmp_path):
    bench = Bench(tmp_path, flush_readings=1000, urgent={"temperature_c": {"below": 5, "above": 30}})
    needle = Needle()
    bench.telemetry._sensors = [needle]
    await bench.connection.start()
    for needle.value in (20.0, 31.0, 32.0, None, 33.0, 29.0, 4.0, 20.0):
        bench.telemetry.sample()
        bench.clock.now_s += 1.0
        for _ in range(5):
            await asyncio.sleep(0)
    urgent = [json.loads(payload) for topic, payload in bench.connection.published if topic.endswith("/urgent")]
    assert [one["m"]["temperature_c"] for one in urgent] == [[31.0], [4.0]]
    assert all(topic == "$aws/rules/dev_urgent/dt/dev/t-1/urgent" for topic, _ in bench.connection.published)
    assert [one["m"]["temperature_c"] for one in bench.documents()] == [[20.0, 31.0], [32.0, None, 33.0, 29.0, 4.0]]
    assert urgent[1]["t0"] == bench.documents()[1]["t0"] + bench.documents()[1]["dt"][-1]


def test_bounds_that_are_no_bounds_are_refused_with_the_cure(tmp_path):
    with pytest.raises(ConfigurationError, match="below, above"):
        Bench(tmp_path, urgent={"temperature_c": {"over": 5}})
