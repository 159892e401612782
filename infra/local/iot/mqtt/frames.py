"""MQTT 3.1.1 and MQTT 5 on the wire: packets of the server to bytes. Pure."""

import struct
from collections.abc import Mapping
from typing import Any

from infra.local.iot.message import NO_PROPERTIES, Properties
from infra.local.iot.mqtt.codec import FOUR, PAIR, SHAPES, SUBACK, Property

PINGRESP_FRAME = b"\xd0\x00"


def encode_varint(number: int) -> bytes:
    """Return a variable byte integer."""
    if number < 0x80:
        return bytes((number,))
    out = bytearray()
    while number >= 0x80:
        out.append(number & 0x7F | 0x80)
        number >>= 7
    out.append(number)
    return bytes(out)


def _text(value: str | bytes) -> bytes:
    raw = value.encode() if isinstance(value, str) else value
    return len(raw).to_bytes(2, "big") + raw


def dump_properties(properties: Mapping[int, Any]) -> bytes:
    """Return properties with their length before them; a list of pairs for user properties; None is left out."""
    out = bytearray()
    for name, value in properties.items():
        shape = SHAPES[name]
        if value is None:
            continue
        if shape == PAIR:
            for key, text in value:
                out += b"\x26" + _text(key) + _text(text)
        elif shape <= FOUR:
            out.append(name)
            out += int(value).to_bytes((1, 2, 4)[shape], "big")
        else:
            out.append(name)
            out += _text(value)
    return encode_varint(len(out)) + bytes(out)


def dump_publish_properties(properties: Properties, *, expiry_s: int | None = None, alias: int | None = None) -> bytes:
    """Return a PUBLISH's properties, with the seconds that are left to live and the topic alias."""
    if properties is NO_PROPERTIES and alias is None:
        return b"\x00"
    return dump_properties(
        {
            Property.TOPIC_ALIAS: alias,
            Property.PAYLOAD_FORMAT: properties.payload_format_indicator,
            Property.MESSAGE_EXPIRY: expiry_s,
            Property.CONTENT_TYPE: properties.content_type,
            Property.RESPONSE_TOPIC: properties.response_topic,
            Property.CORRELATION_DATA: properties.correlation_data,
            Property.USER_PROPERTY: properties.user_properties,
        }
    )


def dump_connack(*, v5: bool, session_present: bool, code: int, properties: bytes = b"\x00") -> bytes:
    """Return a CONNACK; ``properties`` already encoded, used by MQTT 5 only."""
    body = bytes((session_present, code)) + (properties if v5 else b"")
    return b"\x20" + encode_varint(len(body)) + body


def dump_puback(packet_id: int, reason: int = 0, why: str | None = None) -> bytes:
    """Return a PUBACK; with a reason only towards MQTT 5."""
    if not reason:
        return b"\x40\x02" + packet_id.to_bytes(2, "big")
    body = struct.pack("!HB", packet_id, reason)
    if why:
        body += dump_properties({Property.REASON_STRING: why})
    return b"\x40" + encode_varint(len(body)) + body


def dump_codes(packet: int, packet_id: int, codes: list[int], *, v5: bool) -> bytes:
    """Return a SUBACK or UNSUBACK; MQTT 3.1.1's UNSUBACK has no codes."""
    body = packet_id.to_bytes(2, "big") + (b"\x00" if v5 else b"")
    if v5 or packet == SUBACK:
        body += bytes(codes)
    return bytes((packet << 4,)) + encode_varint(len(body)) + body


def dump_disconnect(reason: int, why: str | None = None) -> bytes:
    """Return a DISCONNECT of the server, which MQTT 5 alone knows."""
    body = bytes((reason,)) + (dump_properties({Property.REASON_STRING: why}) if why else b"")
    return b"\xe0" + encode_varint(len(body)) + body
