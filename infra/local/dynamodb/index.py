"""Items by partition, each partition sorted: what makes a query cost what it reads. Pure."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

Part = tuple[Any, ...]
"""Values of key attributes, comparable within one index: str, Decimal or bytes."""


class Value(Protocol):
    """One typed attribute."""

    @property
    def type(self) -> str:
        """``S``, ``N`` or ``B`` for what keys are made of."""

    @property
    def cast_value(self) -> Any:
        """The value as Python compares it."""


class Entry(Protocol):
    """An item, as an index sees it."""

    @property
    def attrs(self) -> Mapping[str, Any]:
        """Attributes by name, each a `Value`."""


class _Top:
    """Greater than every key part."""

    def __lt__(self, other: object) -> bool:
        return False

    def __gt__(self, other: object) -> bool:
        return True


TOP = _Top()


class Span(NamedTuple):
    """A stretch of places, both ends included; ``open_end`` leaves ``high`` itself out."""

    low: Part = ()
    high: Part = (TOP,)
    open_end: bool = False

    def holds(self, place: Part) -> bool:
        """Say whether a place is on the stretch."""
        beyond = place >= self.high if self.open_end else self.high < place
        return not (place < self.low or beyond)


EVERYTHING = Span()


class Index:
    """A table's own order, or that of a secondary index: sparse, as an item without a key attribute is not in it."""

    def __init__(self, partition: Sequence[str], sort: Sequence[str], types: Mapping[str, str]) -> None:
        """``sort`` ends with what tells apart items of equal keys; ``types`` holds the type of every key attribute."""
        self._partition = [(name, types[name]) for name in partition]
        self._sort = [(name, types[name]) for name in sort]
        self._items: dict[tuple[Part, Part], Any] = {}
        self._sorted: dict[Part, list[Part]] = {}
        self._partitions: list[Part] = []

    def __len__(self) -> int:
        return len(self._items)

    def key(self, attrs: Mapping[str, Any]) -> tuple[Part, Part] | None:
        """Return (partition, place within it); None where a key attribute is missing or of another type."""
        partition = _values(self._partition, attrs)
        sort = _values(self._sort, attrs)
        return None if partition is None or sort is None else (partition, sort)

    def get(self, partition: Part, sort: Part) -> Any:
        """Return the item there, or None."""
        return self._items.get((partition, sort))

    def add(self, item: Entry) -> None:
        """Put an item in, in place of one with the same key."""
        if (key := self.key(item.attrs)) is None:
            return
        if key not in self._items:
            partition, sort = key
            places = self._sorted.get(partition)
            if places is None:
                places = self._sorted[partition] = []
                _insert(self._partitions, partition)
            _insert(places, sort)
        self._items[key] = item

    def discard(self, item: Entry) -> None:
        """Take an item out; nothing happens where it is not in."""
        if (key := self.key(item.attrs)) is None or self._items.pop(key, None) is None:
            return
        partition, sort = key
        places = self._sorted[partition]
        del places[bisect_left(places, sort)]
        if not places:
            del self._sorted[partition]
            del self._partitions[bisect_left(self._partitions, partition)]

    def between(
        self, partition: Part, span: Span = EVERYTHING, *, forward: bool = True, after: Part | None = None
    ) -> Iterator[Any]:
        """Yield a partition's items within ``span``, in either direction, beyond ``after``."""
        places = self._sorted.get(partition, [])
        first = bisect_left(places, span.low)
        last = (bisect_left if span.open_end else bisect_right)(places, span.high)
        if after is not None:
            first = max(first, bisect_right(places, after)) if forward else first
            last = last if forward else min(last, bisect_left(places, after))
        for at in range(first, last) if forward else range(last - 1, first - 1, -1):
            yield self._items[partition, places[at]]

    def all(self, after: tuple[Part, Part] | None = None) -> Iterator[Any]:
        """Yield every item, beyond the key ``after``."""
        for at in range(bisect_left(self._partitions, after[0]) if after else 0, len(self._partitions)):
            partition = self._partitions[at]
            yield from self.between(partition, after=after[1] if after and partition == after[0] else None)


def _values(names: Sequence[tuple[str, str]], attrs: Mapping[str, Any]) -> Part | None:
    values = []
    for name, kind in names:
        value = attrs.get(name)
        if value is None or value.type != kind:
            return None
        values.append(value.cast_value)
    return tuple(values)


def _insert(places: list[Part], place: Part) -> None:
    """Insert in order; at the end, where time series grow, at once."""
    if places and place < places[-1]:
        insort(places, place)
    else:
        places.append(place)
