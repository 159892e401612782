"""moto behind one door: the only module that imports it.

moto 5.2.5 stands in for the services that the template uses and that no room of ours carries. Its response classes are
called directly (no web framework, no sockets) in one thread of their own: moto is not written for concurrent callers.

Corrections, each held by a contract test that fails when moto changes (DynamoDB's are in `dynamodb.corrections`):

- **time**: ``moto.core.utils.utcnow`` follows the movable clock, and with it SQS visibility, delays and retention, log
  and object times. What moto reads by ``datetime.now`` does not: a bucket's creation date, SES and alarm time stamps.
- **memory**: moto keeps every model instance for ever; here it keeps none.
- **long polls**: moto waits inside ``ReceiveMessage``; here the wait is a coroutine and the thread stays free.
- **inline policies** without a version, as SAM writes some: moto takes only the newest, AWS asks that of managed ones.
- **S3 objects of a form's type**: moto takes the body for a form and stores nothing; here it is told the type apart.
- **S3 bucket policies**: moto ignores conditions; here ``aws:SecureTransport`` is true, as loopback stands for TLS.
- **S3 notifications**: moto runs the function inside the upload, asks no policy, tells an upload of parts twice and a
  deletion where versions are kept not at all; here the event goes to a callback, whole (see ``aws_s3``).
"""

import asyncio
import contextlib
import functools
import importlib
import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime
from io import BytesIO
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlencode, urlsplit

import botocore.session
import moto.core.utils as moto_time
from botocore import xform_name
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.compat import HTTPHeaders
from botocore.exceptions import ClientError
from botocore.model import OperationNotFoundError

from infra.local import aws_s3
from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID, Settings
from infra.local.refusals import refuse
from infra.local.wire import Request, Response


class _Time:
    """The time that moto reads, naive UTC; one a process, as moto's state is."""

    clock: Clock | None = None

    @classmethod
    def utcnow(cls) -> datetime:
        now = cls.clock.now() if cls.clock else datetime.now(UTC)  # noqa: TID251 - before any clock is given
        return now.replace(tzinfo=None)


moto_time.utcnow = _Time.utcnow  # before any module of moto binds the name

from moto.core.common_models import BaseModel  # noqa: E402 - after the clock is in place
from moto.core.config import default_user_config  # noqa: E402
from moto.core.exceptions import JsonRESTError, ServiceException  # noqa: E402
from moto.core.request import Request as MotoRequest  # noqa: E402
from moto.dynamodb import comparisons  # noqa: E402
from moto.dynamodb import responses as dynamodb_responses  # noqa: E402
from moto.dynamodb.exceptions import (  # noqa: E402
    InvalidUpdateExpression,
    ItemSizeTooLarge,
    ItemSizeToUpdateTooLarge,
    StreamAlreadyEnabledException,
    TransactionCanceledException,
    UpdateHashRangeKeyException,
)
from moto.dynamodb.exceptions import MockValidationException as Invalid  # noqa: E402
from moto.dynamodb.exceptions import ProvidedKeyDoesNotExist as KeyMismatch  # noqa: E402
from moto.dynamodb.exceptions import ResourceInUseException as ResourceInUse  # noqa: E402
from moto.dynamodb.models import DynamoDBBackend  # noqa: E402
from moto.dynamodb.models.dynamo_type import DynamoType, Item, LimitedSizeDict  # noqa: E402
from moto.dynamodb.models.table import Table as MotoTable  # noqa: E402
from moto.dynamodb.parsing import ast_nodes  # noqa: E402
from moto.dynamodb.parsing.expressions import UpdateExpressionParser  # type: ignore[attr-defined]  # noqa: E402 - untyped
from moto.dynamodb.parsing.reserved_keywords import ReservedKeywords  # noqa: E402
from moto.dynamodb.responses import DynamoHandler  # noqa: E402
from werkzeug.exceptions import HTTPException  # noqa: E402

# Forget instances: moto's tracker appends each to a list that nothing reads but its dashboard.
BaseModel.__new__ = staticmethod(lambda cls, *_args, **_kwargs: object.__new__(cls))  # type: ignore[method-assign]  # a constructor is replaced

default_user_config["iam"] = {"load_aws_managed_policies": True}  # SAM attaches some to every function's role

MOTO_VERSION = "5.2.5"
"""What the corrections here were written for."""

