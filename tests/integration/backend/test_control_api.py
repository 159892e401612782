"""Commands, presence, shadows and live messages through the API and the rules' events."""

import json
from typing import Any

import pytest

from backend.domain.presence import FLAPPING_CONNECTS, FLAPPING_WINDOW, GRACE
from tests.integration.backend.world import Person, World
from tests.unit.backend.examples import document


@pytest.fixture(scope="module")
def ann(world: World) -> Person:
    return world.person("ann")


def sent_to(world: World, thing: str) -> list[str]:
    return [each["id"] for topic, each in world.iot.published if topic == f"cmd/dev/{thing}/identify/req"]


def order(person: Person, thing: str, **extra: object) -> str:
    reply = person("POST", f"/v1/devices/{thing}/commands", {"command": "identify", **extra})
    assert reply.status == 202, reply.text
    return str(reply.json["id"])


def state(person: Person, thing: str, command: str) -> str:
    return str(person("GET", f"/v1/devices/{thing}/commands/{command}").json["state"])


def test_a_connected_device_is_sent_its_command_at_once(world: World, ann: Person) -> None:
    thing = world.device(ann)
    world.connect(thing)
    command = order(ann, thing, parameters={"seconds": 3})
    assert state(ann, thing, command) == "SENT"
    topic, message = world.iot.published[-1]
    assert topic == f"cmd/dev/{thing}/identify/req"
    assert (message["id"], message["parameters"]) == (command, {"seconds": 3})
    assert world.answer(thing, {"id": command, "state": "ACKED"})
    assert world.answer(thing, {"id": command, "state": "SUCCEEDED", "result": {"ok": True}})
    found = ann("GET", f"/v1/devices/{thing}/commands/{command}").json
    assert (found["state"], found["result"]) == ("SUCCEEDED", {"ok": True})


def test_an_offline_device_gets_its_command_once_when_it_returns(world: World, ann: Person) -> None:
    thing = world.device(ann)
    command = order(ann, thing)
    assert state(ann, thing, command) == "QUEUED"
    assert sent_to(world, thing) == []
    world.clock.move(seconds=1)
    world.connect(thing)
    world.subscribe(thing)
    assert sent_to(world, thing) == [command]
    assert state(ann, thing, command) == "SENT"
    world.answer(thing, {"id": command, "state": "ACKED"})
    world.clock.move(seconds=1)
    world.subscribe(thing)
    assert sent_to(world, thing) == [command]


def test_what_was_sent_and_never_taken_is_sent_again_under_the_same_id(world: World, ann: Person) -> None:
    thing = world.device(ann)
    world.connect(thing)
    command = order(ann, thing)
    world.subscribe(thing)  # the subscription that the command was sent into, told late
    assert sent_to(world, thing) == [command]
    world.clock.move(seconds=5)
    world.subscribe(thing)
    assert sent_to(world, thing) == [command, command]


def test_a_command_that_nobody_takes_expires(world: World, ann: Person) -> None:
    thing = world.device(ann)
    command = order(ann, thing, expires_in_s=60)
    world.clock.move(seconds=60)
    assert state(ann, thing, command) == "EXPIRED"
    world.connect(thing)
    world.subscribe(thing)
    assert sent_to(world, thing) == []
    assert not world.answer(thing, {"id": command, "state": "SUCCEEDED"})
    assert state(ann, thing, command) == "EXPIRED"


def test_a_device_answers_for_itself_only(world: World, ann: Person) -> None:
    thing, other = world.device(ann), world.device(ann)
    command = order(ann, thing)
    assert not world.answer(other, {"id": command, "state": "SUCCEEDED"})
    assert state(ann, thing, command) == "QUEUED"


def test_what_is_no_answer_is_quarantined_by_field(world: World, ann: Person) -> None:
    thing = world.device(ann)
    assert not world.answer(thing, {"id": "x", "state": "QUEUED"})
    (kept,) = ann("GET", f"/v1/devices/{thing}/quarantine").json["items"]
    assert kept["violations"][0]["field"] == "state"


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"command": "explode"}, "command"),
        ({"command": "set_target", "parameters": {}}, "parameters.temperature_c"),
        ({"command": "set_target", "parameters": {"temperature_c": 99}}, "parameters.temperature_c"),
        ({"command": "set_target", "parameters": {"temperature_c": True}}, "parameters.temperature_c"),
        ({"command": "identify", "parameters": {"volume": 1}}, "parameters.volume"),
        ({"command": "identify", "expires_in_s": 0}, "expires_in_s"),
    ],
)
def test_a_command_the_type_does_not_know_is_refused_by_field(
    world: World, ann: Person, body: dict[str, object], field: str
) -> None:
    reply = ann("POST", f"/v1/devices/{world.device(ann)}/commands", body)
    assert reply.status == 400
    assert [each["field"] for each in reply.json["errors"]] == [field]


