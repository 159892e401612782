"""The shape of a call between AWS services inside the local cloud: what came over HTTP, and what goes back."""

import json
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

SOURCE_IP_HEADER = "x-fieldline-source-ip"
"""Where a request came from, as our doors saw it: they set it over whatever a client sent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who signed a request, established from its signature; never from anything else it carries."""

    arn: str
    """``arn:aws:iam::123456789012:root``, ``arn:aws:sts::…:assumed-role/{role}/{session}``, or a service's name."""
    kind: str = "owner"
    """``owner`` (no policy limits it), ``role``, ``cognito`` (a role taken through an identity pool), ``service``
    (one of AWS's own, such as ``iot.amazonaws.com``), or ``anonymous`` (operations that AWS serves unsigned)."""
    cognito_identity_id: str | None = None
    cognito_identity_pool_id: str | None = None
    cognito_guest: bool = False
    """The identity is unauthenticated: AWS IoT then asks its role alone, no IoT policy of its own."""
    user_id: str | None = None
    """As ``aws:userid`` has it: the account's number for its owner, a role's id and its session."""
    source_arn: str | None = None
    """For a service's own calls: the resource on whose behalf it calls, as ``aws:SourceArn`` has it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call to an AWS API, its signature already verified."""

    service: str
    """The SigV4 service name: ``dynamodb``, ``lambda``, ``iot``, ``iotdata``, ``cognito-idp`` …"""
    method: str
    path: str
    """Undecoded, as it stood in the request line, without the query."""
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Names in lower case."""
    body: bytes = b""
    region: str = "us-east-1"
    caller: Caller = Caller(arn="anonymous", kind="anonymous")

    @property
    def operation(self) -> str:
        """Return the operation of a JSON-protocol service: what follows the dot in ``X-Amz-Target``; "" without one."""
        return self.headers.get("x-amz-target", "").rpartition(".")[2]

    def json(self) -> Any:
        """Return the body as JSON; an empty body is an empty object.

        Raises:
            ValueError: the body is not JSON.
            RecursionError: it is nested too deeply.
        """
        return json.loads(self.body or b"{}")


def without_nulls(value: Any) -> Any:
    """Return a document without the members that are null: AWS takes them for absent, and older clients send some.

    Raises:
        RecursionError: it is nested too deeply.
    """
    if isinstance(value, dict):
        return {name: without_nulls(one) for name, one in value.items() if one is not None}
    return [without_nulls(one) for one in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True, kw_only=True)
class Response:
    """What an AWS API answers."""

    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""


MALFORMED = (AttributeError, IndexError, KeyError, OverflowError, TypeError, ValueError)
"""What reading a request of the wrong shape runs into; SDKs send none, and a room answers it as the caller's error."""

Handler = Callable[[Request], Awaitable[Response]]
"""A service: one call in, one answer out. It answers AWS's errors itself and raises only on a defect of ours."""


def json_response(document: object, status: int = 200, **headers: str) -> Response:
    """Return ``document`` as an AWS JSON answer; underscores in the names of ``headers`` become hyphens."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Response(
        status=status,
        headers={"content-type": "application/json", **named},
        body=json.dumps(document, default=str).encode(),
    )


def error_response(code: str, message: str, status: int = 400, protocol: str = "json") -> Response:
    """Return an AWS error in the shape botocore reads: ``rest-json`` names it in a header, ``json`` in ``__type``."""
    document = (
        {"message": message, "Message": message} if protocol == "rest-json" else {"__type": code, "message": message}
    )
    return json_response(document, status, x_amzn_errortype=code)
