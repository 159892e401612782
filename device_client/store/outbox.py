"""The outbox: readings and buckets on disk (SQLite) until their PUBACK.

A reading is written when it is taken, not when its bucket is sent: a power cut costs at most what SQLite's WAL had not
reached the disk with (``synchronous=NORMAL``; a killed process loses nothing). What an earlier run left open is closed
into a bucket of *its* boot at the next start, so that no instant is guessed again.
"""

import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from device_client.store.database import connect, written

_LOGGER = logging.getLogger(__name__)
BUCKET_VERSION = 1
_SCHEMA = """
CREATE TABLE IF NOT EXISTS open_bucket (
    one INTEGER PRIMARY KEY CHECK (one = 1), boot TEXT NOT NULL, seq INTEGER NOT NULL, t0 INTEGER NOT NULL
);
CREATE TABLE IF NOT EXISTS reading (
    id INTEGER PRIMARY KEY, dt INTEGER NOT NULL, metrics TEXT NOT NULL
);
CREATE TABLE IF NOT EXISTS bucket (
    id INTEGER PRIMARY KEY AUTOINCREMENT, readings INTEGER NOT NULL, payload BLOB NOT NULL
);
CREATE TABLE IF NOT EXISTS refused (
    id INTEGER PRIMARY KEY, reason INTEGER NOT NULL, payload BLOB NOT NULL
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBucket:
    """A bucket that waits for its PUBACK."""

    id: int
    readings: int
    payload: bytes


class Outbox:
    """Readings on their way. ``boot`` tells this run's buckets from those of earlier ones."""

    def __init__(self, path: Path | str, *, boot: str, capacity: int) -> None:
        self._boot = boot
        self._capacity = capacity
        self._seq = 0
        self.dropped_readings = 0
        self._db = connect(path, _SCHEMA)
        self.seal()

    def add(self, *, at_ms: int, offset_ms: int, metrics: Mapping[str, float | None]) -> int:
        """Add one reading to the open bucket; return how many it now holds.

        Args:
            at_ms: epoch milliseconds of the device's clock; becomes the bucket's ``t0`` if the reading opens it.
            offset_ms: milliseconds since the reading that opened the bucket; ignored for that one.
            metrics: values by metric; None for a sensor that gave none.

        Raises:
            StorageError: it was not written.
        """
        with written(), self._db:
            self._db.execute("BEGIN")
            opened = self._db.execute(
                "INSERT OR IGNORE INTO open_bucket VALUES (1, ?, ?, ?)", (self._boot, self._seq, at_ms)
            ).rowcount
            self._db.execute(
                "INSERT INTO reading (dt, metrics) VALUES (?, ?)", (0 if opened else offset_ms, json.dumps(metrics))
            )
        return int(self._db.execute("SELECT count(*) FROM reading").fetchone()[0])

    def build_single(self, *, at_ms: int, metrics: Mapping[str, float | None]) -> bytes:
        """Return one reading as a bucket of its own, to overtake the open one; nothing is stored."""
        return _dump(build_bucket(self._boot, self._seq, at_ms, [(0, dict(metrics))]))

    def seal(self) -> SealedBucket | None:
        """Close the open bucket, whoever opened it, and return it; None if there is none.

        Past the capacity the oldest bucket goes: new data is worth more than old. It is counted and logged.

        Raises:
            StorageError: it was not written, and stays open.
        """
        head = self._db.execute("SELECT boot, seq, t0 FROM open_bucket").fetchone()
        if head is None:
            return None
        rows = self._db.execute("SELECT dt, metrics FROM reading ORDER BY id").fetchall()
        boot, seq, t0 = head
        document = build_bucket(boot, seq, t0, [(dt, json.loads(metrics)) for dt, metrics in rows])
        payload = _dump(document)
        with written(), self._db:
            self._db.execute("BEGIN")
            cursor = self._db.execute("INSERT INTO bucket (readings, payload) VALUES (?, ?)", (len(rows), payload))
            self._db.execute("DELETE FROM reading")
            self._db.execute("DELETE FROM open_bucket")
            self._bound()
        if boot == self._boot:
            self._seq = seq + 1
        return SealedBucket(id=int(cursor.lastrowid or 0), readings=len(rows), payload=payload)

    def _bound(self) -> None:
        over = self._db.execute("SELECT count(*) FROM bucket").fetchone()[0] - self._capacity
        if over <= 0:
            return
        doomed = self._db.execute("SELECT id, readings FROM bucket ORDER BY id LIMIT ?", (over,)).fetchall()
        self._db.execute("DELETE FROM bucket WHERE id <= ?", (doomed[-1][0],))
        lost = sum(readings for _, readings in doomed)
        self.dropped_readings += lost
        _LOGGER.warning("outbox full: dropped the oldest %d readings (%d so far)", lost, self.dropped_readings)

    def waiting(self, *, after: int = 0, limit: int = 100) -> list[SealedBucket]:
        """Return buckets that wait for their PUBACK, oldest first, from id ``after`` (exclusive) on."""
        rows = self._db.execute(
            "SELECT id, readings, payload FROM bucket WHERE id > ? ORDER BY id LIMIT ?", (after, limit)
        )
        return [SealedBucket(id=row[0], readings=row[1], payload=row[2]) for row in rows]

    def acknowledge(self, bucket: SealedBucket) -> None:
        """Forget a bucket: its PUBACK is here. Idempotent.

        Raises:
            StorageError: it was not written: the bucket waits on, and is sent again.
        """
        with written():
            self._db.execute("DELETE FROM bucket WHERE id = ?", (bucket.id,))

    def refuse(self, bucket: SealedBucket, *, reason: int) -> None:
        """Put a bucket aside that the service will never take, so that it blocks nothing and is not lost either."""
        with written(), self._db:
            self._db.execute("BEGIN")
            self._db.execute("INSERT INTO refused (reason, payload) VALUES (?, ?)", (reason, bucket.payload))
            self._db.execute("DELETE FROM bucket WHERE id = ?", (bucket.id,))

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._db.close()


def build_bucket(boot: str, seq: int, t0: int, rows: list[tuple[int, dict[str, float | None]]]) -> dict[str, object]:
    """Return the bucket document: columns of the same length, None where a reading lacks a metric."""
    names = sorted({name for _, metrics in rows for name in metrics})
    columns = {name: [metrics.get(name) for _, metrics in rows] for name in names}
    return {"v": BUCKET_VERSION, "boot": boot, "seq": seq, "t0": t0, "dt": [dt for dt, _ in rows], "m": columns}


def _dump(document: dict[str, object]) -> bytes:
    return json.dumps(document, separators=(",", ":"), allow_nan=False).encode()
