"""Laws of a range of readings: any arrival, any overlap, any page size give what a recomputation gives."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from backend.adapters.readings import dump_columns, dump_key, load_columns, load_key
from backend.domain.access import Caller, Membership, Role, device_subject
from backend.domain.telemetry import MAX_SPAN_MS, Bucket, BucketKey, Position, Range
from backend.services.telemetry import TelemetryQueries
from tests.unit.backend.examples import NOW_MS, device
from tests.unit.backend.fakes import NOW, FakeDatabase, FakeQuarantine, FakeReadings

ANN = Caller(user="ann")
VALUES = st.one_of(st.none(), st.integers(-40, 85), st.floats(-40, 85, allow_nan=False))


@st.composite
def buckets(draw: st.DrawFn) -> Bucket:
    count = draw(st.integers(1, 6))
    offsets = sorted(draw(st.lists(st.integers(0, MAX_SPAN_MS), min_size=count, max_size=count)))
    return Bucket(
        boot=draw(st.sampled_from(["a", "ab", "b"])),
        seq=draw(st.integers(0, 3)),
        t0_ms=NOW_MS + draw(st.integers(0, 3)) * MAX_SPAN_MS // 2,
        offsets_ms=tuple(offsets),
        metrics={
            name: tuple(draw(st.lists(VALUES, min_size=count, max_size=count))) for name in ("temperature_c", "b")
        },
    )


def world(some: list[Bucket], data_from_ms: int = 0) -> tuple[TelemetryQueries, FakeReadings]:
    database, readings = FakeDatabase(), FakeReadings()
    subject = device_subject("t1")
    database.memberships.rows[subject, "ann"] = Membership(subject=subject, user="ann", role=Role.VIEWER, since=NOW)
    database.devices.add(device(data_from_ms=data_from_ms))
    for each in some:
        if ("t1", each.key) not in readings.rows:
            readings.add("t1", each, received_ms=NOW_MS)
    return (
        TelemetryQueries(access=database.access, readings=readings, quarantine=FakeQuarantine()),
        readings,
    )


def read_all(queries: TelemetryQueries, wanted: Range, limit: int) -> list[tuple[int, dict[str, float]]]:
    found: list[tuple[int, dict[str, float]]] = []
    after: Position | None = None
    while True:
        page = queries.between(ANN, "t1", wanted, limit=limit, after=after)
        found += [(reading.at_ms, dict(reading.metrics)) for reading in page.items]
        if page.after is None:
            return found
        after = Position.load(page.after.dump())


def recomputed(readings: FakeReadings, wanted: Range) -> list[tuple[int, dict[str, float]]]:
    rows = []
    for (_, key), each in readings.rows.items():
        for index, offset in enumerate(each.offsets_ms):
            at_ms = each.t0_ms + offset
            metrics = {
                name: value
                for name, column in each.metrics.items()
                if (value := column[index]) is not None and wanted.metric in (None, name)
            }
            if metrics and wanted.from_ms <= at_ms < wanted.to_ms:
                rows.append((at_ms, key, index, metrics))
    return [(at_ms, metrics) for at_ms, _, _, metrics in sorted(rows, key=lambda row: row[:3])]


@settings(max_examples=200, deadline=None)
@given(
    st.lists(buckets(), max_size=8),
    st.integers(-1, 4),
    st.integers(0, 5),
    st.sampled_from([None, "b"]),
    st.integers(1, 5),
    st.randoms(use_true_random=False),
)
def test_pages_of_a_range_are_the_readings_of_the_range_in_order_of_time(
    some: list[Bucket], start: int, length: int, metric: str | None, limit: int, dice: random.Random
) -> None:
    dice.shuffle(some)
    queries, readings = world(some)
    from_ms = NOW_MS + start * MAX_SPAN_MS // 2
    wanted = Range(from_ms=from_ms, to_ms=from_ms + length * MAX_SPAN_MS // 3, metric=metric)
    assert read_all(queries, wanted, limit) == recomputed(readings, wanted)


@settings(max_examples=50, deadline=None)
@given(st.lists(buckets(), max_size=6), st.integers(0, 3 * MAX_SPAN_MS))
def test_readings_of_the_owner_before_are_hidden(some: list[Bucket], hidden_ms: int) -> None:
    queries, _ = world(some, data_from_ms=NOW_MS + hidden_ms)
    everything = Range(from_ms=0, to_ms=NOW_MS + 10 * MAX_SPAN_MS)
    assert all(at_ms >= NOW_MS + hidden_ms for at_ms, _ in read_all(queries, everything, 3))


@given(buckets())
def test_columns_survive_storage(each: Bucket) -> None:
    assert load_columns(each.key, dump_columns(each)) == each


KEYS = st.builds(
    BucketKey,
    t0_ms=st.integers(0, 10**13 - 1),
    boot=st.from_regex(r"[0-9A-Za-z]{1,32}", fullmatch=True),
    seq=st.integers(0, 2**32 - 1),
)


@given(KEYS, KEYS)
def test_keys_sort_as_their_texts_do(one: BucketKey, other: BucketKey) -> None:
    assert load_key(dump_key(one)) == one
    assert (one < other) == (dump_key(one) < dump_key(other))
