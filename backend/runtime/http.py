"""The HTTP door: routes, documents in and out, and the one place where errors become answers (RFC 9457)."""

import base64
import hashlib
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from marshmallow import Schema

from backend.domain.access import Caller
from backend.domain.idempotency import MAX_KEPT_BYTES, MAX_KEY_LENGTH, Answered
from backend.domain.paging import dump_cursor, load_cursor
from backend.errors import (
    ConflictError,
    FieldlineError,
    InvalidInputError,
    NotFoundError,
    PreconditionFailedError,
    UnauthenticatedError,
    invalid,
)
from backend.ports import Clock, Idempotency
from backend.runtime.identity import load_caller
from backend.runtime.logs import StructuredLog
from backend.schemas.base import load, load_json

T = TypeVar("T")
MAX_PATH_PARAMETER_LENGTH = 256
PROBLEM = "application/problem+json"
ETAG = re.compile(r'"(\d{1,15})"\Z')
IDEMPOTENCY_KEY = "idempotency-key"
IF_MATCH = "if-match"
NO_CONTENT = 204
SERVER_ERROR = 500
TOO_LONG = "This call was carried out, and its answer is too long to be told again: ask anew, with another key."


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One call of a signed-in person, its documents already checked."""

    caller: Caller
    route: str
    path: Mapping[str, str]
    query: Mapping[str, Any]
    body: Any
    """What the route's schema made of the body; None where the route takes none."""
    headers: Mapping[str, str]
    """Names in lower case."""

    @property
    def version(self) -> int | None:
        """Return the version that ``If-Match`` names; None if any will do.

        Raises:
            PreconditionFailedError: it names something that is no version of ours.
        """
        wanted = self.headers.get(IF_MATCH, "*").strip()
        if wanted == "*":
            return None
        found = ETAG.match(wanted)
        if found is None:
            raise PreconditionFailedError("If-Match names no version of this.")
        return int(found[1])

    def position(self, cursor: str | None) -> Any:
        """Return where the page asked for begins; None for the first."""
        return None if cursor is None else load_cursor(cursor, bound_to=self._binding())

    def cursor(self, position: Any) -> str | None:
        """Return the cursor of the next page; None at the end."""
        return None if position is None else dump_cursor(position, bound_to=self._binding())

    def page(self, items: Sequence[T], key: Callable[[T], str]) -> dict[str, Any]:
        """Return the page asked for of a list that is short, and known whole; ordered by what ``key`` returns."""
        after = self.position(self.query["cursor"])
        rest = sorted((each for each in items if after is None or key(each) > after), key=key)
        shown = rest[: self.query["limit"]]
        return {"items": shown, "next_cursor": self.cursor(key(shown[-1])) if len(rest) > len(shown) else None}

    def _binding(self) -> list[object]:
        asked = sorted((name, value) for name, value in self.query.items() if name not in {"cursor", "limit"})
        return [self.caller.user, self.route, sorted(self.path.items()), asked]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An answer that is more than a document."""

    document: Any
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One method on one path: what goes in, what comes out. The template and the OpenAPI document name the same."""

    key: str
    """``GET /v1/devices/{thing}``, as API Gateway writes it."""
    run: Callable[[Request], Any]
    answer: type[Schema] | None
    """None where there is nothing to say but that it is done: 204."""
    query: type[Schema] | None = None
    body: type[Schema] | None = None
    status: int = 200
    versioned: bool = False
    """Whether ``If-Match`` is looked at."""


