"""Topic names, topic filters and the tree of subscriptions. (MQTT 5, 4.7; AWS IoT developer guide, "MQTT topics")."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from infra.local.iot.mqtt.limits import Limits

if TYPE_CHECKING:
    from infra.local.iot.mqtt.session import Session
    from infra.local.iot.mqtt.shared import Group

_RULES = "$aws/rules/"
_SHARE = "$share/"
_CACHED_TOPICS = 20_000


def topic_fault(topic: str, limits: Limits) -> str | None:
    """Say what is wrong with a topic to publish to; None if nothing is."""
    if not topic:
        return "empty topic"
    if "#" in topic or "+" in topic:
        return "wildcard in a topic name"  # [MQTT-3.3.2-2]
    if topic.startswith(_RULES):
        # Basic Ingest: `$aws/rules/{rule}/` counts neither towards the length nor the levels ("Reducing messaging
        # costs with Basic Ingest").
        topic = topic[len(_RULES) :].partition("/")[2] or "-"
    return _size_fault(topic, limits)


def _size_fault(topic: str, limits: Limits) -> str | None:
    if len(topic.encode()) > limits.topic_bytes:
        return f"longer than {limits.topic_bytes} bytes"
    if topic.count("/") > limits.topic_slashes:
        return f"more than {limits.topic_slashes} slashes"
    return None


def split_share(topic_filter: str) -> tuple[str | None, str]:
    """Return (group, filter); the group is None for an ordinary filter and "" where a share name is malformed."""
    if not topic_filter.startswith(_SHARE):
        return None, topic_filter
    group, slash, inner = topic_filter[len(_SHARE) :].partition("/")
    if not slash or not inner or "+" in group or "#" in group:
        return "", inner  # [MQTT-4.8.2-1] [MQTT-4.8.2-2]
    return group, inner


def filter_fault(topic_filter: str, limits: Limits) -> str | None:
    """Say what is wrong with a topic filter; None if nothing is. The two slashes of `$share` are not counted."""
    group, inner = split_share(topic_filter)
    if group == "" or not inner:
        return "malformed filter"
    if group and len(group.encode()) > limits.share_name_bytes:
        return f"share name longer than {limits.share_name_bytes} bytes"
    levels = inner.split("/")
    for depth, level in enumerate(levels):
        if ("#" in level and (level != "#" or depth != len(levels) - 1)) or ("+" in level and level != "+"):
            return "wildcard inside a level"  # [MQTT-4.7.1-1] [MQTT-4.7.1-2]
    return _size_fault(inner, limits)


def reserved_fault(topic_filter: str) -> str | None:
    """Say why nobody may subscribe to a filter that begins with ``$``; None if it is not one of those."""
    if topic_filter.startswith("$aws/rules/"):
        return "Basic Ingest topics cannot be subscribed to"  # "Reducing messaging costs with Basic Ingest"
    reserved = topic_filter.startswith("$") and not topic_filter.startswith("$aws/")
    return "a reserved topic other than $aws/" if reserved else None


class Subscription:
    """One filter of one session."""

    __slots__ = ("no_local", "qos", "retain_as_published")

    def __init__(self, qos: int, *, no_local: bool = False, retain_as_published: bool = False) -> None:
        self.qos = qos
        self.no_local = no_local
        self.retain_as_published = retain_as_published

    def with_other(self, other: "Subscription") -> "Subscription":
        """Return what both ask for together where both match: the higher QoS, and all that either would get."""
        return Subscription(
            max(self.qos, other.qos),
            no_local=self.no_local and other.no_local,
            retain_as_published=self.retain_as_published or other.retain_as_published,
        )


class _Node:
    __slots__ = ("children", "groups", "subscribers")

    def __init__(self) -> None:
        self.children: dict[str, _Node] = {}
        self.subscribers: dict[Session, Subscription] = {}
        self.groups: dict[str, Group] = {}

    def empty(self) -> bool:
        return not (self.children or self.subscribers or self.groups)


Route = tuple[list[tuple["Session", Subscription]], list["Group"]]
"""Who gets a topic: sessions, each once with its highest QoS, and shared groups."""


class Tree:
    """All subscriptions, found by topic; what a topic leads to is remembered until a subscription changes."""

    def __init__(self) -> None:
        self._root = _Node()
        self._routes: dict[str, Route] = {}

    def add(self, topic_filter: str, session: "Session", subscription: Subscription) -> None:
        """Add or replace an ordinary subscription."""
        self._node(topic_filter).subscribers[session] = subscription
        self._routes.clear()

    def add_group(self, topic_filter: str, group: "Group") -> "Group":
        """Return the shared group of this name under the filter: ``group`` itself if there was none."""
        self._routes.clear()
        return self._node(topic_filter).groups.setdefault(group.name, group)

    def group(self, topic_filter: str, name: str) -> "Group | None":
        """Return a shared group."""
        path = self._path(topic_filter)
        return path[-1][1].groups.get(name) if path else None

    def remove(self, topic_filter: str, session: "Session") -> None:
        """Remove an ordinary subscription, if it is there."""
        if path := self._path(topic_filter):
            path[-1][1].subscribers.pop(session, None)
            self._prune(path)

    def remove_group(self, topic_filter: str, name: str) -> None:
        """Remove a shared group, if it is there."""
        if path := self._path(topic_filter):
            path[-1][1].groups.pop(name, None)
            self._prune(path)

    def route(self, topic: str) -> Route:
        """Return who gets a topic."""
        route = self._routes.get(topic)
        if route is None:
            if len(self._routes) >= _CACHED_TOPICS:
                self._routes.clear()
            route = self._routes[topic] = self._match(topic)
        return route

    def _match(self, topic: str) -> Route:
        best: dict[Session, Subscription] = {}
        groups: list[Group] = []
        for node in self._nodes(topic):
            groups.extend(node.groups.values())
            for session, subscription in node.subscribers.items():
                held = best.get(session)
                best[session] = held.with_other(subscription) if held else subscription
        return list(best.items()), groups

    def _nodes(self, topic: str) -> Iterator[_Node]:
        """Yield the nodes of every matching filter; `sensor/#` does not match `sensor`.

        That departs from [MQTT-4.7.1-2] as AWS does (developer guide, "MQTT": differences, the multi-level wildcard).
        """
        level_nodes = [self._root]
        for depth, level in enumerate(topic.split("/")):
            wild = depth > 0 or not level.startswith("$")  # [MQTT-4.7.2-1]
            following = []
            for node in level_nodes:
                children = node.children
                if level in children:
                    following.append(children[level])
                if wild and "+" in children:
                    following.append(children["+"])
                if wild and "#" in children:
                    yield children["#"]
            level_nodes = following
        yield from level_nodes

    def _node(self, topic_filter: str) -> _Node:
        node = self._root
        for level in topic_filter.split("/"):
            node = node.children.setdefault(level, _Node())
        return node

    def _path(self, topic_filter: str) -> list[tuple[str, _Node]]:
        path = [("", self._root)]
        for level in topic_filter.split("/"):
            child = path[-1][1].children.get(level)
            if child is None:
                return []
            path.append((level, child))
        return path

    def _prune(self, path: list[tuple[str, _Node]]) -> None:
        self._routes.clear()
        for (_, parent), (level, node) in zip(reversed(path[:-1]), reversed(path[1:]), strict=True):
            if not node.empty():
                return
            del parent.children[level]
