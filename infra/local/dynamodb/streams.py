"""A table's stream: one record for each real change, in order, kept for a day. (Developer guide: DynamoDB Streams).

One shard a stream: on AWS order is promised by item only, here it holds for the whole table.
"""

from collections import deque
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any

from infra.local.clock import Clock

RETENTION_S = 24 * 3600.0
"""Seconds a record can be read. (Developer guide: Data retention limit for DynamoDB Streams)."""
MAX_KEPT = 100_000
"""Records kept at most, so that a long run fills no memory; AWS has no such bound."""
SHARD_ID = "shardId-00000001541626099285-f35f62ef"
_FIRST = 111_000_000_000_000_000_000_001
_TTL_IDENTITY = {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
Image = Mapping[str, Any]
Deliver = Callable[[str, str, list[dict[str, Any]]], None]
"""Takes (table ARN, stream ARN, records) in the event loop, after the write was acknowledged or is about to be."""


class Stream:
    """The changes of one table since the stream was enabled."""

    def __init__(self, table_arn: str, label: str, view: str, clock: Clock) -> None:
        self.table_arn = table_arn
        self.arn = f"{table_arn}/stream/{label}"
        self.label = label
        self.view = view
        self.created_at = clock.time()
        self._region = table_arn.split(":")[3]
        self._clock = clock
        self._records: deque[dict[str, Any]] = deque()
        self._next = _FIRST

    def append(
        self,
        keys: Image,
        old: Image | None,
        new: Image | None,
        *,
        sizes: tuple[int, int, int],
        expired: bool = False,
    ) -> dict[str, Any]:
        """Add and return the record of one change; ``expired`` says that TTL did it.

        ``sizes`` are the bytes of keys, old and new image, as those of items are counted: so AWS's examples add up.
        """
        change: dict[str, Any] = {"ApproximateCreationDateTime": int(self._clock.time()), "Keys": keys}
        if new is not None and self.view in ("NEW_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["NewImage"] = new
        if old is not None and self.view in ("OLD_IMAGE", "NEW_AND_OLD_IMAGES"):
            change["OldImage"] = old
        named = zip(("Keys", "OldImage", "NewImage"), sizes, strict=True)
        size = sum(size for name, size in named if name in change)
        change |= {"SequenceNumber": str(self._next), "SizeBytes": size, "StreamViewType": self.view}
        record: dict[str, Any] = {
            "eventID": f"{self._next:032x}",
            "eventName": "INSERT" if old is None else "REMOVE" if new is None else "MODIFY",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": self._region,
            "dynamodb": change,
        }
        if expired:
            record["userIdentity"] = _TTL_IDENTITY
        self._next += 1
        self._records.append(record)
        self._trim()
        return record

    @property
    def next_sequence(self) -> int:
        """Return the number of the record to come."""
        return self._next

    @property
    def first_sequence(self) -> int:
        """Return the number of the oldest record kept, or of the record to come."""
        self._trim()
        return self._next - len(self._records)

    def read(self, sequence: int, limit: int) -> list[dict[str, Any]]:
        """Return up to ``limit`` records from number ``sequence`` on; nothing for numbers that were trimmed."""
        start = sequence - self.first_sequence
        return list(islice(self._records, start, start + limit)) if start >= 0 else []

    def _trim(self) -> None:
        oldest = self._clock.time() - RETENTION_S
        while self._records and (
            len(self._records) > MAX_KEPT or self._records[0]["dynamodb"]["ApproximateCreationDateTime"] < oldest
        ):
            self._records.popleft()
