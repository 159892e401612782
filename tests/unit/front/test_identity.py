"""Who a request is from and for, before anybody serves it."""

from datetime import UTC, datetime, timedelta

import pytest

from infra.local import sigv4
from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.credentials import KeyStore
from infra.local.front import Front
from infra.local.front_identity import Doorkeeper
from infra.local.refusals import refuse
from infra.local.sigv4 import SignatureError
from infra.local.wire import Caller, Request, Response

ROLE = Caller(arn="arn:aws:sts::123456789012:assumed-role/worker/one", kind="role")
ROLE_ARN = "arn:aws:iam::123456789012:role/worker"


class Asked:
    """IAM that allows or refuses everything, and remembers what it was asked."""

    def __init__(self, *, allow):
        self.allow, self.requests = allow, []

    async def __call__(self, request, record):
        self.requests.append((request.caller.arn, record.role_arn))
        return None if self.allow else refuse(request, "AccessDenied", "no")


class Door:
    def __init__(self, tmp_path, *, allow=True, iam=True):
        self.settings = Settings(state_dir=tmp_path, service_secret="shared")
        self.clock = ManualClock(datetime.now(UTC))
        self.keys = KeyStore(self.settings, self.clock)
        self.asked = Asked(allow=allow)
        self.served = []
        self.keeper = Doorkeeper(self.settings, self.keys, self.asked if iam else None, self.clock)
        self.front = Front(
            self.settings, self.keeper, dict.fromkeys(("dynamodb", "cognito-idp", "s3", "sts"), self._serve)
        )

    async def _serve(self, request):
        self.served.append(request)
        return Response(body=b"served")

    def addressed(self, headers, *, method="POST", path="/", query="", body=b"{}"):
        return self.keeper.addressed(method, path, query, headers, body)

    async def send(self, headers, **parts):
        return await self.front.handle(self.addressed(headers, **parts))

    def signed(self, credentials=None, *, service="dynamodb", region="us-east-1", now=None):
        headers = {"host": "127.0.0.1:4566", "x-amz-target": "DynamoDB_20120810.ListTables"}
        signer = credentials or self.keys.owner
        return headers | sigv4.sign(
            "POST", "/", "", headers, b"{}", credentials=signer, service=service, region=region,
            now=now or datetime.now(UTC),
        )  # fmt: skip


@pytest.fixture
def door(tmp_path):
    return Door(tmp_path)


@pytest.mark.parametrize(
    ("parts", "service"),
    [
        ({"headers": {"authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/eu-west-1/sqs/aws4_request, S"}}, "sqs"),
        ({"headers": {"authorization": "AWS4-HMAC-SHA256 Credential=A/20260101/x/execute-api/aws4_request, S"}}, "iot"),
        ({"headers": {}, "query": "X-Amz-Credential=A%2F20260101%2Feu-west-1%2Fs3%2Faws4_request&X-Amz-Date=1"}, "s3"),
        ({"headers": {"x-amz-target": "AWSCognitoIdentityProviderService.SignUp"}}, "cognito-idp"),
        ({"headers": {"x-amz-target": "AWSCognitoIdentityService.GetId"}}, "cognito-identity"),
        ({"headers": {"x-amz-target": "AmazonSQS.SendMessage"}}, "sqs"),
        ({"headers": {"x-amz-target": "Logs_20140328.PutLogEvents"}}, "logs"),
        ({"headers": {}, "method": "GET", "path": "/us-east-1_abc/.well-known/jwks.json"}, "cognito-idp"),
        ({"headers": {}, "path": "/2015-03-31/functions/f/invocations"}, "lambda"),
        ({"headers": {"content-type": "application/x-www-form-urlencoded"}, "body": b"Action=AssumeRole"}, "sts"),
        ({"headers": {}, "method": "GET", "path": "/bucket/key"}, "s3"),
    ],
)
def test_a_request_is_for_the_service_that_its_scope_target_or_path_names(door, parts, service):
    assert door.addressed(**parts).service == service


