"""Imports: every way through a file ends in the same devices and the same report."""

import itertools
import json
import tracemalloc
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from backend.adapters.device_types import DeviceTypeDocuments
from backend.domain import imports as rules
from backend.domain.devices import Device, hash_secret
from backend.domain.imports import DroppedFile, Progress
from backend.errors import ConflictError, NotFoundError, UnavailableError
from backend.schemas.imports import check_device_columns, load_device_row
from backend.services import imports as service
from backend.services.imports import Imports
from backend.services.registry import DeviceRows, Registry
from tests.unit.backend.fakes import CountingDice, FakeDevices, ManualClock, RecordingLog

SECRET = "a-secret-on-a-label"
ROWS = 5_000
"""Enough that what is kept of each would show."""
GOOD = f"""thing,type,secret,secret_hash,expires_at,attribute.site,attribute.Floor
t-1,thermostat,{SECRET},,2027-01-01T00:00:00Z,Oslo,2
t-2,thermostat,,{hash_secret("t-2", SECRET)},,,
app-3,thermostat,{SECRET},,,,
t-4,toaster,short,,,,
t-1,thermostat,another-secret-for-it,,,,
t-5,thermostat,,,tomorrow,,

t-6,thermostat
t-7,thermostat,{SECRET},{"0" * 64},,,
t-8,thermostat,{SECRET},,,,
"""


class FakeFiles:
    def __init__(self) -> None:
        self.stored: dict[str, bytes] = {}
        self.etags: dict[str, str] = {}

    def drop(self, text: str | bytes, key: str = "devices/batch.csv", sequencer: str = "01") -> DroppedFile:
        data = text if isinstance(text, bytes) else text.encode()
        self.stored[key], self.etags[key] = data, f"etag-{sequencer}"
        return DroppedFile(bucket="b", key=key, etag=self.etags[key], size_bytes=len(data), sequencer=sequencer)

    def read(self, file: DroppedFile, offset: int) -> Iterator[bytes]:
        for begin in range(offset, file.size_bytes, 100):
            if self.etags.get(file.key) != file.etag:
                raise NotFoundError("another")
            yield self.stored[file.key][begin : begin + 100]

    def write(self, file: DroppedFile, key: str, document: Mapping[str, Any]) -> None:
        self.stored[key] = json.dumps(document).encode()


class FakeProgress:
    def __init__(self) -> None:
        self.rows: dict[str, Progress] = {}
        self.meanwhile: Callable[[], None] | None = None
        """What others do between a look and a write."""

    def find(self, file: str) -> Progress | None:
        return self.rows.get(file)

    def put(self, progress: Progress, *, was: int | None) -> Progress:
        if self.meanwhile:
            self.meanwhile()
        found = self.rows.get(progress.file)
        if (found.revision if found else None) != was:
            raise ConflictError("another")
        self.rows[progress.file] = replace(progress, revision=(was or 0) + 1)
        return self.rows[progress.file]


class FailingDevices(FakeDevices):
    """Fails when told to: before a write, or after it."""

    def __init__(self) -> None:
        super().__init__()
        self.calls = 0
        self.fail_at: int | None = None
        self.after = False
        self.meanwhile: Callable[[], None] | None = None

    def add(self, device: Device) -> None:
        self.calls += 1
        failing = self.calls == self.fail_at
        if failing and self.meanwhile:
            failing = False
            self.meanwhile()
        if failing and not self.after:
            raise UnavailableError("crash")
        super().add(device)
        if failing and self.after:
            raise UnavailableError("crash")


@dataclass
class Works:
    files: FakeFiles = field(default_factory=FakeFiles)
    progress: FakeProgress = field(default_factory=FakeProgress)
    devices: FailingDevices = field(default_factory=FailingDevices)
    clock: ManualClock = field(default_factory=ManualClock)

    @property
    def imports(self) -> Imports:
        """Return a worker that remembers nothing."""
        types = DeviceTypeDocuments()
        registry = Registry(devices=self.devices, device_types=types, clock=self.clock, dice=CountingDice())
        rows = DeviceRows(registry=registry, check_columns=check_device_columns, load_row=load_device_row)
        return Imports(
            files=self.files,
            progress=self.progress,
            readers={"devices": rows},
            clock=self.clock,
            log=RecordingLog(),
        )

    def report(self, key: str = "devices/batch.csv") -> Any:
        return json.loads(self.files.stored[f"{key}.report.json"])


def always() -> bool:
    return True


@pytest.fixture
def works() -> Works:
    return Works()