def test_commands_come_in_pages_newest_first(world: World, ann: Person) -> None:
    thing = world.device(ann)
    made = []
    for _ in range(3):
        world.clock.move(seconds=1)
        made.append(order(ann, thing))
    first = ann("GET", f"/v1/devices/{thing}/commands?limit=2").json
    rest = ann("GET", f"/v1/devices/{thing}/commands?limit=2&cursor={first['next_cursor']}").json
    assert [each["id"] for each in first["items"] + rest["items"]] == made[::-1]


def test_a_device_is_online_through_a_short_absence_and_offline_after_a_long_one(world: World, ann: Person) -> None:
    thing = world.device(ann)

    def status() -> str:
        return str(ann("GET", f"/v1/devices/{thing}").json["status"])

    assert status() == "never"
    world.connect(thing)
    assert status() == "online"
    world.connect(thing, connected=False)
    world.clock.move(seconds=60)
    assert status() == "online"
    world.clock.move(seconds=1)
    assert status() == "offline"
    assert [each["thing"] for each in ann("GET", "/v1/devices?status=offline").json["items"]].count(thing) == 1


def test_a_device_that_is_connected_is_seen_now_and_one_that_left_was_seen_last_then(world: World, ann: Person) -> None:
    thing = world.device(ann)

    def seen_at() -> str:
        return str(ann("GET", f"/v1/devices/{thing}").json["last_seen_at"])

    world.connect(thing)
    world.clock.move(days=2)
    assert seen_at() == world.clock.now().isoformat()
    world.connect(thing, connected=False)
    left = seen_at()
    world.clock.move(hours=1)
    assert seen_at() == left


def test_the_configuration_is_checked_by_the_type_and_versioned(world: World, ann: Person) -> None:
    path = f"/v1/devices/{world.device(ann)}/config"
    assert ann("GET", path).json["version"] == 0
    changed = ann("PATCH", path, {"settings": {"target_c": 21}}, if_match='"0"')
    assert (changed.status, changed.json["desired"], changed.headers["etag"]) == (200, {"target_c": 21}, '"1"')
    assert ann("PATCH", path, {"settings": {"target_c": 22}}, if_match='"0"').status == 412
    refused = ann("PATCH", path, {"settings": {"target_c": 99, "colour": "red"}})
    assert {each["field"] for each in refused.json["errors"]} == {"settings.target_c", "settings.colour"}
    assert ann("PATCH", path, {"settings": {"target_c": None}}).json["desired"] == {}
    newest = ann("GET", path.replace("/config", "/audit")).json["items"][0]
    assert (newest["what"], newest["before"], newest["after"]) == ("configured", {"target_c": 21}, {"target_c": None})


def test_live_messages_reach_those_who_may_see_and_are_connected_and_nobody_else(world: World, ann: Person) -> None:
    bob, eve = world.person("bob"), world.person("eve")
    thing = world.device(ann)
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json["code"]
    bob("POST", "/v1/invitations/accept", {"code": code})
    for person in (bob, eve):
        world.connect(f"app-{person.user}-phone")
    now_ms = int(world.clock.now().timestamp() * 1000)
    reading = document(t0=now_ms, dt=[0], m={"temperature_c": [30]})

    def hear() -> list[str]:
        world.iot.published.clear()
        assert world.urgent(thing, reading)
        return [topic for topic, _ in world.iot.published]

    assert hear() == [f"live/dev/{bob.user}/urgent"]
    ann("DELETE", f"/v1/devices/{thing}/members/{bob.user}")
    assert hear() == []
    world.connect(f"app-{ann.user}-tablet")
    assert hear() == [f"live/dev/{ann.user}/urgent"]
    world.connect(f"app-{ann.user}-tablet", connected=False)
    assert hear() == []


@pytest.mark.parametrize("how", ["release", "take over", "take over with all data"])
def test_what_was_asked_before_a_device_changed_hands_is_never_done(world: World, ann: Person, how: str) -> None:
    bob, thing = world.person("bob"), world.device(ann)
    command = order(ann, thing)
    ann("PATCH", f"/v1/devices/{thing}/shadow", {"desired": {"door": "open"}})
    world.clock.move(seconds=1)
    if how == "release":
        ann("POST", f"/v1/devices/{thing}/release")
        world.connect(thing)
        world.subscribe(thing)
        world.clock.move(seconds=1)
        world.claim(bob, thing)
    else:
        offer = {"thing": thing, "role": "owner", "hand_over": how != "take over"}
        code = ann("POST", "/v1/invitations", offer).json["code"]
        assert bob("POST", "/v1/invitations/accept", {"code": code}).status == 200
    world.clock.move(seconds=1)
    world.connect(f"app-{bob.user}-phone")
    later = order(bob, thing)
    told = len(world.iot.published)
    world.connect(thing)
    world.subscribe(thing)
    assert sent_to(world, thing) == [later]
    world.answer(thing, {"id": command, "state": "ACKED"})
    assert command not in json.dumps(world.iot.published[told:])
    shown = bob("GET", f"/v1/devices/{thing}/shadow").json
    if how == "take over with all data":
        assert state(bob, thing, command) == "REJECTED"
        assert shown["desired"] == {"door": "open"}
    else:
        assert bob("GET", f"/v1/devices/{thing}/commands/{command}").status == 404
        assert (shown["desired"], shown["version"]) == ({}, 0)


