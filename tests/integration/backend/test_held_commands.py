"""What was ordered of a device that was away, by somebody who has no right to it any more: never done, and said why."""

from typing import Any

import pytest

from tests.integration.backend.test_sharing_api import share
from tests.integration.backend.world import Person, World


@pytest.fixture(scope="module")
def ann(world: World) -> Person:
    return world.person("ann")


@pytest.fixture(scope="module")
def bob(world: World) -> Person:
    return world.person("bob")


def order(person: Person, thing: str) -> str:
    reply = person("POST", f"/v1/devices/{thing}/commands", {"command": "identify"})
    assert reply.status == 202, reply.text
    return str(reply.json["id"])


def shown(person: Person, thing: str, command: str) -> dict[str, Any]:
    found: dict[str, Any] = person("GET", f"/v1/devices/{thing}/commands/{command}").json
    return found


def come_back(world: World, thing: str) -> list[str]:
    """Have a device return, and return what it was sent."""
    world.clock.move(seconds=1)
    world.connect(thing)
    world.subscribe(thing)
    return [each["id"] for topic, each in world.iot.published if topic == f"cmd/dev/{thing}/identify/req"]


def remove(ann: Person, thing: str, bob: Person) -> None:
    assert ann("DELETE", f"/v1/devices/{thing}/members/{bob.user}").status == 204


def demote(ann: Person, thing: str, bob: Person) -> None:
    assert ann("PATCH", f"/v1/devices/{thing}/members/{bob.user}", {"role": "viewer"}).status == 200


def leave(_ann: Person, thing: str, bob: Person) -> None:
    assert bob("DELETE", f"/v1/devices/{thing}/members/{bob.user}").status == 204


@pytest.mark.parametrize("lose", [remove, demote, leave])
def test_what_a_member_ordered_is_not_done_after_they_lost_the_right_and_the_trail_says_so(
    world: World, ann: Person, bob: Person, lose: Any
) -> None:
    thing = world.device(ann)
    share(ann, bob, "operator", thing=thing)
    lost, kept = order(bob, thing), order(ann, thing)
    lose(ann, thing, bob)
    assert come_back(world, thing) == [kept]
    found = shown(ann, thing, lost)
    assert (found["state"], found["reason"]) == ("REJECTED", "Who ordered it may not do so any more.")
    entry = ann("GET", f"/v1/devices/{thing}/audit?limit=1").json["items"][0]
    assert (entry["what"], entry["after"]) == ("rejected a command", {"id": lost, "reason": found["reason"]})
    assert come_back(world, thing) == [kept, kept], "what was not acknowledged is sent again, what was rejected is not"


def test_what_was_ordered_as_a_member_of_a_room_is_not_done_after_the_room_is_not_shared_any_more(
    world: World, ann: Person, bob: Person
) -> None:
    thing = world.device(ann)
    room = ann("POST", "/v1/rooms", {"name": "Hall"}).json["id"]
    assert ann("PUT", f"/v1/rooms/{room}/devices/{thing}").status == 204
    share(ann, bob, "operator", room=room)
    command = order(bob, thing)
    assert ann("DELETE", f"/v1/rooms/{room}/members/{bob.user}").status == 204
    assert come_back(world, thing) == []
    assert shown(ann, thing, command)["state"] == "REJECTED"


def test_what_was_sent_and_perhaps_lost_is_not_sent_again_after_the_right_is_gone(
    world: World, ann: Person, bob: Person
) -> None:
    thing = world.device(ann)
    share(ann, bob, "operator", thing=thing)
    world.connect(thing)
    command = order(bob, thing)
    remove(ann, thing, bob)
    assert come_back(world, thing) == [command]
    assert shown(ann, thing, command)["state"] == "REJECTED"


def test_a_member_whose_right_came_back_is_obeyed(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    share(ann, bob, "operator", thing=thing)
    command = order(bob, thing)
    remove(ann, thing, bob)
    share(ann, bob, "operator", thing=thing)
    assert come_back(world, thing) == [command]


def test_what_an_admin_ordered_needs_no_membership(world: World, ann: Person) -> None:
    thing = world.device(ann)
    command = order(world.person("root", groups="[admin]"), thing)
    assert come_back(world, thing) == [command]


@pytest.mark.parametrize("hand_over", [False, True])
def test_all_that_was_held_ends_when_a_device_is_taken_over(
    world: World, ann: Person, bob: Person, hand_over: bool
) -> None:
    thing = world.device(ann)
    share(ann, bob, "operator", thing=thing)
    commands = [order(ann, thing), order(bob, thing)]
    world.clock.move(seconds=1)
    invited = ann("POST", "/v1/invitations", {"thing": thing, "role": "owner", "hand_over": hand_over})
    assert bob("POST", "/v1/invitations/accept", {"code": invited.json["code"]}).status == 200

    def seen() -> list[tuple[Any, Any]]:
        listed = bob("GET", f"/v1/devices/{thing}/commands").json["items"]
        every = [*listed, *(shown(bob, thing, command) for command in commands)]
        return [(each.get("state"), each.get("reason") or each.get("status")) for each in every]

    rejected = ("REJECTED", "The device changed hands before it took it.")
    expected = [rejected] * 4 if hand_over else [(None, 404)] * 2
    assert seen() == expected
    assert come_back(world, thing) == []
    assert seen() == expected
    world.clock.move(days=1)
    assert seen() == expected, "an end is an end, though its time would be out by now"


@pytest.mark.parametrize("way", ["release", "factory-reset"])
def test_all_that_was_held_ends_when_a_device_is_let_go_though_the_same_person_claims_it_again(
    world: World, ann: Person, way: str
) -> None:
    thing = world.device(ann)
    order(ann, thing)
    world.clock.move(seconds=1)
    assert ann("POST", f"/v1/devices/{thing}/{way}").status == 204
    world.clock.move(seconds=1)
    assert world.claim(ann, thing).status == 200
    assert come_back(world, thing) == []
