"""User pool triggers: Cognito calls a function and waits for its answer.

Follows "Customizing user pool workflows with Lambda triggers" (Amazon Cognito Developer Guide): synchronous, five
seconds, tried three times where no answer came; an exception of the handler refuses the user's request at once.
"""

import asyncio
import json
from collections.abc import Mapping
from typing import Any, Protocol

from infra.local.cognito.directory import Pool, User
from infra.local.cognito.errors import CognitoError
from infra.local.wire import Caller

TIMEOUT_S = 5.0
TRIES = 3
CARRIED = frozenset(
    (
        "PreSignUp", "PostConfirmation", "PreAuthentication", "PostAuthentication", "PreTokenGeneration",
        "PreTokenGenerationConfig", "CustomMessage", "DefineAuthChallenge", "CreateAuthChallenge",
        "VerifyAuthChallengeResponse",
    )
)  # fmt: skip


class Result(Protocol):
    """What an invocation gives back."""

    @property
    def status(self) -> int: ...  # noqa: D102 - the class says it
    @property
    def payload(self) -> bytes: ...  # noqa: D102 - the class says it
    @property
    def function_error(self) -> str | None: ...  # noqa: D102 - the class says it


class Invoke(Protocol):
    """The Functions room, as Cognito uses it."""

    async def __call__(self, arn_or_name: str, payload: bytes, *, caller: Caller) -> Result: ...  # noqa: D102


class Triggers:
    """Calls what a pool's LambdaConfig names."""

    def __init__(self, invoke: Invoke, *, timeout_s: float = TIMEOUT_S) -> None:
        self._invoke = invoke
        self._timeout_s = timeout_s

    async def run(
        self,
        pool: Pool,
        source: str,
        user: User,
        *,
        client_id: str,
        request: Mapping[str, Any],
        response: Mapping[str, Any] | None = None,
    ) -> dict[str, Any] | None:
        """Return the ``response`` a trigger answered; None where the pool has no such trigger.

        ``source`` is the trigger source (``PreSignUp_SignUp``); ``request`` and ``response`` join the common parts.

        Raises:
            CognitoError: the handler refused, did not answer, or answered nonsense.
        """
        kind = _kind(source)
        function, version = _function(pool, kind)
        if function is None:
            return None
        event = {
            "version": version,
            "region": pool.id.partition("_")[0],
            "userPoolId": pool.id,
            "userName": user.name,
            "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client_id},
            "triggerSource": source,
            "request": {"userAttributes": attributes_of(user), **request},
            "response": dict(response or {}),
        }
        result = await self._call(function, kind, json.dumps(event).encode(), pool)
        if result.function_error:
            raise CognitoError("UserLambdaValidationException", f"{kind} failed with error {_message(result.payload)}.")
        return _response(result.payload)

    async def _call(self, function: str, kind: str, payload: bytes, pool: Pool) -> Result:
        caller = Caller(arn="cognito-idp.amazonaws.com", kind="service", source_arn=pool.arn)
        why = "Timeout"
        for _ in range(TRIES):
            try:
                async with asyncio.timeout(self._timeout_s):
                    result = await self._invoke(function, payload, caller=caller)
            except TimeoutError:
                continue
            if result.status < 400:
                return result
            why = _message(result.payload)
            if result.status not in (429, 500, 502, 503):
                break
        message = f"{kind} invocation failed due to error {why}."
        raise CognitoError("UnexpectedLambdaException", message)


def attributes_of(user: User) -> dict[str, str]:
    """Return a user's attributes as triggers see them."""
    return {**user.attributes, "cognito:user_status": user.status}


def _kind(source: str) -> str:
    kind = source.partition("_")[0]
    return "PreTokenGeneration" if kind == "TokenGeneration" else kind


def _function(pool: Pool, kind: str) -> tuple[str | None, str]:
    config = pool.settings.get("LambdaConfig", {})
    detailed = config.get("PreTokenGenerationConfig") if kind == "PreTokenGeneration" else None
    if detailed:
        return detailed["LambdaArn"], {"V1_0": "1", "V2_0": "2"}[detailed["LambdaVersion"]]
    return config.get(kind), "1"


def _message(payload: bytes) -> str:
    try:
        document = json.loads(payload)
        return str(document.get("errorMessage") or document.get("message") or document.get("Message"))
    except (ValueError, AttributeError):
        return payload.decode(errors="replace")


def _response(payload: bytes) -> dict[str, Any]:
    try:
        response = json.loads(payload)["response"]
    except (ValueError, KeyError, TypeError):
        response = None
    if not isinstance(response, dict):
        raise CognitoError("InvalidLambdaResponseException", "Unrecognizable lambda output")
    return response
