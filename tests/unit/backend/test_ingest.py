"""Taking in buckets: what fits is stored once, what does not is kept, named by field, and never stored."""

import json
from datetime import timedelta
from typing import Any

import pytest

from backend.adapters.device_types import DeviceTypeDocuments
from backend.domain.telemetry import as_document
from backend.schemas.telemetry import load_bucket
from backend.services.telemetry import Admission, TelemetryIngest
from tests.unit.backend.examples import NOW_MS, bucket, delivery, device, document
from tests.unit.backend.fakes import FakeDevices, FakeQuarantine, FakeReadings, RecordingLog

DAY_MS = 86_400_000


class Ingest:
    """The ingest path on fakes."""

    def __init__(self) -> None:
        self.devices = FakeDevices()
        self.devices.add(device())
        self.readings = FakeReadings()
        self.quarantine = FakeQuarantine()
        self.log = RecordingLog()
        self.service = TelemetryIngest(
            admission=Admission(
                load_bucket=load_bucket,
                devices=self.devices,
                device_types=DeviceTypeDocuments(),
                quarantine=self.quarantine,
                log=self.log,
                retention=timedelta(days=90),
            ),
            readings=self.readings,
        )

    def fields(self) -> set[str]:
        """Return the fields that the log named."""
        return {violation["field"] for _, line in self.log.lines for violation in line["violations"]}


@pytest.fixture
def ingest() -> Ingest:
    return Ingest()


def test_a_good_bucket_is_stored_as_one_item(ingest: Ingest) -> None:
    assert ingest.service.ingest(delivery(document()))
    assert list(ingest.readings.rows.values()) == [bucket()]
    assert not ingest.quarantine.rows


def test_a_redelivery_succeeds_and_stores_nothing(ingest: Ingest) -> None:
    ingest.service.ingest(delivery(document()))
    assert not ingest.service.ingest(delivery(document()))
    assert len(ingest.readings.rows) == 1
    assert not ingest.quarantine.rows


def test_another_bucket_under_the_same_key_is_kept_aside_and_the_first_one_stands(ingest: Ingest) -> None:
    ingest.service.ingest(delivery(document()))
    assert not ingest.service.ingest(delivery(document(m={"temperature_c": [1, 2, 3]})))
    assert list(ingest.readings.rows.values()) == [bucket()]
    assert [row.violations[0][0] for row in ingest.quarantine.rows.values()] == ["seq"]


