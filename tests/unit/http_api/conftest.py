"""A local HTTP API with one document, functions that answer from a table, and a pool with keys of its own."""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from yarl import URL

from infra.local.clock import ManualClock
from infra.local.config import Ports, Settings
from infra.local.http_api import HttpApi
from infra.local.wire import Caller, Request

POOL = "us-east-1_AbCdEf123"
ISSUER = f"https://cognito-idp.us-east-1.amazonaws.com/{POOL}"
NOW = datetime(2026, 3, 14, 15, 9, 26, tzinfo=UTC)


@dataclass
class Invoked:
    payload: bytes
    function_error: str | None = None


@dataclass
class FakeFunctions:
    """Answers by function name; what it was asked is kept."""

    handlers: dict[str, Callable[[dict[str, Any]], Awaitable[Any] | Any]] = field(default_factory=dict)
    events: list[tuple[str, dict[str, Any], Caller]] = field(default_factory=list)

    async def invoke(self, arn_or_name: str, payload: bytes, *, caller: Caller) -> Invoked:
        name, event = arn_or_name.rpartition(":")[2], json.loads(payload)
        self.events.append((name, event, caller))
        answer = self.handlers.get(name, lambda _event: {"statusCode": 200, "body": "ok"})(event)
        if isinstance(answer, Awaitable):
            answer = await answer
        return answer if isinstance(answer, Invoked) else Invoked(json.dumps(answer).encode())


class Pool:
    """Signs tokens as a user pool does."""

    def __init__(self) -> None:
        self.key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.public_pem = self.key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        self.jwk = {
            **json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self.key.public_key())),
            "kid": "k1",
            "alg": "RS256",
        }

    def jwks(self, pool_id: str) -> dict[str, Any]:
        return {POOL: {"keys": [self.jwk]}}[pool_id]

    def token(self, *, kid: Any = "k1", algorithm: Any = "RS256", key: Any = None, **claims: Any) -> str:
        base = {"iss": ISSUER, "aud": "app", "sub": "u1", "iat": NOW.timestamp() - 5, "exp": NOW.timestamp() + 3600}
        merged = {name: value for name, value in {**base, **claims}.items() if value is not None}
        return jwt.encode(merged, self.key if key is None else key, algorithm=algorithm, headers={"kid": kid})


def function_uri(name: str) -> str:
    arn = f"arn:aws:lambda:us-east-1:123456789012:function:{name}"
    return f"arn:aws:apigateway:us-east-1:lambda:path/2015-03-31/functions/{arn}/invocations"


def operation(function: str = "f", security: Any = None, **integration: Any) -> dict[str, Any]:
    whole = {"type": "aws_proxy", "httpMethod": "POST", "uri": function_uri(function), "payloadFormatVersion": "2.0"}
    made = {"x-amazon-apigateway-integration": {**whole, **integration}, "responses": {}}
    return made if security is None else {**made, "security": [security]}


def document(paths: dict[str, Any], **more: Any) -> dict[str, Any]:
    schemes = {
        "Jwt": {
            "type": "oauth2",
            "x-amazon-apigateway-authorizer": {
                "type": "jwt",
                "identitySource": "$request.header.Authorization",
                "jwtConfiguration": {"issuer": ISSUER, "audience": ["app"]},
            },
        },
        **more.pop("schemes", {}),
    }
    head = {"openapi": "3.0.1", "info": {"title": "test", "version": "1.0"}}
    return {**head, "paths": paths, "components": {"securitySchemes": schemes}, **more}


class Served:
    """The API under test and a client of it."""

    def __init__(
        self, api: HttpApi, functions: FakeFunctions, clock: ManualClock, session: aiohttp.ClientSession
    ) -> None:
        self.api, self.functions, self.clock, self._session = api, functions, clock, session
        self.log: list[tuple[str, str]] = []

    async def control(self, method: str, path: str, given: Any = None) -> tuple[int, Any]:
        body = b"" if given is None else json.dumps(given).encode()
        answer = await self.api.handle(Request(service="apigateway", method=method, path=path, body=body))
        return answer.status, json.loads(answer.body or b"null")

    async def load(self, openapi: dict[str, Any], **stage: Any) -> str:
        status, made = await self.control("PUT", "/v2/apis", {"body": json.dumps(openapi)})
        assert status == 201, made
        status, answer = await self.control(
            "POST", f"/v2/apis/{made['apiId']}/stages", {"stageName": "$default", **stage}
        )
        assert status == 201, answer
        return str(made["apiId"])

    async def call(self, method: str, path: str, **options: Any) -> tuple[int, dict[str, str], bytes]:
        url = f"http://127.0.0.1:{self.api.port}{path}"
        async with self._session.request(method, URL(url, encoded=True), **options) as answer:
            return answer.status, {name.lower(): value for name, value in answer.headers.items()}, await answer.read()


@pytest.fixture(scope="session")
def pool() -> Pool:
    return Pool()


@pytest.fixture
async def served(pool: Pool, tmp_path: Path) -> AsyncIterator[Served]:
    functions, clock = FakeFunctions(), ManualClock(NOW)
    settings = Settings(state_dir=tmp_path, ports=Ports(http_api=0))
    lines: list[tuple[str, str]] = []
    api = HttpApi(
        settings, clock, functions, pool.jwks, access_log=lambda group, line: lines.append((group, line)),
        new_request_id=lambda: "request-1",
    )  # fmt: skip
    await api.start()
    async with aiohttp.ClientSession() as session:
        made = Served(api, functions, clock, session)
        made.log = lines
        yield made
    await api.stop()
