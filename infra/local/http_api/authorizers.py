"""Who may call a route: JWT authorizers judged here, Lambda authorizers asked and remembered.

Follows "Control access to HTTP APIs with JWT authorizers" and "… with AWS Lambda authorizers".
"""

import fnmatch
import json
import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.http_api.calls import Calls
from infra.local.http_api.events import (
    Answer,
    Call,
    build_authorizer_event,
    build_old_authorizer_event,
    refuse,
    route_arn,
)
from infra.local.http_api.openapi import Authorizer, JwtAuthorizer, LambdaAuthorizer
from infra.local.http_api.routing import Match
from infra.local.http_api.tokens import Jwks, TokenRefusedError, claims_as_text, scopes_of, verify

TIMEOUT_S = 10.0
"""Of a Lambda authorizer ("Quotas for configuring and running an HTTP API")."""
MAX_REMEMBERED = 10_000

_log = logging.getLogger(__name__)
Context = Mapping[str, Any]
"""What a route's function gets as ``requestContext.authorizer``."""


class Authorizers:
    """Judges calls for all APIs of this process."""

    def __init__(self, clock: Clock, calls: Calls, jwks: Jwks) -> None:
        self._clock = clock
        self._calls = calls
        self._jwks = jwks
        self._remembered: dict[tuple[str, ...], tuple[float, dict[str, Any]]] = {}

    async def judge(
        self, authorizer: Authorizer, call: Call, match: Match, variables: Mapping[str, str]
    ) -> Context | Answer:
        """Return the context for the function, or the answer that refuses the call."""
        identity = [_identity(source, call, match, variables) for source in authorizer.identity_source]
        given = [value for value in identity if value]
        if len(given) < len(identity):
            bearer = (("www-authenticate", "Bearer"),) if isinstance(authorizer, JwtAuthorizer) else ()
            return refuse(401, "Unauthorized", *bearer, error="the identity source is missing")
        if isinstance(authorizer, JwtAuthorizer):
            return self._judge_token(given[0], authorizer, match)
        return await self._ask(authorizer, call, match, given, variables)

    def forget(self, api_id: str) -> None:
        """Drop what authorizers of an API answered: its definition has changed."""
        self._remembered = {key: entry for key, entry in self._remembered.items() if key[0] != api_id}

    def _judge_token(self, token: str, authorizer: JwtAuthorizer, match: Match) -> Context | Answer:
        scheme, _, rest = token.partition(" ")
        try:
            claims = verify(
                rest.strip() if scheme.lower() == "bearer" else token, authorizer, self._jwks, self._clock.now()
            )
        except TokenRefusedError as refused:
            challenge = f'Bearer scope="" error="invalid_token" error_description="{refused}"'
            return refuse(401, "Unauthorized", ("www-authenticate", challenge), error=str(refused))
        scopes = scopes_of(claims)
        if match.route.scopes and not set(scopes) & set(match.route.scopes):
            wanted = " ".join(match.route.scopes)
            challenge = f'Bearer scope="{wanted}" error="insufficient_scope"'
            return refuse(403, "Forbidden", ("www-authenticate", challenge), error=f"none of the scopes {wanted}")
        return {"jwt": {"claims": claims_as_text(claims), "scopes": scopes if match.route.scopes else None}}

    async def _ask(
        self,
        authorizer: LambdaAuthorizer,
        call: Call,
        match: Match,
        identity: list[str],
        variables: Mapping[str, str],
    ) -> Context | Answer:
        key = (call.api_id, call.stage, authorizer.name, *identity)
        until, answer = self._remembered.get(key, (0.0, {}))
        if not answer or until <= self._clock.time():
            build = build_authorizer_event if authorizer.payload_format == "2.0" else build_old_authorizer_event
            event = build(call, match, identity, variables)
            source = f"arn:aws:execute-api:{call.region}:{ACCOUNT_ID}:{call.api_id}/authorizers/{authorizer.name}"
            try:
                answer = await self._invoke(authorizer, event, source)
            except _AuthorizerFailedError as failed:
                _log.warning("authorizer %s: %s", authorizer.name, failed)
                if failed.unauthorized:
                    return refuse(401, "Unauthorized", error="the authorizer raised Unauthorized")
                return refuse(500, "Internal Server Error", error=f"authorizer: {failed}")
            if authorizer.ttl_s and identity:
                self._remember(key, self._clock.time() + authorizer.ttl_s, answer)
        allowed = answer["isAuthorized"] if authorizer.simple else _policy_allows(answer["policyDocument"], call)
        if not allowed:
            return refuse(403, "Forbidden", error="the authorizer refused")
        return {"lambda": answer.get("context")}

    async def _invoke(self, authorizer: LambdaAuthorizer, event: Mapping[str, Any], source: str) -> dict[str, Any]:
        try:
            result = await self._calls.invoke(authorizer.function_arn, event, source_arn=source, timeout_s=TIMEOUT_S)
        except Exception as error:  # the call's edge: whatever the function's service says is a 500 here
            raise _AuthorizerFailedError(str(error)) from error
        if result.function_error:
            raise _AuthorizerFailedError(
                result.payload.decode(errors="replace")[:500], unauthorized=_raised(result.payload) == "Unauthorized"
            )
        return _checked(authorizer, result.payload)

    def _remember(self, key: tuple[str, ...], until: float, answer: dict[str, Any]) -> None:
        if len(self._remembered) >= MAX_REMEMBERED:
            now = self._clock.time()
            self._remembered = {key: entry for key, entry in self._remembered.items() if entry[0] > now}
            if len(self._remembered) >= MAX_REMEMBERED:
                self._remembered.clear()
        self._remembered[key] = (until, answer)


