"""The pre-provisioning hook: a Lambda function asked before a device is let in.

AWS IoT developer guide, "Pre-provisioning hooks": only an answer in time with ``allowProvisioning`` true lets it in;
``parameterOverrides`` are added to the device's parameters.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any
from urllib.parse import quote

from aiohttp import ClientError, ClientSession, ClientTimeout

from infra.local.config import Settings
from infra.local.iot.errors import IotError, RefusedError

TIMEOUT_S = 5.0
_LOG = logging.getLogger(__name__)
Invoke = Callable[[str, bytes, str], Awaitable[bytes]]
"""Function ARN, payload, source ARN to the function's answer. Raises ``HookError``."""


class HookError(Exception):
    """The function did not answer, or failed; whoever is provisioned is refused."""


class LambdaHook:
    """Invokes functions through the local cloud's Lambda API, as AWS IoT does: a service with a source ARN."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._session: ClientSession | None = None

    async def __call__(self, function_arn: str, payload: bytes, source_arn: str) -> bytes:
        """Return the function's answer.

        Raises:
            HookError: it may not be invoked, failed, or cannot be reached.
        """
        if self._session is None:
            self._session = ClientSession(timeout=ClientTimeout(total=2 * TIMEOUT_S))
        headers = {
            "x-fieldline-service": "iot.amazonaws.com",
            "x-fieldline-secret": self._settings.service_secret,
            "x-fieldline-source-arn": source_arn,
            "x-amz-invocation-type": "RequestResponse",
            "content-type": "application/json",
        }
        url = f"{self._settings.endpoint_url}/2015-03-31/functions/{quote(function_arn, safe=':')}/invocations"
        try:
            async with self._session.post(url, data=payload, headers=headers) as answer:
                body = await answer.read()
                failed = answer.status != 200 or "x-amz-function-error" in answer.headers
        except (ClientError, OSError) as error:
            raise HookError(f"Lambda does not answer: {error}") from error
        if failed:
            raise HookError(body.decode(errors="replace")[:500])
        return body

    async def stop(self) -> None:
        """Close the connections."""
        if self._session:
            await self._session.close()


async def ask_hook(
    invoke: Invoke, function_arn: str, event: Mapping[str, Any], source_arn: str, timeout_s: float
) -> dict[str, str]:
    """Return the parameters the hook adds.

    Raises:
        IotError: the hook does not allow it, failed, was late or answered something else.
    """
    try:
        async with asyncio.timeout(timeout_s):
            answer = await invoke(function_arn, json.dumps(event).encode(), source_arn)
        return _load_answer(answer)
    except (HookError, TimeoutError, ValueError) as error:
        reason = f"no answer within {timeout_s:g} s" if isinstance(error, TimeoutError) else str(error)
        _LOG.warning("pre-provisioning hook %s refused %s: %s", function_arn, event["clientId"], reason)
        raise denied() from error


def denied() -> IotError:
    """Return the refusal, under the code the page names."""
    return RefusedError("ACCESS_DENIED", 403, "Access Denied")


def _load_answer(answer: bytes) -> dict[str, str]:
    document = json.loads(answer)
    if not isinstance(document, dict) or document.get("allowProvisioning") is not True:
        raise ValueError("it does not allow provisioning")
    overrides = document.get("parameterOverrides") or {}
    if not isinstance(overrides, dict) or not all(isinstance(value, str) for value in overrides.values()):
        raise ValueError("parameterOverrides must be strings by name")
    return overrides