def test_a_phone_is_told_when_to_call_a_device_offline_and_that_one_comes_and_goes(world: World, ann: Person) -> None:
    thing = world.device(ann)
    world.connect(f"app-{ann.user}-phone")

    def told() -> dict[str, Any]:
        topic, document = world.iot.published[-1]
        assert (topic, document["thing"]) == (f"live/dev/{ann.user}/presence", thing)
        return dict(document)

    world.connect(thing)
    assert (told()["status"], "offline_at" in told()) == ("online", False)
    gone_at = world.clock.now()
    world.connect(thing, connected=False)
    assert (told()["status"], told()["offline_at"]) == ("online", (gone_at + GRACE).isoformat())
    for _ in range(4):
        world.clock.move(seconds=10)
        world.connect(thing)
        world.clock.move(seconds=10)
        world.connect(thing, connected=False)
    assert told()["status"] == "unstable"


def test_a_device_that_comes_and_goes_is_told_of_once_until_it_may_have_settled(world: World, ann: Person) -> None:
    thing = world.device(ann)
    world.connect(f"app-{ann.user}-phone")

    def told() -> list[dict[str, Any]]:
        topic = f"live/dev/{ann.user}/presence"
        return [document for at, document in world.iot.published if at == topic and document["thing"] == thing]

    came_at = []
    for _ in range(20):
        world.clock.move(seconds=10)
        world.connect(thing)
        came_at.append(world.clock.now())
        world.clock.move(seconds=10)
        world.connect(thing, connected=False)
    unstable = [document for document in told() if document["status"] == "unstable"]
    assert (len(unstable), len(told())) == (1, FLAPPING_CONNECTS * 2 - 1)
    assert unstable[0]["settles_at"] == (came_at[0] + FLAPPING_WINDOW).isoformat()
    assert ann("GET", f"/v1/devices/{thing}").json["status"] == "unstable", "which is what to look at then"
    world.clock.move(seconds=FLAPPING_WINDOW.total_seconds())
    assert ann("GET", f"/v1/devices/{thing}").json["status"] == "offline"
    before = len(told())
    world.connect(thing)
    assert [document["status"] for document in told()[before:]] == ["online"]


def test_that_a_device_comes_and_goes_is_told_though_every_connection_took_over_from_one(
    world: World, ann: Person
) -> None:
    thing = world.device(ann)
    world.connect(f"app-{ann.user}-phone")
    topic = f"live/dev/{ann.user}/presence"
    for _ in range(FLAPPING_CONNECTS + 1):  # whose end was not noticed, or is told too late to count
        world.clock.move(seconds=10)
        world.connect(thing)
    world.clock.move(seconds=10)
    world.connect(thing, connected=False)
    told = [document for at, document in world.iot.published if at == topic and document["thing"] == thing]
    assert [document["status"] for document in told] == ["online", "unstable"]
    assert "settles_at" in told[-1]


def test_nothing_is_published_for_who_is_not_connected(world: World, ann: Person) -> None:
    bob, thing = world.person("bob"), world.device(ann)
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json["code"]
    bob("POST", "/v1/invitations/accept", {"code": code})
    world.connect(f"app-{ann.user}-phone", connected=False)
    before = len(world.iot.published)
    world.connect(thing)
    assert world.iot.published[before:] == []
    world.connect(f"app-{bob.user}-phone")
    world.connect(thing, connected=False)
    assert [topic for topic, _ in world.iot.published[before:]] == [f"live/dev/{bob.user}/presence"]
    ann("DELETE", f"/v1/devices/{thing}/members/{bob.user}")
    world.connect(thing)
    assert len(world.iot.published) == before + 1


def test_the_trail_tells_who_ordered_what(world: World, ann: Person) -> None:
    thing = world.device(ann)
    command = order(ann, thing, parameters={"seconds": 3})
    assert ann("POST", f"/v1/devices/{thing}/commands", {"command": "explode"}).status == 400
    entry = ann("GET", f"/v1/devices/{thing}/audit").json["items"][0]
    assert (entry["what"], entry["actor"], entry["address"]) == ("ordered", ann.user, "192.0.2.1")
    assert entry["after"] == {"id": command, "command": "identify", "parameters": {"seconds": 3}}
