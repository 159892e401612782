"""A client's session: what it subscribed to, what is under way to it, what waits for it."""

import struct
from collections import deque
from collections.abc import Callable
from typing import TYPE_CHECKING

from infra.local.iot.message import Message
from infra.local.iot.mqtt import frames
from infra.local.iot.mqtt.limits import Limits
from infra.local.iot.mqtt.topics import Subscription

if TYPE_CHECKING:
    from asyncio import TimerHandle

    from infra.local.iot.mqtt.connection import Connection
    from infra.local.iot.mqtt.shared import Group


_SHORT, _MEDIUM = struct.Struct("!BBH").pack, struct.Struct("!BBBH").pack
"""A PUBLISH's first byte, its remaining length in one or two bytes, and its topic's length: most there are."""


class Outgoing:
    """One message on its way out, encoded once for all who get it in the same form."""

    __slots__ = ("_parts", "expires_at", "group", "message", "topic")

    def __init__(self, message: Message, expires_at: float | None = None, group: "Group | None" = None) -> None:
        self.message = message
        self.group = group
        """Whose member gets it, and to whom it goes back unacknowledged."""
        self.topic = message.topic
        self.expires_at = expires_at
        self._parts: dict[int, tuple[bytes, bytes]] = {}

    def parts(self, *, v5: bool, qos: int, retain: bool) -> tuple[bytes, bytes]:
        """Return the frame in two halves; at QoS 1 the packet id goes between them."""
        form = v5 << 2 | qos << 1 | retain
        parts = self._parts.get(form)
        if parts is None:
            properties = frames.dump_publish_properties(self.message.properties) if v5 else b""
            parts = self._parts[form] = _halves(self.topic, properties, self.message.payload, qos, retain=retain)
        return parts

    def individual(
        self, *, qos: int, retain: bool, topic: str, alias: int | None, now: float | None
    ) -> tuple[bytes, bytes]:
        """Return the halves for one MQTT 5 subscriber: with its topic alias and the seconds left to live.

        The seconds may read 0 (developer guide, "MQTT": message expiry); what goes out at once has lost none.
        """
        left_s = None if now is None or self.expires_at is None else max(0, round(self.expires_at - now))
        properties = frames.dump_publish_properties(self.message.properties, expiry_s=left_s, alias=alias)
        return _halves(topic, properties, self.message.payload, qos, retain=retain)


def _halves(topic: str, properties: bytes, payload: bytes, qos: int, *, retain: bool) -> tuple[bytes, bytes]:
    name = topic.encode()
    size = 2 + len(name) + 2 * qos + len(properties) + len(payload)
    first = 0x30 | qos << 1 | retain
    if size < 0x80:
        return _SHORT(first, size, len(name)) + name, properties + payload
    if size < 0x4000:
        return _MEDIUM(first, size & 0x7F | 0x80, size >> 7, len(name)) + name, properties + payload
    head = bytes((first,)) + frames.encode_varint(size) + len(name).to_bytes(2, "big") + name
    return head, properties + payload


Waiting = tuple[Outgoing, bool]
"""A QoS 1 message and its RETAIN flag."""


