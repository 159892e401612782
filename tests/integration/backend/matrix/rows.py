"""The rows of the matrix: for every route who may, on whose, and what everybody else is told.

A new route fails until its row is written here. Nothing here is read from the backend: it is a second statement of who
may do what, and the two are compared.

How to write one: name the operation (the function behind the route), say who may by ``SEE``, ``CONTROL``, ``MANAGE`` or
``ANYBODY``, and give the body it takes. The names in the path are asked about by themselves; a name that stands in the
body or the query is given in ``names``. ``shows`` is what must stand in the answer to those who may: without it an
answer that shows nothing to anybody would pass.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.integration.backend.matrix.scene import MEMBERS, ROLES, Scene

SEE = frozenset({"owner", "operator", "viewer", "admin"})
CONTROL = frozenset({"owner", "operator", "admin"})
MANAGE = frozenset({"owner", "admin"})
ANYBODY = frozenset(ROLES)
STATES = ("own", "other", "absent")
SUBJECTS = ("thing", "room", "invitation")
"""Names of what people are something to."""
PERSONAL = ("item", "offer", "proof", "label")
"""Names of what is one person's alone, or goes by what they know: here no group and no membership counts."""
OUTSIDERS = ("former", "stranger")
Shows = Callable[[Scene, str], str]


@dataclass(frozen=True)
class Row:
    """One way to ask one route."""

    may: frozenset[str]
    body: Any = None
    """A document, or what makes one of the values of the names."""
    names: tuple[str, ...] = ()
    query: str = ""
    missing: int = 404
    """What everybody is told of what is hidden from them, as of what does not exist."""
    refused: int = 403
    """What those are told who may see it, and not do this."""
    besides: Callable[[str, tuple[str, ...]], int | None] = lambda _role, _states: None
    """What comes out otherwise, for reasons of the product's own."""
    shows: Shows | None = None
    shown_to: tuple[str, ...] = ROLES
    counts: bool = False
    """A refusal is counted against the device: the one thing it may leave behind."""

    def expected(self, names: tuple[str, ...], role: str, states: tuple[str, ...]) -> int | None:
        """Return the status this must have; None where it is to be done."""
        told = self.besides(role, states)
        if told is not None:
            return told
        for name, state in zip(names, states, strict=True):
            if is_hidden(name, role, state) or (name not in (*SUBJECTS, *PERSONAL) and state != states[0]):
                return self.missing
            if name in SUBJECTS and role not in self.may:
                return self.refused
        return None


def is_hidden(name: str, role: str, state: str) -> bool:
    """Say whether something is not to be told from what does not exist."""
    if state == "absent":
        return True
    if name in PERSONAL:
        return state == "other"
    return role in OUTSIDERS or (state == "other" and role != "admin")


def _mark(scene: Scene, _role: str) -> str:
    return scene.own.mark


def _thing(scene: Scene, _role: str) -> str:
    return scene.own.thing


def _command(scene: Scene, _role: str) -> str:
    return scene.own.command


def _guest(scene: Scene, _role: str) -> str:
    return scene.own.guest.user


def _invitation(scene: Scene, _role: str) -> str:
    return scene.own.invitation


def _own_item(_scene: Scene, role: str) -> str:
    return f"item-of-{role}"


def _self(scene: Scene, role: str) -> str:
    return scene.people[role].user


def _envelope(operation: str, payload: Mapping[str, Any] | None = None) -> Callable[[Mapping[str, str]], Any]:
    def build(values: Mapping[str, str]) -> Any:
        keyed = {"Key": {"id": values["item"]}, **(payload or {})} if "item" in values else {}
        return {"operation": operation, "tableName": "notes", "payload": keyed}

    return build


def _create(values: Mapping[str, str]) -> Any:
    payload = {"Item": {"id": values["item"]}, "ConditionExpression": "attribute_not_exists(id)"}
    return {"operation": "create", "tableName": "notes", "payload": payload}


def _claiming(role: str, states: tuple[str, ...]) -> int | None:
    """Whoever knows the secret is told that the device has an owner; the secret of the others is not known."""
    own = None if role == "owner" else 409
    return own if states[0] == "own" else 403


def _searching_the_fleet(role: str, _states: tuple[str, ...]) -> int | None:
    """The fleet is the admins'; that there is one is no secret."""
    return None if role == "admin" else 403


def _placing(role: str, states: tuple[str, ...]) -> int | None:
    """Not even an admin puts one person's device into another's room."""
    return 403 if role == "admin" and set(states) == {"own", "other"} else None


def _creating(_role: str, states: tuple[str, ...]) -> int | None:
    """What is there already is not made again; what another has of that id is not there."""
    return 409 if states == ("own",) else None


