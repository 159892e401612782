"""The data plane of HTTP APIs: one port for all of them, each request from route to function and back.

An API is found by the first label of ``Host`` (``{apiId}.…``); where there is but one, any host will do.
"""

import logging
import re
import secrets
import time
from collections.abc import Callable, Mapping
from typing import Any

from aiohttp import web

from infra.local.clock import Clock
from infra.local.config import Settings
from infra.local.http_api.authorizers import Authorizers
from infra.local.http_api.calls import Calls
from infra.local.http_api.control import Api, Control
from infra.local.http_api.cors import dress, preflight
from infra.local.http_api.events import Answer, BadAnswerError, Call, build_event, read_answer, refuse, route_arn
from infra.local.http_api.limits import Limits
from infra.local.http_api.ports import AccessLog, Invoker
from infra.local.http_api.routing import Match, find_route
from infra.local.http_api.tokens import Jwks
from infra.local.wire import Request, Response

MAX_BODY_BYTES = 10 * 1024 * 1024
"""Of a request ("Quotas for configuring and running an HTTP API"); a function takes 6 MB of event."""
MAX_HEAD_BYTES = 10_240
"""Of the request line and the headers' values together (the same page); the answer beyond it was never seen on AWS."""
READABLE_BYTES = 65_536
"""What is read at all, so that it can be refused as AWS refuses it."""
VARIABLE = re.compile(r"\$context\.([\w.]+)")

_log = logging.getLogger(__name__)


def _new_request_id() -> str:
    return secrets.token_urlsafe(11) + "="


def _new_api_id() -> str:
    return "".join(secrets.choice("abcdefghijklmnopqrstuvwxyz0123456789") for _ in range(10))