class Session:
    """State between connections. (MQTT 5, 4.1); hashed by identity, so that the tree can hold it."""

    def __init__(
        self, client_id: str, limits: Limits, now: Callable[[], float], counted: Callable[[str], None]
    ) -> None:
        self.client_id = client_id
        self.limits = limits
        self.now = now
        """Monotonic seconds: only for spans that nobody moves."""
        self.counted = counted
        """Told the name of each drop."""
        self.connection: Connection | None = None
        self.subscriptions: dict[str, Subscription] = {}
        self.inflight: dict[int, tuple[Outgoing, bool, float]] = {}
        self.live: deque[Waiting] = deque()
        """Waiting for room while connected."""
        self.stored: deque[Waiting] = deque()
        """Came while the client was away, or was not acknowledged then."""
        self.waiting_bytes = 0
        self.packet_id = 0
        self.window = limits.unacknowledged
        self.expiry_s = 0
        self.ends_at: float | None = None
        self.will: Message | None = None
        self.will_delay_s = 0
        self.will_at: float | None = None
        self.release_timer: TimerHandle | None = None

    def deliver(self, outgoing: Outgoing, qos: int, *, retain: bool = False) -> None:
        """Send now or queue; QoS 0 never waits."""
        connection = self.connection
        if connection is None:
            if qos:
                self._wait(self.stored, (outgoing, retain))
        elif not qos:
            connection.out.message(outgoing, 0, 0, retain=retain)
        elif self.live or connection.out.blocked or len(self.inflight) >= self.window:
            self._wait(self.live, (outgoing, retain))
            self._give_up_old()
        else:
            self._send(connection, outgoing, retain=retain)

    def acknowledged(self, packet_id: int) -> None:
        """Take a PUBACK; an unknown packet id is ignored."""
        if self.inflight.pop(packet_id, None) is not None and self.live:
            self.pump()

    def pump(self) -> None:
        """Send what waits, as far as the window and the connection have room."""
        connection = self.connection
        while self.live and connection is not None and not connection.out.blocked and len(self.inflight) < self.window:
            outgoing, retain = self.live.popleft()
            self.waiting_bytes -= len(outgoing.message.payload)
            if outgoing.expires_at is not None and outgoing.expires_at <= connection.clock_time():
                self.counted("expired")  # [MQTT-3.3.2-5]
            else:
                self._send(connection, outgoing, retain=retain)

    def release(self, later: Callable[[float, Callable[[], None]], "TimerHandle"]) -> None:
        """Hand over what was stored, ten a second, beside what comes live.

        (developer guide, "MQTT": message traffic after reconnection to a persistent session). Each is checked against
        iot:Receive as of now.
        """
        connection = self.connection
        self.release_timer = None
        if connection is None:
            return
        for _ in range(min(self.limits.stored_per_s, len(self.stored))):
            waiting = self.stored.popleft()
            if connection.may_receive(waiting[0].topic):
                self.live.append(waiting)
            else:
                self.waiting_bytes -= len(waiting[0].message.payload)
        self.pump()
        if self.stored:
            self.release_timer = later(1.0, lambda: self.release(later))

    def detach(self) -> None:
        """Keep for later what the lost connection did not acknowledge, and give groups back what was theirs.

        It will be sent again under another packet id and without DUP (developer guide, "MQTT": differences).
        """
        self.connection = None
        if self.release_timer is not None:
            self.release_timer.cancel()
            self.release_timer = None
        unacknowledged = [(outgoing, retain) for outgoing, retain, _ in self.inflight.values()]
        self.waiting_bytes += sum(len(outgoing.message.payload) for outgoing, _ in unacknowledged)
        left = [*unacknowledged, *self.stored, *self.live]
        self.inflight.clear()
        self.live.clear()
        self.stored = deque(waiting for waiting in left if waiting[0].group is None)
        for outgoing, _ in left:
            if outgoing.group is not None:
                self.waiting_bytes -= len(outgoing.message.payload)
                outgoing.group.take_back(outgoing)

    def _wait(self, queue: deque[Waiting], waiting: Waiting) -> None:
        size = len(waiting[0].message.payload)
        full = len(self.live) + len(self.stored) >= self.limits.queued_messages
        if full or self.waiting_bytes + size > self.limits.queued_bytes:
            self.counted("queue_full")
            return
        self.waiting_bytes += size
        queue.append(waiting)

    def _send(self, connection: "Connection", outgoing: Outgoing, *, retain: bool) -> None:
        packet_id = self.packet_id
        while True:
            packet_id = packet_id % 65_535 + 1
            if packet_id not in self.inflight:
                break
        self.packet_id = packet_id
        if connection.out.message(outgoing, 1, packet_id, retain=retain):
            self.inflight[packet_id] = (outgoing, retain, self.now())

    def _give_up_old(self) -> None:
        """Drop what the connected client has not acknowledged for an hour. (quotas: QoS 1 retry)."""
        oldest = next(iter(self.inflight), None)
        if oldest is not None and self.now() - self.inflight[oldest][2] > self.limits.retry_s:
            del self.inflight[oldest]
            self.counted("unacknowledged")
            self.pump()