@pytest.fixture(autouse=True)
def small_steps(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ROWS_PER_STEP", 2)


@pytest.fixture
def expected() -> tuple[Any, dict[str, Device]]:
    works = Works()
    assert works.imports.run(works.files.drop(GOOD), always)
    return works.report(), works.devices.rows


def test_good_rows_go_in_and_bad_ones_are_named_by_line_field_and_reason(works: Works) -> None:
    assert works.imports.run(works.files.drop(GOOD), always)
    assert sorted(works.devices.rows) == ["t-1", "t-2", "t-8"]
    first = works.devices.rows["t-1"]
    assert first.attributes == {"site": "Oslo", "Floor": "2"}
    assert first.secret_expires_at is not None
    assert first.secret_expires_at.isoformat() == "2027-01-01T00:00:00+00:00"
    assert works.devices.rows["t-2"].secret_hash == hash_secret("t-2", SECRET)
    report = works.report()
    counted = {name: report[name] for name in ("status", "rows", "imported", "unchanged", "bad")}
    assert counted == {"status": "imported", "rows": 9, "imported": 3, "unchanged": 0, "bad": 6}
    assert [(each["line"], each["field"]) for each in report["problems"]] == [
        (4, "thing"), (5, "type"), (5, "claim_secret"), (6, "thing"), (7, "expires_at"), (9, "row"), (10, "secret"),
    ]  # fmt: skip
    assert report["problems"][3]["reason"] == "stands on line 2 already"
    assert SECRET not in json.dumps(report)
    assert "short" not in [each["reason"] for each in report["problems"]]


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("row", range(1, 6))
def test_a_crash_at_any_row_costs_nothing(works: Works, expected: Any, row: int, after: bool) -> None:
    file = works.files.drop(GOOD)
    works.devices.fail_at, works.devices.after = row, after
    try:
        works.imports.run(file, always)
    except UnavailableError:
        works.imports.run(file, always)
    assert (works.report(), works.devices.rows) == expected


def test_a_time_out_after_every_row_costs_nothing(works: Works, expected: Any) -> None:
    file = works.files.drop(GOOD)
    runs = 1
    while not works.imports.run(file, lambda: False):
        runs += 1
    assert runs > 9
    assert (works.report(), works.devices.rows) == expected


@pytest.mark.parametrize("row", range(1, 6))
def test_two_workers_at_once_end_in_one_report(works: Works, expected: Any, row: int) -> None:
    file = works.files.drop(GOOD)
    works.devices.fail_at = row

    def another() -> None:
        works.devices.meanwhile = None
        assert works.imports.run(file, always)

    works.devices.meanwhile = another
    assert works.imports.run(file, always)
    assert (works.report(), works.devices.rows) == expected


def test_a_redelivered_event_changes_nothing(works: Works, expected: Any) -> None:
    file = works.files.drop(GOOD)
    works.imports.run(file, always)
    before = works.devices.calls
    works.clock.move(hours=1)
    assert works.imports.run(file, always)
    assert works.devices.calls == before
    assert works.report() == expected[0]


def test_the_same_file_dropped_again_finds_its_rows_unchanged_and_never_touches_a_device(works: Works) -> None:
    works.imports.run(works.files.drop(GOOD), always)
    works.devices.rows["t-1"] = replace(works.devices.rows["t-1"], owner="ann", name="Hall", version=9)
    mended = GOOD.replace("app-3", "t-3").replace(f"t-8,thermostat,{SECRET}", f"t-8,thermostat,{SECRET}-changed")
    works.imports.run(works.files.drop(mended, sequencer="02"), always)
    report = works.report()
    assert (report["imported"], report["unchanged"]) == (1, 2)
    assert works.devices.rows["t-1"].name == "Hall"
    assert [each["reason"] for each in report["problems"] if each["line"] == 11] == [
        "is not what the device was registered with, and was left as it is"
    ]


@pytest.mark.parametrize(
    ("row", "differing"),
    [
        ("t-1,thermostat,{secret},2027-01-01T01:00:00+01:00,Oslo,2", []),
        ("t-1,thermostat,another-{secret},2027-01-01T00:00:00Z,Oslo,2", ["secret"]),
        ("t-1,thermostat,{secret},2027-01-01T00:00:01Z,Oslo,2", ["expires_at"]),
        ("t-1,thermostat,{secret},,Oslo,2", ["expires_at"]),
        ("t-1,thermostat,{secret},2027-01-01T00:00:00Z,Bergen,", ["attribute.Floor", "attribute.site"]),
    ],
)
def test_what_differs_from_what_a_device_was_registered_with_is_named_column_by_column(
    works: Works, row: str, differing: list[str]
) -> None:
    works.imports.run(works.files.drop(GOOD), always)
    theirs = replace(works.devices.rows["t-1"], owner="ann", attributes={"site": "Home"}, version=9)
    works.devices.rows["t-1"] = theirs
    header = "thing,type,secret,expires_at,attribute.site,attribute.Floor\n"
    works.imports.run(works.files.drop(header + row.format(secret=SECRET), sequencer="02"), always)
    report = works.report()
    assert [each["field"] for each in report["problems"]] == differing
    assert (report["unchanged"], report["bad"]) == ((0, 1) if differing else (1, 0))
    assert works.devices.rows["t-1"] == theirs


def test_a_late_event_of_a_file_that_was_replaced_is_ignored(works: Works) -> None:
    old = works.files.drop(GOOD, sequencer="0099")
    new = works.files.drop(GOOD.replace("t-1,", "t-9,"), sequencer="01")
    works.imports.run(new, always)
    report = works.report()
    assert works.imports.run(old, always)
    assert works.report() == report
    assert "t-1" not in works.devices.rows


def test_a_file_that_is_replaced_while_it_is_read_stops_and_the_new_one_is_imported(works: Works) -> None:
    rows = "".join(f"n-{number},thermostat,{SECRET}\n" for number in range(50))
    old = works.files.drop("thing,type,secret\n" + rows, sequencer="01")
    assert not works.imports.run(old, lambda: works.devices.calls < 5)
    new = works.files.drop("thing,type,secret\n" + rows, sequencer="02")
    assert works.imports.run(old, always)
    assert works.imports.run(new, always)
    report = works.report()
    assert (report["imported"], report["unchanged"]) == (45, 5)


@pytest.mark.parametrize("checkpoints", [1, 3, 1_000])
def test_a_newer_file_that_meets_a_checkpoint_of_the_older_one_is_not_lost(works: Works, checkpoints: int) -> None:
    assert not works.imports.run(works.files.drop(GOOD, sequencer="01"), lambda: False)
    new = works.files.drop(GOOD.replace("t-1,", "t-9,"), sequencer="02")
    place, left = "b/devices/batch.csv", iter(range(checkpoints))

    def checkpoint_of_the_older() -> None:
        found = works.progress.rows[place]
        if found.sequencer == "01" and next(left, None) is not None:
            works.progress.rows[place] = replace(found, revision=found.revision + 1)

    works.progress.meanwhile = checkpoint_of_the_older
    if checkpoints > service.MAX_TRIES:
        with pytest.raises(UnavailableError):  # Lambda tries again
            works.imports.run(new, always)
        works.progress.meanwhile = None
    assert works.imports.run(new, always)
    assert works.progress.rows[place].sequencer == "02"
    assert "t-9" in works.devices.rows
    assert works.report()["bad"] == 6


def test_an_import_whose_progress_is_lost_is_tried_again(works: Works) -> None:
    works.devices.fail_at = 1
    works.devices.meanwhile = works.progress.rows.clear
    file = works.files.drop(GOOD)
    with pytest.raises(UnavailableError):
        works.imports.run(file, always)
    assert works.imports.run(file, always)
    assert works.report()["imported"] == 3


@pytest.mark.parametrize(
    ("text", "field_", "said"),
    [
        ("", "file", "no header"),
        ("thing,type\nt-1,thermostat\n", "secret", "missing"),
        ("thing,secret,colour\n", "type", "missing"),
        ("thing,type,secret,colour\n", "colour", "is not a column"),
        ("thing,type,secret,attribute.\n", "attribute.", "is not a column"),
        ("thing,type,secret," + ",".join(f"attribute.a{n}" for n in range(11)), "attribute.", "more than 10"),
        (GOOD.encode("utf-16"), "file", "UTF-16"),
        (GOOD.replace("\n", "\r"), "header", "new-line"),
    ],
)
def test_a_file_that_is_none_is_refused_as_a_whole(works: Works, text: Any, field_: str, said: str) -> None:
    assert works.imports.run(works.files.drop(text), always)
    report = works.report()
    assert (report["status"], report["rows"]) == ("refused", 0)
    (problem,) = [each for each in report["problems"] if each["field"] == field_]
    assert problem["line"] is None
    assert said in problem["reason"]
    assert not works.devices.rows


def test_a_file_that_is_too_large_is_refused_unread(works: Works) -> None:
    file = replace(works.files.drop(GOOD), size_bytes=rules.MAX_FILE_BYTES + 1)
    assert works.imports.run(file, always)
    assert "split it" in works.report()["problems"][0]["reason"]
    assert not works.devices.rows


def test_however_many_rows_are_bad_all_are_named(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "MAX_OPEN_PROBLEMS", 3)
    text = "thing,type,secret\n" + "".join(f"app-{number},thermostat,{SECRET}\n" for number in range(10))
    works.imports.run(works.files.drop(text), always)
    report = works.report()
    parts = [json.loads(works.files.stored[key]) for key in report["more_problems_in"]]
    lines = [each["line"] for part in (*parts, report) for each in part["problems"]]
    assert lines == list(range(2, 12))
    assert report["bad"] == 10


def test_what_nobody_reads_is_left_alone(works: Works) -> None:
    assert works.imports.run(works.files.drop(GOOD, key="people/x.csv"), always)
    assert set(works.files.stored) == {"people/x.csv"}


def test_memory_stays_bounded_however_long_the_file_is(works: Works, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "ROWS_PER_STEP", 500)
    lines = (f"app-{number},thermostat,{SECRET}\n".encode() for number in range(ROWS))
    pieces = itertools.chain([b"thing,type,secret\n"], lines)
    monkeypatch.setattr(works.files, "read", lambda _file, offset: pieces if offset else iter([b"thing,type,secret\n"]))
    monkeypatch.setattr(works.files, "write", lambda *_: None)
    next(pieces)
    file = DroppedFile(bucket="b", key="devices/long.csv", etag="e", size_bytes=1_000_000, sequencer="01")
    tracemalloc.start()
    assert works.imports.run(file, always)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert works.progress.rows["b/devices/long.csv"].bad == ROWS
    assert peak < 1_500_000
