"""Where what handlers print goes: the function's log group, and a file for ``scripts/cloud logs``."""

import asyncio
import contextlib
import logging
from datetime import UTC, datetime
from pathlib import Path
from typing import IO

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.functions.model import Allows, Aws, Configuration

FLUSH_INTERVAL_S = 0.5
MAX_INVOCATION_LOG_BYTES = 1024 * 1024
"""Of one invocation; what is beyond is counted, not kept.

A bound of ours, so that a flood fills neither memory nor disk.
"""
MAX_STREAM_EVENTS = 10_000
"""Of one log stream kept in the log service, a bound of ours.

Beyond it a new stream begins and the one before the last goes.
"""
_MAX_EVENT_BYTES = 256 * 1024
_MAX_FILE_BYTES = 64 * 1024 * 1024

_log = logging.getLogger(__name__)


class LogStream:
    """The log stream of one worker: lines are gathered here and put in batches."""

    def __init__(self, configuration: Configuration, name: str) -> None:
        self.configuration = configuration
        self.group = configuration.log_group
        self.name = name
        self.pending: list[tuple[int, str]] = []
        self.put_events = 0
        self.part = 0
        self.closed = False
        self.allowed = True
        """Whether the function's role may write it; where not, AWS keeps no log, and only our file has it."""

    @property
    def current_name(self) -> str:
        """Return the stream's name in the log service."""
        return f"{self.name}-{self.part}" if self.part else self.name


class Logs:
    """Gathers log lines of all workers and writes them twice a second."""

    def __init__(self, directory: Path, clock: Clock, aws: Aws, allows: Allows) -> None:
        self._directory = directory
        self._clock = clock
        self._aws = aws
        self._allows = allows
        self._files: dict[str, IO[str]] = {}
        self._streams: list[LogStream] = []
        self._known_groups: set[str] = set()
        self._second, self._shown = 0, ""
        """The last second written, and how it reads."""
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start writing."""
        self._directory.mkdir(parents=True, exist_ok=True)
        self._task = asyncio.create_task(self._run(), name="function logs")

    async def stop(self) -> None:
        """Write what is left and close the files."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        await self._flush()
        for file in self._files.values():
            file.close()

    def open_stream(self, configuration: Configuration, stream_id: str) -> LogStream:
        """Return the stream of a new worker, named as AWS names it."""
        today = self._clock.now()
        name = f"{today:%Y/%m/%d}/[{configuration.version}]{stream_id}"
        stream = LogStream(configuration, name)
        self._streams.append(stream)
        return stream

    def write(self, function: str, stream: LogStream, lines: list[str]) -> None:
        """Take lines that a worker or the platform wrote."""
        at_ms = int(self._clock.time() * 1000)
        stream.pending.extend((at_ms, line) for line in lines)
        file = self._files.get(function) or self._open_file(function)
        second, ms = divmod(at_ms, 1000)
        if second != self._second:
            self._second = second
            self._shown = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
        file.write("".join([f"{self._shown}.{ms:03}Z {line}\n" for line in lines]))

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_INTERVAL_S)
            try:
                await self._flush()
            except Exception:  # noqa: BLE001 - the loop's edge: lines are in the file all the same
                _log.exception("function logs could not be put")

    async def _flush(self) -> None:
        for function, file in list(self._files.items()):
            file.flush()
            if file.tell() > _MAX_FILE_BYTES:
                file.close()
                path = self._directory / f"{function}.log"
                path.replace(path.with_suffix(".log.1"))
                del self._files[function]
        for stream in list(self._streams):
            if stream.pending:
                await self._put(stream)
            elif stream.closed:
                self._streams.remove(stream)

    async def _put(self, stream: LogStream) -> None:
        events, stream.pending = stream.pending, []
        if stream.put_events == 0:
            await self._create(stream)
        if not stream.allowed:
            return
        await self._aws.call(
            "logs",
            "put_log_events",
            logGroupName=stream.group,
            logStreamName=stream.current_name,
            logEvents=[{"timestamp": at_ms, "message": line[:_MAX_EVENT_BYTES]} for at_ms, line in events],
        )
        stream.put_events += len(events)
        if stream.put_events > MAX_STREAM_EVENTS:
            await self._roll(stream)

    async def _create(self, stream: LogStream) -> None:
        region, role = stream.configuration.region, stream.configuration.role
        arn = f"arn:aws:logs:{region}:{ACCOUNT_ID}:log-group:{stream.group}:log-stream:{stream.current_name}"
        for action in ("logs:CreateLogStream", "logs:PutLogEvents"):
            if not await self._allows(role, action, arn):
                stream.allowed = False
                stream.put_events = 1
                _log.warning("%s may not %s: on AWS its functions leave no log", role, action)
                return
        if stream.group not in self._known_groups:
            with contextlib.suppress(Exception):  # it was there already, by the template
                await self._aws.call("logs", "create_log_group", logGroupName=stream.group)
            self._known_groups.add(stream.group)
        await self._aws.call("logs", "create_log_stream", logGroupName=stream.group, logStreamName=stream.current_name)

    async def _roll(self, stream: LogStream) -> None:
        stream.put_events = 0
        stream.part += 1
        if stream.part > 1:
            before = f"{stream.name}-{stream.part - 2}" if stream.part > 2 else stream.name
            await self._aws.call("logs", "delete_log_stream", logGroupName=stream.group, logStreamName=before)

    def _open_file(self, function: str) -> IO[str]:
        file = (self._directory / f"{function}.log").open("a", encoding="utf-8")
        self._files[function] = file
        return file


class InvocationLog:
    """What one invocation prints, cut into lines, bounded, its last 4 KB kept for LogType=Tail."""

    TAIL_BYTES = 4096

    def __init__(self) -> None:
        self.tail: bytearray | None = None
        """Kept only where the caller asked for it."""
        self._partial = b""
        self._kept_bytes = 0
        self.dropped_bytes = 0

    def take(self, data: bytes) -> list[str]:
        """Return the lines that ``data`` completes; the same lines beyond the bound are counted instead."""
        if self._kept_bytes >= MAX_INVOCATION_LOG_BYTES:
            self.dropped_bytes += len(data)
            return []
        self._kept_bytes += len(data)
        *lines, self._partial = (self._partial + data).split(b"\n")
        if len(self._partial) > _MAX_EVENT_BYTES:
            lines.append(self._partial)
            self._partial = b""
        return self._decode(lines)

    def rest(self) -> list[str]:
        """Return what is left at the end of the invocation, and how much was dropped."""
        lines = self._decode([self._partial] if self._partial else [])
        if self.dropped_bytes:
            lines += self.note(f"[fieldline] {self.dropped_bytes:,} bytes of one invocation, beyond 1 MB, were dropped")
        self._partial, self._kept_bytes, self.dropped_bytes = b"", 0, 0
        return lines

    def note(self, line: str) -> list[str]:
        """Return a line of the platform's own, kept for the tail as well."""
        if self.tail is not None:
            self._keep(line.encode())
        return [line]

    def _decode(self, lines: list[bytes]) -> list[str]:
        if self.tail is not None:
            for line in lines:
                self._keep(line)
        return [line.decode("utf-8", "replace") for line in lines]

    def _keep(self, line: bytes) -> None:
        assert self.tail is not None  # noqa: S101 - asked by the callers
        self.tail += line + b"\n"
        del self.tail[: -self.TAIL_BYTES]
