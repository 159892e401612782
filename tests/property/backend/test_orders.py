"""Laws of order: whatever comes twice, late or before its time, knowledge ends in the truth and never goes back."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from itertools import permutations, product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend.domain.commands import ANSWERS, RANK, Command, State, may_become, state_at
from backend.domain.presence import Event, Presence, learn
from tests.unit.backend.fakes import NOW


def connect(version: int, at_s: float) -> Event:
    return Event(client="t1", session=f"s{version}", version=version, at=NOW + timedelta(seconds=at_s), connected=True)


def leave(version: int, at_s: float, reason: str = "CLIENT_INITIATED_DISCONNECT") -> Event:
    return replace(connect(version, at_s), connected=False, reason=reason)


STORIES: dict[str, tuple[list[Event], bool]] = {
    "connected": ([connect(1, 0)], True),
    "came and went": ([connect(1, 0), leave(1, 10)], False),
    "taken over": ([connect(1, 0), connect(2, 10), leave(1, 10.1, "DUPLICATE_CLIENTID")], True),
    "taken over within one instant": ([connect(1, 0), connect(2, 0), leave(1, 0, "DUPLICATE_CLIENTID")], True),
    "lost its keep-alive, after it came back": (
        [connect(1, 0), connect(2, 100), leave(1, 150, "MQTT_KEEP_ALIVE_TIMEOUT")],
        True,
    ),
    "taken over, then gone": (
        [connect(1, 0), connect(2, 10), leave(1, 10.1, "DUPLICATE_CLIENTID"), leave(2, 20)],
        False,
    ),
    "three sessions": ([connect(1, 0), leave(1, 1), connect(2, 2), leave(2, 3), connect(3, 4)], True),
    "a version that skips": ([connect(1, 0), leave(1, 1), connect(7, 2), leave(7, 30)], False),
    "a long connection": ([connect(4, 0), leave(4, 90_000)], False),
    "back after an hour, with versions anew": ([connect(5, 0), leave(5, 10), connect(0, 4000)], True),
    "back after an hour, and gone again": ([connect(5, 0), leave(5, 10), connect(0, 4000), leave(0, 4100)], False),
    "a late repeat of the first connect": ([connect(1, 0), leave(1, 5), connect(1, 0)], False),
    "late repeats of everything": ([connect(1, 0), leave(1, 5), connect(2, 6)] * 2, True),
}


def known_after(events: Sequence[Event]) -> Presence:
    known: Presence | None = None
    for event in events:
        known = learn(known, event, "device#t1")
    assert known is not None
    return known


@pytest.mark.parametrize("story", STORIES)
def test_any_order_of_events_ends_in_the_truth(story: str) -> None:
    events, connected = STORIES[story]
    ends = {known_after(order) for order in set(permutations(events))}
    assert {end.connected for end in ends} == {connected}
    assert len(ends) == 1


@given(st.sampled_from(sorted(STORIES)), st.data())
def test_repetitions_change_nothing(story: str, data: st.DataObject) -> None:
    events, _ = STORIES[story]
    again = data.draw(st.lists(st.sampled_from(events), max_size=4))
    order = data.draw(st.permutations([*events, *again]))
    assert known_after(order) == known_after(events)


def command(state: State = State.QUEUED) -> Command:
    return Command(
        thing="t1",
        id="c1",
        name="identify",
        parameters={},
        created_at=NOW,
        expires_at=NOW + timedelta(minutes=1),
        state=state,
    )


@pytest.mark.parametrize("length", [1, 2, 3, 4, 5])
def test_no_order_of_answers_moves_a_command_backwards(length: int) -> None:
    for answers in product(sorted(ANSWERS), repeat=length):
        current, ranks = command(State.SENT), [RANK[State.SENT]]
        for answer in answers:
            if may_become(current, answer, NOW):
                current = replace(current, state=answer)
            ranks.append(RANK[current.state])
        assert ranks == sorted(ranks)
        ends = [answer for answer in answers if RANK[answer] == RANK[State.SUCCEEDED]]
        assert current.state is (ends[0] if ends else State.ACKED)


@pytest.mark.parametrize("state", list(State))
def test_time_ends_only_what_the_device_has_not_taken(state: State) -> None:
    late = NOW + timedelta(minutes=1)
    waiting = state in {State.QUEUED, State.SENT}
    assert state_at(command(state), late) is (State.EXPIRED if waiting else state)
    assert not (waiting and may_become(command(state), State.SUCCEEDED, late))
