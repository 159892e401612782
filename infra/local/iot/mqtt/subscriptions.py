"""SUBSCRIBE and UNSUBSCRIBE, shared groups, and the retained messages a subscription brings.

"guide" in the comments is the AWS IoT Core developer guide, page "MQTT"; "quotas" the General Reference's.
"""

from typing import TYPE_CHECKING

from infra.local.iot.mqtt import lifecycle
from infra.local.iot.mqtt.codec import Reason
from infra.local.iot.mqtt.connection import Connection
from infra.local.iot.mqtt.session import Outgoing, Session
from infra.local.iot.mqtt.shared import Choose, Group
from infra.local.iot.mqtt.topics import Subscription, Tree, filter_fault, split_share

if TYPE_CHECKING:
    from infra.local.iot.mqtt.gateway import Gateway

_QOS, _NO_LOCAL, _RETAIN_AS_PUBLISHED = 3, 4, 8
"""Subscription options. (MQTT 5, 3.8.3.1)."""


class Subscriptions:
    """All subscriptions of all sessions."""

    def __init__(self, gateway: "Gateway", choose: Choose) -> None:
        self._gateway = gateway
        self._choose = choose
        self._tree = Tree()
        self.route = self._tree.route

    def subscribe(
        self, connection: Connection, session: Session, packet_id: int, filters: list[tuple[str, int]]
    ) -> None:
        """Serve a SUBSCRIBE: each filter by itself, SUBACK, then the retained messages."""
        codes: list[int] = []
        added: dict[str, int] = {}
        retained: list[str] = []
        for topic_filter, options in filters:
            code = self._code(connection, topic_filter)
            if code == Reason.SUCCESS:
                known = topic_filter in session.subscriptions
                if not known and len(session.subscriptions) >= self._gateway.limits.subscriptions:
                    # quotas, subscriptions per connection: rejected, and the connection is cut.
                    self._gateway.explain(connection, f"more than {self._gateway.limits.subscriptions} subscriptions")
                    connection.cut(Reason.QUOTA_EXCEEDED, lifecycle.CLIENT_ERROR, "too many subscriptions")
                    return
                code = added[topic_filter] = options & _QOS
                self._add(session, topic_filter, options)
                if options >> 4 == 0 or (options >> 4 == 1 and not known):  # retain handling
                    retained.append(topic_filter)
            elif self._cuts(connection, code):
                return
            codes.append(code if connection.v5 or code < 0x80 else 0x80)
        connection.suback(packet_id, codes)
        if added:
            self._gateway.lifecycle.subscribed(connection, list(added))
        for topic_filter in retained:
            self._send_retained(connection, session, topic_filter, added[topic_filter])

    def unsubscribe(self, connection: Connection, session: Session, filters: list[str]) -> list[int]:
        """Remove subscriptions; return MQTT 5's code for each. (MQTT 5, 3.11.3)."""
        codes, removed = [], []
        for topic_filter in filters:
            if topic_filter in session.subscriptions:
                self.remove(session, topic_filter)
                removed.append(topic_filter)
                codes.append(int(Reason.SUCCESS))
            else:
                # AWS lists 00, 80, 8F and 91 for UNSUBACK, not 11 "no subscription existed".
                fault = filter_fault(topic_filter, self._gateway.limits)
                codes.append(int(Reason.FILTER_INVALID if fault else Reason.SUCCESS))
        if removed:
            self._gateway.lifecycle.unsubscribed(connection, removed)
        return codes

    def remove(self, session: Session, topic_filter: str) -> None:
        """Take one subscription away."""
        del session.subscriptions[topic_filter]
        name, inner = split_share(topic_filter)
        if name is None:
            self._tree.remove(inner, session)
        elif group := self._tree.group(inner, name):
            group.members.pop(session, None)
            if not group.members:
                group.close()
                self._tree.remove_group(inner, name)

    def resume(self, session: Session) -> None:
        """Hand out what waited for a shared group while none of its members was there."""
        for topic_filter in session.subscriptions:
            name, inner = split_share(topic_filter)
            if name and (group := self._tree.group(inner, name)):
                group.resume()

    def _code(self, connection: Connection, topic_filter: str) -> int:
        fault = filter_fault(topic_filter, self._gateway.limits)
        inner = split_share(topic_filter)[1]
        if fault:
            self._gateway.explain(connection, f"filter {topic_filter!r}: {fault}")
            return Reason.FILTER_INVALID
        allowed = connection.grants is not None and connection.grants.may_subscribe(topic_filter, inner)
        return Reason.SUCCESS if allowed else Reason.NOT_AUTHORIZED

    def _cuts(self, connection: Connection, code: int) -> bool:
        """Cut a 3.1.1 client whose filter is refused (see `Behaviour`); MQTT 5 gets a code in SUBACK."""
        if connection.v5:
            return False
        if code != Reason.NOT_AUTHORIZED:
            connection.cut(code, lifecycle.CLIENT_ERROR)
            return True
        if self._gateway.behaviour.refused_subscribe_cuts:
            connection.cut(code, lifecycle.AUTH_ERROR)
        return connection.closed

    def _add(self, session: Session, topic_filter: str, options: int) -> None:
        gateway = self._gateway
        subscription = Subscription(
            options & _QOS,
            no_local=bool(options & _NO_LOCAL),
            retain_as_published=bool(options & _RETAIN_AS_PUBLISHED) and gateway.behaviour.retain_as_published,
        )
        session.subscriptions[topic_filter] = subscription
        name, inner = split_share(topic_filter)
        if name is None:
            self._tree.add(inner, session, subscription)
            return
        fresh = Group(
            name, limits=gateway.limits, choose=self._choose, later=gateway.loop.call_later, counted=gateway.counted
        )
        group = self._tree.add_group(inner, fresh)
        group.members[session] = subscription
        group.resume()

    def _send_retained(self, connection: Connection, session: Session, topic_filter: str, qos: int) -> None:
        """Send the retained message of exactly this topic; wildcards and shared subscriptions get none. (guide)."""
        found = self._gateway.retained.get(topic_filter)
        if found is not None and connection.may_receive(topic_filter):
            expiry_s = found.message.properties.message_expiry_s
            outgoing = Outgoing(found.message, None if expiry_s is None else found.stored_at + expiry_s)
            session.deliver(outgoing, min(qos, found.message.qos), retain=True)
