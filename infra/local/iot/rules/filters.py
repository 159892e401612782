"""Topic filters, and an index of them: which rules a topic concerns, at a cost that does not grow with the rules."""

from collections.abc import Iterator
from typing import Generic, TypeVar

T = TypeVar("T")
MAX_SLASHES = 7
MAX_BYTES = 256
"""Both: "AWS IoT Core message broker and protocol limits", of topics and of topic filters."""


def check_filter(topic_filter: str) -> str | None:
    """Return what is wrong with a topic filter; None if nothing is ("Topic filters")."""
    levels = topic_filter.split("/")
    if not topic_filter or len(topic_filter.encode()) > MAX_BYTES or len(levels) - 1 > MAX_SLASHES:
        return f"A topic filter has 1 to {MAX_BYTES} bytes and at most {MAX_SLASHES} slashes"
    if "#" in "".join(levels[:-1]) or (levels[-1] != "#" and "#" in levels[-1]):
        return "# stands alone on the last level of a topic filter"
    if any("+" in level and level != "+" for level in levels):
        return "+ stands alone on its level of a topic filter"
    if topic_filter.startswith(("$aws/rules/", "$share/")):
        return "Rules cannot subscribe to Basic Ingest topics, nor share a subscription"
    return None


def matches_filter(topic_filter: str, topic: str) -> bool:
    """Say whether a filter matches a topic."""
    index: FilterIndex[bool] = FilterIndex()
    index.add(topic_filter, True)
    return next(index.find(topic), False)


class FilterIndex(Generic[T]):
    """Filters to values, as a tree by level."""

    def __init__(self) -> None:
        self._levels: dict[str, FilterIndex[T]] = {}
        self._values: list[T] = []

    def add(self, topic_filter: str, value: T) -> None:
        """Find ``value`` for every topic that matches the filter."""
        node = self
        for level in topic_filter.split("/"):
            node = node._levels.setdefault(level, FilterIndex())
        node._values.append(value)  # noqa: SLF001

    def find(self, topic: str) -> Iterator[T]:
        """Yield the value of each filter that matches.

        AWS IoT's ``a/#`` does not match ``a`` itself ("Topic filters"); a wildcard on the first level matches no topic
        that begins with ``$`` (MQTT 5, 4.7.2).
        """
        return self._find(topic.split("/"), 0, wild=not topic.startswith("$"))

    def _find(self, levels: list[str], at: int, *, wild: bool) -> Iterator[T]:
        if at == len(levels):
            yield from self._values
            return
        exact = self._levels.get(levels[at])
        if exact is not None:
            yield from exact._find(levels, at + 1, wild=True)  # noqa: SLF001
        if not wild:
            return
        single = self._levels.get("+")
        if single is not None:
            yield from single._find(levels, at + 1, wild=True)  # noqa: SLF001
        rest = self._levels.get("#")
        if rest is not None:
            yield from rest._values  # noqa: SLF001
