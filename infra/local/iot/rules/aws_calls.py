"""Calls of the rules engine to other AWS services: as the service itself, or under the role a rule gives it."""

import asyncio
import html
import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Protocol
from urllib.parse import urlencode

import aiohttp
import yarl

from infra.local import sigv4
from infra.local.clock import Clock
from infra.local.config import Settings
from infra.local.credentials import Credentials

SERVICE = "iot.amazonaws.com"
TIMEOUT_S = 30.0
MAX_IN_FLIGHT = 64
FRESH = timedelta(minutes=5)
"""Credentials are taken again when they have less than this left."""


class CallError(Exception):
    """Another service refused a call or could not be reached; ``retryable`` when trying again may help."""

    def __init__(self, message: str, *, status: int = 0) -> None:
        super().__init__(message)
        self.status = status
        self.retryable = status in (0, 429) or status >= 500 or "Throttl" in message or "Throughput" in message


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to an AWS API."""

    service: str
    """The SigV4 service name."""
    path: str = "/"
    query: str = ""
    method: str = "POST"
    headers: Mapping[str, str]
    body: bytes
    role_arn: str | None = None
    """None: as the service itself, on behalf of the rule."""


class Aws(Protocol):
    """What actions need of the rest of AWS."""

    async def send(self, call: Call, source_arn: str) -> bytes:
        """Return the answer's body; raise CallError for any answer that is not a success."""

    async def check_role(self, role_arn: str, source_arn: str) -> None:
        """Raise CallError if AWS IoT cannot assume the role."""


class AwsCalls:
    """The real one, over HTTP to the front."""

    def __init__(self, settings: Settings, clock: Clock, real_time: Callable[[], datetime] | None = None) -> None:
        self._settings = settings
        self._clock = clock
        self._now = real_time or (lambda: datetime.now(UTC))  # noqa: TID251 - signatures are judged by real time
        self._session: aiohttp.ClientSession | None = None
        self._in_flight = asyncio.Semaphore(MAX_IN_FLIGHT)
        self._credentials: dict[str, asyncio.Task[Credentials]] = {}

    async def send(self, call: Call, source_arn: str) -> bytes:
        """Return the answer's body; at most ``MAX_IN_FLIGHT`` calls at once.

        Raises:
            CallError: the answer is not a success, or there is none.
        """
        if call.role_arn is None:
            headers = {**call.headers, **self._as_service(source_arn)}
        else:
            credentials = await self._assume(call.role_arn, source_arn)
            headers = {**call.headers, "host": f"127.0.0.1:{self._settings.ports.aws}"}
            headers |= sigv4.sign(
                call.method,
                call.path,
                call.query,
                headers,
                call.body,
                credentials=credentials,
                service=call.service,
                region=self._settings.region,
                now=self._now(),
            )
        return await self._request(call, headers)

    async def check_role(self, role_arn: str, source_arn: str) -> None:
        """Assume the role anew.

        Raises:
            CallError: AWS IoT cannot.
        """
        self._credentials.pop(role_arn, None)
        await self._assume(role_arn, source_arn)

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    def _as_service(self, source_arn: str) -> dict[str, str]:
        return {
            "x-fieldline-service": SERVICE,
            "x-fieldline-secret": self._settings.service_secret,
            "x-fieldline-source-arn": source_arn,
        }

    async def _assume(self, role_arn: str, source_arn: str) -> Credentials:
        task = self._credentials.get(role_arn)
        if task is None or (task.done() and not self._fresh(task)):
            task = asyncio.get_running_loop().create_task(self._assume_role(role_arn, source_arn))
            self._credentials[role_arn] = task
        return await asyncio.shield(task)

    def _fresh(self, task: asyncio.Task[Credentials]) -> bool:
        if task.cancelled() or task.exception() is not None:
            return False
        expires_at = task.result().expires_at
        return expires_at is None or expires_at - self._clock.now() > FRESH

    async def _assume_role(self, role_arn: str, source_arn: str) -> Credentials:
        """Return temporary credentials of the role ("AssumeRole", as the service that the role trusts)."""
        form = {"Action": "AssumeRole", "Version": "2011-06-15", "RoleArn": role_arn, "RoleSessionName": "iot-rules"}
        headers = {"content-type": "application/x-www-form-urlencoded", **self._as_service(source_arn)}
        call = Call(service="sts", headers=headers, body=urlencode(form).encode())
        text = (await self._request(call, headers)).decode()
        return Credentials(
            access_key_id=_element(text, "AccessKeyId"),
            secret_access_key=_element(text, "SecretAccessKey"),
            session_token=_element(text, "SessionToken"),
            expires_at=datetime.fromisoformat(_element(text, "Expiration")),
        )

    async def _request(self, call: Call, headers: Mapping[str, str]) -> bytes:
        url = f"{self._settings.endpoint_url}{call.path}{f'?{call.query}' if call.query else ''}"
        if self._session is None:
            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=TIMEOUT_S),
                connector=aiohttp.TCPConnector(limit=MAX_IN_FLIGHT),
                auto_decompress=False,
                skip_auto_headers=("content-type", "user-agent", "accept-encoding"),
            )
        try:
            async with (
                self._in_flight,
                self._session.request(call.method, _verbatim(url), headers=headers, data=call.body) as response,
            ):
                body = await response.read()
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            raise CallError(f"{call.service} could not be reached: {error!r}") from error
        if response.status >= 300:
            kind = response.headers.get("x-amzn-errortype", "")
            raise CallError(_refusal(call.service, response.status, kind, body), status=response.status)
        return body


def _verbatim(url: str) -> yarl.URL:
    return yarl.URL(url, encoded=True)


def _refusal(service: str, status: int, kind: str, body: bytes) -> str:
    """Return why a service refused a call, as the page "Error handling (error action)" words it."""
    text = body.decode(errors="replace")
    try:
        told = json.loads(text)
        code, reason = kind or str(told.get("__type", "")), told.get("message")
    except (ValueError, AttributeError):
        code, reason = _element(text, "Code"), _element(text, "Message")
    code = code.rpartition("#")[2].partition(":")[0]
    return f"The error received was {reason or text} (Service: {service}; Status Code: {status}; Error Code: {code})"


def _element(text: str, name: str) -> str:
    """Return the text of the first XML element of that name in an answer; "" without one."""
    found = re.search(f"<{name}>([^<]*)</{name}>", text)
    return html.unescape(found[1]) if found else ""
