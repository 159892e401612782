"""MQTT 3.1.1 and MQTT 5 on the wire: bytes to packets; `frames` is the way back. Pure: no sockets, no clock."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any

from infra.local.iot.message import NO_PROPERTIES, Properties

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE = range(1, 9)
SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, DISCONNECT, AUTH = range(9, 16)
WILL = 0
"""The will's properties follow a table of their own. (MQTT 5, 3.1.3.2)."""


class Reason(IntEnum):
    """The reason codes that AWS IoT lists. (developer guide, "MQTT": MQTT reason codes; MQTT 5, 2.4)."""

    SUCCESS = 0x00
    WITH_WILL = 0x04
    NO_SUBSCRIPTION = 0x11
    UNSPECIFIED = 0x80
    MALFORMED = 0x81
    PROTOCOL_ERROR = 0x82
    BAD_CLIENT_ID = 0x85
    BAD_CREDENTIALS = 0x86
    NOT_AUTHORIZED = 0x87
    SHUTTING_DOWN = 0x8B
    KEEP_ALIVE_TIMEOUT = 0x8D
    TAKEN_OVER = 0x8E
    FILTER_INVALID = 0x8F
    TOPIC_INVALID = 0x90
    RECEIVE_MAXIMUM_EXCEEDED = 0x93
    TOPIC_ALIAS_INVALID = 0x94
    QUOTA_EXCEEDED = 0x97
    ADMINISTRATIVE = 0x98
    QOS_UNSUPPORTED = 0x9B
    SUBSCRIPTION_ID_UNSUPPORTED = 0xA1


class PacketError(Exception):
    """The client broke the protocol or a limit: answer with ``reason`` (MQTT 5) and close."""

    def __init__(self, why: str, reason: Reason = Reason.MALFORMED) -> None:
        super().__init__(why)
        self.reason = reason


class UnknownProtocolError(PacketError):
    """Neither MQTT 3.1.1 nor MQTT 5: CONNACK 0x01 and close. [MQTT-3.1.2-2]."""


class Property(IntEnum):
    """Property identifiers. (MQTT 5, 2.2.2.2)."""

    PAYLOAD_FORMAT = 1
    MESSAGE_EXPIRY = 2
    CONTENT_TYPE = 3
    RESPONSE_TOPIC = 8
    CORRELATION_DATA = 9
    SUBSCRIPTION_ID = 11
    SESSION_EXPIRY = 17
    ASSIGNED_CLIENT_ID = 18
    SERVER_KEEP_ALIVE = 19
    AUTH_METHOD = 21
    AUTH_DATA = 22
    REQUEST_PROBLEM = 23
    WILL_DELAY = 24
    REQUEST_RESPONSE = 25
    RESPONSE_INFORMATION = 26
    SERVER_REFERENCE = 28
    REASON_STRING = 31
    RECEIVE_MAXIMUM = 33
    TOPIC_ALIAS_MAXIMUM = 34
    TOPIC_ALIAS = 35
    MAXIMUM_QOS = 36
    RETAIN_AVAILABLE = 37
    USER_PROPERTY = 38
    MAXIMUM_PACKET_SIZE = 39
    WILDCARD_AVAILABLE = 40
    SUBSCRIPTION_ID_AVAILABLE = 41
    SHARED_AVAILABLE = 42


BYTE, TWO, FOUR, VARINT, TEXT, BINARY, PAIR = range(7)
SHAPES: Mapping[int, int] = {
    **dict.fromkeys((1, 23, 25, 36, 37, 40, 41, 42), BYTE),
    **dict.fromkeys((19, 33, 34, 35), TWO),
    **dict.fromkeys((2, 17, 24, 39), FOUR),
    **dict.fromkeys((3, 8, 18, 21, 26, 28, 31), TEXT),
    **dict.fromkeys((9, 22), BINARY),
    11: VARINT,
    38: PAIR,
}
_ALLOWED: Mapping[int, frozenset[int]] = {  # what a client may send, by packet
    CONNECT: frozenset({17, 21, 22, 23, 25, 33, 34, 38, 39}),
    WILL: frozenset({1, 2, 3, 8, 9, 24, 38}),
    PUBLISH: frozenset({1, 2, 3, 8, 9, 11, 35, 38}),
    PUBACK: frozenset({31, 38}),
    SUBSCRIBE: frozenset({11, 38}),
    UNSUBSCRIBE: frozenset({38}),
    DISCONNECT: frozenset({17, 31, 38}),
}
_FLAGS = frozenset({Property.PAYLOAD_FORMAT, Property.REQUEST_PROBLEM, Property.REQUEST_RESPONSE})
_NOT_ZERO = frozenset({Property.RECEIVE_MAXIMUM, Property.MAXIMUM_PACKET_SIZE})

