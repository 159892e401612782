"""MQTT packets built and read by hand: a second writing of the protocol, so that the codec is not its own witness."""

from dataclasses import dataclass, field


def varint(number: int) -> bytes:
    out = b""
    while True:
        number, digit = divmod(number, 128)
        out += bytes([digit | (128 if number else 0)])
        if not number:
            return out


def text(value: str | bytes) -> bytes:
    raw = value if isinstance(value, bytes) else value.encode()
    return len(raw).to_bytes(2, "big") + raw


def packet(head: int, body: bytes) -> bytes:
    return bytes([head]) + varint(len(body)) + body


def properties(raw: bytes) -> bytes:
    return varint(len(raw)) + raw


def connect(
    client_id: str = "c",
    *,
    v5: bool = False,
    clean: bool = True,
    keep_alive: int = 60,
    will: tuple[str, bytes, int, bool] | None = None,
    will_properties: bytes = b"",
    username: str | None = None,
    password: bytes | None = None,
    props: bytes = b"",
) -> bytes:
    flags = 2 * clean
    if will:
        flags |= 4 | will[2] << 3 | 32 * will[3]
    flags |= 128 * (username is not None) | 64 * (password is not None)
    body = text("MQTT") + bytes([5 if v5 else 4, flags]) + keep_alive.to_bytes(2, "big")
    body += properties(props) if v5 else b""
    body += text(client_id)
    if will:
        body += (properties(will_properties) if v5 else b"") + text(will[0]) + text(will[1])
    if username is not None:
        body += text(username)
    if password is not None:
        body += text(password)
    return packet(0x10, body)


def publish(
    topic: str,
    payload: bytes = b"x",
    *,
    qos: int = 0,
    pid: int = 1,
    retain: bool = False,
    v5: bool = False,
    props: bytes = b"",
) -> bytes:
    body = text(topic) + (pid.to_bytes(2, "big") if qos else b"") + (properties(props) if v5 else b"") + payload
    return packet(0x30 | qos << 1 | retain, body)


def subscribe(*filters: str | tuple[str, int], pid: int = 1, v5: bool = False, props: bytes = b"") -> bytes:
    body = pid.to_bytes(2, "big") + (properties(props) if v5 else b"")
    for one in filters:
        name, options = one if isinstance(one, tuple) else (one, 1)
        body += text(name) + bytes([options])
    return packet(0x82, body)


def unsubscribe(*filters: str, pid: int = 1, v5: bool = False) -> bytes:
    return packet(0xA2, pid.to_bytes(2, "big") + (b"\0" if v5 else b"") + b"".join(map(text, filters)))


def puback(pid: int) -> bytes:
    return b"\x40\x02" + pid.to_bytes(2, "big")


def disconnect(reason: int | None = None, props: bytes | None = None) -> bytes:
    if reason is None:
        return b"\xe0\x00"
    return packet(0xE0, bytes([reason]) + (properties(props) if props is not None else b""))


PINGREQ = b"\xc0\x00"


@dataclass
class Got:
    """One packet of the server."""

    kind: int
    flags: int
    body: bytes
    v5: bool
    topic: str = ""
    pid: int = 0
    payload: bytes = b""
    props: dict = field(default_factory=dict)
    codes: list = field(default_factory=list)

    @property
    def qos(self) -> int:
        return self.flags >> 1 & 3

    @property
    def retain(self) -> bool:
        return bool(self.flags & 1)


_WIDTH = {1: 1, 2: 4, 17: 4, 19: 2, 33: 2, 34: 2, 35: 2, 36: 1, 37: 1, 39: 4, 40: 1, 41: 1, 42: 1}


def read_properties(body: bytes, at: int) -> tuple[dict, int]:
    length, shift = 0, 0
    while True:
        byte = body[at]
        at += 1
        length |= (byte & 127) << shift
        shift += 7
        if byte < 128:
            break
    end = at + length
    found: dict = {}
    while at < end:
        name = body[at]
        at += 1
        if name in _WIDTH:
            found[name] = int.from_bytes(body[at : at + _WIDTH[name]], "big")
            at += _WIDTH[name]
        elif name == 38:
            pair = []
            for _ in range(2):
                size = int.from_bytes(body[at : at + 2], "big")
                pair.append(body[at + 2 : at + 2 + size].decode())
                at += 2 + size
            found.setdefault(38, []).append(tuple(pair))
        else:
            size = int.from_bytes(body[at : at + 2], "big")
            found[name] = body[at + 2 : at + 2 + size]
            at += 2 + size
    return found, at


def read(buffer: bytes, *, v5: bool) -> tuple[list[Got], bytes]:
    """Return the whole packets at the start of a buffer, and the rest."""
    found = []
    while len(buffer) >= 2:
        length, shift, at = 0, 0, 1
        while True:
            if at >= len(buffer):
                return found, buffer
            byte = buffer[at]
            length |= (byte & 127) << shift
            shift += 7
            at += 1
            if byte < 128:
                break
        if len(buffer) < at + length:
            break
        got = Got(buffer[0] >> 4, buffer[0] & 15, buffer[at : at + length], v5)
        _fill(got)
        found.append(got)
        buffer = buffer[at + length :]
    return found, buffer


def _fill(got: Got) -> None:  # noqa: C901 - one step after another
    body, at = got.body, 0
    if got.kind == 3:
        size = int.from_bytes(body[:2], "big")
        got.topic = body[2 : 2 + size].decode()
        at = 2 + size
        if got.qos:
            got.pid = int.from_bytes(body[at : at + 2], "big")
            at += 2
        if got.v5:
            got.props, at = read_properties(body, at)
        got.payload = body[at:]
    elif got.kind == 2:
        got.codes = [body[1]]
        if got.v5:
            got.props, _ = read_properties(body, 2)
    elif got.kind == 4:
        got.pid = int.from_bytes(body[:2], "big")
        got.codes = list(body[2:3]) or [0]
    elif got.kind in {9, 11}:
        got.pid = int.from_bytes(body[:2], "big")
        at = 2
        if got.v5:
            got.props, at = read_properties(body, at)
        got.codes = list(body[at:])
    elif got.kind == 14:
        got.codes = list(body[:1])
