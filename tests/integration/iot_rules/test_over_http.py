"""The room on real HTTP: boto3 makes rules, messages become signed calls, a role's credentials are taken and kept."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import parse_qs

import boto3
import pytest
from aiohttp import web
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local import sigv4
from infra.local.clock import ManualClock
from infra.local.config import Ports, Settings
from infra.local.iot.rules.room import Rules
from infra.local.wire import Caller, Request
from tests.unit.iot_rules.fakes import FUNCTION, ROLE, lambda_action, message, republish, sqs

SECRET = "between services"
STS = """<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><Credentials>
<AccessKeyId>ASIARULES</AccessKeyId><SecretAccessKey>role secret</SecretAccessKey><SessionToken>token</SessionToken>
<Expiration>{expires}</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"""


@dataclass
class FakeCloud:
    """The front, as far as rules see it: it forwards ``iot`` to the room and judges what the room sends."""

    clock: ManualClock
    rules: Rules | None = None
    assumed: list[str] = field(default_factory=list)
    calls: list[tuple[str, str, bytes]] = field(default_factory=list)
    status: dict[str, int] = field(default_factory=dict)
    tags: dict[str, Mapping[str, str]] = field(default_factory=dict)

    async def serve(self, http: web.BaseRequest) -> web.Response:
        headers = {name.lower(): value for name, value in http.headers.items()}
        path, _, query = http.raw_path.partition("?")
        body = await http.read()
        if path.startswith("/rules"):
            assert self.rules is not None
            request = Request(service="iot", method=http.method, path=path, query=query, headers=headers, body=body,
                              caller=Caller(arn="owner"))  # fmt: skip
            answer = await self.rules.handle(request)
            return web.Response(status=answer.status, headers=dict(answer.headers), body=answer.body)
        if headers.get("x-fieldline-secret") == SECRET:
            return self._as_service(path, headers, body)
        verified = sigv4.verify(http.method, path, query, headers, body, secret_for=self._secret, now=datetime.now(UTC))
        assert verified.session_token == "token"
        self.calls.append((verified.service, path, body))
        return web.Response(status=self.status.get(verified.service, 200))

    def _as_service(self, path: str, headers: dict[str, str], body: bytes) -> web.Response:
        assert headers["x-fieldline-service"] == "iot.amazonaws.com"
        assert headers["x-fieldline-source-arn"].startswith("arn:aws:iot:us-east-1:123456789012:rule/")
        if path != "/":
            self.calls.append(("lambda", path, body))
            return web.Response(status=self.status.get("lambda", 202))
        (role,) = parse_qs(body.decode())["RoleArn"]
        self.assumed.append(role)
        if role.endswith("forbidden"):
            return web.Response(status=403, text="AccessDenied")
        expires = (self.clock.now() + timedelta(hours=1)).strftime("%Y-%m-%dT%H:%M:%SZ")
        return web.Response(text=STS.format(expires=expires))

    @staticmethod
    def _secret(access_key_id: str, _: str | None) -> str | None:
        return "role secret" if access_key_id == "ASIARULES" else None


@pytest.fixture
async def cloud() -> AsyncIterator[FakeCloud]:
    cloud = FakeCloud(ManualClock(datetime(2026, 1, 1, tzinfo=UTC)))
    runner = web.ServerRunner(web.Server(cloud.serve))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    settings = Settings(state_dir=Path("unused"), ports=Ports(aws=runner.addresses[0][1]), service_secret=SECRET)
    cloud.rules = Rules(settings, cloud.clock, tag=cloud.tags.__setitem__)
    try:
        yield cloud
    finally:
        await cloud.rules.stop()
        await runner.cleanup()


def client(cloud: FakeCloud):
    assert cloud.rules is not None
    settings = cloud.rules._aws._settings
    return boto3.client("iot", endpoint_url=settings.endpoint_url, region_name="us-east-1", aws_access_key_id="owner",
                        aws_secret_access_key="x", config=Config(retries={"max_attempts": 0}))  # fmt: skip


async def make(cloud: FakeCloud, name: str, sql: str, *actions: object, **more: object) -> None:
    payload = {"sql": sql, "actions": actions, "awsIotSqlVersion": "2016-03-23", **more}
    await asyncio.to_thread(client(cloud).create_topic_rule, ruleName=name, topicRulePayload=payload)


async def publish(cloud: FakeCloud, topic: str, payload: object) -> None:
    assert cloud.rules is not None
    cloud.rules.receive(message(topic, payload))
    assert await cloud.rules.engine.drain(10) == 0


async def test_boto3_makes_lists_gets_and_removes_rules(cloud):
    iot = client(cloud)
    await make(cloud, "r", "SELECT * FROM 'a'", lambda_action(), description="d")

    got = await asyncio.to_thread(iot.get_topic_rule, ruleName="r")
    listed = await asyncio.to_thread(iot.list_topic_rules, topic="a")
    await asyncio.to_thread(iot.disable_topic_rule, ruleName="r")
    disabled = await asyncio.to_thread(iot.get_topic_rule, ruleName="r")
    await asyncio.to_thread(iot.delete_topic_rule, ruleName="r")

    assert got["rule"]["createdAt"] == datetime(2026, 1, 1, tzinfo=UTC)
    assert got["rule"]["actions"] == [lambda_action()]
    assert [rule["topicPattern"] for rule in listed["rules"]] == ["a"]
    assert disabled["rule"]["ruleDisabled"] is True
    with pytest.raises(iot.exceptions.UnauthorizedException):
        await asyncio.to_thread(iot.get_topic_rule, ruleName="r")


async def test_the_tags_of_a_rule_go_to_whoever_keeps_tags(cloud):
    payload = {"sql": "SELECT * FROM 'a'", "actions": []}
    await asyncio.to_thread(client(cloud).create_topic_rule, ruleName="r", topicRulePayload=payload, tags="a=b+c&d=%26")

    assert cloud.tags == {"arn:aws:iot:us-east-1:123456789012:rule/r": {"a": "b c", "d": "&"}}


async def test_boto3_sees_the_errors_of_the_model(cloud):
    iot = client(cloud)
    await make(cloud, "r", "SELECT * FROM 'a'", lambda_action())

    with pytest.raises(iot.exceptions.SqlParseException, match="line 1, column 8"):
        await make(cloud, "s", "SELECT nosuch() AS x FROM 'a'", lambda_action())
    with pytest.raises(iot.exceptions.ResourceAlreadyExistsException):
        await make(cloud, "r", "SELECT * FROM 'a'", lambda_action())
    with pytest.raises(iot.exceptions.InvalidRequestException, match="kinesis is not emulated"):
        await make(cloud, "s", "SELECT * FROM 'a'", {"kinesis": {"roleArn": ROLE, "streamName": "s"}})
    with pytest.raises(ClientError, match=r"sts:AssumeRole on resource: .*forbidden"):
        await make(cloud, "s", "SELECT * FROM 'a'", republish("b", roleArn=ROLE + "/forbidden"))


async def test_every_action_but_lambda_is_signed_with_the_roles_credentials(cloud):
    queue = sqs()
    table = {"dynamoDBv2": {"roleArn": ROLE, "putItem": {"tableName": "t"}}}
    bucket = {"s3": {"roleArn": ROLE, "bucketName": "b", "key": "${topic()}/a b~(1).json"}}
    alerts = {"sns": {"roleArn": ROLE, "targetArn": "arn:aws:sns:us-east-1:123456789012:t"}}
    await make(cloud, "r", "SELECT * FROM 'in/ü'", lambda_action(), queue, table, bucket, alerts, republish("out/ü"))

    await publish(cloud, "in/ü", {"x": 1})

    assert sorted((service, path) for service, path, _ in cloud.calls) == [
        ("dynamodb", "/"),
        ("iotdata", "/topics/out%2F%C3%BC"),
        ("lambda", f"/2015-03-31/functions/{FUNCTION.replace(':', '%3A')}/invocations"),
        ("s3", "/b/in/%C3%BC/a%20b~%281%29.json"),
        ("sns", "/"),
        ("sqs", "/"),
    ]


async def test_credentials_are_kept_until_they_near_their_end(cloud):
    await make(cloud, "r", "SELECT * FROM 'a'", sqs())
    for _ in range(5):
        await publish(cloud, "a", {})
    assert len(cloud.assumed) == 1

    cloud.clock.move(timedelta(minutes=56))
    await publish(cloud, "a", {})

    assert len(cloud.assumed) == 2
    assert len(cloud.calls) == 6


async def test_what_a_service_refuses_goes_to_the_error_action(cloud):
    await make(cloud, "r", "SELECT * FROM 'a'", lambda_action(), errorAction=sqs())
    cloud.status["lambda"] = 403

    await publish(cloud, "a", {"x": 1})

    (service, _, body) = cloud.calls[-1]
    document = json.loads(json.loads(body)["MessageBody"])
    assert service == "sqs"
    assert document["failures"][0]["failedAction"] == "LambdaAction"
