"""What the template's roles may: no statement can be taken away unseen, and a missing one fails on the laptop."""

import asyncio
import contextlib
import json
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError
from pycognito.aws_srp import AWSSRP

from infra.local.iam import evaluate
from infra.local.iam_cli import build_report, load_records, read_roles
from infra.local.iam_roles import Role
from infra.local.template import Stack
from scripts.main_job.phone import Phone
from tests.e2e.conftest import World


def roles(world: World) -> list[Role]:
    return asyncio.run(read_roles(world.cloud.settings))


@contextlib.contextmanager
def without(world: World, role_part: str, action: str, resource_part: str) -> Iterator[None]:
    """Take one action on one resource away from a role of the template, and give it back."""
    iam: Any = world.operator.client("iam")
    name = next(role["RoleName"] for role in iam.list_roles()["Roles"] if role_part in role["RoleName"])
    kept = {}
    found = False
    for policy in iam.list_role_policies(RoleName=name)["PolicyNames"]:
        document = iam.get_role_policy(RoleName=name, PolicyName=policy)["PolicyDocument"]
        kept[policy] = json.dumps(document)
        for statement in document["Statement"]:
            actions = [statement["Action"]] if isinstance(statement["Action"], str) else statement["Action"]
            if action in actions and resource_part in json.dumps(statement["Resource"]):
                statement["Action"] = [one for one in actions if one != action] or ["none:None"]
                found = True
        iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=json.dumps(document))
    try:
        assert found, f"the template gives {role_part} no {action} on {resource_part}"
        yield
    finally:
        for policy, document in kept.items():
            iam.put_role_policy(RoleName=name, PolicyName=policy, PolicyDocument=document)


def test_a_list_without_its_query_fails(world: World, phone: Phone):
    assert world.http("GET", "/v1/devices", phone.token)[0] == 200
    with without(world, "DevicesFunction", "dynamodb:Query", "index/by_member"):
        assert world.http("GET", "/v1/devices", phone.token)[0] == 500
    assert world.http("GET", "/v1/devices", phone.token)[0] == 200


def test_a_claim_without_its_write_fails(world: World, phone: Phone):
    with without(world, "DevicesFunction", "dynamodb:UpdateItem", "-devices"), pytest.raises(AssertionError):
        world.claimed(phone)
    assert world.claimed(phone)


def identity_credentials(world: World, phone: Phone) -> Any:
    cognito: Any = world.operator.client("cognito-idp")
    app = world.outputs["UserPoolClientId"]
    tokens = AWSSRP(
        username=phone.email,
        password=phone.password,
        pool_id=world.outputs["UserPoolId"],
        client_id=app,
        client=cognito,
    ).authenticate_user()["AuthenticationResult"]
    provider = f"cognito-idp.{world.cloud.settings.region}.amazonaws.com/{world.outputs['UserPoolId']}"
    logins = {provider: tokens["IdToken"]}
    identity: Any = world.operator.client("cognito-identity")
    found = identity.get_id(IdentityPoolId=world.outputs["IdentityPoolId"], Logins=logins)["IdentityId"]
    answer = identity.get_credentials_for_identity(IdentityId=found, Logins=logins)["Credentials"]
    return {
        "aws_access_key_id": answer["AccessKeyId"],
        "aws_secret_access_key": answer["SecretKey"],
        "aws_session_token": answer["SessionToken"],
    }


def test_a_phone_s_credentials_invoke_the_one_function_they_may_and_no_other(world: World, phone: Phone):
    settings = world.cloud.settings
    lambda_: Any = boto3.client(
        "lambda", endpoint_url=settings.endpoint_url, region_name=settings.region, **identity_credentials(world, phone)
    )
    with contextlib.closing(lambda_):
        invoke = {"FunctionName": world.outputs["MobileFunctionName"], "Payload": b"{}"}
        assert lambda_.invoke(**invoke)["StatusCode"] == 200
        for output in ("TelemetryFunctionName", "RegistryFunctionName"):
            with pytest.raises(ClientError, match="not authorized to perform: lambda:InvokeFunction"):
                lambda_.invoke(FunctionName=world.outputs[output], Payload=b"{}")
        with without(world, "AuthenticatedRole", "lambda:InvokeFunction", "-mobile"), pytest.raises(ClientError):
            lambda_.invoke(**invoke)


def test_a_sign_up_whose_trigger_may_not_write_is_refused(world: World):
    write = "dynamodb:PutItem"
    with without(world, "PostConfirmation", write, "-accounts"), pytest.raises(ClientError, match="PostConfirmation"):
        world.phone("grace@example.com")


def test_a_sign_up_whose_trigger_cognito_may_not_call_is_refused(world: World):
    client: Any = world.operator.client("lambda")
    one = Stack.load(world.cloud.settings.state_dir / "stack.json", "").resources["PostConfirmationPermission"]
    client.remove_permission(FunctionName=one.properties["FunctionName"], StatementId=one.ref)
    try:
        with pytest.raises(ClientError, match=r"UnexpectedLambdaException.* due to error AccessDeniedException\."):
            world.phone("henry@example.com")
    finally:
        client.add_permission(StatementId=one.ref, **one.properties)


def is_allowed(role: Role, record: dict[str, Any]) -> bool:
    return evaluate(role.identity, role.boundary, record["action"], record["resource"], {}).allowed


def test_without_any_one_statement_a_recorded_call_fails_or_it_is_listed_as_unused(world: World, phone: Phone):
    world.http("GET", "/v1/devices", phone.token)
    found = roles(world)
    records = load_records(world.cloud.settings.state_dir)
    report = build_report(found, records)
    assert any(record["allowed"] for record in records)
    counted = 0
    for role in found:
        used = [record for record in records if record["role"] == role.name and record["allowed"]]
        for statement in role.identity:
            rest = replace(role, identity=tuple(one for one in role.identity if one is not statement))
            fails = [record for record in used if not is_allowed(rest, record)]
            unused = report[role.name]["never_used"].get(statement.origin, [])
            by_lambda = all(action.startswith(("logs:", "xray:")) for action in statement.actions)
            assert fails or by_lambda or set(unused) == set(statement.actions), statement.origin
            counted += 1
    assert counted > 20
