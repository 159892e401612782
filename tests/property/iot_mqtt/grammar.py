"""Packets of every type, and what an attacker or a broken client makes of them."""

import random
from collections.abc import Iterator

from tests.unit.iot_mqtt import wire


def seeds(*, v5: bool) -> list[bytes]:
    """Well-formed packets of all fifteen types, with every option and property."""
    p = (lambda raw: raw) if v5 else (lambda _: b"")
    user = b"\x26" + wire.text("k") + wire.text("v")
    publish = (
        b"\x01\x01\x02\x00\x00\x00\x3c\x03" + wire.text("t/p") + b"\x08" + wire.text("re") + b"\x09" + wire.text(b"\0")
    )
    full = b"\x11\x00\x00\x00\x3c\x21\x00\x0a\x27\x00\x00\xff\xff\x22\x00\x05\x17\x01\x19\x01" + user
    packets = [
        wire.connect("fuzz", v5=v5, props=p(full)),
        wire.connect("", v5=v5),
        wire.connect("fuzz", v5=v5, clean=False, keep_alive=0),
        wire.connect("fuzz", v5=v5, will=("w", b"x", 1, True), will_properties=b"\x18\x00\x00\x00\x01" + publish),
        wire.connect("fuzz", v5=v5, username="u?a=b", password=b"\x00\xff"),
        wire.connect("fuzz", v5=v5, props=p(b"\x15" + wire.text("m") + b"\x16" + wire.text(b"d"))),
        wire.publish("f/1", b"x" * 40, v5=v5),
        wire.publish("f/1", b"x" * 40, qos=1, pid=7, retain=True, v5=v5, props=p(publish + user)),
        wire.publish("f/1", qos=2, pid=7, v5=v5),
        wire.publish("f/ä€😀", v5=v5),
        wire.publish("$aws/things/x/shadow/update", b"{}", qos=1, v5=v5),
        wire.publish("f/2", v5=v5, props=p(b"\x23\x00\x01")),
        wire.publish("" if v5 else "f", v5=v5, props=p(b"\x23\x00\x01")),
        wire.puback(1),
        b"\x40\x04\x00\x01\x00\x00",
        wire.subscribe("f/#", ("f/+", 0), ("$share/g/f/1", 1), v5=v5, props=p(user)),
        wire.subscribe(("f/1", 0x2D if v5 else 1), pid=9, v5=v5),
        wire.unsubscribe("f/#", "$share/g/f/1", v5=v5),
        wire.PINGREQ,
        wire.disconnect(),
        *(wire.packet(kind << 4 | flags, b"\x00\x01") for kind in range(16) for flags in (0, 2)),
    ]
    if v5:
        packets += [
            wire.disconnect(4, user),
            wire.disconnect(0, b"\x11\x00\x00\x00\x05"),
            wire.packet(0xF0, b"\x18\x00"),
        ]
        packets += [wire.subscribe("f", v5=True, props=b"\x0b\x05")]
    return packets


def truncations(*, v5: bool) -> Iterator[bytes]:
    """Every packet, cut at every byte: as it stands, and with its length made to fit."""
    for whole in seeds(v5=v5):
        for end in range(len(whole)):
            yield whole[:end]
            if 2 <= end < 130:
                yield bytes([whole[0], end - 2]) + whole[2:end]


def mutated(dice: random.Random, packets: list[bytes]) -> bytes:  # noqa: C901 - one step after another
    """One packet, changed in one to four places."""
    raw = bytearray(dice.choice(packets))
    for _ in range(dice.randint(1, 4)):
        at = dice.randrange(len(raw) + 1)
        match dice.randrange(8):
            case 0 if raw:
                raw[at - 1] ^= 1 << dice.randrange(8)
            case 1 if raw:
                raw[at - 1] = dice.choice((0, 1, 0x7F, 0x80, 0xFF, dice.randrange(256)))
            case 2:
                raw[at:at] = dice.randbytes(dice.randint(1, 9))
            case 3:
                del raw[at : at + dice.randint(1, 9)]
            case 4:
                raw[at:at] = raw[dice.randrange(len(raw) + 1) :][: dice.randint(1, 30)]
            case 5:
                raw = raw[:at] + bytearray(dice.choice(packets))[dice.randrange(6) :]
            case 6:
                raw[1:2] = wire.varint(dice.choice((0, 1, 126, 127, 128, 16_384, 268_435_455)))
            case _:
                raw += dice.choice(packets)
    return bytes(raw)
