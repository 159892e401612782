"""One MQTT connection: bytes in, packets served, frames out, one write a pass of the event loop.

It knows no sockets: a door gives it a `Link` and feeds it. "guide" in the comments is the AWS IoT Core developer guide,
page "MQTT"; "quotas" is the General Reference's page "AWS IoT Core endpoints and quotas".
"""

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING

from infra.local.iot.message import NO_PROPERTIES, Message, Principal, Thing
from infra.local.iot.mqtt import codec, frames, lifecycle
from infra.local.iot.mqtt.authorization import Grants
from infra.local.iot.mqtt.codec import Connect, PacketError, Property, Reason
from infra.local.iot.mqtt.identity import Authenticate, Term
from infra.local.iot.mqtt.outbound import Link, Outbound, Rate
from infra.local.iot.mqtt.session import Session
from infra.local.iot.mqtt.topics import reserved_fault, split_share, topic_fault

if TYPE_CHECKING:
    from infra.local.iot.mqtt.gateway import Gateway

LOG = logging.getLogger(__name__)
_BEGINNINGS = {b"", b"\x10"}
_MQTT5 = b"\x00\x04MQTT\x05"
_SERVED = {0, codec.PUBACK, codec.PINGREQ, codec.SUBSCRIBE, codec.UNSUBSCRIBE, codec.DISCONNECT}
"""The packets whose flags are told; of a type 0 there is none."""
_IN_CONNACK = {Reason.TOPIC_INVALID, Reason.QUOTA_EXCEEDED, Reason.QOS_UNSUPPORTED}


