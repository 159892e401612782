"""Lifecycle events: `$aws/events/presence/…` and `…/subscriptions/…`. (developer guide, "Lifecycle events")."""

import json
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from infra.local.iot.message import Message

if TYPE_CHECKING:
    from infra.local.iot.mqtt.connection import Connection

CLIENT_INITIATED = "CLIENT_INITIATED_DISCONNECT"
AUTH_ERROR = "AUTH_ERROR"
CLIENT_ERROR = "CLIENT_ERROR"
CONNECTION_LOST = "CONNECTION_LOST"
DUPLICATE_CLIENT_ID = "DUPLICATE_CLIENTID"
KEEP_ALIVE_TIMEOUT = "MQTT_KEEP_ALIVE_TIMEOUT"
SERVER_INITIATED = "SERVER_INITIATED_DISCONNECT"
API_INITIATED = "API_INITIATED_DISCONNECT"
WEBSOCKET_TTL = "WEBSOCKET_TTL_EXPIRATION"
CUSTOM_AUTH_TTL = "CUSTOMAUTH_TTL_EXPIRATION"

RESET_AFTER_S = 3600
"""A client away for about an hour begins at version 0 again, one with a longer session when that has ended."""


class _Version:
    __slots__ = ("number", "resets_at")

    def __init__(self) -> None:
        self.number = 0
        self.resets_at: float | None = None


class Lifecycle:
    """Publishes what happens to connections; a client id holding `#` or `+` has no events."""

    def __init__(
        self,
        publish: Callable[[Message], None],
        time: Callable[[], float],
    ) -> None:
        self._publish = publish
        self._time = time
        self._versions: dict[str, _Version] = {}

    def connected(self, connection: "Connection") -> int:
        """Tell of a new connection; return its version number, which its disconnect event shares."""
        client_id, now = connection.client_id, self._time()
        held = self._versions.get(client_id)
        if held is None or (held.resets_at is not None and held.resets_at <= now):
            held = self._versions[client_id] = _Version()
        else:
            held.number += 1
        held.resets_at = None
        if len(self._versions) > 20_000:
            self._forget(now)
        self._tell("presence", "connected", connection, ipAddress=connection.source_ip, versionNumber=held.number)
        return held.number

    def disconnected(self, connection: "Connection", *, reason: str, expiry_s: int) -> None:
        """Tell of a connection's end."""
        version = connection.version_number
        held = self._versions.get(connection.client_id)
        if held is not None and held.number == version:
            held.resets_at = self._time() + max(RESET_AFTER_S, expiry_s)
        self._tell(
            "presence",
            "disconnected",
            connection,
            clientInitiatedDisconnect=reason == CLIENT_INITIATED,
            disconnectReason=reason,
            versionNumber=version,
        )

    def connect_failed(self, connection: "Connection") -> None:
        """Tell of a CONNECT that the policy refused, its will included."""
        failure = "AUTHORIZATION_FAILED"
        ip = connection.source_ip
        self._tell("presence", "connect_failed", connection, ipAddress=ip, connectFailureReason=failure)

    def subscribed(self, connection: "Connection", filters: Sequence[str]) -> None:
        """Tell which filters one SUBSCRIBE added."""
        self._tell("subscriptions", "subscribed", connection, topics=list(filters))

    def unsubscribed(self, connection: "Connection", filters: Sequence[str]) -> None:
        """Tell which filters one UNSUBSCRIBE took away."""
        self._tell("subscriptions", "unsubscribed", connection, topics=list(filters))

    def _tell(self, kind: str, event: str, connection: "Connection", **more: Any) -> None:
        client_id, principal, thing = connection.client_id, connection.principal, connection.thing
        if principal is None or "#" in client_id or "+" in client_id:
            return
        document = {
            "clientId": client_id,
            "timestamp": int(self._time() * 1000),
            "eventType": event,
            "sessionIdentifier": connection.session_id,
            "principalIdentifier": principal.id,
            **more,
        }
        if thing is not None and thing.exclusive:
            document["thingName"] = thing.name
        topic = f"$aws/events/{kind}/{event}/{client_id}"
        self._publish(Message(topic=topic, payload=json.dumps(document).encode()))

    def _forget(self, now: float) -> None:
        for client_id, held in list(self._versions.items()):
            if held.resets_at is not None and held.resets_at <= now:
                del self._versions[client_id]