class _AuthorizerFailedError(Exception):
    def __init__(self, message: str, *, unauthorized: bool = False) -> None:
        super().__init__(message)
        self.unauthorized = unauthorized


def _raised(payload: bytes) -> str | None:
    """Return the message of what a function raised."""
    try:
        return str(json.loads(payload)["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return None


def _checked(authorizer: LambdaAuthorizer, payload: bytes) -> dict[str, Any]:
    try:
        answer = json.loads(payload or b"null")
    except ValueError:
        raise _AuthorizerFailedError("its answer is not JSON") from None
    wanted: tuple[str, type] = ("isAuthorized", bool) if authorizer.simple else ("policyDocument", dict)
    if not isinstance(answer, dict) or not isinstance(answer.get(wanted[0]), wanted[1]):
        raise _AuthorizerFailedError(f"its answer has no {wanted[0]}")
    return answer


def _policy_allows(document: Mapping[str, Any], call: Call) -> bool:
    arn = route_arn(call, call.method, call.raw_path)
    statements = document.get("Statement", [])
    effects = {
        statement.get("Effect")
        for statement in (statements if isinstance(statements, list) else [statements])
        if _any_matches(statement.get("Action", []), "execute-api:Invoke", fold=True)
        and _any_matches(statement.get("Resource", []), arn)
    }
    return "Allow" in effects and "Deny" not in effects


def _any_matches(patterns: Any, value: str, *, fold: bool = False) -> bool:
    for pattern in patterns if isinstance(patterns, list) else [patterns]:
        text = str(pattern).replace("[", "[[]")
        if fnmatch.fnmatchcase(value.lower() if fold else value, text.lower() if fold else text):
            return True
    return False


def _identity(source: str, call: Call, match: Match, variables: Mapping[str, str]) -> str | None:
    """Return what ``$request.header.X``, ``$request.querystring.X`` or ``$context.routeKey`` yields."""
    kind, _, name = source.rpartition(".")
    if kind == "$request.header":
        return call.header(name.lower())
    if kind == "$request.querystring":
        return dict(parse_qsl(call.raw_query)).get(name)
    if source == "$context.routeKey":
        return match.route.key
    return variables.get(name) if kind == "$stageVariables" else None
