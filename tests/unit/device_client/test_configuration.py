"""What is wanted in the shadow is put into effect, kept, and reported; what does not fit is not reported."""

import asyncio
import contextlib
import json
import random

import pytest

from device_client.config import TelemetrySettings
from device_client.connection.memory import MemoryConnection
from device_client.device import build_pace
from device_client.features.configuration import Configuration
from device_client.features.shadow import Shadow
from device_client.hardware.thermostat import ThermalSensor, build_settings
from device_client.store.settings import SettingsStore
from device_client.topics import Topics
from tests.unit.device_client.test_telemetry import Bench as TelemetryBench

PREFIX = "$aws/things/t-1/shadow/name/config"


class Bench:
    def __init__(self, path):
        self.connection = MemoryConnection()
        self.room = ThermalSensor(dice=random.Random(1))
        self.store = SettingsStore(path / "device.db")
        self.configuration = Configuration(build_settings(self.room), self.store)
        shadow = Topics(stage="dev", thing="t-1").shadow("config")
        self.shadow = Shadow(topics=shadow, connection=self.connection, follower=self.configuration)

    async def hear(self, what, document):
        self.connection.deliver(f"{PREFIX}/{what}", json.dumps(document).encode())
        await settle()

    async def change(self, version, desired, **sections):
        state = {"desired": desired, **sections}
        await self.hear("update/documents", {"previous": {}, "current": {"version": version, "state": state}})

    def reported(self):
        sent = [json.loads(payload) for topic, payload in self.connection.published if topic == f"{PREFIX}/update"]
        return [document["state"]["reported"] for document in sent]

    def fetches(self):
        return sum(topic == f"{PREFIX}/get" for topic, _ in self.connection.published)


@contextlib.asynccontextmanager
async def running(bench):
    await bench.shadow.start()
    await bench.connection.start()
    await settle()
    yield bench
    await bench.shadow.stop()
    bench.store.close()


async def settle():
    for _ in range(20):
        await asyncio.sleep(0)


async def test_the_document_is_fetched_at_each_connection_and_put_into_effect(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        assert bench.fetches() == 1
        await bench.hear("get/accepted", {"version": 3, "state": {"desired": {"target_c": 18, "mode": "eco"}}})
        assert (bench.room.setpoint_c, bench.room.mode) == (18.0, "eco")
        assert bench.reported() == [{"target_c": 18, "mode": "eco"}]
        bench.connection.lose()
        await bench.connection.start()
        await settle()
        assert bench.fetches() == 2


async def test_what_is_wanted_and_reported_already_is_put_into_effect_and_not_reported_again(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        both = {"desired": {"target_c": 18}, "reported": {"target_c": 18}}
        await bench.hear("get/accepted", {"version": 3, "state": both})
        assert (bench.room.setpoint_c, bench.reported()) == (18.0, [])


async def test_an_older_document_changes_nothing(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        await bench.change(5, {"target_c": 18})
        await bench.change(4, {"target_c": 30})
        await bench.hear("get/accepted", {"version": 4, "state": {"desired": {"target_c": 30}}})
        assert bench.room.setpoint_c == 18.0


async def test_what_does_not_fit_is_not_reported_and_stops_nothing(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        state = {"target_c": "warm", "mode": "party", "colour": "red"}
        await bench.change(1, state)
        assert (bench.room.setpoint_c, bench.reported()) == (21.0, [])
        await bench.change(2, {**state, "target_c": 19})
        assert bench.reported() == [{"target_c": 19}]


async def test_a_wish_taken_back_goes_back_to_what_it_was(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        await bench.change(1, {"mode": "eco"})
        await bench.change(3, {}, reported={"mode": "eco"})
        assert bench.room.mode == "heat"
        assert bench.reported()[-1] == {"mode": None}


async def test_a_start_without_a_network_keeps_to_the_settings(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        await bench.change(1, {"target_c": 17})
    assert Bench(tmp_path).room.setpoint_c == 17.0


@pytest.mark.parametrize("payload", [b"", b"[]", b"null", b"{}", b'{"version": "x", "state": {}}'])
@pytest.mark.parametrize("what", ["get/accepted", "get/rejected", "update/documents", "update/rejected"])
async def test_rubbish_stops_nothing(tmp_path, what, payload):
    async with running(Bench(tmp_path)) as bench:
        bench.connection.deliver(f"{PREFIX}/{what}", payload)
        await settle()
        await bench.change(1, {"target_c": 17})
        assert bench.room.setpoint_c == 17.0


@pytest.mark.parametrize("gone", ["get/rejected", "delete/accepted"])
async def test_settings_go_with_their_shadow_and_versions_begin_anew(tmp_path, gone):
    async with running(Bench(tmp_path)) as bench:
        await bench.change(7, {"target_c": 18, "mode": "eco"})
        await bench.hear(gone, {"code": 404, "message": "No shadow exists with name: config", "version": 8})
        assert (bench.room.setpoint_c, bench.room.mode, bench.store.load()) == (21.0, "heat", {})
        assert bench.reported() == [{"target_c": 18, "mode": "eco"}]
        await bench.change(1, {"target_c": 16})
        assert bench.room.setpoint_c == 16.0


async def test_the_pace_of_telemetry_changes_at_once_even_out_of_a_long_sleep(tmp_path):
    first = TelemetrySettings(sample_every_s=3_000.0, flush_readings=500)
    bench = TelemetryBench(tmp_path, sample_every_s=3_000.0, flush_readings=500)
    pace = build_pace(bench.telemetry, first)
    configuration = Configuration(pace, SettingsStore(tmp_path / "settings.db"))
    configuration.apply({"interval_s": 2, "flush_count": 2, "flush_s": 0})
    assert configuration.report() == {"interval_s": 2, "flush_count": 2}
    bench.sample(4)
    assert len(bench.documents()) == 2
    configuration.apply({})
    assert configuration.report() == {"interval_s": None, "flush_count": None}