async def test_the_owner_is_served_and_no_policy_asked(door):
    assert (await door.send(door.signed())).body == b"served"
    assert (door.served[0].caller.kind, door.asked.requests) == ("owner", [])


async def test_a_role_is_judged_by_its_policies(tmp_path):
    for allow in (True, False):
        door = Door(tmp_path, allow=allow)
        answer = await door.send(door.signed(door.keys.issue(ROLE, ROLE_ARN, timedelta(hours=1))))
        assert (answer.body == b"served") == allow
        assert door.asked.requests == [(ROLE.arn, ROLE_ARN)]
        assert len(door.served) == allow


async def test_without_iam_a_role_is_served_unasked(tmp_path):
    door = Door(tmp_path, allow=False, iam=False)
    assert (await door.send(door.signed(door.keys.issue(ROLE, ROLE_ARN, timedelta(hours=1))))).body == b"served"


async def test_a_function_that_lives_by_the_moved_clock_is_served_and_so_is_a_client_that_does_not(door):
    door.clock.move(timedelta(days=2))
    assert (await door.send(door.signed(now=door.clock.now()))).body == b"served"
    assert (await door.send(door.signed())).body == b"served"
    assert (await door.send(door.signed(now=door.clock.now() - timedelta(days=1)))).status == 400


async def test_nobody_is_served_with_a_changed_body_a_foreign_key_or_an_expired_one(door):
    guest = door.keys.issue(ROLE, ROLE_ARN, timedelta(hours=1))
    changed = await door.send(door.signed(), body=b'{"Limit": 1}')
    foreign = await door.send(
        {**door.signed(), "authorization": door.signed()["authorization"].replace("AKIA", "AKIB")}
    )
    headers = door.signed(guest)
    door.clock.move(timedelta(hours=2))
    expired = await door.send(headers)
    codes = [b"InvalidSignatureException", b"UnrecognizedClientException", b"ExpiredTokenException"]
    assert [code in answer.body for code, answer in zip(codes, (changed, foreign, expired), strict=True)] == [True] * 3
    assert door.served == []


async def test_operations_that_aws_serves_unsigned_are_and_their_neighbours_are_not(door):
    target = "AWSCognitoIdentityProviderService."
    assert (await door.send({"x-amz-target": f"{target}InitiateAuth"})).body == b"served"
    assert door.served[0].caller.kind == "anonymous"
    for headers in ({"x-amz-target": f"{target}AdminDeleteUser"}, {"x-amz-target": "DynamoDB_20120810.ListTables"}):
        assert b"MissingAuthenticationToken" in (await door.send(headers)).body
    assert b"AccessDenied" in (await door.send({}, method="GET", path="/bucket/key")).body


async def test_a_service_of_ours_is_known_by_the_secret_alone(door):
    headers = {"x-amz-target": "DynamoDB_20120810.PutItem", "x-fieldline-service": "iot.amazonaws.com"}
    source = {"x-fieldline-source-arn": "arn:aws:iot:us-east-1:123456789012:rule/r"}
    assert b"UnrecognizedClient" in (await door.send({**headers, "x-fieldline-secret": "guess"})).body
    assert (await door.send({**headers, **source, "x-fieldline-secret": "shared"})).body == b"served"
    caller = door.served[0].caller
    assert (caller.kind, caller.arn, caller.source_arn) == (
        "service",
        "iot.amazonaws.com",
        "arn:aws:iot:us-east-1:123456789012:rule/r",
    )


def test_the_old_signature_version_is_refused_as_s3_refuses_it(door):
    request = Request(service="s3", method="GET", path="/b/k", query="AWSAccessKeyId=A&Signature=s&Expires=1")
    with pytest.raises(SignatureError, match="Please use AWS4-HMAC-SHA256"):
        door.keeper.identify(request)


async def test_a_service_that_nobody_carries_is_refused_by_name(door):
    answer = await door.send(door.signed(service="kinesis"))
    assert (answer.status, b"not emulated: kinesis" in answer.body) == (501, True)