SERVICES: Mapping[str, tuple[str, ...]] = {
    "iam": ("iam",),
    "logs": ("logs",),
    "monitoring": ("cloudwatch",),
    "s3": ("s3",),
    "ses": ("ses", "sesv2"),
    "sns": ("sns",),
    "sqs": ("sqs",),
}
"""SigV4 service name to moto's packages: what moto serves here."""

_HARMLESS = {
    "iam": "list_roles",
    "sqs": "list_queues",
    "logs": "describe_log_groups",
    "sns": "list_topics",
    "s3": "list_buckets",
}

S3Callback = Callable[[str, dict[str, Any]], None]
"""Called in the event loop with a function's ARN and the event that S3 sends it."""

_LONGEST_WAIT_S = 20
"""Of a ``ReceiveMessage``. (SQS API reference)."""
_POLL_S = 0.25
"""Seconds between two looks of a waiting ``ReceiveMessage``: messages also become visible by time alone."""
_OURS = frozenset({"connection", "content-length", "date", "server", "status", "transfer-encoding"})
"""Headers of moto's answers that the front makes itself."""

__all__ = [
    "MOTO_VERSION", "SERVICES", "DynamoDBBackend", "DynamoHandler", "DynamoType", "HTTPException", "Invalid",
    "InvalidUpdateExpression", "Item", "ItemSizeToUpdateTooLarge", "ItemSizeTooLarge", "JsonRESTError", "KeyMismatch",
    "LimitedSizeDict", "Moto", "MotoTable", "ReservedKeywords", "ResourceInUse", "ServiceException",
    "StreamAlreadyEnabledException", "TransactionCanceledException", "UpdateExpressionParser",
    "UpdateHashRangeKeyException", "ast_nodes", "comparisons", "dynamodb_responses", "not_emulated",
]  # fmt: skip

_log = logging.getLogger(__name__)
T = TypeVar("T")


def not_emulated(request: Request, what: str = "") -> Response:
    """Refuse what no room carries, by name; 501 is a status that SDKs do not retry."""
    if request.service not in SERVICES and "x-www-form-urlencoded" in request.headers.get("content-type", ""):
        # As any service of the query protocol would.
        what, request = what or request.service, replace(request, service="sts")
    return refuse(request, "NotEmulated", f"not emulated: {what or request.service}", 501)


