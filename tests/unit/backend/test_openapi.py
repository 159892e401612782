"""The API as it is told to those who write phones: never stale, tied to the template, never broken unawares."""

import json
import subprocess
from copy import deepcopy
from typing import Any

import pytest

from backend.openapi import DOCUMENT, all_routes, breaking_changes, build, dump
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


def _without_a_route(document: dict[str, Any]) -> None:
    del document["paths"]["/v1/devices"]["get"]


def _without_a_field(document: dict[str, Any]) -> None:
    del document["components"]["schemas"]["Device"]["properties"]["name"]


def _with_a_wanted_field(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Claim"]["required"].append("colour")


def _without_a_value(document: dict[str, Any]) -> None:
    document["components"]["schemas"]["Device"]["properties"]["role"]["enum"].remove("viewer")


@pytest.mark.parametrize("change", [_without_a_route, _without_a_field, _with_a_wanted_field, _without_a_value])
def test_a_breaking_change_is_named(change: Any) -> None:
    changed = deepcopy(build())
    change(changed)
    assert len(list(breaking_changes(build(), changed))) == 1
    assert list(breaking_changes(build(), build())) == []


def test_nothing_is_broken_for_clients_of_the_last_commit() -> None:
    path = DOCUMENT.relative_to(DOCUMENT.parents[1])
    found = subprocess.run(["git", "show", f"HEAD:{path}"], capture_output=True, check=False, cwd=DOCUMENT.parents[1])
    if found.returncode != 0:
        pytest.skip("not in a git work tree that has the document")
    assert list(breaking_changes(json.loads(found.stdout), build())) == []
