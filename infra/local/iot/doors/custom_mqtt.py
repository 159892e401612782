"""Custom authentication of an MQTT connection: asked at CONNECT, asked again in time, ended in time."""

import asyncio
import uuid
from dataclasses import replace
from typing import cast

from infra.local.clock import Clock
from infra.local.iot.doors.custom_authorizer import CustomAuthorizers, Presented
from infra.local.iot.doors.tls import MqttProtocol, peer_ip, server_name
from infra.local.iot.message import Principal
from infra.local.iot.mqtt import lifecycle
from infra.local.iot.mqtt.codec import Connect
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.gateway import Gateway
from infra.local.iot.mqtt.identity import Term


class CustomAuthentication:
    """`connection.Authenticate` by a custom authorizer."""

    def __init__(self, authorizers: CustomAuthorizers, clock: Clock, presented: Presented) -> None:
        self._authorizers = authorizers
        self._clock = clock
        self._presented = presented

    async def __call__(self, connection: Connection, connect: Connect) -> Principal | None:
        """Ask the authorizer; the connection then has a term, and its policies are asked for again in time."""
        presented = replace(
            self._presented,
            username=connect.username,
            password=connect.password,
            client_id=connect.client_id,
            mqtt=True,
        )
        admission = await self._authorizers.admit(presented)
        if admission is None:
            return None
        now = self._clock.time()

        async def renew() -> Principal | None:
            again = await self._authorizers.admit(presented)
            return again.principal if again else None

        connection.term = Term(
            ends_at=now + admission.disconnect_after_s,
            reason=lifecycle.CUSTOM_AUTH_TTL,
            renew=renew,
            renew_every_s=admission.refresh_after_s,
            renew_at=now + admission.refresh_after_s,
        )
        return admission.principal


class CustomDoor(MqttProtocol):
    """ALPN `mqtt`: who connects is who the authorizer says."""

    __slots__ = ("_authorizers", "_clock")

    def __init__(self, gateway: Gateway, authorizers: CustomAuthorizers, clock: Clock) -> None:
        super().__init__(gateway)
        self._authorizers = authorizers
        self._clock = clock

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin; CONNECT will tell the credentials."""
        presented = Presented(
            connection_id=str(uuid.uuid4()), source_ip=peer_ip(transport), server_name=server_name(transport)
        )
        self.authenticate = CustomAuthentication(self._authorizers, self._clock, presented)
        super().connection_made(cast("asyncio.Transport", transport))