PropertyMap = dict[int, Any]
NONE: PropertyMap = {}
_PROTOCOLS = {(b"MQIsdp", 3): False, (b"MQTT", 4): False, (b"MQTT", 5): True}
"""Whether it is MQTT 5. AWS's guide names 3.1.1 and 5 only; Amplify's PubSub for AWS IoT connects as 3.1, so that is
let in and served as 3.1.1."""


@dataclass(slots=True)
class Will:
    """The message a client leaves behind. (MQTT 5, 3.1.2.5)."""

    topic: str
    payload: bytes
    qos: int
    retain: bool
    properties: Properties = NO_PROPERTIES
    delay_s: int = 0


@dataclass(slots=True)
class Connect:
    """CONNECT. (MQTT 5, 3.1)."""

    v5: bool
    clean_start: bool
    keep_alive_s: int
    client_id: str
    will: Will | None = None
    username: str | None = None
    password: bytes | None = None
    properties: PropertyMap = field(default_factory=dict)


class Reader:
    """A cursor over one packet's body; every read is checked against its end."""

    __slots__ = ("_at", "_body", "_end")

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._end = len(body)
        self._at = 0

    @property
    def left(self) -> int:
        """Return the bytes not read yet."""
        return self._end - self._at

    def take(self, count: int) -> bytes:
        """Return the next ``count`` bytes.

        Raises:
            PacketError: the packet ends before.
        """
        start = self._at
        self._at = stop = start + count
        if stop > self._end:
            raise PacketError("packet ends inside a field")
        return self._body[start:stop]

    def number(self, size: int) -> int:
        """Return a big-endian integer of ``size`` bytes."""
        return int.from_bytes(self.take(size), "big")

    def varint(self) -> int:
        """Return a variable byte integer. (MQTT 5, 1.5.5)."""
        value = shift = 0
        while shift < 28:
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
            shift += 7
        raise PacketError("variable byte integer longer than four bytes")

    def binary(self) -> bytes:
        """Return binary data with its two-byte length before it."""
        return self.take(self.number(2))

    def text(self) -> str:
        """Return a UTF-8 string; neither ill-formed nor with U+0000. [MQTT-1.5.4-1] [MQTT-1.5.4-2]."""
        return decode_text(self.binary())

    def rest(self) -> bytes:
        """Return everything that is left."""
        return self.take(self.left)

    def properties(self, packet: int) -> PropertyMap:
        """Return the properties by identifier; user properties as a list of pairs in their order.

        Raises:
            PacketError: a property unknown, out of place, doubled or out of its range.
        """
        length = self.varint()
        if not length:
            return NONE
        inner = Reader(self.take(length))
        found: PropertyMap = {}
        allowed = _ALLOWED[packet]
        while inner.left:
            name = inner.varint()
            if name not in allowed:
                raise PacketError(f"property {name} not allowed here", Reason.PROTOCOL_ERROR)
            value = inner._value(SHAPES[name])
            if name == Property.USER_PROPERTY:
                found.setdefault(name, []).append(value)
                continue
            if name in found:
                raise PacketError(f"property {name} twice", Reason.PROTOCOL_ERROR)
            if (name in _FLAGS and value > 1) or (name in _NOT_ZERO and value == 0):
                raise PacketError(f"property {name} out of range", Reason.PROTOCOL_ERROR)
            found[name] = value
        return found

    def last_properties(self, packet: int) -> PropertyMap:
        """Return the properties that end a packet; it may as well end before them."""
        found = self.properties(packet) if self.left else NONE
        if self.left:
            raise PacketError("bytes after the end")
        return found

    def _value(self, shape: int) -> Any:
        if shape <= FOUR:
            return self.number((1, 2, 4)[shape])
        if shape == VARINT:
            return self.varint()
        if shape == TEXT:
            return self.text()
        if shape == BINARY:
            return self.binary()
        return (self.text(), self.text())


def decode_text(raw: bytes) -> str:
    """Return ``raw`` as text.

    Raises:
        PacketError: not well-formed UTF-8, or it holds U+0000.
    """
    try:
        text = raw.decode()
    except UnicodeDecodeError as error:
        raise PacketError("ill-formed UTF-8") from error
    if "\0" in text:
        raise PacketError("U+0000 in a string")
    return text


