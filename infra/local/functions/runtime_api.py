"""The Lambda Runtime API: the four calls between a worker and us, each worker on a loopback port of its own.

``AWS_LAMBDA_RUNTIME_API`` is a host and a port and nothing else (awslambdaric gives it to ``http.client`` as such),
so a path or a header cannot tell workers apart: the port does. The clients are libcurl inside awslambdaric and
``http.client``, both of which send Content-Length; the few lines here cost a tenth of a general HTTP server on the
hottest path there is. ("Using the Lambda runtime API for custom runtimes").
"""

import asyncio
from collections.abc import Mapping
from typing import Protocol, cast

from infra.local.functions.model import MAX_SYNC_PAYLOAD_BYTES

_PREFIX = "/2018-06-01/runtime/"
_MAX_HEAD_BYTES = 2 * 1024 * 1024
"""awslambdaric sends the X-Ray cause of an error, up to 1 MB, in a header."""


class Runtime(Protocol):
    """The worker's side of a connection."""

    def next_requested(self, connection: "Connection") -> None:
        """Take note that the runtime waits for an invocation; answer it later by ``connection.send_invocation``."""

    def responded(self, request_id: str, payload: bytes, *, failed: bool) -> bool:
        """Take what a handler answered, or the error it raised; False for an invocation that is not running."""

    def init_failed(self, error: bytes) -> None:
        """Take the error of an initialisation."""

    def connection_lost(self, connection: "Connection") -> None:
        """Take note that a connection has closed."""


class Connection(asyncio.Protocol):
    """One HTTP/1.1 connection of a runtime."""

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._buffer = bytearray()
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the way back."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, _error: Exception | None) -> None:
        """Tell the worker."""
        self._transport = None
        self._runtime.connection_lost(self)

    def data_received(self, data: bytes) -> None:
        """Serve each request that is complete."""
        self._buffer += data
        while (end := self._buffer.find(b"\r\n\r\n")) >= 0:
            head = self._buffer[:end].decode("latin-1")
            size = _content_length(head)
            if size < 0:
                return self._refuse(411, "Content-Length is missing")
            if len(self._buffer) < end + 4 + size:
                return None
            body = bytes(self._buffer[end + 4 : end + 4 + size])
            del self._buffer[: end + 4 + size]
            method, _, rest = head.partition(" ")
            self._serve(method, rest.partition(" ")[0], body)
        if len(self._buffer) > _MAX_HEAD_BYTES and b"\r\n\r\n" not in self._buffer:
            self._refuse(431, "The header is too large")
        return None

    def send_invocation(self, headers: Mapping[str, str], payload: bytes) -> None:
        """Answer the pending ``next``."""
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n{lines}Content-Length: {len(payload)}\r\n\r\n"
        self._write(head.encode() + payload)

    def _serve(self, method: str, path: str, body: bytes) -> None:
        call = path.removeprefix(_PREFIX)
        if method == "GET" and call == "invocation/next":
            self._runtime.next_requested(self)
        elif method == "POST" and call == "init/error":
            self._runtime.init_failed(body)
            self._accept(202, "Accepted")
        elif method == "POST" and call.startswith("invocation/"):
            _, request_id, kind = call.split("/", 2)
            self._take_answer(request_id, kind, body)
        else:
            self._refuse(404, f"{method} {path} is not of the Runtime API")

    def _take_answer(self, request_id: str, kind: str, body: bytes) -> None:
        if kind == "response" and len(body) > MAX_SYNC_PAYLOAD_BYTES:
            # ("Runtime API: invocation response": 413 Payload Too Large.)
            error = (
                b'{"errorType":"Function.ResponseSizeTooLarge","errorMessage":"Response payload size exceeded maximum '
                b'allowed payload size (6291556 bytes)."}'
            )
            self._runtime.responded(request_id, error, failed=True)
            self._accept(413, "Payload Too Large")
        elif self._runtime.responded(request_id, body, failed=kind == "error"):
            self._accept(202, "Accepted")
        else:
            self._accept(400, "Bad Request", b'{"errorMessage":"Invalid request ID","errorType":"InvalidRequestID"}')

    def _accept(self, status: int, reason: str, body: bytes = b'{"status":"OK"}\n') -> None:
        head = f"HTTP/1.1 {status} {reason}\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
        self._write(head.encode() + body)

    def _refuse(self, status: int, message: str) -> None:
        self._accept(status, message, b"{}")
        if self._transport:
            self._transport.close()

    def _write(self, data: bytes) -> None:
        if self._transport:
            self._transport.write(data)


def _content_length(head: str) -> int:
    """Return the size of the body in bytes; -1 where it is not given but something else is."""
    lower = head.lower()
    at = lower.find("\r\ncontent-length:")
    if at >= 0:
        return int(lower[at + 17 : (lower.find("\r\n", at + 2) + 1 or len(lower) + 1) - 1])
    return -1 if "\r\ntransfer-encoding:" in lower else 0
