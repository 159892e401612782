"""The table moves a command on exactly where the domain says it may."""

import uuid
from dataclasses import replace
from datetime import timedelta
from itertools import product
from typing import Any

import pytest

from backend.adapters.commands import DynamoCommands
from backend.adapters.readings import MAX_PAGE_BYTES, DynamoQuarantine
from backend.domain.commands import ANSWERS, Command, CommandAnswer, State, may_become
from backend.domain.paging import Page
from backend.domain.telemetry import MAX_BODY_BYTES, Quarantined
from backend.models.commands import CommandsModel
from backend.models.readings import QuarantineModel
from tests.unit.backend.fakes import NOW

ENDS_AT = NOW + timedelta(minutes=1)


@pytest.fixture
def commands(tables: dict[str, str]) -> DynamoCommands:
    return DynamoCommands(tables["commands"])


def command() -> Command:
    return Command(
        thing=f"t-{uuid.uuid4().hex}",
        id=uuid.uuid4().hex,
        name="identify",
        parameters={},
        created_at=NOW,
        expires_at=ENDS_AT,
        updated_at=NOW,
    )


@pytest.mark.parametrize("length", [1, pytest.param(2, marks=pytest.mark.long)])
@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("first", sorted(ANSWERS))
def test_every_order_of_answers_goes_forward_as_the_domain_says(
    commands: DynamoCommands, first: State, late: bool, length: int
) -> None:
    at = ENDS_AT if late else NOW
    for rest in product(sorted(ANSWERS), repeat=length):
        current = command()
        commands.add(current)
        for state in (first, *rest):
            answer = CommandAnswer(thing=current.thing, id=current.id, state=state, at=at)
            moved = commands.advance(answer)
            assert moved == may_become(current, state, at)
            current = replace(current, state=state) if moved else current
        stored = commands.find(current.thing, current.id)
        assert stored is not None
        assert stored.state is current.state
        assert bool(commands.waiting(current.thing)) == late


def test_one_of_two_senders_sends(commands: DynamoCommands) -> None:
    waiting = command()
    commands.add(waiting)
    assert [commands.take(waiting, NOW + timedelta(seconds=n)) for n in (1, 2)] == [True, False]
    commands.give_back(waiting, NOW + timedelta(seconds=1))
    found = commands.find(waiting.thing, waiting.id)
    assert found is not None
    assert (found.state, found.sent_at) == (State.QUEUED, None)
    assert not commands.take(waiting, ENDS_AT)


def test_an_answer_to_no_command_makes_none(commands: DynamoCommands) -> None:
    assert not commands.advance(CommandAnswer(thing="t", id="absent", state=State.SUCCEEDED, at=NOW))
    assert commands.find("t", "absent") is None


def test_a_page_after_what_is_hidden_since_is_the_end_and_is_asked_of_nobody(
    commands: DynamoCommands, tables: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """DynamoDB refuses to go on after a key outside of the range: the device changed hands between two pages."""

    def refuse(*_given: object, **_named: object) -> None:
        raise AssertionError

    quarantine = DynamoQuarantine(tables["quarantine"], retention=timedelta(days=1))
    monkeypatch.setattr(CommandsModel, "query", refuse)
    monkeypatch.setattr(QuarantineModel.by_received, "query", refuse)
    hidden_ms = 1_700_000_000_000
    pages: list[Page[Any]] = [
        commands.of_thing("t-1", hidden_ms + 1, limit=2, after=f"{hidden_ms}-token"),
        quarantine.of_thing("t-1", hidden_ms + 1, limit=2, after=[hidden_ms, "document"]),
    ]
    assert [(page.items, page.after) for page in pages] == [([], None), ([], None)]


def test_a_page_of_large_documents_ends_before_it_is_more_than_lambda_answers_with(tables: dict[str, str]) -> None:
    quarantine = DynamoQuarantine(tables["quarantine"], retention=timedelta(days=1))
    thing, body = f"t-{uuid.uuid4().hex}", bytes(MAX_BODY_BYTES)
    kept = Quarantined(thing=thing, document="", received_ms=0, principal="c", violations=(("body", "no"),), body=body)
    for number in range(26):
        quarantine.add(replace(kept, document=str(number), received_ms=number))
    page = quarantine.of_thing(thing, 0, limit=100, after=None)
    assert 1 < len(page.items) < 26
    assert sum(len(each.body) for each in page.items) <= MAX_PAGE_BYTES
    rest = quarantine.of_thing(thing, 0, limit=100, after=page.after)
    assert [each.received_ms for each in [*page.items, *rest.items]] == list(reversed(range(26)))
    assert rest.after is None
