"""The cells of the matrix: who asks what of whose, and whether the answer gives anything away."""

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from backend.openapi import build
from tests.integration.backend import snapshot
from tests.integration.backend.matrix.rows import ROWS, STATES, Row, is_hidden, rows_of
from tests.integration.backend.matrix.scene import ABSENT, ROLES, Scene
from tests.integration.backend.world import Reply

FIXED = {"table": "notes"}
"""Names in paths that are nobody's."""


@dataclass(frozen=True)
class Operation:
    """A route, as the OpenAPI document has it."""

    name: str
    method: str
    path: str
    done: int

    def names(self, row: Row) -> tuple[str, ...]:
        """Return what is asked about: the names in the path, and those of the row."""
        return (*(name for name in re.findall(r"\{(\w+)\}", self.path) if name not in FIXED), *row.names)


@dataclass(frozen=True)
class Cell:
    """One person asks one thing of one route."""

    operation: Operation
    row: Row
    role: str
    states: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.operation.name} by {self.role} of {'/'.join(self.states) or 'nothing'}"


@dataclass(frozen=True)
class Report:
    """What came of it."""

    cells: int
    leaks: list[str]


def operations(document: Mapping[str, Any] | None = None) -> dict[str, Operation]:
    """Return every route of the document, by the name of its operation."""
    return {
        operation["operationId"]: Operation(
            operation["operationId"],
            method.upper(),
            path,
            int(next(status for status in operation["responses"] if status.startswith("2"))),
        )
        for path, methods in (document or build())["paths"].items()
        for method, operation in methods.items()
    }


def without_row(document: Mapping[str, Any] | None = None) -> set[str]:
    """Return the routes that nobody has said about who may; and rows of routes that are gone."""
    return set(operations(document)) ^ set(ROWS)


def cells(of: Iterable[str] | None = None) -> Iterator[Cell]:
    """Yield every cell: row by row, everybody but nobody, on one's own, another's and nothing, in every mixture."""
    known = operations()
    for name in of or ROWS:
        for row in rows_of(name):
            for states in product(STATES, repeat=len(known[name].names(row))):
                for role in ROLES:
                    yield Cell(known[name], row, role, states)


def judge(scene: Scene, of: Iterable[str] | None = None) -> Report:
    """Ask every cell, each of the same scene as all others, and return what was given away."""
    leaks, count = [], 0
    for cell in cells(of):
        count += 1
        leaks += [f"{cell}: {leak}" for leak in _leaks(scene, cell)]
    return Report(count, leaks)


def _leaks(scene: Scene, cell: Cell) -> Iterator[str]:
    names = cell.operation.names(cell.row)
    before, outside = snapshot.rows(), snapshot.outside(scene.world)
    reply = _ask(scene, cell, names, cell.states)
    wanted = cell.row.expected(names, cell.role, cell.states) or cell.operation.done
    if reply.status != wanted:
        yield f"answers {reply.status}, not {wanted}: {reply.text[:200]}"
    if reply.status >= 400 and not _is_problem(reply):
        yield f"is refused by what is no problem document: {reply}"
    yield from _changes(scene, cell, reply, before, outside)
    hidden = tuple(
        "absent" if is_hidden(name, cell.role, state) else state for name, state in zip(names, cell.states, strict=True)
    )
    if hidden != cell.states and not cell.row.besides(cell.role, cell.states):
        twin = _ask(scene, cell, names, hidden)
        scene.start.restore()
        if _told(scene, reply) != _told(scene, twin):
            yield f"is not told the same as of nothing: {_told(scene, reply)} but {_told(scene, twin)}"
    yield from _shown(scene, cell, reply, wanted, names)


def _is_problem(reply: Reply) -> bool:
    """Say whether it is one by RFC 9457."""
    wanted = {"type", "title", "status", "detail", "instance"}
    typed = reply.headers.get("content-type") == "application/problem+json"
    return typed and wanted <= set(reply.json) and reply.json["status"] == reply.status


def _shown(scene: Scene, cell: Cell, reply: Reply, wanted: int, names: tuple[str, ...]) -> Iterator[str]:
    asked = {scene.value(name, state, cell.role) for name, state in zip(names, cell.states, strict=True)}
    yield from (f"shows {secret}" for secret in scene.hidden_from(cell.role) - asked if secret in reply.text)
    done = cell.role in cell.row.shown_to and wanted == cell.operation.done and set(cell.states) <= {"own"}
    if cell.row.shows and done and cell.row.shows(scene, cell.role) not in reply.text:
        yield f"does not show what it should: {reply.text[:300]}"


def _changes(scene: Scene, cell: Cell, reply: Reply, before: snapshot.Rows, outside: Any) -> Iterator[str]:
    """Yield what an answer left behind that it should not, and put everything back as it was."""
    after = snapshot.rows()
    moved = {key for key in {*before, *after} if before.get(key) != after.get(key)}
    refused = reply.status >= 400
    if refused and not cell.row.counts and (moved or snapshot.outside(scene.world) != outside):
        yield f"is refused, and changes {sorted(moved) or 'the world'}"
    guarded = scene.hidden_from(cell.role)
    for key in moved:
        text = f"{key} {before.get(key)} {after.get(key)}"
        if key[0] != "audit" and not cell.row.counts and any(secret in text for secret in guarded):
            yield f"changes what is hidden: {text}"
    if moved or snapshot.outside(scene.world) != outside:
        scene.start.restore()


def _ask(scene: Scene, cell: Cell, names: tuple[str, ...], states: tuple[str, ...]) -> Reply:
    values = {name: scene.value(name, state, cell.role) for name, state in zip(names, states, strict=True)}
    if "label" in values:
        values["secret"] = scene.world.secrets[scene.own.thing] if states == ("own",) else "not-the-right-secret"
    body = cell.row.body(values) if callable(cell.row.body) else cell.row.body
    path = re.sub(r"\{(\w+)\}", lambda name: {**FIXED, **values}[name[1]], cell.operation.path)
    query = cell.row.query.format(**values)
    return scene.people[cell.role](cell.operation.method, f"{path}?{query}" if query else path, body)


def _told(scene: Scene, reply: Reply) -> tuple[int, dict[str, str], str]:
    """Return what can be told from an answer, but for what the caller wrote and gets back."""
    text = reply.text
    for echoed in (ABSENT, scene.other.thing, "item-of-neighbour"):
        text = text.replace(echoed, "*")
    return reply.status, dict(reply.headers), text
