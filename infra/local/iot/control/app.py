"""The private port: requests whose signature and permissions the front has judged already."""

import hmac
import json
import logging
from collections.abc import Mapping

from aiohttp import web

from infra.local.iot.control.rest_json import dump_error
from infra.local.iot.errors import IotError, NotEmulatedError, RefusedError
from infra.local.wire import Caller, Handler, Request, Response

MAX_BODY_BYTES = 1 << 20
_LOG = logging.getLogger(__name__)


def build_app(services: Mapping[str, Handler], *, secret: str) -> web.Application:
    """Return the private port's application: ``x-fieldline-service`` names the handler, ``secret`` opens the door."""

    async def serve(incoming: web.Request) -> web.Response:
        headers = {name.lower(): value for name, value in incoming.headers.items()}
        if not hmac.compare_digest(headers.get("x-fieldline-secret", "").encode(), secret.encode()):
            return web.Response(status=403, text="this port is for the local cloud's own processes")
        service = headers.get("x-fieldline-service", "")
        try:
            body = await incoming.read()
        except web.HTTPRequestEntityTooLarge as error:
            return _dump(dump_error(RefusedError("RequestEntityTooLargeException", error.status, str(error.text))))
        path, _, query = incoming.raw_path.partition("?")
        request = Request(
            service=service,
            method=incoming.method,
            path=path,
            query=query,
            headers=headers,
            body=body,
            caller=Caller(**json.loads(headers.get("x-fieldline-caller", '{"arn": "anonymous", "kind": "anonymous"}'))),
        )
        return _dump(await _answer(services.get(service), request))

    app = web.Application(client_max_size=MAX_BODY_BYTES)
    app.router.add_route("*", r"/{path:[\s\S]*}", serve)  # a path may hold a line break, percent-encoded
    return app


def _dump(answer: Response) -> web.Response:
    return web.Response(status=answer.status, headers=dict(answer.headers), body=answer.body)


async def _answer(handler: Handler | None, request: Request) -> Response:
    if handler is None:
        return dump_error(NotEmulatedError(f"service {request.service}"))
    try:
        return await handler(request)
    except Exception:  # noqa: BLE001 - the handler's edge: one bad call must not end the port
        _LOG.exception("defect in %s: %s %s", request.service, request.method, request.path)
        return dump_error(IotError("Internal service failure; the local cloud's log has the traceback"))
