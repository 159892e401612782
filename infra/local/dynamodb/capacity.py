"""Consumed capacity by size. (Developer guide: DynamoDB read and write operations; capacity unit consumption)."""

from collections import defaultdict
from typing import Any

_READ_UNIT = 4096
_WRITE_UNIT = 1024
_Use = dict[tuple[str, str | None], float]
"""(table, index or None for the table itself) to units."""


class Meter:
    """What one request reads and writes."""

    def __init__(self) -> None:
        self._reads: _Use = defaultdict(float)
        self._writes: _Use = defaultdict(float)

    def clear(self) -> None:
        """Begin a new request."""
        self._reads.clear()
        self._writes.clear()

    def read(self, table: str, index: str | None, size: int, *, consistent: bool) -> None:
        """Count a read of ``size`` bytes: a unit for each begun 4 KB, half of it where eventually consistent."""
        self._reads[table, index] += max(1, -(-size // _READ_UNIT)) * (1 if consistent else 0.5)

    def write(self, table: str, index: str | None, size: int) -> None:
        """Count a write: a unit for each begun KB of the greater of the old and the new item."""
        self._writes[table, index] += max(1, -(-size // _WRITE_UNIT))

    def consumed(self, *, writes: bool, detail: bool, factor: float, local: frozenset[str]) -> list[dict[str, Any]]:
        """Return ``ConsumedCapacity`` of each table; ``factor`` is 2 in transactions, ``local`` names local indexes."""
        used = self._writes if writes else self._reads
        kind = "WriteCapacityUnits" if writes else "ReadCapacityUnits"
        tables: dict[str, dict[str, Any]] = {}
        for (table, index), plain in used.items():
            units = plain * factor
            entry = tables.setdefault(table, {"TableName": table, "CapacityUnits": 0.0})
            entry["CapacityUnits"] += units
            if factor == 2:
                entry[kind] = entry.get(kind, 0.0) + units
            if detail and index is None:
                entry["Table"] = {"CapacityUnits": units, **({kind: units} if factor == 2 else {})}
            elif detail:
                entry.setdefault("Table", {"CapacityUnits": 0.0})
                group = "LocalSecondaryIndexes" if index in local else "GlobalSecondaryIndexes"
                entry.setdefault(group, {})[index] = {"CapacityUnits": units}
        return list(tables.values())
