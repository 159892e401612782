"""The HTTP API of the template in front of the handlers of this process: real routes, real tokens, real HTTP."""

import asyncio
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.client import HTTPConnection
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import Any

from infra.local.clock import ManualClock
from infra.local.config import Ports, Settings
from infra.local.http_api import HttpApi
from infra.local.wire import Caller, Request
from tests.integration.backend.deployed import deployed
from tests.integration.backend.world import ALL_ROUTES, Reply
from tests.unit.http_api.conftest import Invoked, Pool


class Functions:
    """The Lambda service: whichever function has the route answers, on a thread of its own."""

    def __init__(self) -> None:
        self.asked = 0

    async def invoke(self, _arn_or_name: str, payload: bytes, *, caller: Caller) -> Invoked:
        del caller
        self.asked += 1
        event = json.loads(payload)
        (routes,) = [routes for routes in ALL_ROUTES.values() if event["routeKey"] in routes.by_key]
        answer = await asyncio.to_thread(routes.serve, event)
        return Invoked(json.dumps(answer).encode())


@dataclass
class Gateway:
    """The API, and how to call it."""

    port: int
    pool: Pool
    functions: Functions
    definition: Mapping[str, Any]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def audience(self) -> str:
        """Return the app that the authorizer knows."""
        return str(self._jwt["audience"][0])

    @property
    def _jwt(self) -> Any:
        scheme = self.definition["components"]["securitySchemes"]["UserPool"]
        return scheme["x-amazon-apigateway-authorizer"]["jwtConfiguration"]

    def token(self, user: str, *, groups: list[str] | None = None, **claims: Any) -> str:
        """Return an access token as the user pool signs it; None takes a claim away."""
        given = {"sub": user, "token_use": "access", "client_id": self.audience, "cognito:groups": groups}
        now = datetime.now(UTC).timestamp()
        times = {"iat": now - 5, "exp": now + 3600}
        return self.pool.token(**{"iss": self._jwt["issuer"], "aud": None, **times, **given, **claims})

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> Reply:
        """Call the API over HTTP."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=120)
        try:
            text = None if body is None else json.dumps(body)
            named = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, text, {**({"content-type": "application/json"} if text else {}), **named})
            answer = connection.getresponse()
            told = {name.lower(): value for name, value in answer.getheaders()}
            return Reply(answer.status, told, answer.read().decode())
        finally:
            connection.close()


@contextmanager
def serving(definition: Mapping[str, Any] | None = None) -> Iterator[Gateway]:
    """Serve the template's API, or another definition, on a port of the system's choice."""
    definition = definition or deployed().api()
    pool, functions, loop = Pool(), Functions(), asyncio.new_event_loop()
    thread = Thread(target=loop.run_forever)
    thread.start()
    with TemporaryDirectory() as folder:
        settings = Settings(state_dir=Path(folder), ports=Ports(http_api=0))
        clock = ManualClock(datetime.now(UTC))
        api = HttpApi(settings, clock, functions, lambda _pool: {"keys": [pool.jwk]})

        async def start() -> None:
            await api.start()
            body = json.dumps({"body": json.dumps(definition)}).encode()
            made = await api.handle(Request(service="apigateway", method="PUT", path="/v2/apis", body=body))
            stage = json.dumps({"stageName": "$default"}).encode()
            path = f"/v2/apis/{json.loads(made.body)['apiId']}/stages"
            await api.handle(Request(service="apigateway", method="POST", path=path, body=stage))

        asyncio.run_coroutine_threadsafe(start(), loop).result(120)
        try:
            yield Gateway(api.port, pool, functions, definition)
        finally:
            asyncio.run_coroutine_threadsafe(api.stop(), loop).result(120)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(120)
            loop.close()
