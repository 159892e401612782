"""The truth: what the table holds, beside what the devices were promised."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from device_client.simulator.fleet import Acknowledged

DRAIN_TIMEOUT_S = 60.0
_LATE_MS = 60_000
"""Buckets may reach the table in another order than they began; a look back of so much misses none for long."""


@dataclass(slots=True)
class Ledger:
    """Compares what devices were promised (PUBACK) with what the table holds."""

    dynamodb: Any
    table: str
    latencies_ms: list[float] = field(default_factory=list)
    seen: Counter[tuple[str, str]] = field(default_factory=Counter)
    _newest_ms: dict[str, int] = field(default_factory=dict)

    def key(self, bucket: Acknowledged) -> tuple[str, str]:
        """Return the item's key: thing, and t0, boot and seq as the device sent them."""
        return bucket.thing, f"{bucket.at_ms[0]:013d}#{bucket.boot}#{bucket.seq:010d}"

    def probe(self, bucket: Acknowledged) -> None:
        """Wait until one bucket can be read from the table; record how long after its last reading that was."""
        thing, sort = self.key(bucket)
        key = {"thing": {"S": thing}, "bucket": {"S": sort}}
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        while time.monotonic() < deadline:
            found = self.dynamodb.get_item(TableName=self.table, Key=key, ProjectionExpression="thing")
            if "Item" in found:
                self.latencies_ms.append(time.time_ns() / 1e6 - bucket.at_ms[-1])
                return
            time.sleep(0.005)

    def look(self, things: Iterable[str]) -> None:
        """Add to `seen` what has come to the table since the last look, without reading the rest again."""
        for thing in things:
            newest_ms = self._newest_ms.get(thing, 0)
            found = self._items(thing, from_ms=max(0, newest_ms - _LATE_MS))
            self.seen.update(dict.fromkeys(set(found) - set(self.seen), 1))
            self._newest_ms[thing] = max([newest_ms, *(int(sort[:13]) for _, sort in found)])

    def items(self, things: Iterable[str]) -> Counter[tuple[str, str]]:
        """Return how often each bucket stands in the table."""
        return sum((self._items(thing, from_ms=0) for thing in things), Counter[tuple[str, str]]())

    def _items(self, thing: str, *, from_ms: int) -> Counter[tuple[str, str]]:
        found: Counter[tuple[str, str]] = Counter()
        for page in self.dynamodb.get_paginator("query").paginate(
            TableName=self.table,
            KeyConditionExpression="thing = :t AND #b >= :from",
            ExpressionAttributeValues={":t": {"S": thing}, ":from": {"S": f"{from_ms:013d}"}},
            ProjectionExpression="thing, #b",
            ExpressionAttributeNames={"#b": "bucket"},
        ):
            found.update((item["thing"]["S"], item["bucket"]["S"]) for item in page["Items"])
        return found
