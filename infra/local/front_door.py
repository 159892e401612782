"""The front's own HTTP, for the calls that come most often; every other request is aiohttp's to read and to answer.

A connection begins here. As long as its requests are plain ones to DynamoDB or invocations of functions, they are read
and answered by a tenth of the code that serves all of HTTP. With the first that is not, the connection is handed over
for good, with every byte of it: chunks, ``Expect``, HTTP/1.0, errors and what else there is are told apart by no second
parser. (RFC 9112; why it is worth it: `infra/decisions/`).
"""

import asyncio
import logging
import re
from collections.abc import Awaitable, Callable
from email.utils import formatdate
from http import HTTPStatus
from typing import NamedTuple, cast

from aiohttp.http import SERVER_SOFTWARE

from infra.local.wire import Response

MAX_HEAD_SIZE = 8_190
"""Bytes of a head that are waited for; aiohttp's bound on a line."""
MAX_BODY_SIZE = 16 * 1024 * 1024
"""Bytes; what DynamoDB takes at most, and more than Lambda does."""
_READ_AHEAD = 64 * 1024
"""Bytes of later requests that are taken in while one is being answered."""
_START = b"POST /"
_HEAD = re.compile(rb"POST (/[\w\-.~/:%$]*) HTTP/1\.1\r\n((?:[\w\-]++:[ \t]*+[\t\x20-\x7e]*+\r\n)++)\r\n", re.ASCII)
_INVOCATIONS = re.compile(r"/2015-03-31/functions/[^/]+/invocations")
_NOT_PLAIN = frozenset({"content-encoding", "expect", "origin", "trailer", "transfer-encoding", "upgrade"})
_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")

_log = logging.getLogger(__name__)


class Head(NamedTuple):
    """What stands before the body of a plain request, which is a POST without a query."""

    path: str
    headers: dict[str, str]
    """By lower-case name."""
    start: int
    """Where the body begins and ends."""
    end: int


Serve = Callable[[Head, bytes, str], Awaitable[Response]]
"""(head, body, address of the client) to the whole answer; it never raises."""


class Door(asyncio.Protocol):
    """One connection: its requests one after another, each answered before the next is looked at."""

    def __init__(self, serve: Serve, hand_over_to: Callable[[], asyncio.Protocol], doors: "set[Door]") -> None:
        """Stand in ``doors`` as long as the connection is open and ours."""
        self._serve = serve
        self._hand_over_to = hand_over_to
        self._doors = doors
        self._received = bytearray()
        self._head: Head | None = None
        self._writable = True
        self._reading = True
        self._closing = False
        self.task: asyncio.Task[None] | None = None
        """Answers a request, while there is one."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin."""
        self._transport = cast("asyncio.Transport", transport)
        self._source_ip = str((transport.get_extra_info("peername") or ("",))[0])
        self._doors.add(self)

    def connection_lost(self, _: Exception | None) -> None:
        """End; what has been asked for is done, though nobody hears of it."""
        self._doors.discard(self)
        self._closing = True

    def pause_writing(self) -> None:
        """Answer no further request before the client has taken what it has been sent."""
        self._writable = False

    def resume_writing(self) -> None:
        """Go on."""
        self._writable = True
        self._go_on()

    def data_received(self, data: bytes) -> None:
        """Take in what came."""
        self._received += data
        if self.task is None and self._writable:
            self._go_on()
        elif self._reading and len(self._received) > _READ_AHEAD:
            self._reading = False
            self._transport.pause_reading()

    def close(self) -> None:
        """Close the connection; after its answer, where one is due."""
        self._closing = True
        if self.task is None:
            self._transport.close()

    def _go_on(self) -> None:
        """Begin with the next request if all of it is there, or hand over."""
        if self.task is not None or not self._writable or self._closing:
            return
        if not self._reading:
            self._reading = True
            self._transport.resume_reading()
        if self._head is None and self._received:
            if (end := self._received.find(b"\r\n\r\n") + 4) > 3:
                self._head = _read(bytes(self._received[:end]))
            elif len(self._received) <= MAX_HEAD_SIZE and self._received.startswith(_START[: len(self._received)]):
                return
            if self._head is None:
                self._hand_over()
                return
        if self._head is not None and len(self._received) >= self._head.end:
            head, self._head = self._head, None
            body = bytes(self._received[head.start : head.end])
            del self._received[: head.end]
            self.task = asyncio.get_running_loop().create_task(self._answer(head, body))

    async def _answer(self, head: Head, body: bytes) -> None:
        try:
            response = await self._serve(head, body, self._source_ip)
            if not self._transport.is_closing():
                self._transport.write(_dump(response))
        except ValueError:
            _log.exception("an answer that cannot be sent")
            self._closing = True
        finally:
            self.task = None
            if self._closing:
                self._transport.close()
        self._go_on()

    def _hand_over(self) -> None:
        self._doors.discard(self)
        protocol = self._hand_over_to()
        self._transport.set_protocol(protocol)
        protocol.connection_made(self._transport)
        protocol.data_received(bytes(self._received))


def _read(head: bytes) -> Head | None:
    """Return what a head says, if it is that of a plain request; None for aiohttp to read it."""
    if len(head) > MAX_HEAD_SIZE or (found := _HEAD.fullmatch(head)) is None:
        return None
    headers: dict[str, str] = {}
    lines = found[2].decode("ascii").split("\r\n")
    for line in lines[:-1]:
        name, _, value = line.partition(":")
        headers[name.lower()] = value.strip(" \t")
    path, size = found[1].decode("ascii"), headers.get("content-length", "")
    if len(headers) != len(lines) - 1 or not _NOT_PLAIN.isdisjoint(headers):
        return None
    if not size.isdigit() or len(size) > 8 or int(size) > MAX_BODY_SIZE:
        return None
    if headers.get("connection", "keep-alive").lower() != "keep-alive":
        return None
    to_dynamodb = path == "/" and headers.get("x-amz-target", "").startswith("DynamoDB_20120810.")
    if not to_dynamodb and not _INVOCATIONS.fullmatch(path):
        return None
    return Head(path, headers, len(head), len(head) + int(size))


class _Date:
    """The time of day, as HTTP writes it, made once a second."""

    second = -1
    text = ""

    @classmethod
    def now(cls) -> str:
        second = int(asyncio.get_running_loop().time())
        if second != cls.second:
            cls.second, cls.text = second, formatdate(usegmt=True)
        return cls.text


_PHRASES = {status.value: status.phrase for status in HTTPStatus}


def _dump(response: Response) -> bytes:
    """Return an answer as it is sent."""
    empty = response.status == HTTPStatus.NO_CONTENT
    fields = [f"{name}: {value}" for name, value in response.headers.items()]
    if any(map(_UNSENDABLE.search, fields)):
        raise ValueError(f"a header with control characters: {fields}")
    if not empty:
        fields.append(f"Content-Length: {len(response.body)}")
    start = f"HTTP/1.1 {response.status} {_PHRASES.get(response.status, '')}"
    head = "\r\n".join([start, *fields, f"Date: {_Date.now()}", f"Server: {SERVER_SOFTWARE}", "\r\n"])
    return head.encode() + (b"" if empty else response.body)
