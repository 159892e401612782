"""The outbox keeps everything until it is acknowledged."""

import json

from device_client.store.outbox import Outbox


def _fill(outbox: Outbox, readings: int, *, at_ms: int = 1_000_000) -> None:
    for number in range(readings):
        outbox.add(at_ms=at_ms + number, offset_ms=number, metrics={"temperature_c": 20.0 + number})


def test_a_sealed_bucket_stays_until_it_is_acknowledged(tmp_path):
    outbox = Outbox(tmp_path / "o.db", boot="aa", capacity=10)
    _fill(outbox, 3)
    outbox.seal()
    [bucket] = outbox.waiting()
    assert json.loads(bucket.payload) == {
        "v": 1, "boot": "aa", "seq": 0, "t0": 1_000_000, "dt": [0, 1, 2], "m": {"temperature_c": [20.0, 21.0, 22.0]},
    }  # fmt: skip
    assert outbox.waiting() == [bucket]
    outbox.acknowledge(bucket)
    assert outbox.waiting() == []


def test_what_a_killed_run_left_open_is_closed_under_that_runs_own_boot(tmp_path):
    killed = Outbox(tmp_path / "o.db", boot="first", capacity=10)
    _fill(killed, 1)
    killed.seal()
    _fill(killed, 2)
    killed.close()  # SQLite commits each statement: closing writes nothing that a kill would lose
    outbox = Outbox(tmp_path / "o.db", boot="second", capacity=10)
    _fill(outbox, 1)
    outbox.seal()
    documents = [json.loads(bucket.payload) for bucket in outbox.waiting()]
    assert [(one["boot"], one["seq"], len(one["dt"])) for one in documents] == [
        ("first", 0, 1), ("first", 1, 2), ("second", 0, 1),
    ]  # fmt: skip


def test_a_reading_that_lacks_a_metric_holds_null_in_its_column(tmp_path):
    outbox = Outbox(tmp_path / "o.db", boot="aa", capacity=10)
    outbox.add(at_ms=1, offset_ms=0, metrics={"a": 1.0, "b": None})
    outbox.add(at_ms=2, offset_ms=1, metrics={"a": 2.0, "c": 3.0})
    outbox.seal()
    assert json.loads(outbox.waiting()[0].payload)["m"] == {"a": [1.0, 2.0], "b": [None, None], "c": [None, 3.0]}


def test_past_its_capacity_the_oldest_goes_and_is_counted(tmp_path):
    outbox = Outbox(tmp_path / "o.db", boot="aa", capacity=2)
    for _ in range(3):
        _fill(outbox, 4)
        outbox.seal()
    assert [json.loads(bucket.payload)["seq"] for bucket in outbox.waiting()] == [1, 2]
    assert outbox.dropped_readings == 4


def test_a_refused_bucket_is_put_aside_and_blocks_nothing(tmp_path):
    outbox = Outbox(tmp_path / "o.db", boot="aa", capacity=10)
    _fill(outbox, 1)
    outbox.seal()
    outbox.refuse(outbox.waiting()[0], reason=0x99)
    assert outbox.waiting() == []
