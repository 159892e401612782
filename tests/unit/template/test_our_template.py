"""What the project's own template keeps to, whoever adds to it."""

from collections.abc import Iterator
from typing import Any

import pytest

from infra.local.config import ROOT
from infra.local.template.intrinsics import references
from infra.local.template.translate import translate

WITHOUT_WAITING = {"iot.amazonaws.com", "s3.amazonaws.com", "sns.amazonaws.com", "events.amazonaws.com"}
"""Services that call a function asynchronously: what it fails on is lost unless it goes to a dead-letter queue."""


@pytest.fixture(scope="module")
def resources() -> dict[str, Any]:
    template = translate(ROOT / "infra" / "template.yaml", {}, region="us-east-1")
    return dict(template["Resources"])


def of_type(resources: dict[str, Any], kind: str) -> Iterator[tuple[str, dict[str, Any]]]:
    return ((key, one["Properties"]) for key, one in resources.items() if one["Type"] == kind)


def is_waited_for(permission: dict[str, Any], resources: dict[str, Any]) -> bool:
    """Tell whether IoT calls for a custom authorizer or a pre-provisioning hook, and so waits."""
    source = permission.get("SourceArn", "")
    authorizer = any(resources.get(name, {}).get("Type") == "AWS::IoT::Authorizer" for name in references(source))
    return authorizer or ":provisioningtemplate/" in str(source)


def test_it_leaves_room_for_what_a_team_adds(resources: dict[str, Any]):
    assert len(list(of_type(resources, "AWS::Lambda::Function"))) <= 20
    assert len(resources) <= 350


def test_what_is_called_without_waiting_has_a_dead_letter_queue(resources: dict[str, Any]):
    called = {
        name
        for _, properties in of_type(resources, "AWS::Lambda::Permission")
        if properties["Principal"] in WITHOUT_WAITING and not is_waited_for(properties, resources)
        for name in references(properties["FunctionName"])
    }
    assert called
    assert [name for name in called if "DeadLetterConfig" not in resources[name]["Properties"]] == []


def test_every_role_can_be_bounded_and_none_reserves_concurrency(resources: dict[str, Any]):
    unbounded = [key for key, one in of_type(resources, "AWS::IAM::Role") if "PermissionsBoundary" not in one]
    assert unbounded == []
    reserving = [
        key for key, one in of_type(resources, "AWS::Lambda::Function") if "ReservedConcurrentExecutions" in one
    ]
    assert reserving == []


def test_data_outlives_the_stack(resources: dict[str, Any]):
    kinds = {"AWS::DynamoDB::Table", "AWS::Cognito::UserPool"}
    for key, one in resources.items():
        if one["Type"] in kinds:
            assert (one.get("DeletionPolicy"), one.get("UpdateReplacePolicy")) == ("Retain", "Retain"), key


def test_every_function_writes_to_a_log_group_that_forgets(resources: dict[str, Any]):
    forgetting = {key for key, one in of_type(resources, "AWS::Logs::LogGroup") if "RetentionInDays" in one}
    for key, properties in of_type(resources, "AWS::Lambda::Function"):
        assert set(references(properties["LoggingConfig"])) <= forgetting, key


def test_what_goes_into_the_package_is_what_the_lock_holds():
    lock = (ROOT / "requirements.lock").read_text()
    lines = (ROOT / "backend" / "requirements.txt").read_text().splitlines()
    entries = [line.strip(" \\") for line in lines if not line.startswith("#")]
    assert any("--hash=" in entry for entry in entries)
    assert [entry for entry in entries if entry not in lock] == []
