"""The way out of a connection: one write a pass of the event loop, bounded by what the client and AWS allow.

"quotas" in the comments is the General Reference's page "AWS IoT Core endpoints and quotas".
"""

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Protocol

from infra.local.clock import Clock
from infra.local.iot.mqtt.limits import Limits

if TYPE_CHECKING:
    from infra.local.iot.mqtt.session import Outgoing

FRAMES_WHILE_BUSY = 1_000
"""Answers kept for a client that sends and does not read; beyond it nothing more is read from it."""


class Link(Protocol):
    """The way to the client, as a door provides it."""

    def write(self, data: bytes) -> None:
        """Send; the door tells `Connection.block` when the client does not keep up."""

    def close(self) -> None:
        """Send what is buffered, then close."""

    def pause_reading(self) -> None:
        """Feed nothing more for now."""

    def resume_reading(self) -> None:
        """Feed again."""


class Rate:
    """A budget that is whole again at each second."""

    __slots__ = ("_limit", "_start", "_used")

    def __init__(self, limit: float) -> None:
        self._limit = limit
        self._start = 0.0
        self._used = 0.0

    def take(self, now: float, amount: float = 1) -> bool:
        """Use up ``amount``; False once the second's budget is gone."""
        if now - self._start >= 1:
            self._start = now
            self._used = 0.0
        self._used += amount
        return self._used <= self._limit

    def again_at(self) -> float:
        """Return when the next budget begins."""
        return self._start + 1


class Outbound:
    """Frames to one client."""

    def __init__(
        self,
        link: Link,
        *,
        loop: asyncio.AbstractEventLoop,
        limits: Limits,
        clock: Clock,
        counted: Callable[[str], None],
    ) -> None:
        self._link = link
        self._loop = loop
        self._clock = clock
        self._counted = counted
        self._sent = Rate(limits.publishes_per_s)
        self._bytes = Rate(limits.bytes_per_s)
        self._frames: list[bytes] = []
        self._aliases: dict[str, int] | None = None
        self._reading = True
        self._throttled = False
        self.v5 = False
        self.alias_limit = 0
        """Topic aliases the client takes, as far as AWS makes use of them."""
        self.packet_limit = 0
        """Maximum Packet Size of the client; 0 without one."""
        self.unflushed_acks = 0
        self.busy = False
        """The client does not keep up with reading."""
        self.blocked = False
        """Nothing that can wait is to be sent: the client is busy, or its second's budget is used up."""
        self.closed = False
        self.on_room: Callable[[], None] | None = None
        """Told when the way is free again."""

    def message(self, outgoing: "Outgoing", qos: int, packet_id: int, *, retain: bool) -> bool:
        """Send a PUBLISH; False if it was dropped instead, which is counted."""
        if self.blocked and not qos:
            self._counted("qos0_slow_subscriber" if self.busy else "delivery_rate")
            return False
        if not self._sent.take(self._loop.time()):
            # quotas, publish requests per second per connection: QoS 0 beyond it is discarded, QoS 1 goes with the next
            # second's budget.
            self._throttle(self._sent.again_at())
            if not qos:
                self._counted("delivery_rate")
                return False
        if self.v5 and (self.alias_limit or outgoing.expires_at is not None):
            head, tail = self._individual(outgoing, qos, retain=retain)
        else:
            head, tail = outgoing.parts(v5=self.v5, qos=qos, retain=retain)
        if self.packet_limit and len(head) + len(tail) + 2 * qos > self.packet_limit:
            self._counted("packet_limit_of_client")  # [MQTT-3.1.2-24] [MQTT-3.1.2-25]
            return False
        frames = self._frames  # as `frame` does, without its call
        if not frames:
            self._loop.call_soon(self.flush)
        frames.append(head + packet_id.to_bytes(2, "big") + tail if qos else head + tail)
        return True

    def frame(self, frame: bytes) -> None:
        """Send any other packet."""
        frames = self._frames
        if not frames:
            self._loop.call_soon(self.flush)
        frames.append(frame)
        if self.busy and len(frames) > FRAMES_WHILE_BUSY:
            self.read(on=False)

    def flush(self) -> None:
        """Write everything of this pass at once; keep it back while the client does not read."""
        if not self._frames or (self.busy and not self.closed):
            return
        data = b"".join(self._frames)
        self._frames.clear()
        self.unflushed_acks = 0
        self._link.write(data)
        if not self._bytes.take(self._loop.time(), len(data)):
            self._throttle(self._bytes.again_at())  # quotas, throughput per connection: delayed

    def set_busy(self, *, busy: bool) -> None:
        """Hear from the door whether the client keeps up with reading."""
        self.busy = busy
        if not busy:
            self.flush()
            self.read(on=True)
        self._unblock()

    def read(self, *, on: bool) -> None:
        """Take input from the client, or leave it in the socket."""
        if on != self._reading and not self.closed:
            self._reading = on
            (self._link.resume_reading if on else self._link.pause_reading)()

    def close(self) -> None:
        """Send what there is and close."""
        self.flush()
        self._link.close()

    def _individual(self, outgoing: "Outgoing", qos: int, *, retain: bool) -> tuple[bytes, bytes]:
        now = None if outgoing.expires_at is None else self._clock.time()
        topic, alias = outgoing.topic, None
        if self.alias_limit:
            if self._aliases is None:
                self._aliases = {}
            alias = self._aliases.get(topic)
            if alias is not None:
                topic = ""
            elif len(self._aliases) < self.alias_limit:
                alias = self._aliases[topic] = len(self._aliases) + 1
        return outgoing.individual(qos=qos, retain=retain, topic=topic, alias=alias, now=now)

    def _throttle(self, until: float) -> None:
        if not self._throttled:
            self._throttled = self.blocked = True
            self._loop.call_at(until, self._unthrottle)

    def _unthrottle(self) -> None:
        self._throttled = False
        self._unblock()

    def _unblock(self) -> None:
        self.blocked = self.busy or self._throttled
        if not self.blocked and not self.closed and self.on_room is not None:
            self.on_room()