def load_connect(body: bytes) -> Connect:
    """Return a CONNECT.

    Raises:
        UnknownProtocolError: not a protocol that AWS IoT speaks.
        PacketError: malformed.
    """
    reader = Reader(body)
    protocol = (reader.binary(), reader.number(1))
    if protocol not in _PROTOCOLS:
        raise UnknownProtocolError(f"protocol {protocol[0]!r} level {protocol[1]}")
    v5 = _PROTOCOLS[protocol]
    flags = reader.number(1)
    if flags & 0x01:
        raise PacketError("reserved connect flag set")  # [MQTT-3.1.2-3]
    keep_alive_s = reader.number(2)
    properties = reader.properties(CONNECT) if v5 else {}
    client_id = reader.text()
    will = _load_will(reader, flags, v5=v5)
    username = reader.text() if flags & 0x80 else None
    if flags & 0x40 and not (v5 or flags & 0x80):
        raise PacketError("password without user name")  # [MQTT-3.1.2-22], 3.1.1 only
    password = reader.binary() if flags & 0x40 else None
    if reader.left:
        raise PacketError("bytes after the end of CONNECT")
    return Connect(v5, bool(flags & 0x02), keep_alive_s, client_id, will, username, password, properties)


def _load_will(reader: Reader, flags: int, *, v5: bool) -> Will | None:
    qos = flags >> 3 & 3
    if not flags & 0x04:
        if flags & 0x38:
            raise PacketError("will flags without a will")  # [MQTT-3.1.2-11]
        return None
    if qos == 3:
        raise PacketError("will QoS 3")  # [MQTT-3.1.2-12]
    found = reader.properties(WILL) if v5 else NONE
    topic = reader.text()
    delay_s = found.get(Property.WILL_DELAY, 0)
    return Will(topic, reader.binary(), qos, bool(flags & 0x20), publish_properties(found), delay_s)


def publish_properties(found: PropertyMap) -> Properties:
    """Return what AWS IoT forwards of a PUBLISH's properties.

    An expiry of 0 becomes 1, one beyond seven days becomes seven days. (developer guide, "MQTT": message expiry).
    """
    if not found:
        return NO_PROPERTIES
    expiry_s = found.get(Property.MESSAGE_EXPIRY)
    return Properties(
        payload_format_indicator=found.get(Property.PAYLOAD_FORMAT),
        content_type=found.get(Property.CONTENT_TYPE),
        response_topic=found.get(Property.RESPONSE_TOPIC),
        correlation_data=found.get(Property.CORRELATION_DATA),
        message_expiry_s=None if expiry_s is None else min(max(expiry_s, 1), 604_800),
        user_properties=tuple(found.get(Property.USER_PROPERTY, ())),
    )


def load_filters(body: bytes, *, v5: bool, packet: int) -> tuple[int, PropertyMap, list[tuple[str, int]]]:
    """Return (packet id, properties, [(filter, options)]) of a SUBSCRIBE or UNSUBSCRIBE; options are 0 in the latter.

    Raises:
        PacketError: malformed, or without any filter. [MQTT-3.8.3-2] [MQTT-3.10.3-2]
    """
    reader = Reader(body)
    packet_id = reader.number(2)
    if not packet_id:
        raise PacketError("packet id 0", Reason.PROTOCOL_ERROR)  # [MQTT-2.2.1-3]
    properties = reader.properties(packet) if v5 else NONE
    filters = []
    while reader.left:
        topic_filter = reader.text()
        options = reader.number(1) if packet == SUBSCRIBE else 0
        if options & (0xC0 if v5 else 0xFC) or options & 3 == 3 or options & 0x30 == 0x30:
            raise PacketError("reserved subscription options")  # [MQTT-3.8.3-5]
        filters.append((topic_filter, options))
    if not filters:
        raise PacketError("no topic filter", Reason.PROTOCOL_ERROR)
    return packet_id, properties, filters


def load_disconnect(body: bytes, *, v5: bool) -> tuple[int, PropertyMap]:
    """Return (reason code, properties) of a DISCONNECT. [MQTT-3.14.1-1]."""
    if not body:
        return 0, NONE
    if not v5:
        raise PacketError("DISCONNECT with a body")
    reader = Reader(body)
    return reader.number(1), reader.last_properties(DISCONNECT)


def load_ack(body: bytes, *, v5: bool) -> int:
    """Return the packet id of a PUBACK."""
    if len(body) == 2:
        return body[0] << 8 | body[1]
    if not v5:
        raise PacketError("PUBACK of a wrong length")
    reader = Reader(body)
    packet_id = reader.number(2)
    reader.number(1)
    reader.last_properties(PUBACK)
    return packet_id


def remaining_length(data: bytes, at: int, end: int) -> tuple[int, int] | None:
    """Return (length, where the body begins); None while its bytes have not all arrived. (MQTT 5, 2.1.4)."""
    value = 0
    for count in range(4):
        if at + count >= end:
            return None
        byte = data[at + count]
        value |= (byte & 0x7F) << 7 * count
        if byte < 0x80:
            return value, at + count + 1
    raise PacketError("remaining length longer than four bytes")
