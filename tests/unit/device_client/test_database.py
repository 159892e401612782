"""What becomes of a device whose disk is damaged, full, or not there."""

import asyncio
import logging
import sqlite3

import pytest

from device_client import cli
from device_client.config import DeviceSettings
from device_client.connection.memory import MemoryConnection
from device_client.errors import ConfigurationError, StorageError
from device_client.features import telemetry
from device_client.store.database import check
from device_client.store.journal import Entry, Journal
from device_client.store.outbox import Outbox
from tests.unit.device_client.test_telemetry import Bench


def _cut(path):
    database = sqlite3.connect(path)
    database.execute("CREATE TABLE t (a)")
    database.executemany("INSERT INTO t VALUES (?)", [("x" * 1_000,)] * 50)
    database.commit()
    database.close()
    path.write_bytes(path.read_bytes()[:20_000])


@pytest.mark.parametrize("damage", [lambda path: path.write_bytes(b"garbage" * 1_000), _cut])
def test_a_damaged_file_is_put_aside_and_the_device_starts_with_a_fresh_one(tmp_path, caplog, damage):
    path = tmp_path / "o.db"
    damage(path)
    damaged = path.read_bytes()
    with caplog.at_level(logging.ERROR):
        check(path)
    assert "put aside" in caplog.text
    assert (tmp_path / "o.db.damaged").read_bytes() == damaged
    outbox = Outbox(path, boot="aa", capacity=10)
    outbox.add(at_ms=1, offset_ms=0, metrics={"temperature_c": 20.0})
    assert outbox.seal() is not None


def test_a_sound_file_stays_as_it_is(tmp_path):
    path = tmp_path / "o.db"
    Outbox(path, boot="aa", capacity=10).add(at_ms=1, offset_ms=0, metrics={"temperature_c": 20.0})
    check(path)
    assert len(Outbox(path, boot="bb", capacity=10).waiting()) == 1
    assert not (tmp_path / "o.db.damaged").exists()


def test_a_place_that_is_not_there_is_named(tmp_path):
    with pytest.raises(ConfigurationError, match="nowhere"):
        check(tmp_path / "nowhere" / "o.db")


def test_the_first_reading_that_the_disk_takes_again_opens_the_bucket(tmp_path):
    bench = Bench(tmp_path)
    bench.outbox._db.execute("PRAGMA query_only = 1")
    with pytest.raises(StorageError):
        bench.telemetry.sample()
    bench.outbox._db.execute("PRAGMA query_only = 0")
    bench.clock.now_s += 30.0
    first_ms = bench.clock.wall_ms()
    bench.sample(2)
    bench.telemetry._flush()
    [document] = bench.documents()
    assert (document["t0"], document["dt"]) == (first_ms, [0, 1_000])


async def _sample_on(bench, *, times):
    task = asyncio.create_task(bench.telemetry._sample_for_ever())
    while bench.clock.now_s < 100.0 + times:
        await asyncio.sleep(0)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_a_device_measures_on_while_its_disk_takes_nothing(tmp_path):
    bench = Bench(tmp_path)
    bench.outbox._db.execute("PRAGMA query_only = 1")
    asyncio.run(_sample_on(bench, times=5))
    assert bench.telemetry.counts.readings_lost >= 5
    bench.outbox._db.execute("PRAGMA query_only = 0")
    bench.sample(1)
    assert bench.outbox.seal() is not None


def test_a_reading_that_stands_on_the_disk_is_not_counted_as_lost_though_its_bucket_could_not_be_closed(tmp_path):
    bench = Bench(tmp_path, flush_readings=1)
    bench.outbox._db.execute("CREATE TRIGGER full BEFORE INSERT ON bucket BEGIN SELECT RAISE(FAIL, 'full'); END")
    asyncio.run(_sample_on(bench, times=1))
    assert (bench.telemetry.counts.readings_taken, bench.telemetry.counts.readings_lost) == (1, 0)


def test_a_puback_that_the_disk_does_not_note_is_not_sent_again_at_once(tmp_path):
    bench = Bench(tmp_path)
    bench.sample(1)
    bench.telemetry._flush()
    bench.outbox._db.execute("PRAGMA query_only = 1")
    [bucket] = bench.outbox.waiting()

    async def settle() -> bool:
        await bench.connection.start()
        return await bench.telemetry._is_settled(bucket)

    assert asyncio.run(settle()) is False
    bench.outbox._db.execute("PRAGMA query_only = 0")
    assert asyncio.run(settle()) is True
    assert bench.outbox.waiting() == []


def test_what_the_disk_does_not_take_down_is_not_done(tmp_path):
    journal = Journal(tmp_path / "o.db")
    journal._db.execute("PRAGMA query_only = 1")
    entry = Entry(id="c1", name="identify", parameters={}, expires_at_ms=1)
    with pytest.raises(StorageError):
        journal.take(entry)
    journal._db.execute("PRAGMA query_only = 0")
    assert journal.take(entry)


class Deaf(MemoryConnection):
    """A network that is not there."""

    async def start(self) -> None:
        await asyncio.Event().wait()


def test_a_device_that_finds_no_network_stops_when_it_is_told_to(tmp_path, monkeypatch):
    monkeypatch.setattr(cli, "MqttConnection", lambda _settings: Deaf())
    monkeypatch.setattr(telemetry, "CONNECTED_WITHIN_S", 0.01)
    files = {name: tmp_path / name for name in ("certificate", "private_key", "ca", "outbox")}
    settings = DeviceSettings(thing="t-1", stage="dev", endpoint="nowhere", **files)
    asyncio.run(asyncio.wait_for(cli._run(settings, 0.01, 1), 10))
    assert Outbox(files["outbox"], boot="bb", capacity=10).waiting()