class Routes:
    """The routes of one function."""

    def __init__(self, *, answers: Callable[[], Idempotency], clock: Callable[[], Clock]) -> None:
        self.by_key: dict[str, Route] = {}
        self._answers = answers
        self._clock = clock
        self._log = StructuredLog()

    def add(
        self,
        key: str,
        *,
        answer: type[Schema] | None,
        query: type[Schema] | None = None,
        body: type[Schema] | None = None,
        status: int = 200,
        versioned: bool = False,
    ) -> Callable[[Callable[[Request], Any]], Callable[[Request], Any]]:
        """Return a decorator that makes a function the way to answer a route; its docstring goes into the OpenAPI.

        Args:
            key: as API Gateway writes it.
            answer: the schema of what comes out; None where there is nothing to say but that it is done.
            query: the schema of the query.
            body: the schema of the body.
            status: of success, where something comes out.
            versioned: the route goes by ``request.version``; every PATCH does.
        """

        def decorate(run: Callable[[Request], Any]) -> Callable[[Request], Any]:
            shown = status if answer else NO_CONTENT
            by_version = versioned or key.startswith("PATCH ")
            self.by_key[key] = Route(
                key=key, run=run, answer=answer, query=query, body=body, status=shown, versioned=by_version
            )
            return run

        return decorate

    def serve(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """Return API Gateway's answer to API Gateway's event (payload format 2.0)."""
        request_id = _request_id(event)
        try:
            caller = load_caller(event)
            key = _idempotency_key(event)
            return self._once(caller, key, event) if key else self._answer(caller, event)
        except FieldlineError as error:
            if error.status >= SERVER_ERROR:
                self._log.exception("dependency failed", route=event.get("routeKey"), request_id=request_id)
            return dump_problem(error, request_id)
        except Exception:  # noqa: BLE001 - the handler's edge: whatever it is, the caller gets a problem document
            self._log.exception("defect", route=event.get("routeKey"), request_id=request_id)
            return dump_problem(FieldlineError("Something is wrong on our side."), request_id)

    def _once(self, caller: Caller, key: str, event: Mapping[str, Any]) -> dict[str, Any]:
        """Answer a call that carries an idempotency key: the first one is served, the same one again is told the same.

        (IETF draft "The Idempotency-Key HTTP Header Field".) What failed on our side is forgotten, so that it can be
        tried again. Of an answer too long to be kept the second call is told that much, and is not carried out either.
        """
        store = self._answers()
        told = store.begin(caller.user, key, _fingerprint(event), self._clock().now())
        if told is not None:
            headers = {**told.headers, "idempotency-replayed": "true"}
            return {"statusCode": told.status, "headers": headers, "body": told.body}
        try:
            answer = self._answer(caller, event)
        except FieldlineError as error:
            if error.retryable or error.status >= SERVER_ERROR or isinstance(error, UnauthenticatedError):
                store.abandon(caller.user, key)
                raise
            answer = dump_problem(error, _request_id(event))
        except Exception:
            store.abandon(caller.user, key)
            raise
        kept = answer
        if len(answer["body"].encode()) > MAX_KEPT_BYTES:
            kept = dump_problem(ConflictError(TOO_LONG, details={"answered": answer["statusCode"]}), _request_id(event))
        store.finish(caller.user, key, Answered(status=kept["statusCode"], body=kept["body"], headers=kept["headers"]))
        return answer

    def _answer(self, caller: Caller, event: Mapping[str, Any]) -> dict[str, Any]:
        route = self.by_key.get(str(event["routeKey"]))
        if route is None:
            raise NotFoundError("There is no such route.")
        path = event.get("pathParameters") or {}
        if any(len(value) > MAX_PATH_PARAMETER_LENGTH or not value.isprintable() for value in path.values()):
            raise NotFoundError("There is nothing of that name.")
        asked = event.get("queryStringParameters") or {}
        headers = event.get("headers") or {}
        if not route.versioned and _unsafe(route.key) and headers.get(IF_MATCH, "*").strip() != "*":
            raise PreconditionFailedError("This has no versions: send it without If-Match.")
        request = Request(
            caller=caller,
            route=route.key,
            path=path,
            query=load(route.query(), dict(asked)) if route.query else {},
            body=load(route.body(), load_json(_body(event))) if route.body else None,
            headers=headers,
        )
        result = route.run(request)
        answer = result if isinstance(result, Answer) else Answer(document=result, status=route.status)
        if route.answer is None:
            return {"statusCode": NO_CONTENT, "headers": {"cache-control": "no-store"}, "body": ""}
        document = route.answer().dump(answer.document)
        etag = {"etag": f'"{document["version"]}"'} if "version" in document else {}
        return _dump(answer.status, document, {**etag, **answer.headers})


def dump_problem(error: FieldlineError, request_id: str) -> dict[str, Any]:
    """Return an error as a problem document, as RFC 9457 has it."""
    document: dict[str, Any] = {
        "type": f"urn:fieldline:problem:{error.code}",
        "title": error.code.replace("-", " ").capitalize(),
        "status": error.status,
        "detail": error.message,
        "instance": f"urn:fieldline:request:{request_id}",
    }
    if isinstance(error, InvalidInputError):
        document["errors"] = [{"field": v.field, "problem": v.problem} for v in error.violations]
    if isinstance(error, ConflictError):
        document.update(error.details)
    headers = {"content-type": PROBLEM}
    if error.retryable:
        headers["retry-after"] = "1"
    return _dump(error.status, document, headers)


def _dump(status: int, document: Any, headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "statusCode": status,
        "headers": {"content-type": "application/json", "cache-control": "no-store", **headers},
        "body": json.dumps(document, separators=(",", ":"), ensure_ascii=False),
    }


def _request_id(event: Mapping[str, Any]) -> str:
    return str(event.get("requestContext", {}).get("requestId", ""))


def _unsafe(key: str) -> bool:
    return not key.startswith(("GET ", "POST "))


def _idempotency_key(event: Mapping[str, Any]) -> str | None:
    if not str(event.get("routeKey", "")).startswith("POST "):
        return None
    key = (event.get("headers") or {}).get(IDEMPOTENCY_KEY)
    if key is not None and not (0 < len(key) <= MAX_KEY_LENGTH and key.isascii() and key.isprintable()):
        raise invalid("Idempotency-Key", f"is not 1 to {MAX_KEY_LENGTH} printable ASCII characters")
    return str(key) if key else None


def _fingerprint(event: Mapping[str, Any]) -> str:
    asked = [event.get("routeKey"), event.get("rawPath"), event.get("rawQueryString")]
    return hashlib.sha256(json.dumps(asked).encode() + b"\0" + _body(event)).hexdigest()


def _body(event: Mapping[str, Any]) -> bytes:
    body = event.get("body") or ""
    return base64.b64decode(body) if event.get("isBase64Encoded") else body.encode()
