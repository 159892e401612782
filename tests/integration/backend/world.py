"""The whole backend in this process, DynamoDB in moto; AWS IoT and Cognito are fakes."""

import inspect
import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

import pytest

from backend import bootstrap
from backend.errors import ConflictError, NotFoundError, invalid
from backend.handlers import (
    accounts,
    answers,
    control,
    devices,
    items,
    mobile,
    presence,
    registry,
    sharing,
    telemetry,
    urgent,
)
from backend.runtime.http import Routes
from tests.integration.backend.tables import cloud_tables
from tests.unit.backend.fakes import NOW, ManualClock

ALL_ROUTES: Mapping[str, Routes] = {
    name: module.routes
    for name, module in {
        "devices": devices, "sharing": sharing, "accounts": accounts, "control": control, "items": items,
    }.items()
}  # fmt: skip


class FakeIot:
    """AWS IoT: what was published, who was cut, what is in the shadows."""

    def __init__(self) -> None:
        self.published: list[tuple[str, dict[str, Any]]] = []
        self.inactive: list[str] = []
        self.cut: list[str] = []
        self.shadows: dict[tuple[str, str | None], dict[str, Any]] = {}

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        self.published.append((topic, json.loads(json.dumps(payload))))

    def deactivate(self, thing: str) -> None:
        self.inactive.append(thing)

    def disconnect(self, thing: str) -> None:
        self.cut.append(thing)

    def forget(self, thing: str) -> None:
        for key in [key for key in self.shadows if key[0] == thing]:
            del self.shadows[key]

    def shadow(self, thing: str, name: str | None) -> dict[str, Any]:
        return self.shadows.get((thing, name), {"state": {}, "version": 0})

    def desire(self, thing: str, name: str | None, desired: Mapping[str, Any], version: int | None) -> dict[str, Any]:
        found = self.shadow(thing, name)
        if version is not None and version != found["version"]:
            raise ConflictError("The shadow is at another version.")
        merged = {**found["state"].get("desired", {}), **desired}
        kept = {key: value for key, value in merged.items() if value is not None}
        self.shadows[thing, name] = {"state": {**found["state"], "desired": kept}, "version": found["version"] + 1}
        return self.shadows[thing, name]


class FakePeople:
    """The user pool."""

    def __init__(self) -> None:
        self.users: dict[str, dict[str, str]] = {}

    def attributes(self, user: str) -> Mapping[str, str]:
        if user not in self.users:
            raise NotFoundError("no such user")
        return self.users[user]

    def remove(self, user: str) -> None:
        self.users.pop(user, None)


class FakeIdentities:
    """The identity pool."""

    def __init__(self) -> None:
        self.tied: dict[str, str] = {}

    def tie(self, user: str, id_token: str) -> str:
        if id_token != f"id-token-of-{user}":
            raise invalid("id_token", "is not accepted")
        self.tied[user] = f"us-east-1:{user}"
        return self.tied[user]

    def untie(self, user: str, identity_id: str | None) -> None:
        self.tied.pop(user, None)


@dataclass
class Reply:
    status: int
    headers: Mapping[str, str]
    text: str

    @cached_property
    def json(self) -> Any:
        return json.loads(self.text)


