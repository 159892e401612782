"""The truth: what the table holds, beside what the devices were promised."""

import time
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from device_client.simulator.fleet import Acknowledged

DRAIN_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Ledger:
    """Compares what devices were promised (PUBACK) with what the table holds."""

    dynamodb: Any
    table: str
    latencies_ms: list[float] = field(default_factory=list)

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

    def items(self, things: Iterable[str]) -> Counter[tuple[str, str]]:
        """Return how often each bucket stands in the table."""
        found: Counter[tuple[str, str]] = Counter()
        pages = self.dynamodb.get_paginator("query")
        for thing in things:
            for page in pages.paginate(
                TableName=self.table,
                KeyConditionExpression="thing = :t",
                ExpressionAttributeValues={":t": {"S": thing}},
                ProjectionExpression="thing, #b",
                ExpressionAttributeNames={"#b": "bucket"},
            ):
                found.update((item["thing"]["S"], item["bucket"]["S"]) for item in page["Items"])
        return found
