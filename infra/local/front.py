"""The one port that answers as every AWS API: what a request is for, whose it is, whether they may, who carries it."""

import asyncio
import logging
import random
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, TCPConnector, web
from yarl import URL

from infra.local.aws import not_emulated
from infra.local.config import Settings
from infra.local.front_door import Door, Head
from infra.local.front_identity import Doorkeeper, caller_header
from infra.local.refusals import refuse
from infra.local.sigv4 import SignatureError
from infra.local.wire import SOURCE_IP_HEADER, Handler, Request, Response

MAX_BODY_SIZE = 256 * 1024 * 1024
"""Bytes; AWS takes objects of 5 GB in one PUT, a laptop's memory does not."""
GATEWAY_SERVICES = frozenset({"iot", "iotdata", "iotdevicegateway", "iot-jobs-data"})
"""What the gateway process carries, behind its private port."""
_STOP_TIMEOUT_S = 2.0
"""Seconds that requests have to finish when the process stops."""
_GATEWAY_TIMEOUT = ClientTimeout(total=30)
_HOP_BY_HOP = frozenset({"authorization", "connection", "content-length", "expect", "host", "transfer-encoding"})
_CORS = {
    "access-control-allow-origin": "*",
    "access-control-allow-methods": "*",
    "access-control-allow-headers": "*, authorization",
    "access-control-expose-headers": "*",
    "access-control-max-age": "172800",
}

_log = logging.getLogger(__name__)


