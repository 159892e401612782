"""A gateway with hand-written neighbours, and clients on links of memory."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from infra.local.clock import ManualClock
from infra.local.iot.message import Message, Principal, Thing
from infra.local.iot.mqtt.authorization import Authorizer
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.denials import DenialLog
from infra.local.iot.mqtt.gateway import Gateway
from infra.local.iot.mqtt.limits import Behaviour, Limits
from tests.unit.iot_mqtt import wire

ARN = "arn:aws:iot:us-east-1:123456789012:"
ALLOW_ALL = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
DEVICE = Principal(kind="certificate", id="f" * 64)


def statement(action: str | list, resource: str | list, effect: str = "Allow", **more: Any) -> dict:
    many = [resource] if isinstance(resource, str) else resource
    return {"Effect": effect, "Action": action, "Resource": [r if r == "*" else ARN + r for r in many], **more}


def document(*statements: dict) -> dict:
    return {"Version": "2012-10-17", "Statement": list(statements)}


class FakePrincipals:
    """A registry of one policy for all, or one a principal."""

    def __init__(self) -> None:
        self.policies: dict[str, list[Mapping[str, Any]]] = {}
        self.default: list[Mapping[str, Any]] = [ALLOW_ALL]
        self.things: dict[str, Thing] = {}
        self.certificates: dict[bytes, Principal] = {}
        self._callbacks = []

    def certificate(self, der):
        return self.certificates.get(der)

    def documents(self, principal, client_id=None):
        return [(f"policy{n}", d) for n, d in enumerate(self.policies.get(principal.id, self.default))]

    def thing(self, principal, client_id):
        return self.things.get(client_id)

    def on_change(self, callback):
        self._callbacks.append(callback)

    def changed(self):
        for callback in self._callbacks:
            callback()


class FakeReserved:
    """Takes messages under some prefixes."""

    def __init__(self, *prefixes: str) -> None:
        self.prefixes = prefixes
        self.received: list[Message] = []

    def accepts(self, topic):
        return topic.startswith(self.prefixes)

    def receive(self, message):
        self.received.append(message)


class FakeTap:
    def __init__(self) -> None:
        self.received: list[Message] = []

    def receive(self, message):
        self.received.append(message)

    def topics(self):
        return [message.topic for message in self.received]


class MemoryLink:
    """A client's end of a connection that is only memory."""

    def __init__(self) -> None:
        self.written = b""
        self.writes = 0
        self.closed = asyncio.Event()
        self.reading = True
        self.arrived = asyncio.Event()

    def write(self, data):
        self.written += data
        self.writes += 1
        self.arrived.set()

    def close(self):
        self.closed.set()
        self.arrived.set()

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True


class Client:
    """Feeds a connection and reads what comes."""

    def __init__(self, broker: "Broker", *, v5: bool, principal: Principal | None, authenticate=None) -> None:
        self.link = MemoryLink()
        self.v5 = v5
        self.connack: wire.Got
        self.connection = Connection(
            broker.gateway, self.link, principal=principal, source_ip="192.0.2.7", authenticate=authenticate
        )

    def send(self, *packets: bytes) -> None:
        self.connection.feed(b"".join(packets))

    async def get(self, count: int = 1, within_s: float = 60) -> list[wire.Got]:
        """Return the next ``count`` packets; fewer if the link closed before."""
        async with asyncio.timeout(within_s):
            while True:
                found, _ = wire.read(self.link.written, v5=self.v5)
                if len(found) >= count or self.link.closed.is_set():
                    taken = found[:count]
                    left = sum(len(wire.packet(0, g.body)) for g in taken)
                    self.link.written = self.link.written[left:]
                    return taken
                self.link.arrived.clear()
                await self.link.arrived.wait()

    async def one(self) -> wire.Got:
        [got] = await self.get()
        return got

    async def nothing(self) -> bool:
        """Say whether nothing more comes: everything that was on its way is through after two passes."""
        for _ in range(3):
            await asyncio.sleep(0)
        return not self.link.written

    async def end(self) -> None:
        async with asyncio.timeout(60):
            await self.link.closed.wait()


class Broker:
    """The gateway under test with its neighbours."""

    def __init__(
        self, limits: Limits | None = None, behaviour: Behaviour | None = None, reserved=(), choose=None
    ) -> None:
        self.clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
        self.principals = FakePrincipals()
        self.tap = FakeTap()
        self.denials = DenialLog(None, self.clock.time)
        ids = iter(range(1, 1_000_000))
        more = {"choose": choose} if choose else {}
        self.gateway = Gateway(
            authorizer=Authorizer(principals=self.principals, denials=self.denials, arn_prefix=ARN),
            clock=self.clock,
            limits=replace(limits or Limits(), linger_s=0),
            behaviour=behaviour,
            reserved=reserved,
            taps=[self.tap],
            new_id=lambda: f"id{next(ids)}",
            **more,
        )

    def client(self, *, v5: bool = False, principal: Principal | None = DEVICE, authenticate=None) -> Client:
        return Client(self, v5=v5, principal=principal, authenticate=authenticate)

    async def connected(self, client_id: str = "c", *, v5: bool = False, principal=DEVICE, **more) -> Client:
        client = self.client(v5=v5, principal=principal)
        client.send(wire.connect(client_id, v5=v5, **more))
        client.connack = await client.one()
        assert client.connack.codes == [0]
        return client

    async def subscribed(self, client_id: str, *filters, v5: bool = False, **more) -> Client:
        client = await self.connected(client_id, v5=v5, **more)
        client.send(wire.subscribe(*filters, v5=v5))
        suback = await client.one()
        assert all(code < 2 for code in suback.codes)
        return client
