"""The door's decision: a role's policies, its boundary, AWS's sentence, the protocol's own shape, and the record."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import botocore.session
import pytest
from botocore.parsers import create_parser

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.credentials import KeyStore
from infra.local.iam_cli import build_report, load_records
from infra.local.iam_roles import Authorizer, Recorder, RolePolicies
from infra.local.wire import Caller, Request
from tests.unit.identity.fake_iam import FakeIam, document, statement

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/t"


class Door:
    def __init__(self, where):
        self.iam = FakeIam()
        self.roles = RolePolicies(self.iam)
        self.clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
        self.keys = KeyStore(Settings(state_dir=Path()), self.clock)
        self.where = where
        self.authorizer = Authorizer(self.roles, self.clock, Recorder(where), lambda *_: "id")

    def record(self, role, **cognito):
        caller = Caller(arn=f"arn:aws:sts::123456789012:assumed-role/{role}/session", kind="role", **cognito)
        issued = self.keys.issue(caller, f"arn:aws:iam::123456789012:role/{role}", timedelta(hours=1))
        return self.keys.find(issued.access_key_id, issued.session_token)

    async def ask(self, role, operation="GetItem", key="1", **cognito):
        body = json.dumps({"TableName": "t", "Key": {"id": {"S": key}}}).encode()
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        request = Request(service="dynamodb", method="POST", path="/", headers=headers, body=body)
        return await self.authorizer(request, self.record(role, **cognito))


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path)


async def test_what_a_policy_allows_passes_and_the_rest_is_refused_in_aws_s_sentence(door):
    door.iam.add("r", statement(Action="dynamodb:GetItem", Resource=TABLE))
    assert await door.ask("r") is None
    refused = await door.ask("r", "PutItem")
    assert refused.status == 400
    assert json.loads(refused.body)["__type"] == "com.amazon.coral.service#AccessDeniedException"
    assert json.loads(refused.body)["message"] == (
        "User: arn:aws:sts::123456789012:assumed-role/r/session is not authorized to perform: dynamodb:PutItem "
        f"on resource: {TABLE} because no identity-based policy allows the dynamodb:PutItem action"
    )


async def test_managed_policies_count_deny_wins_and_the_boundary_limits(door):
    everything = "arn:aws:iam::aws:policy/everything"
    door.iam.managed[everything] = document(statement(Action="*", Resource="*"))
    door.iam.managed["limit"] = document(statement(Action="s3:*", Resource="*"))
    door.iam.add("all", attached=[everything])
    assert await door.ask("all") is None
    door.iam.add("denied", statement("Deny", Action="dynamodb:Get*", Resource="*"), attached=[everything])
    assert b"with an explicit deny in an identity-based policy" in (await door.ask("denied")).body
    door.iam.add("bounded", attached=[everything], boundary="limit")
    assert b"because no permissions boundary allows the dynamodb:GetItem action" in (await door.ask("bounded")).body


async def test_a_phone_reaches_its_own_items_only(door):
    own = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${cognito-identity.amazonaws.com:sub}"]}}
    door.iam.add("phone", statement(Action="dynamodb:GetItem", Resource=TABLE, Condition=own))
    me = {"cognito_identity_id": "us-east-1:me", "cognito_identity_pool_id": "us-east-1:pool"}
    assert await door.ask("phone", key="us-east-1:me", **me) is None
    assert await door.ask("phone", key="us-east-1:you", **me) is not None
    assert await door.ask("phone", key="us-east-1:me") is not None


async def test_a_condition_key_that_has_no_value_here_is_not_quietly_absent(door):
    limit = {"ForAllValues:StringEquals": {"dynamodb:Attributes": ["id"]}}
    door.iam.add("r", statement(Action="dynamodb:GetItem", Resource=TABLE, Condition=limit))
    assert b"dynamodb:attributes" in (await door.ask("r")).body


async def test_policies_are_read_once_and_anew_after_any_change(door):
    door.iam.add("r", statement(Action="dynamodb:GetItem", Resource=TABLE))
    for _ in range(3):
        assert await door.ask("r") is None
    assert door.iam.calls.count("GetRole") == 1
    door.iam.add("r", statement(Action="s3:*", Resource="*"))
    read = Request(service="iam", method="POST", path="/", body=b"Action=GetRole&Version=2010-05-08")
    written = Request(service="iam", method="POST", path="/", body=b"Action=PutRolePolicy&Version=2010-05-08")
    assert not door.roles.changed_by(read)
    assert door.roles.changed_by(written)
    assert await door.ask("r") is not None


async def test_a_deleted_role_s_credentials_are_worth_nothing(door):
    door.iam.add("r", statement(Action="*", Resource="*"))
    assert await door.ask("r") is None
    door.iam.roles.clear()
    door.roles.forget()
    assert b"UnrecognizedClientException" in (await door.ask("r")).body


@pytest.mark.parametrize(
    ("service", "model", "operation", "request_parts", "code"),
    [
        ("sqs", "sqs", "SendMessage",
         {"headers": {"x-amz-target": "AmazonSQS.SendMessage"}, "body": b'{"QueueUrl": "/q"}'},
         "AccessDenied"),
        ("sns", "sns", "Publish",
         {"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": b"Action=Publish&TopicArn=arn"},
         "AuthorizationError"),
        ("s3", "s3", "GetObject", {"method": "GET", "path": "/b/k"}, "AccessDenied"),
        ("lambda", "lambda", "Invoke", {"path": "/2015-03-31/functions/f/invocations"}, "AccessDeniedException"),
        ("iotdata", "iot-data", "Publish", {"path": "/topics/t"}, "ForbiddenException"),
        ("monitoring", "cloudwatch", "PutMetricData",
         {"headers": {"x-amz-target": "GraniteServiceVersion20100801.PutMetricData"}, "body": b'{"Namespace": "n"}'},
         "AccessDeniedException"),
        ("kms", "kms", "ListKeys", {"headers": {"x-amz-target": "TrentService.ListKeys"}}, "AccessDeniedException"),
    ],
)  # fmt: skip
async def test_botocore_reads_the_refusal_of_every_protocol(door, service, model, operation, request_parts, code):
    door.iam.add("r", statement(Action="ec2:*", Resource="*"))
    request = Request(**{"service": service, "method": "POST", "path": "/", **request_parts})
    answer = await door.authorizer(request, door.record("r"))
    described = botocore.session.get_session().get_service_model(model)
    parser = create_parser(described.resolved_protocol)
    parts = {"status_code": answer.status, "headers": answer.headers, "body": answer.body}
    parsed: Any = parser.parse(parts, described.operation_model(operation).output_shape)  # type: ignore[arg-type]  # as botocore does
    assert parsed["Error"]["Code"] == code
    assert parsed["Error"]["Message"].startswith(("User: arn:aws:sts::", "The local cloud maps no IAM action"))


async def test_the_report_says_what_is_granted_used_refused_and_never_used(door):
    door.iam.add(
        "r",
        statement(Sid="Read", Action=["dynamodb:GetItem", "dynamodb:Query"], Resource=TABLE),
        statement(Sid="Send", Action="sqs:SendMessage", Resource="arn:aws:sqs:us-east-1:123456789012:q"),
        statement(Sid="Same", Action="dynamodb:GetItem", Resource="*"),
    )
    await door.ask("r")
    await door.ask("r")
    await door.ask("r", "PutItem")
    records = load_records(door.where)
    assert len(records) == 2
    report = build_report([await door.roles.get("r")], records)["r"]
    assert list(report["granted"]) == ["inline#1 Read", "inline#2 Send", "inline#3 Same"]
    assert report["used"] == [{"action": "dynamodb:GetItem", "resource": TABLE}]
    assert [call["action"] for call in report["refused"]] == ["dynamodb:PutItem"]
    assert report["never_used"] == {
        "inline#1 Read": ["dynamodb:Query"],
        "inline#2 Send": ["sqs:SendMessage"],
        "inline#3 Same": ["dynamodb:GetItem"],
    }


async def test_without_any_one_statement_a_recorded_call_fails_or_it_was_listed_as_unused(door):
    names = ["GetItem", "PutItem", "UpdateItem", "DeleteItem"]
    every = [statement(Sid=name, Action=f"dynamodb:{name}", Resource=TABLE) for name in names]
    door.iam.add("r", *every)
    used = names[:3]
    for name in used:
        assert await door.ask("r", name) is None
    unused = build_report([await door.roles.get("r")], load_records(door.where))["r"]["never_used"]
    assert list(unused) == ["inline#4 DeleteItem"]
    for without in names:
        door.iam.add("r", *(one for one in every if one["Sid"] != without))
        door.roles.forget()
        denied = [name for name in used if await door.ask("r", name) is not None]
        assert denied == ([without] if without in used else [])
