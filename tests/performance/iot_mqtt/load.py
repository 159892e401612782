"""Load for a broker: MQTT 3.1.1 clients on bare TLS protocols, light enough to weigh the broker and not themselves."""

import asyncio
import ssl
from collections.abc import Callable
from pathlib import Path

from tests.unit.iot_mqtt import wire


def context(ca: Path, certificate: Path, key: Path) -> ssl.SSLContext:
    made = ssl.create_default_context(cafile=ca)
    made.check_hostname = False
    made.load_cert_chain(certificate, key)
    return made


class Client(asyncio.Protocol):
    """Connects, answers QoS 1 deliveries, and tells what comes."""

    def __init__(self, client_id: str, on_message: Callable[[bytes], None] | None = None) -> None:
        self.client_id = client_id
        self.on_message = on_message
        self.on_ack: Callable[[], None] | None = None
        self.connected = asyncio.get_running_loop().create_future()
        self.subscribed = asyncio.get_running_loop().create_future()
        self.lost = False
        self._rest = b""

    def connection_made(self, transport):
        self.transport = transport
        transport.write(wire.connect(self.client_id, keep_alive=1200))

    def connection_lost(self, error):
        self.lost = True
        for future in (self.connected, self.subscribed):
            if not future.done():
                future.set_exception(error or ConnectionError(f"{self.client_id} was cut"))
                future.exception()

    def data_received(self, data):  # noqa: C901 - one step after another
        data = self._rest + data if self._rest else data
        at, end, out = 0, len(data), []
        while end - at >= 2:
            size, start = data[at + 1], at + 2
            if size >= 128:
                if end - at < 3:
                    break
                size, start = size & 127 | data[at + 2] << 7, at + 3
            stop = start + size
            if stop > end:
                break
            kind = data[at] >> 4
            if kind == 3:
                self._message(data[at], data[start:stop], out)
            elif kind == 4:
                self.on_ack()
            elif kind == 2:
                self.connected.set_result(data[start + 1])
            elif kind == 9:
                self.subscribed.set_result(data[stop - 1])
            at = stop
        self._rest = data[at:]
        if out:
            self.transport.write(b"".join(out))

    def _message(self, head, body, out):
        length = 2 + (body[0] << 8 | body[1])
        if head & 6:
            out.append(b"\x40\x02" + body[length : length + 2])
            length += 2
        if self.on_message:
            self.on_message(body[length:])


async def open_client(port: int, tls: ssl.SSLContext, client_id: str, on_message=None) -> Client:
    loop = asyncio.get_running_loop()
    _, client = await loop.create_connection(
        lambda: Client(client_id, on_message), "127.0.0.1", port, ssl=tls, server_hostname="localhost"
    )
    assert await asyncio.wait_for(client.connected, 30) == 0
    return client


async def subscribe(client: Client, topic_filter: str, qos: int = 1) -> None:
    client.subscribed = asyncio.get_running_loop().create_future()
    client.transport.write(wire.subscribe((topic_filter, qos)))
    assert await asyncio.wait_for(client.subscribed, 30) == qos


class Gate:
    """Holds publishers back while a subscriber is far behind: its queue in the broker is bounded."""

    def __init__(self, limit: int = 2_000) -> None:
        self.room = limit
        self.waiting: list[Publisher] = []

    def heard(self) -> None:
        self.room += 1
        if self.waiting and self.room > 200:
            waiting, self.waiting = self.waiting, []
            for publisher in waiting:
                publisher.start()


class Publisher:
    """Keeps a number of QoS 1 messages under way until it has sent its share."""

    def __init__(
        self, client: Client, topic: str, payload: bytes, count: int, in_flight: int, *, gate: Gate | None = None
    ) -> None:
        self._gate = gate
        self._client, self._frame, self._left = client, wire.publish(topic, payload, qos=1, pid=1), count
        self._at = self._frame.index(topic.encode()) + len(topic)
        self._pid, self._unacknowledged, self._in_flight = 0, 0, in_flight
        self.done = asyncio.get_running_loop().create_future()
        client.on_ack = self._acknowledged

    def start(self) -> None:
        self._fill()

    def _fill(self) -> None:
        frames = []
        while self._left and self._unacknowledged < self._in_flight:
            if self._gate:
                if not self._gate.room:
                    if self not in self._gate.waiting:
                        self._gate.waiting.append(self)
                    break
                self._gate.room -= 1
            self._pid = self._pid % 60_000 + 1
            frames.append(self._frame[: self._at] + self._pid.to_bytes(2, "big") + self._frame[self._at + 2 :])
            self._left -= 1
            self._unacknowledged += 1
        if frames:
            self._client.transport.write(b"".join(frames))

    def _acknowledged(self) -> None:
        self._unacknowledged -= 1
        if self._left:
            self._fill()
        elif not self._unacknowledged and not self.done.done():
            self.done.set_result(None)