UPDATE = {"UpdateExpression": "SET n = :n", "ExpressionAttributeValues": {":n": 1}}
ROLE = {"role": "viewer"}
ORDER = {"command": "identify"}
WITH_ITEM = ("item",)

ROWS: Mapping[str, Row | tuple[Row, ...]] = {
    # devices
    "list_devices": Row(ANYBODY, shows=_thing, shown_to=MEMBERS),
    "search_fleet": Row(frozenset({"admin"}), query="attribute=site=matrix", besides=_searching_the_fleet),
    "claim": Row(
        ANYBODY,
        lambda values: {"thing": values["label"], "secret": values["secret"]},
        names=("label",), besides=_claiming, missing=403, counts=True,
    ),
    "get_device": Row(SEE, shows=_mark),
    "change_device": Row(MANAGE, {"name": "x"}),
    "release": Row(MANAGE),
    "factory_reset": Row(MANAGE),
    "revoke": Row(MANAGE),
    "audit": Row(MANAGE, shows=_mark),
    "latest": Row(SEE, shows=lambda _scene, _role: "21.5"),
    "readings": Row(SEE, shows=lambda _scene, _role: "21.5"),
    "quarantine": Row(MANAGE, shows=lambda _scene, _role: '"note"'),
    # members, invitations, rooms
    "device_members": Row(SEE, shows=_guest),
    "change_device_member": Row(MANAGE, ROLE),
    "remove_device_member": Row(MANAGE),
    "room_members": Row(SEE, shows=_guest),
    "change_room_member": Row(MANAGE, ROLE),
    "remove_room_member": Row(MANAGE),
    "invite": (
        Row(MANAGE, lambda values: {**ROLE, "thing": values["thing"]}, names=("thing",)),
        Row(MANAGE, lambda values: {**ROLE, "room": values["room"]}, names=("room",)),
    ),
    "invitations": (
        Row(MANAGE, names=("thing",), query="thing={thing}", shows=_invitation),
        Row(MANAGE, names=("room",), query="room={room}"),
    ),
    "revoke_invitation": Row(MANAGE, refused=404),
    "accept": Row(ANYBODY, lambda values: {"id": values["offer"]}, names=("offer",)),
    "decline": Row(ANYBODY, lambda values: {"id": values["offer"]}, names=("offer",)),
    "add_room": Row(ANYBODY, {"name": "x"}),
    "list_rooms": Row(ANYBODY, shows=lambda scene, _role: scene.own.room, shown_to=MEMBERS),
    "get_room": Row(SEE, shows=_mark),
    "rename_room": Row(MANAGE, {"name": "x"}),
    "remove_room": Row(MANAGE),
    "room_devices": Row(SEE, shows=_thing),
    "place_device": Row(MANAGE, besides=_placing),
    "displace_device": Row(MANAGE),
    # control
    "order": Row(CONTROL, ORDER),
    "list_commands": Row(SEE, shows=_command),
    "get_command": Row(SEE, shows=_command),
    "order_in_room": Row(CONTROL, ORDER, shows=_thing),
    "shadow": Row(SEE, shows=_mark),
    "desire": Row(CONTROL, {"desired": {"a": 1}}),
    "config": Row(SEE, shows=_thing),
    "configure": Row(CONTROL, {"settings": {"mode": "eco"}}),
    # the caller's own
    "me": Row(ANYBODY, shows=_self),
    "change_me": Row(ANYBODY, {"name": "x"}, shows=_self),
    "delete_me": Row(ANYBODY),
    "tie_identity": Row(ANYBODY, lambda values: {"id_token": values["proof"]}, names=("proof",), missing=400),
    "export": Row(ANYBODY, shows=_self),
    "my_invitations": Row(ANYBODY, shows=lambda scene, role: scene.offers[role]),
    "configuration": Row(ANYBODY),
    "list_items": (Row(ANYBODY, shows=_own_item), Row(ANYBODY, query="since=0", shows=_own_item)),
    "get_item": Row(ANYBODY, shows=_own_item),
    "put_item": Row(ANYBODY, {"body": {"n": 1}}, missing=200),
    "remove_item": Row(ANYBODY, missing=204),
    "mobile": (
        Row(ANYBODY, _envelope("list"), shows=_own_item),
        Row(ANYBODY, _envelope("read"), names=WITH_ITEM, missing=200, shows=_own_item),
        Row(ANYBODY, _envelope("update", UPDATE), names=WITH_ITEM, missing=200),
        Row(ANYBODY, _envelope("delete"), names=WITH_ITEM, missing=200),
        Row(ANYBODY, _create, names=WITH_ITEM, missing=200, besides=_creating),
    ),
}  # fmt: skip


def rows_of(operation: str) -> tuple[Row, ...]:
    """Return the rows of an operation."""
    found = ROWS[operation]
    return found if isinstance(found, tuple) else (found,)
