"""Anything may be sent: every answer is one of the documented, and none says that something is wrong on our side."""

import json
import random
import re
from typing import Any

import pytest

from backend.openapi import build
from tests.integration.backend.world import Person, World

SEED = 20_260_301
TEXTS = ["", "a", "ä😀", "0", "-1", "null", "x" * 300, "a#b", "\u0000", "2026-01-01T00:00:00Z", "user#x", "%2F", "t-1"]
SCALARS: list[Any] = [None, True, False, 0, -1, 1, 2**63, 10**30, 1.5, -0.0, 1e308, *TEXTS]


def anything(dice: random.Random, depth: int = 0) -> Any:
    """Return any JSON value."""
    kind = dice.random()
    if depth > 3 or kind < 0.6:
        return dice.choice(SCALARS)
    if kind < 0.8:
        return [anything(dice, depth + 1) for _ in range(dice.randrange(4))]
    return {dice.choice(TEXTS): anything(dice, depth + 1) for _ in range(dice.randrange(4))}


def like(dice: random.Random, schema: dict[str, Any], document: dict[str, Any]) -> Any:  # noqa: C901, PLR0911 - one case a kind of schema
    """Return a value of a schema, or now and then something else in its place."""
    if dice.random() < 0.15:
        return anything(dice)
    if "$ref" in schema:
        return like(dice, document["components"]["schemas"][schema["$ref"].rpartition("/")[2]], document)
    if "enum" in schema:
        return dice.choice(schema["enum"])
    kind = schema.get("type")
    if kind == "object" and "properties" in schema:
        wanted = [name for name in schema["properties"] if name in schema.get("required", ()) or dice.random() < 0.6]
        return {name: like(dice, schema["properties"][name], document) for name in wanted}
    if kind == "object":
        return {
            dice.choice(["a", "id", "temperature_c", "interval_s"]): anything(dice) for _ in range(dice.randrange(3))
        }
    if kind == "integer":
        return dice.randint(schema.get("minimum", 0), min(schema.get("maximum", 1000), 10**6))
    if kind == "boolean":
        return dice.random() < 0.5
    if kind == "string":
        return dice.choice(["notes", "identify", "ann@example.com", "name", "create", *TEXTS])
    return anything(dice)


def call(dice: random.Random, person: Person, names: dict[str, list[str]], document: dict[str, Any]) -> None:
    """Send one request to a route drawn by lot, and judge the answer by the document."""
    path, methods = dice.choice(list(document["paths"].items()))
    method, operation = dice.choice(list(methods.items()))
    if operation["operationId"] == "delete_me":
        return
    filled = re.sub(r"\{(\w+)\}", lambda name: dice.choice([*names.get(name[1], []), "absent"]), path)
    query = {
        each["name"]: str(like(dice, each["schema"], document))
        for each in operation["parameters"]
        if each["in"] == "query" and dice.random() < 0.4
    }
    asked = "&".join(f"{name}={value}" for name, value in query.items() if not set(value) & {"&", "?"})
    headers = {}
    if dice.random() < 0.3:
        headers["if-match"] = dice.choice(['"1"', '"0"', "*", "x", '"' + "9" * 30 + '"', *TEXTS])
    if dice.random() < 0.3:
        headers["idempotency-key"] = dice.choice(TEXTS)
    body = None
    if "requestBody" in operation:
        body = like(dice, operation["requestBody"]["content"]["application/json"]["schema"], document)
        body = dice.choice(["", "{", "[" * 5000]) if dice.random() < 0.05 else json.dumps(body)
    reply = person(method.upper(), f"{filled}?{asked}" if asked else filled, body, **headers)
    told = (method, filled, asked, headers, body, reply)
    assert reply.status < 500, told
    assert str(reply.status) in operation["responses"], told
    if reply.status >= 400:
        assert set(reply.json) >= {"type", "title", "status", "detail", "instance"}, told


@pytest.mark.parametrize("count", [150, pytest.param(20_000, marks=[pytest.mark.long, pytest.mark.timeout(7200)])])
def test_every_answer_is_one_of_the_documented(world: World, count: int) -> None:
    dice = random.Random(SEED)
    ann, bob = world.person("ann"), world.person("bob")
    things = [world.device(ann), world.device(bob), world.device()]
    rooms = [person("POST", "/v1/rooms", {"name": "Hall"}).json["id"] for person in (ann, bob)]
    names = {"thing": things, "room": rooms, "user": [ann.user, bob.user], "table": ["notes"], "item": ["a", "b"]}
    document = build()
    for _ in range(count):
        call(dice, dice.choice([ann, bob]), names, document)
