"""What a function is given and what its answer means, in payload format 2.0: pure.

Follows "Working with AWS Lambda proxy integrations for HTTP APIs" and "Control access to HTTP APIs with AWS Lambda
authorizers". Bodies are text when their content type says so and base64 otherwise: forms among them, as in the field.
"""

import base64
import binascii
import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import parse_qsl, unquote

from infra.local.config import ACCOUNT_ID
from infra.local.http_api.routing import Match

TEXT_TYPES = ("text/", "application/json", "application/javascript", "application/xml")
TEXT_SUFFIXES = ("+json", "+xml")
NAME = re.compile(r"[!#$%&'*+.^_`|~0-9a-z-]+")
UNSENDABLE = re.compile(r"[\r\n\0]")
OWN_HEADERS = {"content-length", "transfer-encoding", "connection", "apigw-requestid", "date", "server"}


class BadAnswerError(Exception):
    """A function's answer is not one; API Gateway then answers 500."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request as it came in."""

    api_id: str
    region: str
    stage: str
    method: str
    raw_path: str
    """Undecoded, the stage's name before it unless that is ``$default``."""
    raw_query: str
    headers: tuple[tuple[str, str], ...]
    """Names in lower case, in the order they came."""
    body: bytes
    source_ip: str
    protocol: str
    request_id: str
    at: datetime
    too_large: bool = False
    """The body was beyond the limit and is not here."""

    def header(self, name: str) -> str | None:
        """Return the values of a header, joined by commas; None without it."""
        values = [value for key, value in self.headers if key == name]
        return ",".join(values) if values else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What goes back to the client."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    error: str = ""
    """Why, for the access log and ours; never sent."""

    def with_headers(self, *more: tuple[str, str]) -> "Answer":
        """Return the same answer with headers added."""
        return Answer(status=self.status, body=self.body, headers=(*self.headers, *more), error=self.error)


def refuse(status: int, message: str, *headers: tuple[str, str], error: str = "") -> Answer:
    """Return one of API Gateway's own answers."""
    body = json.dumps({"message": message}, separators=(",", ":")).encode()
    return Answer(
        status=status, body=body, headers=(("content-type", "application/json"), *headers), error=error or message
    )


def build_event(
    call: Call, match: Match, authorizer: Mapping[str, Any] | None, variables: Mapping[str, str]
) -> dict[str, Any]:
    """Return the event of format 2.0."""
    event = {**_shared(call, match, variables), "isBase64Encoded": False}
    if authorizer is not None:
        event["requestContext"]["authorizer"] = authorizer
    if call.body:
        event["body"], event["isBase64Encoded"] = _body(call)
    return event


