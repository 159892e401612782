"""What each call of the API reads and writes in DynamoDB: measured, and written to ``backend/COSTS.md``.

``python -m tests.integration.backend.costs`` writes it; a test fails while it is stale.
"""

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path

import backend
from tests.integration.backend.matrix.cells import FIXED, Operation, operations
from tests.integration.backend.matrix.rows import rows_of
from tests.integration.backend.matrix.scene import Scene, make_scene
from tests.integration.backend.metered import Meter, Use, metered_world
from tests.integration.backend.world import Reply, World
from tests.unit.backend.examples import NOW_MS, document

DOCUMENT = Path(backend.__path__[0]) / "COSTS.md"
READ_USD, WRITE_USD = 0.125, 0.625
"""A million request units on demand in us-east-1. (AWS: Amazon DynamoDB pricing, since November 2024)."""
HEAD = """# What a call costs

Measured, not estimated: every row is one call on the local cloud's DynamoDB, which counts by the developer guide
("DynamoDB read and write operations"): a read unit for each begun 4 KB, half of it where the read may be a moment
behind; a write unit for each begun KB, for the table and for each index it moves, twice in a transaction. The caller
is the owner, the function is warm, lists find one or a few items. Dollars are for a million calls, on demand, in
us-east-1, for DynamoDB alone. A list costs what it returns, not what the table holds, and no route scans: tests hold
both.

What a transaction only checks is not counted: that the caller's account was not deleted, one check in each that makes
something new.

An `Idempotency-Key` adds {key_writes} write units to a POST.

`python -m tests.integration.backend.costs` writes this file; a test fails while it is stale.

| call | reads | writes | $ a million |
|---|---:|---:|---:|
"""
DEVICES_HEAD = """
Messages of devices, of which the first is most of the bill:

| message | reads | writes | $ a million |
|---|---:|---:|---:|
"""


def ask(scene: Scene, operation: Operation, more: Mapping[str, str] | None = None, **headers: str) -> Reply:
    """Ask a route as the owner, of what is theirs, as its row in the matrix has it; ``more`` are other values.

    What is not for owners is asked as an admin.
    """
    row = rows_of(operation.name)[0]
    person = scene.own.owner if "owner" in row.may else scene.people["admin"]
    values = {name: scene.value(name, "own", "owner") for name in operation.names(row)}
    values |= {"secret": scene.world.secrets[scene.own.thing], **(more or {})}
    path = operation.path.format(**{**values, **FIXED})
    body = row.body(values) if callable(row.body) else row.body
    query = row.query.format(**values)
    return person(operation.method, f"{path}?{query}" if query else path, body, **headers)


def _a_device_to_claim(scene: Scene) -> Mapping[str, str]:
    thing = scene.world.device()
    return {"label": thing, "secret": scene.world.secrets[thing]}


def _a_device_without_a_room(scene: Scene) -> Mapping[str, str]:
    return {"thing": scene.world.device(scene.own.owner)}


PREPARED: Mapping[str, Callable[[Scene], Mapping[str, str]]] = {
    "claim": _a_device_to_claim,
    "place_device": _a_device_without_a_room,
}
"""What must be there first, for a call to have something to do."""


def measured(scene: Scene, meter: Meter) -> Iterator[tuple[Operation, Use]]:
    """Yield what each route takes, each asked of the same tables."""
    rows = meter.run(meter.rows())
    for operation in sorted(operations().values(), key=lambda each: (each.path, each.method)):
        more = PREPARED.get(operation.name, lambda _scene: {})(scene)
        use, reply = meter.measure(partial(ask, scene, operation, more))
        assert reply.status == operation.done, reply
        meter.run(meter.restore(rows))
        yield operation, use


def messages(world: World, thing: str) -> dict[str, Callable[[], object]]:
    """Return what devices send."""
    return {
        "telemetry, a bucket of 10 readings": lambda: world.send(thing, _bucket()),
        "telemetry, the same again": lambda: world.send(thing, _bucket()),
        "urgent, a reading": lambda: world.urgent(thing, document()),
        "lifecycle, connected": lambda: world.connect(thing),
        "lifecycle, subscribed, nothing held": lambda: world.subscribe(thing),
    }


def _bucket() -> dict[str, object]:
    values = [round(20 + number / 10, 1) for number in range(10)]
    times = [1_000 * number for number in range(10)]
    return document(seq=50, t0=NOW_MS - 20_000, dt=times, m={"temperature_c": values, "battery_v": [3.7] * 10})


def table() -> str:
    """Return the document, measured anew."""
    with metered_world() as (world, meter):
        scene = make_scene(world)
        plain = dict(measured(scene, meter))
        room = next(each for each in plain if each.name == "add_room")
        keyed, _ = meter.measure(partial(ask, scene, room, idempotency_key="k"))
        lines = [_line(f"`{each.method} {each.path}`", use) for each, use in plain.items()]
        thing = world.device(scene.own.owner)
        world.send(thing, document())  # so that the function knows the device
        told = [_line(name, meter.measure(send)[0]) for name, send in messages(world, thing).items()]
    head = HEAD.format(key_writes=_number(keyed.writes - plain[room].writes))
    return head + "".join(lines) + DEVICES_HEAD + "".join(told)


def _line(name: str, use: Use) -> str:
    usd = use.reads * READ_USD + use.writes * WRITE_USD
    return f"| {name} | {_number(use.reads)} | {_number(use.writes)} | {usd:.2f} |\n"


def _number(value: float) -> str:
    return f"{value:g}"


if __name__ == "__main__":
    DOCUMENT.write_text(table(), "utf-8")
