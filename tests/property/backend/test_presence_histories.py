"""Every history of a connection up to six events, late repeats among them, in every order: it ends in the truth.

The truth is told by the history itself: sessions open and close, and whoever has one open at the end is there. Nothing
of `backend.domain.presence` has a part in it.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import combinations_with_replacement

import pytest

from backend.domain.presence import Event, Presence, learn
from tests.unit.backend.fakes import NOW

MOST_EVENTS = 6
REASONS = {
    "taken over": "DUPLICATE_CLIENTID",
    "keep-alive lost": "MQTT_KEEP_ALIVE_TIMEOUT",
    "disconnected": "CLIENT_INITIATED_DISCONNECT",
}
MOVES = {False: ("connected",), True: tuple(REASONS)}
"""What can happen next to a client that is not there, and to one that is."""
GAPS_S = {"an instant": 0.0, "seconds": 10.0, "half an hour": 1_800.0, "hours": 7_200.0}
"""From one thing that happens to the next."""
AN_HOUR_S = 3_600.0
"""Who was away that long gets version numbers anew. (AWS IoT developer guide, "Lifecycle events".)"""


class History:
    """What happened to one client, as AWS IoT tells of it: each session's connect and disconnect with its version."""

    def __init__(self, gap_s: float) -> None:
        self._gap_s = gap_s
        self.events: list[Event] = []
        self.open: list[Event] = []
        self._version = -1
        self._left_at_s = 0.0
        self._now_s = 0.0

    def happen(self, move: str) -> None:
        self._now_s += self._gap_s
        before = list(self.open)
        if move in {"connected", "taken over"}:
            self._connect()
        for event in before:
            self._close(event, REASONS[move])

    def _connect(self) -> None:
        away_s = self._now_s - self._left_at_s
        reset = not self.open and self.events and away_s >= AN_HOUR_S
        self._version = 0 if reset else self._version + 1
        session = f"session-{len(self.events):02d}"
        at = NOW + timedelta(seconds=self._now_s)
        opened = Event(client="t1", session=session, version=self._version, at=at, connected=True)
        self.events.append(opened)
        self.open.append(opened)

    def _close(self, opened: Event, reason: str) -> None:
        self._left_at_s = self._now_s
        at = NOW + timedelta(seconds=self._now_s)
        self.events.append(replace(opened, at=at, connected=False, reason=reason))
        self.open.remove(opened)


def moves(there: bool = False, left: int = MOST_EVENTS) -> Iterator[tuple[str, ...]]:
    """Yield everything that can happen, one thing after another, in at most so many events."""
    for move in MOVES[there]:
        cost = 2 if move == "taken over" else 1
        if cost <= left:
            yield (move,)
            after = move in {"connected", "taken over"}
            yield from ((move, *rest) for rest in moves(after, left - cost))


def orders(events: Counter[Event]) -> Iterator[tuple[Event, ...]]:
    """Yield every different order of events, of which some come more than once."""
    if not events.total():
        yield ()
        return
    for event in list(events):
        rest = events - Counter([event])
        yield from ((event, *others) for others in orders(rest))


def ends(
    known: Presence | None,
    left: Counter[Event],
    seen: dict[tuple[Presence | None, frozenset[tuple[Event, int]]], set[Presence]],
) -> set[Presence]:
    """Return all that may be known once the events that are left have come, in every order.

    What is known does not depend on the way there, so that ways which meet are walked once.
    """
    if not left:
        assert known is not None
        return {known}
    key = (known, frozenset(left.items()))
    if key not in seen:
        found: set[Presence] = set()
        for event in left:
            found |= ends(learn(known, event, "device#t1"), left - Counter([event]), seen)
        seen[key] = found
    return seen[key]


def test_the_histories_are_all_there_are() -> None:
    found = list(moves())
    assert len(found) == len(set(found))
    assert ("connected", "taken over", "keep-alive lost", "connected", "disconnected") in found
    for move in REASONS:
        assert any(move in history for history in found)


@pytest.mark.parametrize("gap", GAPS_S)
def test_every_history_with_late_repeats_in_every_order_ends_in_the_truth(gap: str) -> None:
    asked = 0
    for happened in moves():
        history = History(GAPS_S[gap])
        for move in happened:
            history.happen(move)
        spare = MOST_EVENTS - len(history.events)
        for repeated in (each for n in range(spare + 1) for each in combinations_with_replacement(history.events, n)):
            asked += 1
            events = Counter([*history.events, *repeated])
            known = ends(None, events, {})
            assert {each.connected for each in known} == {bool(history.open)}, (happened, repeated)
            assert len(known) == 1, (happened, repeated, known)
    assert asked > 250


def test_ways_that_meet_are_walked_once_and_none_is_left_out() -> None:
    history = History(10.0)
    for move in ("connected", "taken over", "disconnected"):
        history.happen(move)
    events = Counter([*history.events, history.events[0]])
    one_by_one = set()
    for order in orders(events):
        known: Presence | None = None
        for event in order:
            known = learn(known, event, "device#t1")
        one_by_one.add(known)
    assert one_by_one == ends(None, events, {})
