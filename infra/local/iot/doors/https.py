"""HTTP on the port that AWS serves on 443: WebSocket `/mqtt`, and HTTPS publish with the rest of the data plane.

AWS IoT developer guide, "Device communication protocols" (MQTT over WSS, HTTPS); API reference, "AWS IoT Data Plane".
"""

import asyncio
import logging
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Protocol
from urllib.parse import parse_qs, unquote

import aiohttp
from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError

from infra.local import sigv4
from infra.local.clock import Clock
from infra.local.credentials import KeyStore
from infra.local.iot.doors.custom_authorizer import Admission, CustomAuthorizers, Presented
from infra.local.iot.doors.custom_mqtt import CustomAuthentication
from infra.local.iot.doors.tls import peer_certificate, peer_ip, server_name
from infra.local.iot.doors.websocket import WebSocketLink
from infra.local.iot.message import Principal
from infra.local.iot.mqtt import lifecycle
from infra.local.iot.mqtt.authorization import Authorizer
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.gateway import Gateway
from infra.local.iot.mqtt.identity import Term
from infra.local.wire import SOURCE_IP_HEADER, Caller, Handler, Request

LOG = logging.getLogger(__name__)
PROTOCOLS = ("mqtt", "mqttv3.1")
SERVICES = frozenset({"iotdevicegateway", "iotdata"})
_SHADOW_ACTIONS = {"GET": "GetThingShadow", "POST": "UpdateThingShadow", "DELETE": "DeleteThingShadow"}