class Moto:
    """What moto serves, to requests from outside (`handle`) and to our own rooms (`call`)."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        _Time.clock = clock
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="moto")
        self._routes: dict[str, list[tuple[re.Pattern[str], Callable[..., Any]]]] = {}
        self._clients: dict[str, BaseClient] = {}
        self._session = botocore.session.Session()  # one for all clients: each reads endpoints.json once more
        self._queues_changed = asyncio.Event()
        self._polling = True
        self._s3_callback: S3Callback = lambda arn, _event: _log.warning("nobody takes S3's event for %s", arn)
        self._s3_admits: Callable[[str, str], bool] = lambda _function_arn, _bucket_arn: True

    async def start(self) -> None:
        """Take S3's events in the running loop."""
        loop = asyncio.get_running_loop()

        def send(function_arn: str, event: dict[str, Any]) -> None:
            loop.call_soon_threadsafe(self._s3_callback, function_arn, event)

        s3 = await self._run(_s3_correction)
        s3.port = aws_s3.Port(send=send, admits=self._s3_admits, now=moto_time.unix_time)
        await self._run(_correct_iam)

    async def warm_up(self) -> None:
        """Load what moto and botocore load at the first call of each service, so that nobody has to wait for it."""
        for service, operation in _HARMLESS.items():
            await self._run(self._call, service, operation, {})

    def end_polls(self) -> None:
        """Answer everybody who waits for messages, now and from now on at once: the process is about to stop."""
        self._polling = False
        self._queues_changed.set()

    async def stop(self) -> None:
        """Let the call that runs finish; drop the others."""
        self._thread.shutdown(wait=True, cancel_futures=True)

    def on_s3_event(self, callback: S3Callback, admits: Callable[[str, str], bool]) -> None:
        """Send S3's events to ``callback``; ``admits`` says, in moto's thread, whether a function takes a bucket's."""
        self._s3_callback, self._s3_admits = callback, admits

    async def handle(self, request: Request) -> Response:
        """Answer one request from outside."""
        if request.service not in SERVICES:
            return not_emulated(request)
        if request.service == "sns" and b"Action=Subscribe&" in request.body and b"Protocol=lambda" in request.body:
            return not_emulated(request, "sns subscriptions of functions")
        if request.service == "sqs" and _operation(request) == "ReceiveMessage":
            once, queue_url, wait_s = _receive_once(request)
            if wait_s is None:
                wait_s = await self._run(_receive_wait_s, request.region, queue_url)
            return await self._poll(
                lambda: self._run(self._dispatch, once), wait_s, lambda reply: b"Body" in reply.body
            )
        response = await self._run(self._dispatch, request)
        self._queues_may_have_changed(request.service)
        return response

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Call moto as the account's owner, without HTTP; the service by boto3's name, the operation by its or AWS's.

        Raises:
            botocore.exceptions.ClientError: as boto3 would.
        """
        method = xform_name(operation)
        if method == "receive_message":
            wait_s = params.pop("WaitTimeSeconds", 0)
            params["WaitTimeSeconds"] = 0
            return await self._poll(
                lambda: self._run(self._call, service, method, params), wait_s, lambda reply: "Messages" in reply
            )
        reply = await self._run(self._call, service, method, params)
        self._queues_may_have_changed(service)
        return reply

    async def _run(self, function: Callable[..., T], *args: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, function, *args)

    async def _poll(self, look: Callable[[], Awaitable[T]], wait_s: float, found: Callable[[T], bool]) -> T:
        """Look until something is found or the wait (real seconds) is over; at once when a queue may have changed."""
        loop = asyncio.get_running_loop()
        until = loop.time() + wait_s
        while not found(reply := await look()) and self._polling and (left_s := until - loop.time()) > 0:
            changed = self._queues_changed
            try:
                await asyncio.wait_for(changed.wait(), min(left_s, _POLL_S))
            except TimeoutError:
                continue
        return reply

    def _queues_may_have_changed(self, service: str) -> None:
        """Wake who waits for messages: SNS and S3 send to queues too."""
        if service in ("sqs", "sns", "s3"):
            self._queues_changed.set()
            self._queues_changed = asyncio.Event()

    def _routes_of(self, service: str) -> list[tuple[re.Pattern[str], Callable[..., Any]]]:
        if service not in self._routes:
            modules = [importlib.import_module(f"moto.{package}.urls") for package in SERVICES[service]]
            paths = [each for module in modules for each in module.url_paths.items()]
            self._routes[service] = [(re.compile(path.format("")), view) for path, view in paths]
        return self._routes[service]

    def _dispatch(self, request: Request) -> Response:
        """Call moto's view for this path. In moto's thread."""
        view = next((view for path, view in self._routes_of(request.service) if path.match(request.path)), None)
        if view is None:
            return not_emulated(request, f"{request.service} {request.method} {request.path}")
        try:
            answer = view(moto_request := self._moto_request(request), moto_request.raw_url, moto_request.headers)
        except HTTPException as error:
            answer = error.code, dict(error.get_headers()), error.get_body()
        except ClientError as error:
            return refuse(request, error.response["Error"]["Code"], error.response["Error"]["Message"], 400)
        except (NotImplementedError, OperationNotFoundError):
            return not_emulated(request, f"{request.service}:{_operation(request)}")
        return _response(answer, keep_length=request.method == "HEAD")

    def _moto_request(self, request: Request) -> MotoRequest:
        """Return the request as moto reads it: account from a header of moto's, region from the credential scope."""
        scope = f"{self._settings.access_key_id}/20000101/{request.region}/{request.service}/aws4_request"
        headers = {name: value for name, value in request.headers.items() if name not in ("user-agent", "expect")}
        headers["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
        headers["x-moto-account-id"] = ACCOUNT_ID
        kind = headers.pop("content-type", "") if (request.service, request.method) == ("s3", "PUT") else ""
        url = f"{self._settings.endpoint_url}{request.path}" + (f"?{request.query}" if request.query else "")
        moto_request = MotoRequest.from_primitives(request.method, url, headers, request.body)
        if kind and not moto_request.form:  # looked for before it has a type, or the object may be taken for one
            moto_request.environ["CONTENT_TYPE"] = kind
        return moto_request

    def _call(self, service: str, method: str, params: dict[str, Any]) -> dict[str, Any]:
        """Call through botocore's own serializers and parsers. In moto's thread."""
        client = self._clients.get(service) or self._clients.setdefault(service, self._client(service))
        reply: dict[str, Any] = getattr(client, method)(**params)
        return reply

    def _client(self, service: str) -> BaseClient:
        client: BaseClient = self._session.create_client(
            service,
            region_name=self._settings.region,
            endpoint_url=self._settings.endpoint_url,
            aws_access_key_id=self._settings.access_key_id,
            aws_secret_access_key=self._settings.secret_access_key,
        )
        name = str(client.meta.service_model.signing_name)

        def answer(request: Any, **_event: Any) -> AWSResponse:
            url = urlsplit(request.url)
            headers = {key.lower(): v.decode() if isinstance(v, bytes) else v for key, v in request.headers.items()}
            response = self._dispatch(
                Request(
                    service=name,
                    method=request.method,
                    path=url.path or "/",
                    query=url.query,
                    headers=headers,
                    body=_body(request.body),
                    region=self._settings.region,
                )
            )
            return AWSResponse(
                request.url, response.status, HTTPHeaders.from_dict(response.headers), _Raw(response.body)
            )

        client.meta.events.register("before-send", answer)  # type: ignore[arg-type]  # an answer replaces the sending
        return client


def _operation(request: Request) -> str:
    """Return what is asked for: by header, by form, else by method and path."""
    in_form = re.search(rb"(?:^|&)Action=(\w+)", request.body)
    return request.operation or (in_form[1].decode() if in_form else f"{request.method} {request.path}")


class _Raw(BytesIO):
    """A body as botocore reads it from urllib3."""

    def stream(self, **_options: Any) -> Any:
        """Yield the whole body at once."""
        yield self.read()


def _body(body: Any) -> bytes:
    """Return a body of a prepared request: text, bytes, a file, or nothing."""
    if hasattr(body, "read"):
        body = body.read()
    return body.encode() if isinstance(body, str) else bytes(body or b"")


def _response(answer: Any, *, keep_length: bool) -> Response:
    """Return what a view of moto answered; some answer the body alone. HEAD says how long the body would be."""
    status, headers, body = answer if isinstance(answer, tuple) and len(answer) == 3 else (200, {}, answer)
    dropped = _OURS - {"content-length"} if keep_length else _OURS
    return Response(
        status=int(status),
        headers={name.lower(): str(value) for name, value in headers.items() if name.lower() not in dropped},
        body=_body(body),
    )


def _receive_once(request: Request) -> tuple[Request, str, float | None]:
    """Return, in either protocol, the ``ReceiveMessage`` that does not wait, its queue, and how long it asked to."""
    given = request.json() if request.operation else dict(parse_qsl(request.body.decode()))
    wait_s = given.get("WaitTimeSeconds")
    if wait_s is None or 0 <= float(wait_s) <= _LONGEST_WAIT_S:
        given["WaitTimeSeconds"] = 0
    else:
        wait_s = 0  # moto says what is wrong with it
    body = json.dumps(given) if request.operation else urlencode(given)
    return replace(request, body=body.encode()), given.get("QueueUrl", ""), None if wait_s is None else float(wait_s)


def _receive_wait_s(region: str, queue_url: str) -> float:
    """Return the queue's own ``ReceiveMessageWaitTimeSeconds``; 0 where moto will say that there is no such queue."""
    from moto.sqs.models import sqs_backends

    queue: Any = sqs_backends[ACCOUNT_ID][region].queues.get(queue_url.rpartition("/")[2])
    return float(queue.receive_message_wait_time_seconds or 0) if queue else 0


@functools.cache
def _s3_correction() -> aws_s3.Correction:
    from moto.s3 import exceptions, models, notifications

    return aws_s3.Correction(models, notifications, exceptions.S3ClientError)


@functools.cache
def _correct_iam() -> None:
    from moto.iam.models import IAMBackend

    put = IAMBackend.put_role_policy

    def put_role_policy(self: Any, role_name: str, policy_name: str, policy_json: str) -> None:
        put(self, role_name, policy_name, _of_the_newest_version(policy_json))
        self.get_role(role_name).put_policy(policy_name, policy_json)

    IAMBackend.put_role_policy = put_role_policy  # type: ignore[method-assign]  # a correction


def _of_the_newest_version(policy: str) -> str:
    """Return a policy whose version moto lets pass; what is none stays as it is, for moto to refuse."""
    with contextlib.suppress(ValueError):
        document = json.loads(policy)
        if isinstance(document, dict) and document.get("Version", "2008-10-17") == "2008-10-17":
            return json.dumps({**document, "Version": "2012-10-17"})
    return policy
