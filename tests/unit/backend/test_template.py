"""What the template promises beyond being valid: nothing lost, nothing silent, room for a team's own functions."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local.iot.rules.compiler import compile_statement
from infra.local.iot.rules.context import V2, Context
from tests.integration.backend.tables import TEMPLATE, load_template

ROOT = TEMPLATE.parents[1]
RESOURCES: dict[str, dict[str, Any]] = load_template()["Resources"]
MAX_FUNCTIONS = 20


def of_type(name: str) -> dict[str, dict[str, Any]]:
    return {key: resource for key, resource in RESOURCES.items() if resource["Type"] == name}


FUNCTIONS = of_type("AWS::Serverless::Function")
TABLES = of_type("AWS::DynamoDB::Table")
INVOKED_ASYNCHRONOUSLY = ("Telemetry", "Urgent", "Answers", "Presence", "Imports")


def test_there_are_at_most_twenty_functions() -> None:
    assert len(FUNCTIONS) <= MAX_FUNCTIONS


@pytest.mark.parametrize("name", sorted(FUNCTIONS))
def test_every_function_has_a_handler_of_its_own_and_a_log_group_that_ends(name: str) -> None:
    properties = FUNCTIONS[name]["Properties"]
    package, module, function = properties["Handler"].rsplit(".", 2)
    assert (package, function) == ("backend.handlers", "handler")
    assert (ROOT / "backend" / "handlers" / f"{module}.py").is_file()
    assert "RetentionInDays" in RESOURCES[name.removesuffix("Function") + "Logs"]["Properties"]
    assert FUNCTIONS[name]["Metadata"] == {"BuildMethod": "makefile"}


def test_every_handler_stands_in_the_template() -> None:
    named = {resource["Properties"]["Handler"].split(".")[2] for resource in FUNCTIONS.values()}
    assert named == {path.stem for path in (ROOT / "backend" / "handlers").glob("*.py") if path.stem != "__init__"}


def test_who_reads_objects_may_list_their_bucket_so_that_one_that_is_gone_is_told_from_one_forbidden() -> None:
    """Follow the API reference of S3, "GetObject", Permissions: without, a key that is not there is AccessDenied."""
    policies = {
        name: [policy for policy in function["Properties"].get("Policies", ()) if isinstance(policy, dict)]
        for name, function in FUNCTIONS.items()
    }
    actions = {
        name: {str(statement["Action"]) for policy in found for statement in policy.get("Statement", ())}
        for name, found in policies.items()
    }
    readers = [name for name, allowed in actions.items() if "s3:GetObject" in allowed]
    assert readers
    assert [name for name in readers if "s3:ListBucket" not in actions[name]] == []


class _Told(yaml.SafeLoader):
    """Reads an intrinsic as what it says: ``GetAtt DevicesTable.Arn``."""


_Told.add_multi_constructor("!", lambda _loader, suffix, node: f"{suffix} {node.value}")


def _allowed(function: dict[str, Any], table: str) -> set[str]:
    """Return the actions that a function's policies allow on all of a table."""
    found: set[str] = set()
    for policy in function["Properties"].get("Policies", ()):
        for statement in policy["Statement"] if isinstance(policy, dict) else ():
            actions, resources = statement["Action"], statement["Resource"]
            if f"GetAtt {table}.Arn" in ([resources] if isinstance(resources, str) else resources):
                found.update([actions] if isinstance(actions, str) else actions)
    return found


def test_who_changes_devices_may_change_what_they_are_found_by() -> None:
    """One that is taken over without its data loses the attributes its former owner gave it, in the same write."""
    told = yaml.load(TEMPLATE.read_text("utf-8"), _Told)["Resources"]
    changers = [name for name in FUNCTIONS if "dynamodb:UpdateItem" in _allowed(told[name], "DevicesTable")]
    assert "SharingFunction" in changers
    needed = {"dynamodb:PutItem", "dynamodb:DeleteItem"}
    assert [name for name in changers if not needed <= _allowed(told[name], "SearchTable")] == []


@pytest.mark.parametrize("name", INVOKED_ASYNCHRONOUSLY)
def test_what_is_invoked_asynchronously_has_a_dead_letter_queue(name: str) -> None:
    assert FUNCTIONS[f"{name}Function"]["Properties"]["DeadLetterQueue"]["Type"] == "SQS"


def test_every_rule_reports_its_failures() -> None:
    rules = of_type("AWS::IoT::TopicRule")
    assert rules
    assert all("ErrorAction" in rule["Properties"]["TopicRulePayload"] for rule in rules.values())


@pytest.mark.parametrize(
    ("topics", "fires"),
    [
        (["cmd/dev/t-1/+/req"], True),
        (["$aws/things/t-1/shadow/get/accepted", "cmd/dev/t-1/+/req"], True),
        (["$aws/things/t-1/shadow/get/accepted"], False),
        (["cmd/prod/t-1/+/req"], False),
        ([], False),
    ],
)
def test_only_who_subscribes_to_commands_costs_an_invocation(topics: list[str], fires: bool) -> None:
    found = re.search(r"!Sub >-\n(\s+SELECT .*/subscribed/.*\n.*\n)", TEMPLATE.read_text())
    assert found is not None
    payload = json.dumps({"clientId": "t-1", "eventType": "subscribed", "topics": topics}).encode()
    message = Context(topic="$aws/events/subscriptions/subscribed/t-1", payload=payload, now_ms=0)
    outcome = compile_statement(found[1].replace("${Stage}", "dev"), V2).evaluate(message)
    assert (outcome.fires, outcome.payload) == (fires, payload if fires else b"")


@pytest.mark.parametrize("name", sorted([*TABLES, "UserPool"]))
def test_what_holds_data_outlives_the_stack(name: str) -> None:
    assert RESOURCES[name]["DeletionPolicy"] == RESOURCES[name]["UpdateReplacePolicy"] == "Retain"
    if name in TABLES:
        recovery = RESOURCES[name]["Properties"]["PointInTimeRecoverySpecification"]
        assert recovery == {"PointInTimeRecoveryEnabled": True}


def test_the_package_holds_the_locked_versions() -> None:
    lock = dict(re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE))
    packaged = dict(
        re.findall(r"^([a-z0-9-]+)==(\S+)", (ROOT / "backend" / "requirements.txt").read_text(), re.MULTILINE)
    )
    assert packaged
    assert packaged == {name: lock[name] for name in packaged}


def test_no_function_imports_what_is_not_in_its_package() -> None:
    sources = [path.read_text() for path in Path(ROOT / "backend").rglob("*.py")]
    imported = {name for source in sources for name in re.findall(r"^\s*(?:from|import) (\w+)", source, re.MULTILINE)}
    assert not imported & {"awscrt", "awsiot", "pydantic", "cryptography", "jwt", "requests", "infra", "device_client"}