class HttpApi:
    """All HTTP APIs of the local cloud."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        functions: Invoker,
        jwks: Jwks,
        *,
        access_log: AccessLog | None = None,
        new_request_id: Callable[[], str] = _new_request_id,
        new_api_id: Callable[[], str] = _new_api_id,
    ) -> None:
        """Hold no APIs yet.

        Args:
            settings: gives port and region.
            clock: judges tokens, remembered answers and request rates.
            functions: the Lambda service.
            jwks: the public keys of a user pool, by its id.
            access_log: takes the stages' access logs; without one a stage that wants them is served unlogged.
            new_request_id: makes request ids.
            new_api_id: makes API ids.
        """
        self._settings = settings
        self._clock = clock
        self._calls = Calls(functions)
        self._access_log = access_log
        self._new_request_id = new_request_id
        self._authorizers = Authorizers(clock, self._calls, jwks)
        self._limits = Limits(clock)
        self._control = Control(clock, self._endpoint, new_api_id, self._changed)
        self._runner: web.AppRunner | None = None
        self.port = settings.ports.http_api

    async def start(self) -> int:
        """Open the port and return it: ``Ports.http_api``, or one of the system's choice where that is 0."""
        app = web.Application(client_max_size=MAX_BODY_BYTES)
        app.router.add_route("*", r"/{path:[\s\S]*}", self._serve)  # a path may hold a line break, percent-encoded
        self._runner = web.AppRunner(app, access_log=None, max_line_size=READABLE_BYTES, max_field_size=READABLE_BYTES)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self._settings.ports.http_api)
        await site.start()
        self.port = self._runner.addresses[0][1]
        return self.port

    async def stop(self) -> None:
        """Close the port."""
        if self._runner:
            await self._runner.cleanup()
        await self._calls.stop()

    async def handle(self, request: Request) -> Response:
        """Answer boto3's ``apigatewayv2``."""
        return await self._control.handle(request)

    def _endpoint(self, _api_id: str) -> str:
        return f"http://127.0.0.1:{self.port}"

    def _changed(self, api_id: str) -> None:
        self._authorizers.forget(api_id)
        self._limits.forget(api_id)

    async def _serve(self, request: web.Request) -> web.Response:
        started = time.perf_counter()
        request_id = self._new_request_id()
        raw_path = request.raw_path.partition("?")[0]
        api = self._find_api(request.headers.get("host", ""))
        stage = _stage_of(api, raw_path) if api else None
        if len(request.raw_path) + sum(map(len, request.headers.values())) > MAX_HEAD_BYTES:
            answer = refuse(431, "Request Header Fields Too Large")
        elif api is None or stage is None:
            answer = refuse(404, "Not Found")
        else:
            call = await self._read(request, api, stage, request_id)
            match = find_route(api.definition.routes, call.method, _path_in_stage(stage, raw_path))
            answer = await self._answer(api, call, match)
            self._log_access(api, call, match, answer, time.perf_counter() - started)
        response = web.Response(status=answer.status, body=answer.body or None)
        for name, value in (*answer.headers, ("apigw-requestid", request_id)):
            response.headers.add(name, value)
        return response

    def _find_api(self, host: str) -> Api | None:
        named = self._control.apis.get(host.split(".", maxsplit=1)[0])
        if named is None and len(self._control.apis) == 1:
            return next(iter(self._control.apis.values()))
        return named

    async def _read(self, request: web.Request, api: Api, stage: str, request_id: str) -> Call:
        raw_path, _, raw_query = request.raw_path.partition("?")
        headers = [(name.lower(), value) for name, value in request.headers.items() if name.lower() != "connection"]
        source_ip = request.remote or "127.0.0.1"
        headers += [("x-forwarded-for", source_ip), ("x-forwarded-port", str(self.port)), ("x-forwarded-proto", "http")]
        headers.append(("x-amzn-trace-id", f"Root=1-{int(self._clock.time()):08x}-{secrets.token_hex(12)}"))
        too_large = (request.content_length or 0) > MAX_BODY_BYTES
        try:
            body = b"" if too_large else await request.read()
        except web.HTTPRequestEntityTooLarge:
            too_large, body = True, b""
        return Call(
            api_id=api.id,
            region=self._settings.region,
            stage=stage,
            method=request.method,
            raw_path=raw_path,
            raw_query=raw_query,
            headers=tuple(headers),
            body=body,
            too_large=too_large,
            source_ip=source_ip,
            protocol=f"HTTP/{request.version.major}.{request.version.minor}",
            request_id=request_id,
            at=self._clock.now(),
        )

    async def _answer(self, api: Api, call: Call, match: Match | None) -> Answer:
        cors = api.definition.cors
        if cors is not None:
            answered = preflight(cors, call)
            if answered is not None:
                return answered
        answer = await self._route(api, call, match)
        return answer if cors is None else dress(cors, call, answer)

    async def _route(self, api: Api, call: Call, match: Match | None) -> Answer:
        if match is None:
            return refuse(404, "Not Found")
        if call.too_large:
            return refuse(413, "Request Entity Too Large")
        stage = api.stages[call.stage]
        if not self._limits.take(call.api_id, call.stage, match.route.key, stage):
            return refuse(429, "Too Many Requests")
        variables = stage.get("stageVariables", {})
        context: Mapping[str, Any] | None = None
        if match.route.authorizer:
            judged = await self._authorizers.judge(
                api.definition.authorizers[match.route.authorizer], call, match, variables
            )
            if isinstance(judged, Answer):
                return judged
            context = judged
        return await self._invoke(call, match, build_event(call, match, context, variables))

    async def _invoke(self, call: Call, match: Match, event: Mapping[str, Any]) -> Answer:
        source = route_arn(call, "*" if match.route.method == "ANY" else match.route.method, match.route.path)
        try:
            result = await self._calls.invoke(
                match.route.function_arn, event, source_arn=source, timeout_s=match.route.timeout_s
            )
        except TimeoutError:
            return refuse(503, "Service Unavailable", error="the function took too long")
        except Exception as error:  # noqa: BLE001 - the call's edge: the client gets API Gateway's answer
            _log.warning("%s: %s", match.route.key, error)
            if getattr(error, "status", 500) == 429:  # as in the field: a throttled function is unavailable
                return refuse(503, "Service Unavailable", error=str(error))
            return refuse(500, "Internal Server Error", error=str(error))
        if result.function_error:
            return refuse(500, "Internal Server Error", error=result.payload.decode(errors="replace")[:500])
        try:
            return read_answer(result.payload)
        except BadAnswerError as error:
            _log.warning("%s: %s", match.route.key, error)
            return refuse(500, "Internal Server Error", error=str(error))

    def _log_access(self, api: Api, call: Call, match: Match | None, answer: Answer, seconds: float) -> None:
        settings = api.stages[call.stage].get("accessLogSettings")
        if not settings or self._access_log is None:
            return
        values = _context_values(call, match, answer, seconds)
        line = VARIABLE.sub(lambda found: values.get(found[1], "-"), settings["format"])
        self._access_log(settings["destinationArn"].removesuffix(":*").rpartition(":log-group:")[2], line)


def _stage_of(api: Api, raw_path: str) -> str | None:
    """Return the stage that a path begins with, or ``$default`` where there is one."""
    first = raw_path.split("/")[1] if raw_path.startswith("/") else ""
    if first in api.stages:
        return first
    return "$default" if "$default" in api.stages else None


def _path_in_stage(stage: str, raw_path: str) -> str:
    return raw_path if stage == "$default" else raw_path.removeprefix(f"/{stage}") or "/"


def _context_values(call: Call, match: Match | None, answer: Answer, seconds: float) -> dict[str, str]:
    """Return the logging variables carried ("Customize HTTP API access logs"); others become ``-``."""
    latency = str(round(seconds * 1000))
    return {
        "requestId": call.request_id,
        "extendedRequestId": call.request_id,
        "apiId": call.api_id,
        "stage": call.stage,
        "routeKey": match.route.key if match else "-",
        "path": call.raw_path,
        "httpMethod": call.method,
        "protocol": call.protocol,
        "status": str(answer.status),
        "responseLength": str(len(answer.body)),
        "responseLatency": latency,
        "integrationLatency": latency,
        "identity.sourceIp": call.source_ip,
        "identity.userAgent": call.header("user-agent") or "-",
        "requestTime": call.at.strftime("%d/%b/%Y:%H:%M:%S +0000"),
        "requestTimeEpoch": str(int(call.at.timestamp())),
        "error.message": answer.error or "-",
        "authorizer.error": answer.error if answer.status in {401, 403} else "-",
        "integrationErrorMessage": answer.error if answer.status >= 500 else "-",
    }
