"""The API as it is told to those who write phones: never stale, tied to the template, never broken unawares."""

import json
from copy import deepcopy
from typing import Any

import pytest

from backend.openapi import DOCUMENT, RELEASED, all_routes, build, dump
from backend.openapi_changes import breaking_changes, unannounced
from tests.integration.backend.tables import load_template


def test_the_committed_document_is_what_the_code_says() -> None:
    assert DOCUMENT.read_text("utf-8") == dump(), "stale: python -m backend.openapi"


def test_the_template_opens_every_route_of_the_code_to_its_function_and_no_other() -> None:
    resources = load_template()["Resources"]
    opened = {
        f"{event['Properties']['Method']} {event['Properties']['Path']}": resource["Properties"]["Handler"]
        for resource in resources.values()
        if resource["Type"] == "AWS::Serverless::Function"
        for event in resource["Properties"].get("Events", {}).values()
    }
    served = {key: f"backend.handlers.{name}.handler" for name, routes in all_routes().items() for key in routes.by_key}
    assert opened == served


def test_every_operation_has_a_name_of_its_own_and_says_what_it_does() -> None:
    operations = [operation for methods in build()["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(operations)
    assert all(operation["summary"] for operation in operations)


def _schema(document: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = document["components"]["schemas"][name]
    return found


def _operation(document: dict[str, Any], path: str, method: str) -> dict[str, Any]:
    found: dict[str, Any] = document["paths"][path][method]
    return found


BREAKING: dict[str, Any] = {
    "GET /v1/devices is gone": lambda d: d["paths"]["/v1/devices"].pop("get"),
    "GET /v1/me/export is gone": lambda d: d["paths"].pop("/v1/me/export"),
    "GET /v1/devices/{thing} answer.name is gone": lambda d: _schema(d, "Device")["properties"].pop("name"),
    "GET /v1/devices/{thing} answer.version is of another type": lambda d: _schema(d, "Device")["properties"].update(
        version={"type": "string"}
    ),
    "GET /v1/devices/{thing} answer.name is of another type": lambda d: _schema(d, "Device")["properties"].update(
        name={"type": ["string", "null"]}
    ),
    "GET /v1/devices/{thing} answer.role may now be guest": lambda d: _schema(d, "Device")["properties"]["role"][
        "enum"
    ].append("guest"),
    "GET /v1/devices/{thing} answer.role may now be any text": lambda d: _schema(d, "Device")["properties"]["role"].pop(
        "enum"
    ),
    "POST /v1/devices/claim body.colour is wanted": lambda d: (
        _schema(d, "Claim")["properties"].update(colour={"type": "string"}),
        _schema(d, "Claim")["required"].append("colour"),
    ),
    "PATCH /v1/me body.locale is gone": lambda d: _schema(d, "ProfileChanges")["properties"].pop("locale"),
    "POST /v1/invitations body.role no longer knows operator": lambda d: _schema(d, "Offer")["properties"]["role"][
        "enum"
    ].remove("operator"),
    "POST /v1/rooms body.name has another maxLength": lambda d: _schema(d, "RoomName")["properties"]["name"].update(
        maxLength=8
    ),
    "GET /v1/rooms wants colour": lambda d: _operation(d, "/v1/rooms", "get")["parameters"].append(
        {"name": "colour", "in": "query", "required": True, "schema": {"type": "string"}}
    ),
    "GET /v1/rooms no longer takes cursor": lambda d: _operation(d, "/v1/rooms", "get").update(
        parameters=[p for p in _operation(d, "/v1/rooms", "get")["parameters"] if p["name"] != "cursor"]
    ),
    "GET /v1/rooms limit has another maximum": lambda d: next(
        p for p in _operation(d, "/v1/rooms", "get")["parameters"] if p["name"] == "limit"
    )["schema"].update(maximum=10),
    "DELETE /v1/me wants a body": lambda d: _operation(d, "/v1/me", "delete").update(
        requestBody={"required": True, "content": {}}
    ),
    "POST /v1/rooms no longer answers 201": lambda d: _operation(d, "/v1/rooms", "post")["responses"].update(
        {"200": _operation(d, "/v1/rooms", "post")["responses"].pop("201")}
    ),
}
HARMLESS: dict[str, Any] = {
    "a route more": lambda d: d["paths"].update({"/v1/new": d["paths"]["/v1/me"]}),
    "a field more in an answer": lambda d: _schema(d, "Device")["properties"].update(colour={"type": "string"}),
    "a field more that may be sent": lambda d: _schema(d, "Claim")["properties"].update(colour={"type": "string"}),
    "a value less in an answer": lambda d: _schema(d, "Device")["properties"]["role"]["enum"].remove("viewer"),
    "a wider bound": lambda d: _schema(d, "RoomName")["properties"]["name"].update(maxLength=1_000),
    "a value more that may be sent": lambda d: _schema(d, "RoleChange")["properties"]["role"]["enum"].append("guest"),
    "a parameter more": lambda d: _operation(d, "/v1/rooms", "get")["parameters"].append(
        {"name": "colour", "in": "query", "schema": {"type": "string"}}
    ),
}


@pytest.mark.parametrize("told", BREAKING)
def test_a_breaking_change_is_named_and_fails_unless_the_version_is_raised(told: str) -> None:
    changed = deepcopy(build())
    BREAKING[told](changed)
    assert told in list(breaking_changes(build(), changed))
    assert told in unannounced(build(), changed)
    changed["info"]["version"] = "2.0.0"
    assert unannounced(build(), changed) == []


@pytest.mark.parametrize("what", HARMLESS)
def test_what_breaks_nobody_is_not_called_breaking(what: str) -> None:
    changed = deepcopy(build())
    HARMLESS[what](changed)
    assert list(breaking_changes(build(), changed)) == []


def test_nothing_is_broken_for_clients_of_the_last_release() -> None:
    assert unannounced(json.loads(RELEASED.read_text("utf-8")), build()) == [], (
        "undo it, or raise the first number of VERSION and run python -m backend.openapi --release"
    )
