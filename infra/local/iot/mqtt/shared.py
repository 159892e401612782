"""Shared subscriptions: each message to one member of a group. (developer guide, "MQTT": shared subscriptions)."""

from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from infra.local.iot.mqtt.limits import Limits
from infra.local.iot.mqtt.session import Outgoing, Session
from infra.local.iot.mqtt.topics import Subscription

if TYPE_CHECKING:
    from asyncio import TimerHandle

Choose = Callable[[Sequence[Session]], Session]
Later = Callable[[float, Callable[[], None]], "TimerHandle"]


class Group:
    """The members of `$share/{name}/{filter}`, and what waits for one of them."""

    __slots__ = ("_choose", "_counted", "_later", "_limits", "_queued_bytes", "_timer", "members", "name", "queue")

    def __init__(
        self, name: str, *, limits: Limits, choose: Choose, later: Later, counted: Callable[[str], None]
    ) -> None:
        self.name = name
        self._limits = limits
        self._choose = choose
        self._later = later
        self._counted = counted
        self._timer: TimerHandle | None = None
        self.members: dict[Session, Subscription] = {}
        self.queue: deque[Outgoing] = deque()
        self._queued_bytes = 0

    def deliver(self, outgoing: Outgoing, qos: int) -> None:
        """Give the message to a random connected member that may receive it.

        Where none is connected the group queues QoS 1, provided one member's session is persistent; when the queue is
        full the newest is dropped.
        """
        made = Outgoing(outgoing.message, outgoing.expires_at, self)
        if active := self._active(made.topic):
            member = self._choose(active) if len(active) > 1 else active[0]
            member.deliver(made, min(qos, self.members[member].qos))
        elif qos:
            self._keep(made)

    def take_back(self, outgoing: Outgoing) -> None:
        """Give another member what one that is gone has not acknowledged. (guide: shared subscriptions)."""
        if active := self._active(outgoing.topic):
            self._hand_out(outgoing, self._choose(active))
        else:
            self._keep(outgoing)

    def _keep(self, outgoing: Outgoing) -> None:
        if not any(member.expiry_s and held.qos for member, held in self.members.items()):
            return
        size = self._queued_bytes + len(outgoing.message.payload)
        if len(self.queue) >= self._limits.queued_messages or size > self._limits.queued_bytes:
            self._counted("shared_queue_full")
        else:
            self._queued_bytes = size
            self.queue.append(outgoing)

    def resume(self) -> None:
        """Begin to hand out what waits: 20 a second for each active member."""
        if self.queue and self._timer is None:
            self._drain()

    def close(self) -> None:
        """Stop handing out: the group has no members left."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _drain(self) -> None:
        self._timer = None
        connected = sum(member.connection is not None for member in self.members)
        for _ in range(min(len(self.queue), self._limits.shared_per_s * connected)):
            outgoing = self.queue.popleft()
            self._queued_bytes -= len(outgoing.message.payload)
            if active := self._active(outgoing.topic):
                self._hand_out(outgoing, self._choose(active))
        if self.queue and connected:
            self._timer = self._later(1.0, self._drain)

    def _hand_out(self, outgoing: Outgoing, member: Session) -> None:
        connection, expires_at = member.connection, outgoing.expires_at
        if connection is not None and expires_at is not None and expires_at <= connection.clock_time():
            self._counted("expired")  # [MQTT-3.3.2-5]
        else:
            member.deliver(outgoing, min(1, self.members[member].qos))

    def _active(self, topic: str) -> list[Session]:
        return [
            member
            for member in self.members
            if (connection := member.connection) is not None
            and (grants := connection.grants) is not None
            and grants.may_receive_shared(topic, self.name)
        ]