class Connection:
    """From the open socket to its end."""

    def __init__(
        self,
        gateway: "Gateway",
        link: Link,
        *,
        principal: Principal | None,
        source_ip: str,
        authenticate: Authenticate | None = None,
        term: Term | None = None,
    ) -> None:
        self._gateway = gateway
        self._loop = gateway.loop
        self.principal = principal
        self.authenticate = authenticate
        self.source_ip = source_ip
        self.session: Session | None = None
        self.grants: Grants | None = None
        self.may_receive: Callable[[str], bool] = lambda _: False
        """Judges iot:Receive; nothing before the session is taken up."""
        self.client_id = ""
        self.thing: Thing | None = None
        """What it was when it connected: its certificate may be taken from it before it is cut."""
        self.session_id = ""
        self.version_number = 0
        self.v5 = False
        self.closed = False
        self.term = term
        self.explain_reasons = True
        limits = gateway.limits
        self._published = Rate(limits.publishes_per_s)
        self._bytes_in = Rate(limits.bytes_per_s)
        self.out = Outbound(link, loop=gateway.loop, limits=limits, clock=gateway.clock, counted=gateway.counted)
        self._buffer = b""
        self._authenticating = False
        self._aliases: dict[int, str] | None = None
        self._keep_alive_s = 0.0
        self._heard = self._loop.time()
        self._timer = self._loop.call_later(limits.connect_timeout_s, self._no_connect)

    # -- in ------------------------------------------------------------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Serve what arrived; a broken packet or a defect of ours ends this connection and no other."""
        if self.closed:
            return
        if self.session is None and not (self._buffer or self._authenticating) and data[:1] not in _BEGINNINGS:
            self.broken(PacketError("the first packet is not CONNECT", Reason.PROTOCOL_ERROR))  # [MQTT-3.1.0-1]
            return
        now = self._loop.time()
        if not self._bytes_in.take(now, len(data)):
            # quotas, throughput per connection: "delayed in processing".
            self.out.read(on=False)
            self._loop.call_at(self._bytes_in.again_at(), self._read_on)
        try:
            self._packets(self._buffer + data if self._buffer else data, now)
        except PacketError as error:
            self.broken(error)
        except Exception:  # the connection's loop
            LOG.exception("connection of %s ends by a defect", self.client_id or self.source_ip)
            self.cut(Reason.UNSPECIFIED, "SERVER_ERROR", "server error")

    def _read_on(self) -> None:
        self.out.read(on=True)

    def _packets(self, data: bytes, now: float) -> None:
        at, end = 0, len(data)
        limit = self._gateway.limits.packet_bytes
        connecting = self.session is None and self._gateway.behaviour.early_packet_cuts
        while end - at >= 2 and not self.closed:
            size = data[at + 1]
            start = at + 2
            if size >= 0x80 and start < end and data[start] < 0x80:
                size, start = size & 0x7F | data[start] << 7, start + 1
            elif size >= 0x80:
                found = codec.remaining_length(data, at + 1, end)
                if found is None:
                    break
                size, start = found
            if start + size - at > limit:
                # quotas: message size; guide: the client is disconnected.
                raise PacketError("packet too large", Reason.QUOTA_EXCEEDED)
            stop = start + size
            if stop > end:
                break
            self._heard = now
            self._packet(data[at], data[start:stop], now)
            at = stop
            if connecting and at < end and not self.closed:
                # guide, differences: a client waits for CONNACK before it sends anything else.
                raise PacketError("packet before CONNACK", Reason.PROTOCOL_ERROR)
        self._buffer = data[at:] if at < end else b""

    def _packet(self, head: int, body: bytes, now: float) -> None:
        kind = head >> 4
        session = self.session
        if session is None:
            self._before_connack(body)
        elif kind == codec.PUBLISH:
            self._publish(head, body, now)
        elif kind == codec.PUBACK and not head & 15:
            plain = len(body) == 2
            session.acknowledged(body[0] << 8 | body[1] if plain else codec.load_ack(body, v5=self.v5))
        elif kind == codec.PINGREQ and head == 0xC0 and not body:
            self.out.frame(frames.PINGRESP_FRAME)
        elif kind == codec.SUBSCRIBE and head & 15 == 2:  # [MQTT-3.8.1-1]
            self._subscribe(session, body)
        elif kind == codec.UNSUBSCRIBE and head & 15 == 2:  # [MQTT-3.10.1-1]
            self._unsubscribe(session, body)
        elif kind == codec.DISCONNECT and head == 0xE0:
            self._disconnect(session, body)
        else:
            # guide, differences: PUBREC, PUBREL, PUBCOMP and AUTH are not served. A second CONNECT: [MQTT-3.1.0-2].
            known = kind in _SERVED  # and so its flags are wrong [MQTT-2.1.3-1]
            raise PacketError(f"packet {head:#04x} not served so", Reason.MALFORMED if known else Reason.PROTOCOL_ERROR)

    def _before_connack(self, body: bytes) -> None:
        if self._authenticating:  # as above: it did not wait for CONNACK
            raise PacketError("packet before CONNACK", Reason.PROTOCOL_ERROR)
        self.v5 = self.out.v5 = body.startswith(_MQTT5)  # a malformed one is answered too
        try:
            connect = codec.load_connect(body)
        except codec.UnknownProtocolError as error:
            self._gateway.explain(self, str(error))
            self.refuse(1)  # [MQTT-3.1.2-2]
            return
        self._timer.cancel()
        if self.authenticate is None:
            self._gateway.sessions.connect(self, connect)
        else:
            self._authenticating = True
            self._gateway.spawn(self._connect_later(self.authenticate, connect))

    async def _connect_later(self, authenticate: Authenticate, connect: Connect) -> None:
        try:
            self.principal = await authenticate(self, connect)
        except Exception:  # the connection's loop
            LOG.exception("authentication of %s ends by a defect", connect.client_id or self.source_ip)
        self._authenticating = False
        if not self.closed:
            self._gateway.sessions.connect(self, connect)

    # -- connected -----------------------------------------------------------------------------------------------------

    def accept(self, session: Session, grants: Grants, connect: Connect, keep_alive_s: int) -> None:
        """Take up service: called by the gateway before CONNACK is sent."""
        self.session = session
        self.out.on_room = session.pump
        self.grants = grants
        self.may_receive = grants.may_receive
        aliases = connect.properties.get(Property.TOPIC_ALIAS_MAXIMUM, 0)
        self.out.alias_limit = min(aliases, self._gateway.limits.topic_aliases)
        self.out.packet_limit = connect.properties.get(Property.MAXIMUM_PACKET_SIZE, 0)
        self.explain_reasons = bool(connect.properties.get(Property.REQUEST_PROBLEM, 1))  # [MQTT-3.1.2-29]
        self._keep_alive_s = keep_alive_s * 1.5  # [MQTT-3.1.2-22]
        self._timer = self._loop.call_later(self._keep_alive_s, self._check_keep_alive)

    def clock_time(self) -> float:
        """Return epoch seconds of the movable clock."""
        return self._gateway.clock.time()

    def _publish(self, head: int, body: bytes, now: float) -> None:
        qos = head >> 1 & 3
        topic, packet_id, found, at = self._publish_head(body, qos)
        payload = body[at:]
        if self.v5 or len(payload) > self._gateway.limits.payload_bytes:
            self._check_publish(payload, qos)
        if not self._published.take(now):
            # quotas, publish requests per second per connection: what exceeds it is discarded; the connection stays.
            self._gateway.counted("publish_rate")
            if qos and self.v5:
                self.out.frame(frames.dump_puback(packet_id, Reason.QUOTA_EXCEEDED))
            return
        message = Message(
            topic=topic,
            payload=payload,
            qos=qos,
            retain=bool(head & 1),
            properties=codec.publish_properties(found) if found else NO_PROPERTIES,
            client_id=self.client_id,
            principal=self.principal,
            source_ip=self.source_ip,
        )
        if not self._gateway.may_publish(self, message):
            self._refuse_publish(packet_id if qos else 0)
            return
        if qos:
            self.out.frame(b"\x40\x02" + packet_id.to_bytes(2, "big"))
        self._gateway.accept(message)

    def _check_publish(self, payload: bytes, qos: int) -> None:
        limits, out = self._gateway.limits, self.out
        if len(payload) > limits.payload_bytes:
            raise PacketError("payload too large", Reason.QUOTA_EXCEEDED)  # quotas: message size
        out.unflushed_acks += qos
        if out.unflushed_acks > limits.unacknowledged:
            # More QoS 1 in one pass than Receive Maximum lets be unacknowledged. [MQTT-3.3.4-7]
            raise PacketError("receive maximum exceeded", Reason.RECEIVE_MAXIMUM_EXCEEDED)

    def _publish_head(self, body: bytes, qos: int) -> tuple[str, int, codec.PropertyMap, int]:
        """Return (topic, packet id, properties, where the payload begins)."""
        if qos > 1:
            # guide, differences: QoS 2 is not supported; QoS 3 is malformed [MQTT-3.3.1-4].
            raise PacketError("QoS 2 or 3", Reason.QOS_UNSUPPORTED if qos == 2 else Reason.MALFORMED)
        at = 2 + (body[0] << 8 | body[1]) if len(body) > 1 else 2
        name = body[2:at]
        at += 2 * qos
        if at > len(body):
            raise PacketError("PUBLISH ends inside its head")
        packet_id = body[at - 2] << 8 | body[at - 1] if qos else 0
        if qos and not packet_id:
            raise PacketError("packet id 0", Reason.PROTOCOL_ERROR)  # [MQTT-2.2.1-3]
        topic = self._gateway.topic(name)
        if not self.v5:
            if not topic:
                raise PacketError("empty topic", Reason.TOPIC_INVALID)  # [MQTT-4.7.3-1]
            return topic, packet_id, codec.NONE, at
        if at < len(body) and body[at] == 0:
            if not topic:
                raise PacketError("neither topic nor alias", Reason.PROTOCOL_ERROR)
            return topic, packet_id, codec.NONE, at + 1
        reader = codec.Reader(body[at:])
        found = reader.properties(codec.PUBLISH)
        return self._check_properties(topic, found), packet_id, found, len(body) - reader.left

    def _check_properties(self, topic: str, found: codec.PropertyMap) -> str:
        """Return the topic, by its alias where it has one."""
        if Property.SUBSCRIPTION_ID in found:
            raise PacketError("subscription identifier in a PUBLISH", Reason.PROTOCOL_ERROR)  # [MQTT-3.3.4-6]
        response_topic = found.get(Property.RESPONSE_TOPIC)
        if response_topic is not None and topic_fault(response_topic, self._gateway.limits):
            raise PacketError("response topic", Reason.TOPIC_INVALID)  # [MQTT-3.3.2-14]
        alias = found.get(Property.TOPIC_ALIAS)
        return self._by_alias(topic, alias) if alias is not None or not topic else topic

    def _by_alias(self, topic: str, alias: int | None) -> str:
        if alias is None:
            raise PacketError("neither topic nor alias", Reason.PROTOCOL_ERROR)
        if not 0 < alias <= self._gateway.limits.topic_aliases:
            raise PacketError("topic alias", Reason.TOPIC_ALIAS_INVALID)  # [MQTT-3.3.2-8] [MQTT-3.3.2-9]
        if self._aliases is None:
            self._aliases = {}
        if topic:
            self._aliases[alias] = topic
        elif alias not in self._aliases:
            raise PacketError("unknown topic alias", Reason.PROTOCOL_ERROR)
        return self._aliases[alias]

    def _refuse_publish(self, packet_id: int) -> None:
        # 3.1.1: AWS closes the connection, at QoS 0 and 1 alike. MQTT 5: see Behaviour.
        behaviour = self._gateway.behaviour
        if self.v5 and packet_id and behaviour.refused_publish_acks:
            self.out.frame(frames.dump_puback(packet_id, Reason.NOT_AUTHORIZED))
            if not behaviour.refused_publish_cuts:
                return
        self.cut(Reason.NOT_AUTHORIZED, lifecycle.AUTH_ERROR, "not authorized to publish")

    def _subscribe(self, session: Session, body: bytes) -> None:
        packet_id, properties, filters = codec.load_filters(body, v5=self.v5, packet=codec.SUBSCRIBE)
        if Property.SUBSCRIPTION_ID in properties:
            # guide: Subscription Identifier Available 0. (MQTT 5, 3.2.2.3.12)
            raise PacketError("subscription identifiers", Reason.SUBSCRIPTION_ID_UNSUPPORTED)
        if len(filters) > self._gateway.limits.filters_per_subscribe:
            # quotas: subscriptions per SUBSCRIBE. The whole request is rejected.
            raise PacketError("too many filters in one SUBSCRIBE", Reason.QUOTA_EXCEEDED)
        for topic_filter, options in filters:
            if fault := reserved_fault(split_share(topic_filter)[1]):
                # "Reserved topics": an operation that is not listed ends the connection.
                raise PacketError(f"filter {topic_filter!r}: {fault}", Reason.FILTER_INVALID)
            if options & 3 > 1:
                # guide, differences: no SUBACK for QoS 2; the client is cut.
                raise PacketError("QoS 2 subscription", Reason.QOS_UNSUPPORTED)
            if options & 4 and topic_filter.startswith("$share/"):
                raise PacketError("No Local on a shared subscription", Reason.PROTOCOL_ERROR)  # [MQTT-3.8.3-4]
        self._gateway.subscriptions.subscribe(self, session, packet_id, filters)

    def _unsubscribe(self, session: Session, body: bytes) -> None:
        packet_id, _, filters = codec.load_filters(body, v5=self.v5, packet=codec.UNSUBSCRIBE)
        names = [topic_filter for topic_filter, _ in filters]
        codes = self._gateway.subscriptions.unsubscribe(self, session, names)
        self.out.frame(frames.dump_codes(codec.UNSUBACK, packet_id, codes, v5=self.v5))

    def suback(self, packet_id: int, codes: list[int]) -> None:
        """Answer a SUBSCRIBE."""
        self.out.frame(frames.dump_codes(codec.SUBACK, packet_id, codes, v5=self.v5))

    def _disconnect(self, session: Session, body: bytes) -> None:
        reason, properties = codec.load_disconnect(body, v5=self.v5)
        expiry_s = properties.get(Property.SESSION_EXPIRY)
        if expiry_s is not None:
            if expiry_s and not session.expiry_s:
                raise PacketError("session expiry from 0 to more", Reason.PROTOCOL_ERROR)  # [MQTT-3.14.2-2]
            session.expiry_s = min(expiry_s, self._gateway.limits.session_expiry_max_s)
        if reason == Reason.SUCCESS:
            session.will = None  # [MQTT-3.1.2-8] [MQTT-3.14.4-3]
        self._end(lifecycle.CLIENT_INITIATED)
        self.out.close()

    # -- end -----------------------------------------------------------------------------------------------------------

    def refuse(self, code: int) -> None:
        """Answer CONNECT with a refusal and close."""
        self.out.frame(frames.dump_connack(v5=self.v5, session_present=False, code=code))
        self._end("")
        self._linger()

    def cut(self, reason: int, why: str, text: str = "") -> None:
        """Close from this side: MQTT 5 hears DISCONNECT with ``reason``, 3.1.1 just sees the end."""
        if self.closed:
            return
        told = self.v5 and self.session is not None
        if told:
            self.out.frame(frames.dump_disconnect(reason, text if text and self.explain_reasons else None))
        self._end(why)
        if told:
            self._linger()
        else:
            self.out.close()

    def lost(self) -> None:
        """Hear from the door that the socket is gone."""
        self._end(lifecycle.CONNECTION_LOST)

    def left(self) -> None:
        """Hear from the door that the client closed in good order, without DISCONNECT."""
        if self.session is not None and not self.closed:
            self.session.will = None
        self._end(lifecycle.CLIENT_INITIATED)

    def broken(self, error: PacketError) -> None:
        """End the connection of a client that broke the protocol."""
        self._gateway.explain(self, str(error))
        if self.session is None and self.v5:
            # guide, reason codes: CONNACK knows no 0x81 and no 0x82.
            self.refuse(error.reason if error.reason in _IN_CONNACK else Reason.UNSPECIFIED)
        else:
            self.cut(error.reason, lifecycle.CLIENT_ERROR, str(error))

    def _end(self, why: str) -> None:
        if self.closed:
            return
        self.closed = self.out.closed = True
        self._timer.cancel()
        self._gateway.sessions.ended(self, why)

    def _linger(self) -> None:
        self.out.flush()
        self._loop.call_later(self._gateway.limits.linger_s, self.out.close)

    def _no_connect(self) -> None:
        self.cut(Reason.UNSPECIFIED, lifecycle.CLIENT_ERROR)

    def _check_keep_alive(self) -> None:
        left_s = self._heard + self._keep_alive_s - self._loop.time()
        if left_s <= 0:
            self.cut(Reason.KEEP_ALIVE_TIMEOUT, lifecycle.KEEP_ALIVE_TIMEOUT, "keep alive timeout")  # [MQTT-3.1.2-22]
        else:
            self._timer = self._loop.call_later(left_s + 0.001, self._check_keep_alive)
