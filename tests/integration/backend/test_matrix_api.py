"""The matrix: every route on a device or room, by everybody who may ask, on what is theirs and what is absent.

A new route fails until its row is written.
"""

import re
from dataclasses import dataclass
from typing import Any

import pytest

from backend.domain.access import ALLOWED, Action, Role
from backend.openapi import build
from tests.integration.backend.world import Person, World

SEE, CONTROL, MANAGE = Action.SEE, Action.CONTROL, Action.MANAGE
ANYBODY: dict[str, str] = {
    "me": "one's own", "change_me": "one's own", "delete_me": "one's own", "export": "one's own",
    "tie_identity": "one's own", "my_invitations": "one's own", "configuration": "the same for all",
    "list_devices": "one's own", "list_rooms": "one's own", "add_room": "one's own", "claim": "by the secret",
    "accept": "by the code", "decline": "by the code", "revoke_invitation": "asked of what it offers",
    "mobile": "one's own", "list_items": "one's own", "get_item": "one's own", "put_item": "one's own",
    "remove_item": "one's own",
}  # fmt: skip
"""Routes that name neither device nor room, and why nobody can see anybody else's by them."""
ROWS: dict[str, tuple[Action, Any]] = {
    "get_device": (SEE, None),
    "change_device": (MANAGE, {"name": "x"}),
    "release": (MANAGE, None),
    "factory_reset": (MANAGE, None),
    "revoke": (MANAGE, None),
    "audit": (MANAGE, None),
    "latest": (SEE, None),
    "readings": (SEE, None),
    "quarantine": (MANAGE, None),
    "device_members": (SEE, None),
    "change_device_member": (MANAGE, {"role": "viewer"}),
    "remove_device_member": (MANAGE, None),
    "order": (CONTROL, {"command": "identify"}),
    "list_commands": (SEE, None),
    "get_command": (SEE, None),
    "shadow": (SEE, None),
    "desire": (CONTROL, {"desired": {"a": 1}}),
    "config": (SEE, None),
    "configure": (CONTROL, {"settings": {"mode": "eco"}}),
    "invite": (MANAGE, {"role": "viewer"}),
    "invitations": (MANAGE, None),
    "room_members": (SEE, None),
    "change_room_member": (MANAGE, {"role": "viewer"}),
    "remove_room_member": (MANAGE, None),
    "get_room": (SEE, None),
    "rename_room": (MANAGE, {"name": "x"}),
    "remove_room": (MANAGE, None),
    "room_devices": (SEE, None),
    "place_device": (MANAGE, None),
    "displace_device": (MANAGE, None),
    "order_in_room": (CONTROL, {"command": "identify"}),
}
OPERATIONS = {
    operation["operationId"]: (method.upper(), path)
    for path, methods in build()["paths"].items()
    for method, operation in methods.items()
}
ROLES = ("owner", "operator", "viewer", "admin", "former", "stranger")


@dataclass
class Scene:
    """One device in one room, and everybody around it."""

    thing: str
    room: str
    guest: str
    command: str
    people: dict[str, Person]


def make_scene(world: World) -> Scene:
    people = {name: world.person(name, groups="[admin]" if name == "admin" else "") for name in ROLES}
    owner, guest = people["owner"], world.person("guest")
    thing = world.device(owner)
    room = owner("POST", "/v1/rooms", {"name": "Hall"}).json["id"]
    joining = [("operator", "operator"), ("viewer", "viewer"), ("former", "operator"), ("guest", "viewer")]
    for subject in ({"thing": thing}, {"room": room}):
        for name, role in joining:
            code = owner("POST", "/v1/invitations", {"role": role, **subject}).json["code"]
            reply = people.get(name, guest)("POST", "/v1/invitations/accept", {"code": code})
            assert reply.status == 200, reply.text
    for path in (f"/v1/devices/{thing}", f"/v1/rooms/{room}"):
        assert owner("DELETE", f"{path}/members/{people['former'].user}").status == 204
    command = owner("POST", f"/v1/devices/{thing}/commands", {"command": "identify"}).json["id"]
    return Scene(thing, room, guest.user, command, people)


def ask(scene: Scene, person: Person, operation: str, *, absent: bool = False) -> Any:
    method, path = OPERATIONS[operation]
    thing, room = ("absent", "absent") if absent else (scene.thing, scene.room)
    values = {"thing": thing, "room": room, "user": scene.guest, "command": scene.command}
    body = ROWS[operation][1]
    if operation == "invite":
        body = {**body, "thing": thing}
    if operation == "invitations":
        path += f"?thing={thing}"
    return person(method, re.sub(r"\{(\w+)\}", lambda name: values[name[1]], path), body)


def test_every_route_has_a_row() -> None:
    assert {*ROWS, *ANYBODY} == set(OPERATIONS)
    assert not set(ROWS) & set(ANYBODY)


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return make_scene(world)


@pytest.mark.parametrize("operation", ROWS)
def test_nobody_does_what_they_may_not_and_strangers_cannot_tell(scene: Scene, operation: str) -> None:
    action = ROWS[operation][0]
    for name in ("stranger", "former"):
        theirs = ask(scene, scene.people[name], operation)
        absent = ask(scene, scene.people[name], operation, absent=True)
        assert (theirs.status, theirs.text) == (404, absent.text), (name, operation, theirs)
    for role in (Role.VIEWER, Role.OPERATOR):
        if action not in ALLOWED[role]:
            assert ask(scene, scene.people[role], operation).status == 403, (role, operation)
    for name in ("owner", "admin", "operator", "viewer"):
        assert ask(scene, scene.people[name], operation, absent=True).status == 404, (name, operation)


@pytest.mark.parametrize("operation", [name for name in ROWS if ROWS[name][0] is not MANAGE])
def test_everybody_does_what_they_may(scene: Scene, operation: str) -> None:
    for role in (Role.OWNER, Role.ADMIN, Role.OPERATOR, Role.VIEWER):
        if ROWS[operation][0] in ALLOWED[role]:
            reply = ask(scene, scene.people[role], operation)
            assert reply.status in {200, 202}, (role, operation, reply)


def test_owner_and_admin_manage(world: World) -> None:
    for role in ("owner", "admin"):
        scene = make_scene(world)
        ends = ["revoke", "change_device_member", "remove_device_member", "change_room_member", "remove_room_member"]
        rest = [name for name, (action, _) in ROWS.items() if action is MANAGE and name not in ends]
        last = ["displace_device", "remove_room", "release"]
        order = [*(name for name in rest if name not in {*last, "factory_reset"}), *ends, *last]
        for operation in order:
            reply = ask(scene, scene.people[role], operation)
            assert reply.status in {200, 201, 204}, (role, operation, reply)
        scene = make_scene(world)
        assert ask(scene, scene.people[role], "factory_reset").status == 204
