"""A rest of AWS that remembers what it was asked, and answers as it is told."""

import json
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.iot.message import NO_PROPERTIES, Message, Principal, Properties
from infra.local.iot.rules.api import TopicRules
from infra.local.iot.rules.aws_calls import Call, CallError
from infra.local.iot.rules.engine import RulesEngine
from infra.local.wire import Request, Response

ROLE = "arn:aws:iam::123456789012:role/rules"
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:ingest"
NOW = datetime(2026, 1, 1, tzinfo=UTC)


class FakeAws:
    """``refuse`` says of each call what is wrong with it, or None."""

    def __init__(self, refuse: Callable[[Call], CallError | None] = lambda _: None) -> None:
        self.refuse = refuse
        self.sent: list[Call] = []
        self.tried = 0
        self.source_arns: set[str] = set()
        self.bad_roles: set[str] = set()
        self.answers: dict[str, bytes] = {}

    async def send(self, call: Call, source_arn: str) -> bytes:
        self.tried += 1
        self.source_arns.add(source_arn)
        error = self.refuse(call)
        if error is not None:
            raise error
        self.sent.append(call)
        return self.answers.get(call.path, b"")

    async def check_role(self, role_arn: str, source_arn: str) -> None:
        if role_arn in self.bad_roles:
            raise CallError("AccessDenied", status=403)

    def bodies(self, service: str) -> list[Any]:
        return [json.loads(call.body) for call in self.sent if call.service == service]


class Room:
    """Engine and API on a fake AWS, a clock that stands still, and waits that do not wait."""

    def __init__(self, aws: FakeAws | None = None, settings: Settings | None = None) -> None:
        self.aws = aws or FakeAws()
        self.waits: list[float] = []
        self.clock = ManualClock(NOW)
        self.engine = RulesEngine(self.clock, self.aws, sleep=self._sleep)
        self.tags: dict[str, Mapping[str, str]] = {}
        settings = settings or Settings(state_dir=Path("unused"))
        self.api = TopicRules(self.engine, self.aws, self.clock, settings, self.tags.__setitem__)

    async def _sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    async def call(self, method: str, path: str, document: object = None, query: str = "") -> Response:
        body = b"" if document is None else json.dumps(document).encode()
        return await self.api.handle(Request(service="iot", method=method, path=path, query=query, body=body))

    async def rule(self, name: str, sql: str, *actions: object, error: object = None, **more: object) -> None:
        document = {"sql": sql, "actions": list(actions), "awsIotSqlVersion": "2016-03-23", **more}
        if error is not None:
            document["errorAction"] = error
        response = await self.call("POST", f"/rules/{name}", document)
        assert response.status == 200, response.body

    async def publish(self, topic: str, payload: bytes | object = b"{}", client_id: str | None = "thing") -> None:
        self.engine.receive(message(topic, payload, client_id))
        await self.settle()

    async def settle(self) -> None:
        assert await self.engine.drain(5) == 0


def message(
    topic: str,
    payload: bytes | object = b"{}",
    client_id: str | None = "thing",
    properties: Properties = NO_PROPERTIES,
) -> Message:
    return Message(
        topic=topic,
        payload=payload if isinstance(payload, bytes) else json.dumps(payload).encode(),
        client_id=client_id,
        principal=Principal(kind="certificate", id="c" * 64),
        source_ip="127.0.0.1",
        properties=properties,
    )


def lambda_action() -> dict[str, object]:
    return {"lambda": {"functionArn": FUNCTION}}


def republish(topic: str, **more: object) -> dict[str, object]:
    return {"republish": {"topic": topic, "roleArn": ROLE, **more}}


def sqs(queue: str = "errors") -> dict[str, object]:
    return {"sqs": {"queueUrl": f"http://127.0.0.1:4566/123456789012/{queue}", "roleArn": ROLE}}