@dataclass
class Person:
    """A signed-in user and their phone."""

    world: "World"
    user: str
    groups: str = ""

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call the API: ``ann("GET", "/v1/devices?limit=1")``."""
        path, _, query = path.partition("?")
        for routes in ALL_ROUTES.values():
            for key in sorted(routes.by_key, key=lambda key: key.count("{")):
                wanted_method, _, pattern = key.partition(" ")
                found = re.fullmatch(re.sub(r"\{(\w+)\}", r"(?P<\1>[^/]+)", pattern), path)
                if found and wanted_method == method:
                    return self._send(routes, key, found.groupdict(), path, query, body, headers)
        raise AssertionError(f"no route for {method} {path}")

    def _send(
        self, routes: Routes, key: str, names: dict[str, str], path: str, query: str, body: Any, headers: dict[str, str]
    ) -> Reply:
        claims = {"sub": self.user, "token_use": "access", "cognito:groups": self.groups}
        event = {
            "routeKey": key,
            "rawPath": path,
            "rawQueryString": query,
            "pathParameters": names,
            "queryStringParameters": dict(pair.split("=", 1) for pair in query.split("&")) if query else None,
            "headers": {name.replace("_", "-"): value for name, value in headers.items()},
            "body": None if body is None else body if isinstance(body, str) else json.dumps(body),
            "requestContext": {
                "requestId": "r",
                "http": {"sourceIp": "192.0.2.1"},
                "authorizer": {"jwt": {"claims": claims}},
            },
        }
        answer = routes.serve(event)
        return Reply(answer["statusCode"], answer["headers"], answer["body"])


@dataclass
class World:
    """The backend, and those who use it."""

    clock: ManualClock
    iot: FakeIot = field(default_factory=FakeIot)
    people: FakePeople = field(default_factory=FakePeople)
    identities: FakeIdentities = field(default_factory=FakeIdentities)
    secrets: dict[str, str] = field(default_factory=dict)
    versions: dict[str, int] = field(default_factory=dict)

    def person(self, name: str, *, groups: str = "") -> Person:
        user = str(uuid.uuid5(uuid.NAMESPACE_DNS, f"{name}-{uuid.uuid4()}"))
        self.people.users[user] = {"sub": user, "email": f"{name}@example.com", "name": name}
        person = Person(self, user, groups)
        assert person("GET", "/v1/me").status == 200
        return person

    def device(self, owner: Person | None = None) -> str:
        thing = f"t-{uuid.uuid4().hex[:12]}"
        (made,) = registry.handler(
            {"operation": "register", "devices": [{"thing": thing, "type": "thermostat"}]}, None
        )["devices"]
        self.secrets[thing] = made["claim_secret"]
        if owner is not None:
            assert self.claim(owner, thing).status == 200
        return thing

    def claim(self, person: Person, thing: str) -> Reply:
        return person("POST", "/v1/devices/claim", {"thing": thing, "secret": self.secrets[thing]})

    def connect(self, client: str, *, connected: bool = True) -> None:
        self.versions[client] = self.versions.get(client, 0) + connected
        event = {
            "clientId": client,
            "eventType": "connected" if connected else "disconnected",
            "sessionIdentifier": f"s{self.versions[client]}",
            "versionNumber": self.versions[client],
            "timestamp": int(self.clock.now().timestamp() * 1000),
        }
        presence.handler(event, None)

    def subscribe(self, thing: str) -> None:
        event = {
            "clientId": thing,
            "eventType": "subscribed",
            "timestamp": int(self.clock.now().timestamp() * 1000),
            "topics": [f"cmd/dev/{thing}/+/req"],
        }
        presence.handler(event, None)

    def lifecycle(self, event: Mapping[str, Any]) -> None:
        """Have the backend told of something that happened to a client."""
        presence.handler(dict(event), None)

    def answer(self, thing: str, document: Any) -> bool:
        return answers.handler(self.rule_event(thing, json.dumps(document).encode()), None)["taken"]

    def send(self, thing: str, document: Any) -> bool:
        return telemetry.handler(self.rule_event(thing, json.dumps(document).encode()), None)["stored"]

    def urgent(self, thing: str, document: Any) -> bool:
        return urgent.handler(self.rule_event(thing, json.dumps(document).encode()), None)["admitted"]

    def rule_event(self, thing: str, body: bytes) -> dict[str, Any]:
        import base64

        received_ms = int(self.clock.now().timestamp() * 1000)
        return {
            "thing": thing,
            "principal": "certificate",
            "received_ms": received_ms,
            "body": base64.b64encode(body).decode(),
        }

    def invoke(self, identity_id: str | None, envelope: Any, client_context: Any = None) -> Any:
        identity = SimpleNamespace(cognito_identity_id=identity_id, cognito_identity_pool_id="pool")
        return mobile.handler(envelope, SimpleNamespace(identity=identity, client_context=client_context))


@contextmanager
def backend_world(patch: pytest.MonkeyPatch) -> Iterator[World]:
    """Compose the backend anew, on tables of its own."""
    with cloud_tables() as names:
        for name, physical in names.items():
            patch.setitem(os.environ, f"{name.upper()}_TABLE", physical)
        patch.setitem(os.environ, "STAGE", "dev")
        composed = [*inspect.getmembers(bootstrap), *inspect.getmembers(bootstrap.parts)]
        made = [each for _, each in composed if hasattr(each, "cache_clear")]
        for each in made:
            each.cache_clear()
        world = World(clock=ManualClock(NOW))
        for room in (bootstrap, bootstrap.parts):
            patch.setattr(room, "clock", lambda: world.clock)
        patch.setattr(bootstrap.parts, "iot", lambda: world.iot)
        patch.setattr("backend.adapters.cognito.CognitoPeople", lambda *_a, **_k: world.people)
        patch.setattr("backend.adapters.cognito.CognitoIdentities", lambda *_a, **_k: world.identities)
        for routes in ALL_ROUTES.values():
            patch.setattr(routes, "_clock", lambda: world.clock)
        yield world
        for each in made:
            each.cache_clear()
