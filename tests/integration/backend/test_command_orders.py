"""Commands through the whole backend, in every order of what happens: delivered once, never backwards, or expired."""

from itertools import permutations, product
from typing import Any

import pytest
from botocore.client import BaseClient

from tests.integration.backend.world import Person, World

ANSWERS = ("ACKED", "SUCCEEDED", "FAILED", "REJECTED")
LIFETIME_S = 60


@pytest.fixture(scope="module")
def ann(world: World) -> Person:
    return world.person("ann")


@pytest.fixture
def thing(world: World, ann: Person) -> str:
    return world.device(ann)


def order(world: World, ann: Person, thing: str) -> str:
    reply = ann("POST", f"/v1/devices/{thing}/commands", {"command": "identify", "expires_in_s": LIFETIME_S})
    assert reply.status == 202
    return str(reply.json["id"])


def shown(ann: Person, thing: str, command: str) -> dict[str, Any]:
    found: dict[str, Any] = ann("GET", f"/v1/devices/{thing}/commands/{command}").json
    return found


def sent(world: World, thing: str) -> list[str]:
    return [document["id"] for topic, document in world.iot.published if topic == f"cmd/dev/{thing}/identify/req"]


def truth(said: tuple[str, ...]) -> tuple[str, int | None]:
    """Return how far a command has come after a device said this, and which saying it was: the first end counts."""
    for number, state in enumerate(said):
        if state != "ACKED":
            return state, number
    return "ACKED", said.index("ACKED")


@pytest.mark.parametrize("length", [1, 2, pytest.param(3, marks=pytest.mark.long)])
def test_answers_that_repeat_or_overtake_one_another_never_move_a_command_back(
    world: World, ann: Person, thing: str, length: int
) -> None:
    world.connect(thing)
    for said in product(ANSWERS, repeat=length):
        command = order(world, ann, thing)
        assert shown(ann, thing, command)["state"] == "SENT"
        for number, state in enumerate(said):
            world.answer(thing, {"id": command, "state": state, "result": number})
            now = shown(ann, thing, command)
            assert (now["state"], now["result"]) == truth(said[: number + 1]), said


@pytest.mark.parametrize("events", list(permutations(["connect", "subscribe", "subscribe again", "connect again"])))
def test_a_command_to_an_offline_device_is_delivered_once_in_whatever_order_its_return_is_told(
    world: World, ann: Person, thing: str, events: tuple[str, ...]
) -> None:
    command = order(world, ann, thing)
    assert shown(ann, thing, command)["state"] == "QUEUED"
    assert sent(world, thing) == []
    world.clock.move(seconds=1)
    session = {"clientId": thing, "sessionIdentifier": "s1", "timestamp": int(world.clock.now().timestamp() * 1000)}
    told = {
        "connect": {**session, "eventType": "connected", "versionNumber": 1},
        "subscribe": {**session, "eventType": "subscribed", "topics": [f"cmd/dev/{thing}/+/req"]},
    }
    for event in events:
        world.lifecycle(told[event.partition(" ")[0]])
    assert sent(world, thing) == [command]
    assert shown(ann, thing, command)["state"] == "SENT"


@pytest.mark.parametrize("said", [*ANSWERS, "nothing"])
def test_a_device_that_returns_too_late_is_sent_nothing_and_what_it_says_changes_nothing(
    world: World, ann: Person, thing: str, said: str
) -> None:
    command = order(world, ann, thing)
    world.clock.move(seconds=LIFETIME_S)
    assert shown(ann, thing, command)["state"] == "EXPIRED"
    if said != "nothing":
        assert not world.answer(thing, {"id": command, "state": said})
    world.connect(thing)
    world.subscribe(thing)
    assert sent(world, thing) == []
    assert shown(ann, thing, command)["state"] == "EXPIRED"


def test_whose_a_device_that_returns_is_is_looked_up_once_however_many_commands_wait(
    world: World, ann: Person, thing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    commands = [order(world, ann, thing) for _ in range(3)]
    world.clock.move(seconds=1)
    world.connect(thing)
    looked_up = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def counted(self: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        if operation == "GetItem" and set(params["Key"]) == {"thing"}:
            looked_up.append(params["Key"])
        return call(self, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    world.subscribe(thing)
    assert sorted(sent(world, thing)) == sorted(commands)
    assert len(looked_up) == 1 + len(commands)  # and once each to tell the people of it
