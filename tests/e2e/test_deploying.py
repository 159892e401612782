"""Every resource and property of the template stands, seen through boto3; deploying again changes in place."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config

from infra.local.cloud import TEMPLATE, CloudError
from infra.local.template.stack import Stack
from infra.local.template.translate import load_template, translate
from scripts.main_job.phone import Phone
from tests.e2e.conftest import World
from tests.e2e.seen import ONLY_SAID, READERS, Client, contains

pytestmark = [pytest.mark.e2e, pytest.mark.local_only]


@pytest.fixture(scope="module")
def client(world: World) -> Client:
    settings = world.cloud.settings
    session = boto3.Session(
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
        region_name=settings.region,
    )
    made: dict[str, Any] = {}

    def get(service: str) -> Any:
        if service not in made:
            config = Config(retries={"total_max_attempts": 1})
            made[service] = session.client(service, endpoint_url=settings.endpoint_url, config=config)  # type: ignore[call-overload]  # any service
        return made[service]

    return get


def _stack(world: World) -> Stack:
    return Stack.load(world.cloud.settings.state_dir / "stack.json", "")


def test_every_resource_and_property_of_the_template_is_seen_through_boto3(world: World, client: Client):
    stack = _stack(world)
    template = translate(TEMPLATE, {"Stage": world.cloud.settings.stage}, region=world.cloud.settings.region)
    missing: list[str] = []
    looked_at = 0
    for logical_id, resource in template["Resources"].items():
        one = stack.resources[logical_id]
        seen = READERS[resource["Type"]](client, one)
        lowered = {name.lower(): value for name, value in seen.items()}
        for name, wanted in one.properties.items():
            if (one.type, name) in ONLY_SAID:
                continue
            looked_at += 1
            if not contains(wanted, lowered.get(name.lower())):
                missing.append(f"{logical_id}.{name}: wanted {wanted}, seen {lowered.get(name.lower())}")
    assert not missing, "\n".join(missing)
    assert looked_at > 500


def test_no_property_of_the_translation_was_left_out_but_by_a_condition(world: World):
    stack = _stack(world)
    template = translate(TEMPLATE, {"Stage": world.cloud.settings.stage}, region=world.cloud.settings.region)
    left_out = {
        (resource["Type"], name)
        for logical_id, resource in template["Resources"].items()
        for name in resource.get("Properties", {}).keys() - stack.resources[logical_id].properties.keys()
    }
    assert left_out == {("AWS::IAM::Role", "PermissionsBoundary")}  # no boundary is given


@pytest.fixture
def redeploy(world: World) -> Iterator[Callable[..., list[str]]]:
    """Deploy with other parameters or another template; afterwards everything is as it was."""
    lines: list[str] = []

    def deploy(template: Path = TEMPLATE, **parameters: str) -> list[str]:
        lines.clear()
        world.cloud._report = lines.append
        world.cloud.deploy(template, parameters)
        return list(lines)

    yield deploy
    deploy()


def test_deploying_the_same_again_changes_nothing(redeploy: Callable[..., list[str]]):
    assert redeploy() == []


def test_deploying_again_keeps_items_and_users_and_names_what_changed(
    world: World, client: Client, redeploy: Callable[..., list[str]]
):
    table = world.outputs["QuarantineTableName"]
    item = {"thing": {"S": "kept"}, "document": {"S": "kept"}, "received_ms": {"N": "1"}}
    client("dynamodb").put_item(TableName=table, Item=item)
    client("cognito-idp").admin_create_user(UserPoolId=world.outputs["UserPoolId"], Username="kept@example.com")

    lines = redeploy(LogRetentionDays="14")

    changed = [line for line in lines if "LogGroup" in line]
    assert changed
    assert all(line.startswith("changed ") and line.endswith(": RetentionInDays") for line in changed)
    assert lines == changed
    key = {"thing": {"S": "kept"}, "document": {"S": "kept"}}
    assert client("dynamodb").get_item(TableName=table, Key=key)["Item"] == item
    user = client("cognito-idp").admin_get_user(UserPoolId=world.outputs["UserPoolId"], Username="kept@example.com")
    assert user["UserStatus"]


def test_a_change_that_would_replace_a_table_is_refused_and_nothing_is_touched(
    tmp_path: Path, client: Client, world: World, redeploy: Callable[..., list[str]]
):
    document = load_template(TEMPLATE)
    document["Globals"]["Function"]["CodeUri"] = str(TEMPLATE.parents[1] / "backend")
    document["Resources"]["ReadingsTable"]["Properties"]["KeySchema"].pop()
    path = tmp_path / "template.yaml"
    path.write_text(json.dumps(document))
    (tmp_path / "samconfig.toml").write_text(TEMPLATE.with_name("samconfig.toml").read_text())
    with pytest.raises(CloudError, match="ReadingsTable: KeySchema changed, which would replace"):
        redeploy(path)
    assert (
        len(client("dynamodb").describe_table(TableName=world.outputs["ReadingsTableName"])["Table"]["KeySchema"]) == 2
    )


def test_without_its_permission_the_http_api_may_not_call_the_function(world: World, phone: Phone, client: Client):
    one = _stack(world).resources["DevicesFunctionListPermission"]
    assert world.http("GET", "/v1/devices", phone.token)[0] == 200
    client("lambda").remove_permission(FunctionName=one.properties["FunctionName"], StatementId=one.ref)
    try:
        answer = world.http("GET", "/v1/devices", phone.token)
    finally:
        client("lambda").add_permission(StatementId=one.ref, **one.properties)
    assert answer == (500, {"message": "Internal Server Error"})
    assert world.http("GET", "/v1/devices", phone.token)[0] == 200
