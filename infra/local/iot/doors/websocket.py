"""MQTT in WebSocket frames. (MQTT 5, chapter 6; RFC 6455 is aiohttp's)."""

import asyncio

from aiohttp import WSCloseCode, WSMsgType, web

from infra.local.iot.doors.tls import WRITE_BUFFER_BYTES
from infra.local.iot.mqtt.codec import PacketError, Reason
from infra.local.iot.mqtt.connection import Connection

_LOST = 1006


class WebSocketLink:
    """A WebSocket as `connection.Link`: one binary frame for what a pass of the loop produced."""

    def __init__(self, socket: web.WebSocketResponse) -> None:
        self._socket = socket
        self._out: list[bytes] = []
        self._size = 0
        self._busy = self._closing = False
        self._wake = asyncio.Event()
        self._readable = asyncio.Event()
        self._readable.set()
        self.connection: Connection | None = None
        """Whom to feed; set before `run`."""

    def write(self, data: bytes) -> None:
        """Send; the connection hears when the client does not keep up."""
        self._out.append(data)
        self._size += len(data)
        self._wake.set()
        self._tell()

    def close(self) -> None:
        """Send what is buffered, then close."""
        self._closing = True
        self._wake.set()

    def pause_reading(self) -> None:
        """Take no further frame for now."""
        self._readable.clear()

    def resume_reading(self) -> None:
        """Take frames again."""
        self._readable.set()

    async def run(self) -> None:
        """Carry frames until either side has had enough."""
        writing = asyncio.create_task(self._write())
        try:
            await self._read()
        finally:
            if self.connection is not None:
                self.connection.lost()
            self.close()
            await writing

    async def _read(self) -> None:
        connection = self.connection
        while connection is not None:
            await self._readable.wait()
            frame = await self._socket.receive()
            if frame.type is WSMsgType.BINARY:
                connection.feed(frame.data)
            elif frame.type is WSMsgType.TEXT:
                connection.broken(PacketError("a text frame", Reason.PROTOCOL_ERROR))  # [MQTT-6.0.0-1]
            elif frame.type is WSMsgType.ERROR:
                connection.broken(PacketError(f"no WebSocket message: {frame.data}", Reason.QUOTA_EXCEEDED))
            else:
                if self._socket.close_code not in {None, _LOST}:
                    # page "Lifecycle events": a Close frame is a disconnect by the client, without its will.
                    connection.left()
                return

    async def _write(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                if self._out:
                    data = b"".join(self._out)
                    self._out.clear()
                    await self._socket.send_bytes(data)
                    self._size -= len(data)
                    self._tell()
                elif self._closing:
                    await self._socket.close(code=WSCloseCode.OK, drain=False)
                    return
        except ConnectionError:
            return

    def _tell(self) -> None:
        busy = self._size > WRITE_BUFFER_BYTES
        if busy != self._busy and self.connection is not None:
            self._busy = busy
            self.connection.out.set_busy(busy=busy)
