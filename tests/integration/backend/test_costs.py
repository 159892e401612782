"""Costs: the table is what is measured, no route scans, and a list costs what it returns."""

from collections.abc import Iterator, Mapping
from copy import deepcopy
from functools import partial
from typing import Any

import pytest

from tests.integration.backend import costs
from tests.integration.backend.matrix.cells import FIXED, operations
from tests.integration.backend.matrix.cursors import lists
from tests.integration.backend.matrix.rows import rows_of
from tests.integration.backend.matrix.scene import Scene, make_scene
from tests.integration.backend.metered import Meter, Rows, metered_world

FEW, MANY = 10, 1_000
LIMIT = 5
ALL_OF_IT = {"export": "all that is stored about me is what it is asked for"}


@pytest.fixture
def metered() -> Iterator[tuple[Scene, Meter]]:
    with metered_world() as (world, meter):
        scene = make_scene(world)
        yield scene, meter


@pytest.mark.timeout(600)
def test_the_table_of_costs_is_what_is_measured() -> None:
    assert costs.DOCUMENT.read_text("utf-8") == costs.table(), "stale: python -m tests.integration.backend.costs"


def test_the_table_has_every_route() -> None:
    written = costs.DOCUMENT.read_text("utf-8")
    for operation in operations().values():
        assert f"| `{operation.method} {operation.path}` |" in written


def _number(text: str, number: int) -> str:
    """Return another text that sorts behind the first one; a bucket of readings goes half a minute back in time."""
    at, hash_sign, rest = text.partition("#")
    if hash_sign and at.isdigit():
        return f"{int(at) - 30_000 * (number + 1):0{len(at)}d}#{rest}"
    return f"{text}-{number:04d}"


def _named(rows: Rows, table: str, **parts: str) -> dict[str, Any]:
    """Return one row of a table whose attributes begin as given."""
    found = (item for (name, _), item in rows.items() if name.endswith(f"-{table}"))
    return next(item for item in found if all(item.get(k, {}).get("S", "").startswith(v) for k, v in parts.items()))


def _clone(item: Mapping[str, Any], number: int, *names: str) -> dict[str, Any]:
    copy = deepcopy(dict(item))
    for name in names:
        copy[name]["S"] = _number(copy[name]["S"], number)
    return copy


def stuffed(scene: Scene, rows: Rows, count: int) -> Rows:
    """Return so many rows more of everything that the owner may list."""
    thing, room, owner = scene.own.thing, scene.own.room, f"user#{scene.own.owner.user}"
    offer = _named(rows, "memberships", subject=f"invitation#{scene.offers['owner']}", member="offer#")
    address = _named(rows, "memberships", subject=f"invitation#{scene.offers['owner']}", member="email#")
    item = _named(rows, "items", owner=f"{scene.own.owner.user}#notes", item="i#")
    templates: list[tuple[str, dict[str, Any], tuple[str, ...]]] = [
        ("devices", _named(rows, "devices", thing=thing), ("thing",)),
        ("memberships", _named(rows, "memberships", subject=f"device#{thing}", member=owner), ("subject",)),
        ("memberships", _named(rows, "memberships", subject=f"room#{room}", member=owner), ("subject",)),
        ("memberships", _named(rows, "memberships", subject=f"room#{room}", member="#room"), ("subject",)),
        ("memberships", offer, ("subject",)),
        ("memberships", address, ("subject",)),
        ("commands", _named(rows, "commands", thing=thing), ("id",)),
        ("audit", _named(rows, "audit", subject=f"device#{thing}"), ("id",)),
        ("readings", _named(rows, "readings", thing=thing), ("bucket",)),
        ("quarantine", _named(rows, "quarantine", thing=thing), ("document",)),
        ("items", item, ("item",)),
    ]
    tables = {name.rpartition("-")[2]: name for name, _ in rows}
    tables["search"] = tables["devices"].removesuffix("devices") + "search"
    site = {"term": {"S": "attribute#site=matrix"}, "thing": {"S": thing}}
    templates[0][1]["attributes"] = {"S": '{"site": "matrix"}'}
    templates.append(("search", site, ("thing",)))
    made: Rows = {}
    for table, template, names in templates:
        for number in range(count):
            copy = _clone(template, number, *names)
            if table == "items":
                copy["change"] = {"N": str(1_000 + number)}
            made[tables[table], f"{table} {names} {template} {number}"] = copy
    return made


def _lists(scene: Scene, meter: Meter) -> dict[str, float]:
    """Return what a page of every list reads; every page must be full."""
    found = {}
    for each in lists():
        names = {**FIXED, "thing": scene.own.thing, "room": scene.own.room}
        query = rows_of(each.operation.name)[0].query.format(**names)
        path = f"{each.operation.path.format(**names)}?limit={LIMIT}&{query}".rstrip("&")
        use, reply = meter.measure(partial(scene.people[each.reader(scene)], "GET", path))
        assert len(reply.json["items"]) == LIMIT or each.operation.name in BOUNDED, each.operation.name
        found[each.operation.name] = use.reads
    return found


BOUNDED = {"device_members", "room_members", "invitations"}
"""There are at most 20 of these: they cannot grow."""


def _reads(scene: Scene, meter: Meter) -> dict[str, float]:
    """Return what every GET reads that is not a list of all that there is."""
    others = {each.operation.name for each in lists()} | set(ALL_OF_IT)
    asked = [each for each in operations().values() if each.method == "GET" and each.name not in others]
    return {each.name: meter.measure(partial(costs.ask, scene, each))[0].reads for each in asked}


def test_every_route_reads_by_key_or_index_and_none_scans(metered: tuple[Scene, Meter]) -> None:
    scene, meter = metered
    for operation, use in costs.measured(scene, meter):
        assert "Scan" not in use.operations, operation


@pytest.mark.timeout(600)
def test_a_call_costs_what_it_returns_and_not_what_the_tables_hold(metered: tuple[Scene, Meter]) -> None:
    scene, meter = metered
    rows = meter.run(meter.rows())
    found = []
    for count in (FEW, MANY):
        meter.run(meter.put(stuffed(scene, rows, count)))
        found.append((_lists(scene, meter), _reads(scene, meter)))
    assert len(meter.run(meter.rows())) > 11 * MANY
    assert found[0] == found[1]