BAD: dict[str, tuple[Any, str]] = {
    "not JSON": (b"\xff\x00 no", "body"),
    "nested beyond reading": (b"[" * 100_000, "body"),
    "a list": ([1], "body"),
    "a field twice": (b'{"v": 1, "v": 1}', "body"),
    "columns of unequal length": (document(dt=[0, 1]), "m.temperature_c"),
    "a span over one hour": (document(dt=[0, 1, 3_600_001]), "dt"),
    "a thousand and one readings": (document(dt=[0] * 1001, m={"temperature_c": [1] * 1001}), "dt"),
    "no reading": (document(dt=[], m={"temperature_c": []}), "dt"),
    "offsets that go back": (document(dt=[0, 2, 1]), "dt[2]"),
    "a negative offset": (document(dt=[-1, 0, 1]), "dt[0]"),
    "an offset that is no number": (document(dt=[0, "1", 2]), "dt[1]"),
    "NaN": (document(m={"temperature_c": [1, float("nan"), 2]}), "m.temperature_c[1]"),
    "infinity": (document(m={"temperature_c": [1, float("-inf"), 2]}), "m.temperature_c[1]"),
    "a number too large for a float": (json.dumps(document()).replace("21.5", "1e999").encode(), "m.temperature_c[1]"),
    "a whole number too large": (document(m={"temperature_c": [1, 10**400, 2]}), "m.temperature_c[1]"),
    "a text for a value": (document(m={"temperature_c": [1, "2", 3]}), "m.temperature_c[1]"),
    "a truth for a value": (document(m={"temperature_c": [1, True, 3]}), "m.temperature_c[1]"),
    "the year 1970": (document(t0=0), "t0"),
    "a time in microseconds": (document(t0=NOW_MS * 1000), "t0"),
    "six minutes ahead": (document(t0=NOW_MS + 360_000, dt=[0], m={"temperature_c": [1]}), "t0"),
    "ninety-one days late": (document(t0=NOW_MS - 91 * DAY_MS), "t0"),
    "an unknown version": (document(v=2), "v"),
    "no version": ({name: value for name, value in document().items() if name != "v"}, "v"),
    "a version that is a truth": (document(v=True), "v"),
    "an unknown metric": (document(m={"pressure_pa": [1, 2, 3]}), "m.pressure_pa"),
    "a value out of range": (document(m={"temperature_c": [1, 2, 300]}), "m.temperature_c[2]"),
    "a fraction of a whole number": (document(m={"rssi_dbm": [-60, -60.5, -60]}), "m.rssi_dbm[1]"),
    "an unknown field": (document(thing="t2"), "thing"),
    "a boot id with a separator": (document(boot="a#b"), "boot"),
    "a sequence beyond its bound": (document(seq=2**32), "seq"),
    "a body beyond 128 KB": (b" " * 131_073, "body"),
    "nothing at all": (b"", "body"),
    "UTF-16": (json.dumps(document()).encode("utf-16"), "body"),
    "two documents": (json.dumps(document()).encode() * 2, "body"),
    "a metric twice": (b'{"v": 1, "m": {"a": [1], "a": [1]}}', "body"),
    "a metric that is no text": (document(m={"\ud800": [1, 2, 3]}), "body"),
    "a column that is null": (document(m={"temperature_c": None}), "m.temperature_c"),
    "a time in seconds": (document(t0=NOW_MS // 1000), "t0"),
    "a time that is a fraction": (document(t0=float(NOW_MS)), "t0"),
    "a time that is a text": (document(t0=str(NOW_MS)), "t0"),
    "a time of five thousand digits": (b'{"t0": ' + b"9" * 5_000 + b"}", "body"),
    "a day ahead": (document(t0=NOW_MS + DAY_MS), "t0"),
    "a field whose name fills the body": (document(**{"é" * 20_000: 0}), "é" * 256 + "…"),
    "fields by the thousand": ({f"k{number}": 0 for number in range(9_000)}, "body"),
}


@pytest.mark.parametrize("name", BAD)
def test_what_does_not_fit_stores_nothing_and_is_named_by_field(ingest: Ingest, name: str) -> None:
    body, field = BAD[name]
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    assert not ingest.service.ingest(delivery(raw))
    assert not ingest.readings.rows
    assert field in ingest.fields()
    (kept,) = ingest.quarantine.rows.values()
    assert kept.body == raw
    assert field in {violation[0] for violation in kept.violations}
    assert len(json.dumps(kept.violations)) < 40_000, "with a body of 128 KB it must fit an item of 400 KB"


def test_the_bounds_themselves_fit(ingest: Ingest) -> None:
    whole_hour = document(t0=NOW_MS - 3_600_000, dt=[0] * 999 + [3_600_000], m={"temperature_c": [85] * 1000})
    assert ingest.service.ingest(delivery(whole_hour))
    assert ingest.service.ingest(delivery(document(seq=18, t0=NOW_MS + 300_000 - 2000)))
    assert ingest.service.ingest(delivery(document(seq=19, t0=NOW_MS - 90 * DAY_MS)))


def test_a_bad_document_delivered_twice_is_kept_once(ingest: Ingest) -> None:
    for _ in range(2):
        ingest.service.ingest(delivery(b"no"))
    assert len(ingest.quarantine.rows) == 1


def test_two_bad_documents_of_one_sequence_are_both_kept(ingest: Ingest) -> None:
    ingest.service.ingest(delivery(document(t0=0)))
    ingest.service.ingest(delivery(document(t0=1)))
    assert len(ingest.quarantine.rows) == 2


def test_a_device_that_nobody_registered_stores_nothing(ingest: Ingest) -> None:
    assert not ingest.service.ingest(delivery(document(), thing="stranger"))
    assert ingest.fields() == {"thing"}


def test_a_bucket_survives_the_wire() -> None:
    assert load_bucket(json.dumps(as_document(bucket())).encode()) == bucket()
