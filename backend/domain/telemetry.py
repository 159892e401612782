"""Buckets of readings: what they are, where they stand in time, what a question about them answers."""

import heapq
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.errors import invalid

MAX_READINGS = 1_000
MAX_SPAN = timedelta(hours=1)
"""So that a range query knows how far back a bucket that reaches into the range may begin."""
MAX_BODY_BYTES = 128 * 1024
"""The largest message AWS IoT carries."""
MAX_CLOCK_SKEW = timedelta(minutes=5)
MAX_SEQ = 2**32 - 1
MAX_T0_MS = 10**13 - 1
"""Thirteen digits, so that keys of buckets sort as their instants do; the year 2286."""
MAX_SPAN_MS = MAX_SPAN // timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Bucket:
    """Readings of one device, in columns, as sent."""

    boot: str
    seq: int
    t0_ms: int
    offsets_ms: tuple[int, ...]
    metrics: Mapping[str, tuple[float | None, ...]]

    @property
    def key(self) -> "BucketKey":
        """Return where the bucket stands among those of its device."""
        return BucketKey(t0_ms=self.t0_ms, boot=self.boot, seq=self.seq)

    @property
    def last_ms(self) -> int:
        """Return the instant of the last reading, epoch ms on the device's clock."""
        return self.t0_ms + self.offsets_ms[-1]


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class BucketKey:
    """A bucket of one device, as sent: a redelivery has the same key, whatever any clock did. Sorts by time."""

    t0_ms: int
    boot: str
    seq: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A message as the topic rule hands it over: who sent it is the connection's word, not the payload's."""

    thing: str
    principal: str
    received_ms: int
    body: bytes

    @property
    def received_at(self) -> datetime:
        """Return when AWS IoT received it."""
        return instant(self.received_ms)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """What a device measured at one instant, on its own clock."""

    at_ms: int
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """A question about readings: from ``from_ms`` up to, not including, ``to_ms``; all metrics unless one is named."""

    from_ms: int
    to_ms: int
    metric: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True, order=True)
class Position:
    """Where a page of readings ended: the order of readings in an answer is the order of their positions."""

    at_ms: int
    bucket: BucketKey
    index: int

    def dump(self) -> list[Any]:
        """Return the position as JSON carries it, for a cursor."""
        return [self.at_ms, self.bucket.t0_ms, self.bucket.boot, self.bucket.seq, self.index]

    @classmethod
    def load(cls, dumped: list[Any]) -> "Position":
        """Return the position that was dumped."""
        at_ms, t0_ms, boot, seq, index = dumped
        return cls(at_ms=at_ms, bucket=BucketKey(t0_ms=t0_ms, boot=boot, seq=seq), index=index)


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A document that did not fit, with every reason, kept for its owner to read."""

    thing: str
    document: str
    """Names the document: a redelivery has the same name."""
    received_ms: int
    principal: str
    violations: tuple[tuple[str, str], ...]
    """(field, problem) pairs."""
    body: bytes


def instant(epoch_ms: int) -> datetime:
    """Return epoch milliseconds as an aware instant in UTC."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=epoch_ms)


def epoch_ms(at: datetime) -> int:
    """Return an aware instant as epoch milliseconds, rounded down."""
    return (at - datetime(1970, 1, 1, tzinfo=UTC)) // timedelta(milliseconds=1)


def place(bucket: Bucket, *, received_at: datetime, retention: timedelta) -> Bucket:
    """Return the bucket, placed in time as far as the device's clock can be trusted.

    A device's clock may run behind (late arrivals are real), but no further than readings are kept, and not ahead by
    more than ``MAX_CLOCK_SKEW``.

    Raises:
        InvalidInputError: its time is implausible; quarantine it.
    """
    received_ms = epoch_ms(received_at)
    if bucket.last_ms > received_ms + MAX_CLOCK_SKEW // timedelta(milliseconds=1):
        raise invalid("t0", f"implausible time: ends after {received_at.isoformat()}, when it was received")
    if bucket.t0_ms < received_ms - retention // timedelta(milliseconds=1):
        raise invalid("t0", f"implausible time: begins more than {retention.days} days before it was received")
    return bucket


def readings_between(buckets: Iterable[tuple[BucketKey, Bucket]], wanted: Range) -> Iterator[tuple[Position, Reading]]:
    """Yield the readings of a range in order of time, though buckets may overlap (a reboot, a clock set back).

    Args:
        buckets: in order of their keys, from ``MAX_SPAN`` before the range; read no further than the answer needs.
        wanted: the question.
    """
    waiting: list[tuple[Position, Reading]] = []
    for key, bucket in buckets:
        while waiting and waiting[0][0].at_ms < key.t0_ms:
            yield heapq.heappop(waiting)
        for placed in _readings(key, bucket, wanted):
            heapq.heappush(waiting, placed)  # positions are unique, so readings are never compared
    while waiting:
        yield heapq.heappop(waiting)


def _readings(key: BucketKey, bucket: Bucket, wanted: Range) -> Iterator[tuple[Position, Reading]]:
    columns = bucket.metrics
    if wanted.metric is not None:
        columns = {name: column for name, column in columns.items() if name == wanted.metric}
    for index, offset_ms in enumerate(bucket.offsets_ms):
        at_ms = bucket.t0_ms + offset_ms
        if not wanted.from_ms <= at_ms < wanted.to_ms:
            continue
        metrics = {name: value for name, column in columns.items() if (value := column[index]) is not None}
        if metrics:
            yield Position(at_ms=at_ms, bucket=key, index=index), Reading(at_ms=at_ms, metrics=metrics)


def latest_reading(bucket: Bucket) -> Reading:
    """Return the last reading of a bucket; a metric missing there is taken from the last reading that has it."""
    metrics = {}
    for name, column in bucket.metrics.items():
        values = [value for value in column if value is not None]
        if values:
            metrics[name] = values[-1]
    return Reading(at_ms=bucket.last_ms, metrics=metrics)


def as_document(bucket: Bucket) -> dict[str, Any]:
    """Return the bucket as it goes over the wire."""
    return {
        "v": 1,
        "boot": bucket.boot,
        "seq": bucket.seq,
        "t0": bucket.t0_ms,
        "dt": list(bucket.offsets_ms),
        "m": {name: list(column) for name, column in bucket.metrics.items()},
    }
