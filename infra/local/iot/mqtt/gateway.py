"""The broker's heart: what is published finds its way; everything else of the room hangs on it.

"guide" in the comments is the AWS IoT Core developer guide, page "MQTT".
"""

import asyncio
import json
import logging
import random
import re
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from infra.local.clock import Clock
from infra.local.iot.message import Message
from infra.local.iot.mqtt import codec, lifecycle
from infra.local.iot.mqtt.authorization import Authorizer
from infra.local.iot.mqtt.codec import PacketError, Reason
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.limits import Behaviour, Limits
from infra.local.iot.mqtt.retained import RetainedStore
from infra.local.iot.mqtt.session import Outgoing
from infra.local.iot.mqtt.sessions import Sessions
from infra.local.iot.mqtt.shared import Choose
from infra.local.iot.mqtt.subscriptions import Subscriptions
from infra.local.iot.mqtt.topics import topic_fault
from infra.local.iot.ports import Reserved, Tap

LOG = logging.getLogger(__name__)
_CACHED_NAMES = 20_000
_NOT_CARRIED = re.compile(r"\$aws/(things/[^/]+/(jobs|defender|streams)|device_location|commands)/")
"""What the page "Reserved topics" lists and nobody takes here."""
_SERVED_ONLY = ("$aws/rules/", "$aws/certificates/", "$aws/provisioning-templates/")
"""Reserved topics whose messages go to their service alone; others are seen by subscribers and rules as well."""


