"""Two neighbours, each with a device in a room, and everybody who is, was or never was something to the first one's."""

import os
import uuid
from dataclasses import dataclass, field

from tests.integration.backend.snapshot import Snapshot
from tests.integration.backend.world import Person, World
from tests.unit.backend.examples import document

ROLES = ("owner", "operator", "viewer", "admin", "former", "stranger")
"""The seventh is nobody: who has no token is stopped by the authorizer, before any of this."""
MEMBERS = ("owner", "operator", "viewer")
ABSENT = "absent-0000"
MARKS = {"own": "mark-of-ann", "other": "mark-of-neighbour"}
"""Stands in every text that people gave to what is theirs: wherever it is read, something of theirs is read."""


@dataclass
class Side:
    """What one household has."""

    owner: Person
    guest: Person
    thing: str
    room: str
    command: str
    invitation: str
    code: str
    mark: str

    def secrets(self) -> set[str]:
        """Return what names or describes something of theirs, and stands in no answer to those it is hidden from."""
        return {self.thing, self.room, self.command, self.invitation, self.code, self.mark}


@dataclass
class Scene:
    """Everything that is asked about."""

    world: World
    own: Side
    other: Side
    people: dict[str, Person]
    offers: dict[str, str]
    """The id of the offer made to each person's address, by role; of a third device."""
    offered: str
    start: Snapshot = field(init=False)

    def value(self, name: str, state: str, role: str) -> str:
        """Return what a name stands for in a request: one's own, the neighbour's, or nothing at all."""
        if state == "absent":
            return ABSENT
        if name == "item":
            return f"item-of-{role if state == 'own' else 'neighbour'}"
        if name == "offer":
            return self.offers[role if state == "own" else "neighbour"]
        if name == "proof":
            return f"id-token-of-{(self.people[role] if state == 'own' else self.other.owner).user}"
        side = self.own if state == "own" else self.other
        return {
            "thing": side.thing, "label": side.thing, "room": side.room, "user": side.guest.user,
            "command": side.command, "invitation": side.invitation,
        }[name]  # fmt: skip

    def hidden_from(self, role: str) -> set[str]:
        """Return the secrets that no answer to this role may hold."""
        if role == "admin":
            return set()
        hidden = self.other.secrets()
        return hidden if role in MEMBERS else hidden | self.own.secrets()


def make_scene(world: World) -> Scene:
    """Build it; everybody has signed in, and the devices have reported."""
    people = {role: _person(world, role) for role in ROLES}
    own = _household(world, people["owner"], "own")
    other = _household(world, _person(world, "neighbour"), "other")
    joining = {"operator": "operator", "viewer": "viewer", "former": "operator"}
    for subject in ({"thing": own.thing}, {"room": own.room}):
        for role, offered in joining.items():
            _join(own.owner, people[role], {**subject, "role": offered})
    for path in (f"/v1/devices/{own.thing}", f"/v1/rooms/{own.room}"):
        assert own.owner("DELETE", f"{path}/members/{people['former'].user}").status == 204
    for role, person in {**people, "neighbour": other.owner}.items():
        mark = MARKS["other"] if role == "neighbour" else MARKS["own"] if role == "owner" else role
        body = {"body": {"text": mark}}
        assert person("PUT", f"/v1/items/notes/item-of-{role}", body).status == 200
    offers, offered = _offers(world, {**people, "neighbour": other.owner})
    scene = Scene(world, own, other, people, offers, offered)
    if "AWS_ENDPOINT_URL" not in os.environ:
        scene.start = Snapshot.take(world)
    return scene


def _person(world: World, name: str) -> Person:
    """Return a person whose address is nobody else's, of however many scenes."""
    return world.person(f"{name}.{uuid.uuid4().hex[:8]}", groups="[admin]" if name == "admin" else "")


def _household(world: World, owner: Person, side: str) -> Side:
    mark = MARKS[side]
    thing = world.device(owner)
    guest = _person(world, f"guest-{side}")
    room = owner("POST", "/v1/rooms", {"name": mark}).json["id"]
    assert owner("PUT", f"/v1/rooms/{room}/devices/{thing}").status == 204
    assert owner("PATCH", f"/v1/devices/{thing}", {"name": mark, "attributes": {"mark": mark}}).status == 200
    for subject in ({"thing": thing}, {"room": room}):
        _join(owner, guest, {**subject, "role": "viewer"})
    invited = owner("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json
    order = {"command": "identify", "parameters": {"seconds": 7}}
    command = owner("POST", f"/v1/devices/{thing}/commands", order).json["id"]
    desired = {"desired": {"label": mark}}
    assert owner("PATCH", f"/v1/devices/{thing}/shadow", desired).status == 200
    assert world.send(thing, document())
    assert not world.send(thing, {**document(), "seq": 9, "note": mark})
    return Side(owner, guest, thing, room, command, invited["id"], invited["code"], mark)


def _join(owner: Person, guest: Person, offer: dict[str, str]) -> None:
    code = owner("POST", "/v1/invitations", offer).json["code"]
    assert guest("POST", "/v1/invitations/accept", {"code": code}).status == 200


def _offers(world: World, people: dict[str, Person]) -> tuple[dict[str, str], str]:
    """Somebody else offers a device of theirs to each by address."""
    giver = _person(world, "giver")
    thing = world.device(giver)
    offers = {}
    for role, person in people.items():
        offer = {"thing": thing, "role": "viewer", "email": world.people.users[person.user]["email"]}
        offers[role] = giver("POST", "/v1/invitations", offer).json["id"]
    return offers, thing