class Front:
    """The server on `Ports.aws`."""

    def __init__(self, settings: Settings, doorkeeper: Doorkeeper, handlers: Mapping[str, Handler]) -> None:
        self._settings = settings
        self._doorkeeper = doorkeeper
        self._handlers = {**dict.fromkeys(GATEWAY_SERVICES, self._forward), **handlers}
        self._others: web.ServerRunner | None = None
        self._server: asyncio.Server | None = None
        self._doors: set[Door] = set()
        self._gateway: ClientSession | None = None

    async def start(self) -> int:
        """Listen; return the port (which is not the settings' where those say 0)."""
        self._gateway = ClientSession(
            connector=TCPConnector(limit=0),
            timeout=_GATEWAY_TIMEOUT,
            auto_decompress=False,
            skip_auto_headers=("User-Agent",),
        )
        server = web.Server(self._serve, request_factory=_request, auto_decompress=False, access_log=None)
        self._others = web.ServerRunner(server, shutdown_timeout=_STOP_TIMEOUT_S)
        await self._others.setup()
        self._server = await asyncio.get_running_loop().create_server(
            lambda: Door(self._plain, server, self._doors), "127.0.0.1", self._settings.ports.aws, backlog=512
        )
        return int(self._server.sockets[0].getsockname()[1])

    async def stop(self) -> None:
        """Finish what runs, close every connection."""
        if self._server:
            self._server.close()
        if self._others:
            await asyncio.gather(self._others.cleanup(), self._close_doors())
        if self._gateway:
            await self._gateway.close()

    async def _close_doors(self) -> None:
        for door in tuple(self._doors):
            door.close()
        if running := [door.task for door in self._doors if door.task is not None]:
            _, late = await asyncio.wait(running, timeout=_STOP_TIMEOUT_S)
            for task in late:
                task.cancel()

    async def handle(self, request: Request, source_ip: str = "") -> Response:
        """Answer one addressed request: signature, permission, then the room that carries the service."""
        handler = self._handlers.get(request.service)
        if handler is None:
            return not_emulated(request)
        if request.service == "s3" and _is_html_form(request):
            return not_emulated(request, "s3:PostObject, an upload by HTML form; use a presigned PUT")
        try:
            record = self._doorkeeper.identify(request)
        except SignatureError as error:
            return refuse(request, error.kind, error.message)
        headers = {**request.headers, SOURCE_IP_HEADER: source_ip}
        request = replace(request, caller=replace(record.caller, user_id=record.user_id), headers=headers)
        return await self._doorkeeper.refusal(request, record) or await handler(request)

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        """Carry one HTTP exchange. The edge: what no room expected is logged and answered as AWS's own failure."""
        if http.headers.get("expect", "").lower() == "100-continue":
            await http.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
            http.writer.output_size = 0
        path, _, query = http.raw_path.partition("?")
        headers = _headers(http)
        try:
            body = await http.read()
        except web.HTTPRequestEntityTooLarge:
            request = self._doorkeeper.addressed(http.method, path, query, headers, b"")
            response = _complete(request, refuse(request, "EntityTooLarge", f"more than {MAX_BODY_SIZE} bytes", 413))
        else:
            response = await self._answer(http.method, path, headers, body, source_ip=http.remote or "", query=query)
        return web.Response(status=response.status, headers=response.headers, body=response.body)

    async def _answer(
        self, method: str, path: str, headers: Mapping[str, str], body: bytes, *, source_ip: str, query: str = ""
    ) -> Response:
        """Return the whole answer. The edge: what no room expected is logged and answered as AWS's own failure."""
        request = self._doorkeeper.addressed(method, path, query, headers, body)
        # A browser asks before it calls, and names no service: only S3's buckets have rules of their own.
        if method == "OPTIONS" and (request.service != "s3" or path == "/"):
            return _complete(request, Response(headers=_CORS))
        try:
            return _complete(request, await self.handle(request, source_ip))
        except Exception:  # noqa: BLE001 - the edge of the server
            _log.exception("%s %s %s failed", request.service, request.method, request.operation or request.path)
            failure = refuse(request, "InternalFailure", "a defect of the local cloud; see its log", 500)
            return _complete(request, failure)

    async def _plain(self, head: Head, body: bytes, source_ip: str) -> Response:
        return await self._answer("POST", head.path, head.headers, body, source_ip=source_ip)

    async def _forward(self, request: Request) -> Response:
        """Hand a request on to the gateway process, with whom we found its caller to be."""
        assert self._gateway is not None  # noqa: S101 - started before it serves
        headers = {name: value for name, value in request.headers.items() if name not in _HOP_BY_HOP}
        headers["x-fieldline-caller"] = caller_header(request.caller)
        headers["x-fieldline-secret"] = self._settings.service_secret
        headers["x-fieldline-service"] = request.service
        target = f"http://127.0.0.1:{self._settings.ports.gateway}{request.path}"
        url = URL(f"{target}?{request.query}" if request.query else target, encoded=True)
        try:
            async with self._gateway.request(request.method, url, headers=headers, data=request.body) as answer:
                kept = {
                    name.lower(): value for name, value in answer.headers.items() if name.lower() not in _HOP_BY_HOP
                }
                return Response(status=answer.status, headers=kept, body=await answer.read())
        except (ClientError, TimeoutError) as error:
            return refuse(request, "ServiceUnavailable", f"the device gateway does not answer: {error}", 503)


def _request(message: Any, payload: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
    """Make aiohttp's request object with our bound on bodies."""
    return web.BaseRequest(message, payload, protocol, writer, task, protocol._loop, client_max_size=MAX_BODY_SIZE)  # noqa: SLF001 - as aiohttp's own factory


def _headers(http: web.BaseRequest) -> dict[str, str]:
    """Return the headers by lower-case name, repeated ones joined. (RFC 9110, 5.3)."""
    headers: dict[str, str] = {}
    for name, value in http.headers.items():
        key = name.lower()
        headers[key] = f"{headers[key]}, {value}" if key in headers else value
    return headers


def _complete(request: Request, response: Response) -> Response:
    """Return an answer with the headers that every AWS API gives; names are in lower case."""
    headers = {name.lower(): value for name, value in response.headers.items()}
    headers.setdefault("content-type", "application/octet-stream")
    headers.setdefault("x-amzn-requestid", f"{random.getrandbits(128):032x}")
    if "origin" in request.headers and "access-control-allow-origin" not in headers:
        headers["access-control-allow-origin"] = "*"
        headers["access-control-expose-headers"] = "*"
    return replace(response, headers=headers)


def _is_html_form(request: Request) -> bool:
    """Say whether it is S3's PostObject, which has no query; an object may have a form's type by any other way in."""
    posted = request.method == "POST" and not request.query
    return posted and request.headers.get("content-type", "").startswith("multipart/form-data")