def build_authorizer_event(
    call: Call, match: Match, identity: list[str], variables: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a Lambda authorizer of format 2.0 is given."""
    return {
        **_shared(call, match, variables),
        "type": "REQUEST",
        "routeArn": route_arn(call, call.method, call.raw_path),
        "identitySource": identity,
    }


def build_old_authorizer_event(
    call: Call, match: Match, identity: list[str], variables: Mapping[str, str]
) -> dict[str, Any]:
    """Return what a Lambda authorizer of format 1.0 is given."""
    shared = _shared(call, match, variables)
    source, path = ",".join(identity), shared["rawPath"]
    asked = {"path": path, "httpMethod": call.method}
    context = {
        "accountId": ACCOUNT_ID,
        "apiId": call.api_id,
        "identity": {"sourceIp": call.source_ip, "userAgent": call.header("user-agent") or ""},
        "requestId": call.request_id,
        "resourceId": match.route.key,
        "resourcePath": match.route.path or "$default",
        "stage": call.stage,
    }
    return {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": route_arn(call, call.method, call.raw_path),
        "identitySource": source,
        "authorizationToken": source,
        "resource": match.route.path or "$default",
        **asked,
        "headers": shared["headers"],
        "queryStringParameters": shared.get("queryStringParameters", {}),
        "pathParameters": shared.get("pathParameters", {}),
        "stageVariables": dict(variables),
        "requestContext": context | asked,
    }


def route_arn(call: Call, method: str, path: str) -> str:
    """Return the ARN by which policies name a method and path of an API's stage."""
    path = path.removeprefix(f"/{call.stage}").lstrip("/")
    return f"arn:aws:execute-api:{call.region}:{ACCOUNT_ID}:{call.api_id}/{call.stage}/{method}/{path}"


def _shared(call: Call, match: Match, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return what both kinds of event carry; what a request does not have is left out."""
    joined: dict[str, str] = {}
    for name, value in call.headers:
        if name != "cookie":
            joined[name] = f"{joined[name]},{value}" if name in joined else value
    query: dict[str, str] = {}
    for name, value in parse_qsl(call.raw_query, keep_blank_values=True):
        query[name] = f"{query[name]},{value}" if name in query else value
    cookies = [cookie.strip() for name, value in call.headers if name == "cookie" for cookie in value.split(";")]
    optional: dict[str, Any] = {
        "cookies": cookies,
        "queryStringParameters": query,
        "pathParameters": dict(match.parameters),
        "stageVariables": dict(variables),
    }
    return {
        "version": "2.0",
        "routeKey": match.route.key,
        "rawPath": unquote(call.raw_path),  # decoded, in spite of its name, as captures from AWS show
        "rawQueryString": call.raw_query,
        "headers": joined,
        "requestContext": _context(call, match),
        **{name: value for name, value in optional.items() if value},
    }


def _context(call: Call, match: Match) -> dict[str, Any]:
    return {
        "accountId": ACCOUNT_ID,
        "apiId": call.api_id,
        "domainName": f"{call.api_id}.execute-api.{call.region}.amazonaws.com",
        "domainPrefix": call.api_id,
        "http": {
            "method": call.method,
            "path": unquote(call.raw_path),
            "protocol": call.protocol,
            "sourceIp": call.source_ip,
            "userAgent": call.header("user-agent") or "",
        },
        "requestId": call.request_id,
        "routeKey": match.route.key,
        "stage": call.stage,
        "time": call.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "timeEpoch": int(call.at.timestamp() * 1000),
    }


def _body(call: Call) -> tuple[str, bool]:
    kind = (call.header("content-type") or "text/plain").partition(";")[0].strip().lower()
    if kind.startswith(TEXT_TYPES) or kind.endswith(TEXT_SUFFIXES):
        try:
            return call.body.decode(), False
        except UnicodeDecodeError:
            pass
    return base64.b64encode(call.body).decode(), True


def read_answer(payload: bytes) -> Answer:
    """Return what a function's payload tells the client.

    Raises:
        BadAnswerError: it has a status code and is not of format 2.0.
    """
    try:
        given = json.loads(payload or b"null")
    except ValueError as error:
        raise BadAnswerError("the function's answer is not JSON") from error
    if not isinstance(given, dict) or "statusCode" not in given:
        text = given if isinstance(given, str) else payload.decode()
        return Answer(status=200, body=text.encode(errors="replace"), headers=(("content-type", "application/json"),))
    headers = _headers(given.get("headers") or {})
    if not any(name == "content-type" for name, _ in headers):
        headers.append(("content-type", "text/plain;charset=UTF-8"))
    cookies = given.get("cookies") or []
    if not isinstance(cookies, list):
        raise BadAnswerError("cookies are a list")
    headers.extend(("set-cookie", str(cookie)) for cookie in cookies)
    if not all(NAME.fullmatch(name) and not UNSENDABLE.search(value) for name, value in headers):
        raise BadAnswerError("a header cannot be sent as it is")
    return Answer(status=_status(given["statusCode"]), body=_answered_body(given), headers=tuple(headers))


def _status(given: Any) -> int:
    try:
        status = int(given)
    except (TypeError, ValueError):
        raise BadAnswerError(f"statusCode {given!r} is no number") from None
    if not 100 <= status <= 599:
        raise BadAnswerError(f"statusCode {status} is no HTTP status")
    return status


def _headers(given: Any) -> list[tuple[str, str]]:
    if not isinstance(given, dict) or not all(isinstance(value, str | int | float | bool) for value in given.values()):
        raise BadAnswerError("headers are a map of text to text")
    pairs = (
        (name.lower(), str(value).lower() if isinstance(value, bool) else str(value)) for name, value in given.items()
    )
    return [(name, value) for name, value in pairs if name not in OWN_HEADERS]


def _answered_body(given: Mapping[str, Any]) -> bytes:
    body = given.get("body")
    if body is None:
        return b""
    if not isinstance(body, str):
        raise BadAnswerError("the body is not text")
    if not given.get("isBase64Encoded"):
        return body.encode(errors="replace")
    try:
        return base64.b64decode(body, validate=True)
    except binascii.Error:
        raise BadAnswerError("the body is not base64, although isBase64Encoded says so") from None