class _Rubbish(logging.Filter):
    """What is no HTTP is the client's fault: it gets its 400, and the log a line in place of a traceback."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            record.msg, record.args, record.exc_info = "no HTTP: %.200r", (error.message,), None
        return True


logging.getLogger("aiohttp.server").addFilter(_Rubbish())


class Certificates(Protocol):
    """Who presents a certificate."""

    def certificate(self, der: bytes) -> Principal | None:
        """Return the principal of an active certificate."""


class Roles(Protocol):
    """IAM roles, to be fresh before they are asked."""

    async def refresh(self) -> None:
        """Read them again if they are old."""


class HttpsDoor:
    """Serves HTTP requests and upgrades; `server` makes the protocol for each connection."""

    def __init__(
        self,
        *,
        gateway: Gateway,
        clock: Clock,
        authorizer: Authorizer,
        certificates: Certificates,
        authorizers: CustomAuthorizers,
        keys: KeyStore,
        roles: Roles,
        data_plane: Handler,
    ) -> None:
        self._gateway = gateway
        self._clock = clock
        self._authorizer = authorizer
        self._region = authorizer.arn_prefix.split(":")[3]
        self._certificates = certificates
        self._authorizers = authorizers
        self._keys = keys
        self._roles = roles
        self._data_plane = data_plane
        self._admitted: dict[asyncio.BaseTransport, tuple[float, Admission]] = {}
        self.server = web.Server(self._serve, access_log=None)

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        try:
            if http.path == "/mqtt":
                return await self._upgrade(http)
            return await self._request(http)
        except (sigv4.SignatureError, aiohttp.ClientError, UnicodeError) as error:
            self._explain(http, str(error))
            return _forbidden()
        except web.HTTPRequestEntityTooLarge as error:
            error.headers["x-amzn-errortype"] = "RequestEntityTooLargeException"
            raise

    # -- WebSocket -----------------------------------------------------------------------------------------------------

    async def _upgrade(self, http: web.BaseRequest) -> web.StreamResponse:
        """Serve MQTT over WebSocket: signed with SigV4, or else by custom authentication at CONNECT."""
        principal, authenticate, term = None, None, None
        if _is_signed(http):
            principal = await self._signer(http, b"", frozenset({"iotdevicegateway"}))
            term = Term(ends_at=self._clock.time() + self._gateway.limits.websocket_s, reason=lifecycle.WEBSOCKET_TTL)
        else:
            if not self._authorizers.configured():
                raise sigv4.SignatureError("MissingAuthenticationToken", "neither a signature nor any authorizer")
            # The credentials may be in CONNECT alone, so that only then it can be judged.
            authenticate = CustomAuthentication(self._authorizers, self._clock, _presented(http))
        socket = web.WebSocketResponse(
            protocols=PROTOCOLS, compress=False, max_msg_size=2 * self._gateway.limits.packet_bytes, autoping=True
        )
        await socket.prepare(http)
        link = WebSocketLink(socket)
        link.connection = Connection(
            self._gateway, link, principal=principal, source_ip=_ip(http), authenticate=authenticate, term=term
        )
        await link.run()
        return socket

    async def _signer(self, http: web.BaseRequest, body: bytes, services: frozenset[str]) -> Principal:
        """Return whose SigV4 signature the request carries.

        Raises:
            SignatureError: nobody's that we know, expired, or of another service.
        """
        verified = _verified(http, body, self._keys)
        if verified.service not in services:
            message = f"Credential should be scoped to correct service: {', '.join(sorted(services))}"
            raise sigv4.SignatureError("SignatureDoesNotMatch", message)
        if verified.region != self._region:
            message = f"Credential should be scoped to a valid region, not '{verified.region}': this is {self._region}"
            raise sigv4.SignatureError("SignatureDoesNotMatch", message)
        record = self._keys.authenticate(verified)
        if record.role_arn is not None:
            await self._roles.refresh()
        signed_in = record.caller.kind == "cognito" and not record.caller.cognito_guest
        return Principal(
            kind="cognito" if signed_in else "iam",
            id=record.user_id,
            cognito_identity_id=record.caller.cognito_identity_id,
            role_arn=record.role_arn,
        )

    # -- HTTPS publish and data plane ----------------------------------------------------------------------------------

    async def _request(self, http: web.BaseRequest) -> web.StreamResponse:
        body = await http.read()
        principal = await self._principal(http, body)
        path, _, query = http.raw_path.partition("?")
        wanted = required(http.method, path, query)
        # Over HTTP there is no client: thing variables and iot:ClientId do not resolve.
        grants = self._authorizer.grants(principal, None, _ip(http)) if principal else None
        if grants is None or not wanted or not all(grants.allows(action, resource) for action, resource in wanted):
            if not (principal and wanted):
                self._explain(http, "no such request of the data plane here" if principal else "no credentials")
            return _forbidden()
        request = Request(
            service="iotdata",
            method=http.method,
            path=_one_label(path),
            query=query,
            headers={**_headers(http), SOURCE_IP_HEADER: _ip(http)},
            body=body,
            caller=Caller(arn=grants.principal.id, kind=grants.principal.kind),
        )
        answer = await self._data_plane(request)
        headers = {**answer.headers, "x-amzn-requestid": str(uuid.uuid4())}
        return web.Response(status=answer.status, headers=headers, body=answer.body)

    async def _principal(self, http: web.BaseRequest, body: bytes) -> Principal | None:
        transport = http.transport
        der = peer_certificate(transport) if transport else None
        if der is not None:
            return self._certificates.certificate(der)
        if _is_signed(http):
            return await self._signer(http, body, SERVICES)
        held = self._admitted.get(transport) if transport else None
        if held and held[0] > self._clock.time():
            return held[1].principal
        admission = await self._authorizers.admit(_presented(http))
        if admission and admission.cache_http and transport:
            # Cached for this (persistent) connection, if the authorizer says so.
            self._admitted = {one: held for one, held in self._admitted.items() if not one.is_closing()}
            self._admitted[transport] = (self._clock.time() + admission.refresh_after_s, admission)
        return admission.principal if admission else None

    def _explain(self, http: web.BaseRequest, why: str) -> None:
        entry = {"source_ip": _ip(http), "action": f"{http.method} {http.path}", "refused": why}
        self._authorizer.denials.write(entry)


def _verified(http: web.BaseRequest, body: bytes, keys: KeyStore) -> sigv4.Verified:
    path, _, query = http.raw_path.partition("?")
    headers = _headers(http)
    now = datetime.now(UTC)  # noqa: TID251 - clients sign with real time

    def verify(host: str) -> sigv4.Verified:
        signed = {**headers, "host": host}
        return sigv4.verify(http.method, path, query, signed, body, secret_for=keys.secret_for, now=now)

    host = headers.get("host", "")
    name, _, port = host.rpartition(":")
    try:
        return verify(host)
    except sigv4.SignatureError:
        if not (name and port.isdecimal()):
            raise
        # On AWS the port is 443, which Host leaves out: some sign so for any port (the SDK for JavaScript in browsers).
        return verify(name)


def required(method: str, path: str, query: str) -> list[tuple[str, str]]:  # noqa: PLR0911 - a table
    """Return the (action, resource) pairs a data-plane request needs; none where the request is not one.

    Developer guide, "AWS IoT Core policy actions": HTTP actions; "Action resources".
    """
    given = parse_qs(query)
    segments = path.split("/")[1:]
    match method, segments:
        case "POST", ["topics", *topic] if any(topic):
            resource = f"topic/{unquote('/'.join(topic))}"
            retained = given.get("retain", ["false"])[-1].lower() == "true"
            return [("iot:Publish", resource)] + [("iot:RetainPublish", resource)] * retained
        case (("GET" | "POST" | "DELETE"), ["things", thing, "shadow"]):
            name = given.get("name")
            resource = f"thing/{unquote(thing)}" + (f"/{name[-1]}" if name else "")
            return [(f"iot:{_SHADOW_ACTIONS[method]}", resource)]
        case "GET", ["api", "things", "shadow", "ListNamedShadowsForThing", thing]:
            return [("iot:ListNamedShadowsForThing", f"thing/{unquote(thing)}")]
        case "GET", ["retainedMessage"]:
            return [("iot:ListRetainedMessages", "*")]
        case "GET", ["retainedMessage", *topic]:
            return [("iot:GetRetainedMessage", f"topic/{unquote('/'.join(topic))}")]
        case "DELETE", ["connections", client]:
            return [("iot:DeleteConnection", f"client/{unquote(client)}")]
    return []


def _one_label(path: str) -> str:
    """Return the path with a topic's slashes encoded, as SDKs send it; devices may send them as they are."""
    _, room, *rest = path.split("/")
    return f"/{room}/{'%2F'.join(rest)}" if room in {"topics", "retainedMessage"} and rest else path


def _presented(http: web.BaseRequest) -> Presented:
    return Presented(
        connection_id=str(uuid.uuid4()),
        source_ip=_ip(http),
        server_name=server_name(http.transport) if http.transport else None,
        headers=_headers(http),
        query=http.raw_path.partition("?")[2],
    )


def _headers(http: web.BaseRequest) -> Mapping[str, str]:
    return {name.lower(): value for name, value in http.headers.items()}


def _is_signed(http: web.BaseRequest) -> bool:
    return "X-Amz-Signature=" in http.raw_path or http.headers.get("authorization", "").startswith("AWS4-")


def _ip(http: web.BaseRequest) -> str:
    return peer_ip(http.transport) if http.transport else ""


def _forbidden() -> web.Response:
    """Refuse as the data plane does."""
    told = {"message": "Forbidden", "traceId": str(uuid.uuid4())}
    return web.json_response(told, status=403, headers={"x-amzn-errortype": "ForbiddenException"})
