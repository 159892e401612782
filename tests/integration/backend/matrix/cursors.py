"""The cells of cursors: each list's, shown by everybody who may read it, and to other lists than its own."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass

from backend.openapi import build
from tests.integration.backend.matrix.cells import FIXED, Operation, operations
from tests.integration.backend.matrix.rows import rows_of
from tests.integration.backend.matrix.scene import ROLES, Scene
from tests.integration.backend.world import Person, Reply
from tests.unit.backend.examples import NOW_MS, document

SITE = "matrix"
"""As the row of the fleet's search asks for."""


@dataclass(frozen=True)
class List:
    """A list that comes in pages, filled so that there are two."""

    operation: Operation

    def ask(self, person: Person, scene: Scene, cursor: str | None, *, thing: str | None = None) -> Reply:
        names = {**FIXED, "thing": thing or scene.own.thing, "room": scene.own.room}
        asked = ["limit=1", rows_of(self.operation.name)[0].query.format(**names), f"cursor={cursor}" if cursor else ""]
        return person("GET", f"{self.operation.path.format(**names)}?{'&'.join(filter(None, asked))}")

    @property
    def is_of_the_fleet(self) -> bool:
        return self.operation.path.startswith("/v1/fleet/")

    def reader(self, scene: Scene) -> str:
        """Return whose cursor it is."""
        return "admin" if self.is_of_the_fleet else "owner"

    def ask_for_reader(self, scene: Scene, cursor: str | None, *, thing: str | None = None) -> Reply:
        return self.ask(scene.people[self.reader(scene)], scene, cursor, thing=thing)


def lists() -> list[List]:
    """Return every list of the document: whatever takes a cursor and a limit; the export goes on by a cursor alone."""
    parameters = {
        operation["operationId"]: {each["name"] for each in operation["parameters"]}
        for methods in build()["paths"].values()
        for operation in methods.values()
    }
    return [List(operation) for name, operation in operations().items() if {"cursor", "limit"} <= parameters[name]]


def fill(scene: Scene) -> str:
    """Make at least two of everything the owner may list; return a second device of theirs, with its own two."""
    owner, world = scene.own.owner, scene.world
    for number in range(3):
        assert owner("POST", "/v1/rooms", {"name": f"room {number}"}).status == 201
        for person in scene.people.values():
            assert person("PUT", f"/v1/items/notes/more-{number}", {"body": {}}).status == 200
    second, third = world.device(owner), world.device(scene.other.owner)
    email = world.people.users[owner.user]["email"]
    assert (
        scene.other.owner("POST", "/v1/invitations", {"thing": third, "role": "viewer", "email": email}).status == 201
    )
    assert owner("PUT", f"/v1/rooms/{scene.own.room}/devices/{second}").status == 204
    for thing in (scene.own.thing, second):
        for number in range(3):
            assert owner("POST", f"/v1/devices/{thing}/commands", {"command": "identify"}).status == 202
            changes = {"name": f"name {number}", "attributes": {"site": SITE}}
            assert owner("PATCH", f"/v1/devices/{thing}", changes).status == 200
            assert owner("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).status == 201
            t0 = NOW_MS - 60_000 * (number + 1)
            assert world.send(thing, document(seq=100 + number, t0=t0))
            assert not world.send(thing, document(seq=200 + number, v=number + 2))
    return second


def judge(scene: Scene) -> tuple[int, list[str]]:
    """Return how many cells there are, and which cursors are taken where they should not be."""
    second = fill(scene)
    wrong, count = [], 0
    own = {each: each.ask_for_reader(scene, None).json["next_cursor"] for each in lists()}
    for each, cursor in own.items():
        name = each.operation.name
        if cursor is None:
            wrong.append(f"{name} has no second page: fill it in matrix/cursors.py")
            continue
        asked = [
            ("its own", 200, each.ask_for_reader(scene, cursor)),
            *((f"{role}", 400, each.ask(scene.people[role], scene, cursor)) for role in _others(each, scene)),
            *((f"{other.operation.name}", 400, other.ask_for_reader(scene, cursor)) for other in own if other != each),
            *((f"tampered {how}", 400, each.ask_for_reader(scene, text)) for how, text in _tampered(cursor)),
        ]
        if "{thing}" in each.operation.path + rows_of(name)[0].query:
            asked.append(("another device", 400, each.ask_for_reader(scene, cursor, thing=second)))
        count += len(asked)
        wrong += [f"{name}: cursor for {who}: {reply.status}" for who, status, reply in asked if reply.status != status]
    scene.start.restore()
    return count, wrong


def _others(each: List, scene: Scene) -> Iterator[str]:
    """Yield who may read the list, and is not the one the cursor was given to."""
    for role in ROLES:
        if role != each.reader(scene) and each.ask(scene.people[role], scene, None).status == 200:
            yield role


def _tampered(cursor: str) -> Iterator[tuple[str, str]]:
    yield "by a letter", ("B" if cursor[0] == "A" else "A") + cursor[1:]
    yield "at its end", cursor[:-4]
    yield "by nonsense", "nonsense"
    yield "by what is no text", "%F0%9F%98%80"
    binding, position = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    for how, moved in (("in its position", "somewhere else"), ("by a number", 7), ("by nothing", None)):
        if moved != position:
            text = json.dumps([binding, moved], separators=(",", ":")).encode()
            yield how, base64.urlsafe_b64encode(text).decode().rstrip("=")
    for how, value in (("by an object", {}), ("by one part", [binding]), ("by none", [])):
        yield how, base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