class Gateway:
    """One message broker; carries out `ports.Broker`. Made inside the running loop."""

    def __init__(
        self,
        *,
        authorizer: Authorizer,
        clock: Clock,
        reserved: Sequence[Reserved] = (),
        taps: Sequence[Tap] = (),
        limits: Limits | None = None,
        behaviour: Behaviour | None = None,
        new_id: Callable[[], str] = lambda: uuid.uuid4().hex,
        choose: Choose = random.choice,
    ) -> None:
        self.clock = clock
        self.limits = limits or Limits()
        self.behaviour = behaviour or Behaviour()
        self.loop = asyncio.get_running_loop()
        self.new_id = new_id
        self.authorizer = authorizer
        self.retained = RetainedStore(clock.time)
        self.reserved = list(reserved)
        self.taps = list(taps)
        self.counters: Counter[str] = Counter()
        """What was dropped, by why."""
        self.lifecycle = lifecycle.Lifecycle(self.publish, clock.time)
        self.subscriptions = Subscriptions(self, choose)
        self.sessions = Sessions(self)
        self._names: dict[bytes, str] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    # -- ports.Broker --------------------------------------------------------------------------------------------------

    def publish(self, message: Message) -> None:
        """Deliver as AWS's own services do; a republish to a reserved topic reaches the service behind it."""
        self.accept(message)

    def send(self, client_id: str, message: Message) -> bool:
        """Deliver straight to one connection, subscribed or not; False if it is gone."""
        session = self.sessions.find(client_id)
        if session is None or session.connection is None:
            return False
        session.deliver(self._outgoing(message), message.qos)
        return True

    def answer(self, client_id: str, message: Message) -> bool:
        """Deliver to one connection as to a subscriber: by its subscription, and if iot:Receive allows.

        What others subscribed to is not asked: no other connection gets it. False if this one does not either.
        """
        session = self.sessions.find(client_id)
        if session is None or session.connection is None:
            return False
        routed = dict(self.subscriptions.route(message.topic)[0])
        if session not in routed:
            self.explain(session.connection, f"{message.topic}: an answer to a client that did not subscribe to it")
            return False
        if not session.connection.may_receive(message.topic):
            return False
        session.deliver(self._outgoing(message), min(routed[session].qos, message.qos))
        return True

    def disconnect(self, client_id: str, *, clean_session: bool, prevent_will: bool) -> bool:
        """Cut a connection (DeleteConnection); False if there is none."""
        session = self.sessions.find(client_id)
        if session is None or session.connection is None:
            return False
        if prevent_will:
            session.will = None
        if clean_session:
            session.expiry_s = 0
        session.connection.cut(Reason.ADMINISTRATIVE, lifecycle.API_INITIATED, "DeleteConnection")
        return True

    # -- PUBLISH -------------------------------------------------------------------------------------------------------

    def topic(self, raw: bytes) -> str:
        """Return the text of a topic to publish to, decoded and looked at once; an alias may stand for an empty one.

        Raises:
            PacketError: ill-formed, or beyond AWS's limits.
        """
        topic = self._names.get(raw)
        if topic is None:
            topic = codec.decode_text(raw)
            fault = topic_fault(topic, self.limits) if topic else None
            if fault:
                raise PacketError(f"topic: {fault}", Reason.TOPIC_INVALID)
            if len(self._names) >= _CACHED_NAMES:
                self._names.clear()
            self._names[raw] = topic
        return topic

    def may_publish(self, connection: Connection, message: Message) -> bool:
        """Judge a client's PUBLISH: policy, then whether a reserved topic takes messages at all."""
        grants, topic = connection.grants, message.topic
        if grants is None or not grants.may_publish(topic) or (message.retain and not grants.may_retain(topic)):
            return False
        if topic[0] != "$":
            return True
        # "Reserved topics": anything unlisted ends the connection; guide: no retained messages there.
        if message.retain:
            self.explain(connection, f"{topic}: RETAIN on a reserved topic")
        elif not any(service.accepts(topic) for service in self.reserved):
            aws_would = _NOT_CARRIED.match(topic)
            why = "not emulated: AWS would take it" if aws_would else "no service takes messages on this reserved topic"
            self.explain(connection, f"{topic}: {why}")
        else:
            return True
        return False

    def accept(self, message: Message) -> None:
        """Take in a message that its sender was allowed to publish."""
        if message.retain:
            self.retained.put(message)
        if message.topic[0] != "$" or not self._serve(message):
            self._distribute(message)

    def _serve(self, message: Message) -> bool:
        """Hand a message on a reserved topic to its services; True if nobody else is to see it."""
        served = False
        for service in self.reserved:
            if service.accepts(message.topic):
                served = True
                service.receive(message)
        return served and message.topic.startswith(_SERVED_ONLY)

    def _distribute(self, message: Message) -> None:
        sessions, groups = self.subscriptions.route(message.topic)
        if sessions or groups:
            outgoing = self._outgoing(message)
            topic, qos, retain, sender = message.topic, message.qos, message.retain, message.client_id
            for session, subscription in sessions:
                if subscription.no_local and session.client_id == sender:
                    continue
                connection = session.connection
                if connection is None or connection.may_receive(topic):
                    granted = subscription.qos
                    as_published = retain and subscription.retain_as_published
                    session.deliver(outgoing, granted if granted < qos else qos, retain=as_published)  # noqa: FURB136 - hot
            for group in groups:
                group.deliver(outgoing, qos)
        for tap in self.taps:
            tap.receive(message)

    def _outgoing(self, message: Message) -> Outgoing:
        expiry_s = message.properties.message_expiry_s
        return Outgoing(message, None if expiry_s is None else self.clock.time() + expiry_s)

    # -- around --------------------------------------------------------------------------------------------------------

    def counted(self, why: str) -> None:
        """Count one dropped message."""
        self.counters[why] += 1
        if self.counters[why] in {1, 100, 10_000, 1_000_000}:
            LOG.warning("dropped %d messages so far: %s", self.counters[why], why)

    def explain(self, connection: Connection, why: str) -> None:
        """Write down a refusal that no policy made."""
        principal = connection.principal
        self.authorizer.denials.write(
            {
                "client_id": connection.client_id,
                "principal": principal.id if principal else None,
                "source_ip": connection.source_ip,
                "refused": why,
            }
        )

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something beside the loop's callbacks, and hold it until it ends."""
        task = self.loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Cut every connection: the server goes."""
        LOG.info("dropped in all: %s", json.dumps(self.counters))
        self.sessions.close()
        for task in self._tasks:
            task.cancel()
