"""One worker: a process that runs one version of one function, one invocation at a time, until it ends."""

import asyncio
import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from infra.local.functions.inside.warden import signal_family
from infra.local.functions.logs import InvocationLog, LogStream
from infra.local.functions.model import Configuration, Outcome
from infra.local.functions.processes import memory_mb, strays
from infra.local.functions.runtime_api import Connection

INIT_LIMIT_S = 10.0
"""Of an initialisation; then it is begun anew, with the function's time-out. ("Lambda execution environment": Init)."""
BOOTSTRAP = Path(__file__).parent / "inside" / "bootstrap.py"
FREEZE_AFTER_S = 0.5
"""Idle, before a worker and what it forked are frozen, as Lambda freezes an environment between invocations."""
_READ_BYTES = 256 * 1024
_TIMED_OUT = "timed out"
_INIT_TIMED_OUT = "init timed out"


@dataclass(slots=True, kw_only=True)
class Invocation:
    """One run of a handler that somebody waits for."""

    request_id: str
    configuration: Configuration
    invoked_arn: str
    payload: bytes
    done: asyncio.Future[Outcome]
    background: bool = False
    """Nobody holds a connection open for it: it queues behind those that do."""
    client_context: str | None = None
    cognito_identity: str | None = None
    log: InvocationLog = field(default_factory=InvocationLog)
    queued_at: float = 0.0
    """On the monotonic clock."""


class State(Enum):
    """Where a worker is in its life."""

    STARTING = "starting"
    BUSY = "busy"
    IDLE = "idle"
    DEAD = "dead"


@dataclass(frozen=True, slots=True, kw_only=True)
class Port:
    """What a worker asks of those around it."""

    write: Callable[[str, LogStream, list[str]], None]
    time: Callable[[], float]
    """The movable clock, epoch seconds: what a handler's deadline is told in."""
    ready: Callable[["Worker"], None]
    idle: Callable[["Worker"], None]
    died: Callable[["Worker"], None]
    guard: Callable[[int, bool], None]
    """Put a worker on the warden's list (True) or take it off (False)."""


class Worker:
    """A process under ``awslambdaric``, its log pipe and its Runtime API port."""

    _api = ""
    """Host and port of its Runtime API, which its environment holds."""

    def __init__(self, configuration: Configuration, stamp: object, stream: LogStream, port: Port) -> None:
        self.configuration = configuration
        self.stamp = stamp
        """What the worker was started from; one with another stamp than the function's current one is stale."""
        self.state = State.STARTING
        self.stream = stream
        self.idle_since = 0.0
        self.started_at = time.monotonic()
        self.max_memory_mb = 0
        self.stale = False
        """Its function has changed or is gone: it serves no further invocation."""
        self.ending = False
        self.unstarted: Invocation | None = None
        """What the initialisation took too long for; another worker begins it anew."""
        self._port = port
        self._process: asyncio.subprocess.Process | None = None
        self._server: asyncio.Server | None = None
        self._waiting: Connection | None = None
        self._current: Invocation | None = None
        self._log = InvocationLog()
        self._log_fd = -1
        self._running_since = 0.0
        self._init_s: float | None = None
        self._init_limit_s = INIT_LIMIT_S
        self._limit: asyncio.TimerHandle | None = None
        self._freeze: asyncio.TimerHandle | None = None
        self.frozen = False
        self._end_reason: str | None = None
        self._alone: bool | None = None
        """Whether it had forked nothing when it was first killed; later its children are nobody's."""
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Return the process id, once there is one."""
        return self._process.pid if self._process else None

    @property
    def returning(self) -> bool:
        """Say whether it has answered and is about to be idle."""
        return self.state is State.BUSY and self._current is None and not (self.ending or self.stale)

    async def start(
        self, environment: Mapping[str, str], first: Invocation, init_limit_s: float = INIT_LIMIT_S
    ) -> None:
        """Start the process; ``first`` runs when it is initialised."""
        self._current = first
        self._init_limit_s = init_limit_s
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(lambda: Connection(self), "127.0.0.1", 0)
        self._api = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        self._log_fd, write_fd = os.pipe()
        os.set_blocking(self._log_fd, False)
        try:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                str(BOOTSTRAP),
                self.configuration.handler,
                env={**environment, "AWS_LAMBDA_RUNTIME_API": self._api},
                cwd=self.configuration.task_root,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=write_fd,
                stderr=write_fd,
                start_new_session=True,
            )
        finally:
            os.close(write_fd)
        loop.add_reader(self._log_fd, self._read_log)
        self._port.guard(self._process.pid, True)
        self._limit = loop.call_later(init_limit_s, self._init_timed_out)
        self._watch = asyncio.create_task(self._wait(self._process), name=f"worker {self._process.pid}")

    def run(self, invocation: Invocation) -> None:
        """Run an invocation; the worker is idle."""
        if self._freeze:
            self._freeze.cancel()
        if self.frozen:
            self.frozen = False
            self._signal(signal.SIGCONT)
        self._current = invocation
        self.state = State.BUSY
        self._deliver()

    def kill(self, reason: str | None = None) -> None:
        """Kill the process and its children; ``reason`` is told to whoever waits for the current invocation."""
        if self._process and self.state is not State.DEAD:
            self._end_reason = self._end_reason or reason
            self.ending = True
            living = memory_mb(self._process.pid) > 0  # one that ended by itself has lost its children already
            alone = signal_family(self._process.pid, signal.SIGKILL) == 1 and living
            if self._alone is None:
                self._alone = alone

    def _stop_running(self) -> None:
        # Remembered and not reckoned from the time: a timer may fire a little early by another clock.
        self.frozen = True
        self._signal(signal.SIGSTOP)

    def _signal(self, number: signal.Signals) -> None:
        if self._process and self.state is not State.DEAD:
            signal_family(self._process.pid, number)

    async def stop(self) -> None:
        """Kill the process and wait for its end."""
        self.kill()
        if self._watch:
            await asyncio.gather(self._watch, return_exceptions=True)

    # The Runtime API's side.

    def next_requested(self, connection: Connection) -> None:
        """The runtime waits for work: the first time, it has just initialised."""
        self._waiting = connection
        if self.state is State.STARTING:
            self._init_s = time.monotonic() - self.started_at
            self._cancel_limit()
            self.state = State.BUSY
            self._deliver()
            self._port.ready(self)
        elif self._current is None:
            self.state = State.IDLE
            self.idle_since = time.monotonic()
            self._port.idle(self)
            if self.state is State.IDLE:
                self._freeze = asyncio.get_running_loop().call_later(FREEZE_AFTER_S, self._stop_running)

    def responded(self, request_id: str, payload: bytes, *, failed: bool) -> bool:
        """The handler answered or raised."""
        if self._current is None or self._current.request_id != request_id or self.state is not State.BUSY:
            return False
        self._read_log()
        self._finish(payload, failed=failed)
        return True

    def init_failed(self, error: bytes) -> None:
        """The runtime could not load the handler; it exits by itself."""
        if self.state is State.STARTING and self._current:
            self._init_s = time.monotonic() - self.started_at
            self._read_log()
            self._begin()
            self._finish(error, failed=True)

    def connection_lost(self, connection: Connection) -> None:
        """An idle runtime that closed its connection cannot be given work: it is ending."""
        if connection is self._waiting:
            self._waiting = None
            if self.state is State.IDLE:
                self.kill()

    # An invocation's way.

    def _deliver(self) -> None:
        invocation = self._current
        if invocation is None or self._waiting is None:
            return
        self._begin()
        timeout_s = self.configuration.timeout_s
        loop = asyncio.get_running_loop()
        self._limit = loop.call_later(timeout_s, self._timed_out)
        at = self._port.time()
        headers = {
            "Lambda-Runtime-Aws-Request-Id": invocation.request_id,
            "Lambda-Runtime-Deadline-Ms": str(int((at + timeout_s) * 1000)),
            "Lambda-Runtime-Invoked-Function-Arn": invocation.invoked_arn,
            "Lambda-Runtime-Trace-Id": f"Root=1-{int(at):08x}-{invocation.request_id.replace('-', '')[:24]};Sampled=0",
        }
        if invocation.client_context:
            headers["Lambda-Runtime-Client-Context"] = invocation.client_context
        if invocation.cognito_identity:
            headers["Lambda-Runtime-Cognito-Identity"] = invocation.cognito_identity
        waiting, self._waiting = self._waiting, None
        waiting.send_invocation(headers, invocation.payload)

    def _begin(self) -> None:
        invocation = self._current
        assert invocation is not None  # noqa: S101 - asked by the callers
        self._running_since = time.monotonic()
        early, self._log = self._log.rest(), invocation.log
        start = f"START RequestId: {invocation.request_id} Version: {self.configuration.version}"
        self._write([*early, *self._log.note(start)])

    def _finish(self, payload: bytes, *, failed: bool, status: str = "") -> None:
        """End the current invocation: END and REPORT lines, then the answer to whoever waits."""
        invocation, self._current = self._current, None
        if invocation is None:
            return
        self._cancel_limit()
        duration_s = time.monotonic() - (self._running_since or self.started_at)
        log = invocation.log
        lines = log.rest()
        lines += log.note(f"END RequestId: {invocation.request_id}")
        lines += log.note(self._report(invocation.request_id, duration_s, status))
        self._write(lines)
        self._log = InvocationLog()
        if not invocation.done.done():
            invocation.done.set_result(
                Outcome(
                    payload=payload, function_error="Unhandled" if failed else None, log_tail=bytes(log.tail or b"")
                )
            )

    def _report(self, request_id: str, duration_s: float, status: str) -> str:
        """Return the REPORT line. ("Lambda: viewing logs": the fields of the REPORT log line)."""
        if self.pid and (self.max_memory_mb == 0 or duration_s > 0.1):
            self.max_memory_mb = max(self.max_memory_mb, memory_mb(self.pid))
        ms = duration_s * 1000
        line = (
            f"REPORT RequestId: {request_id}\tDuration: {ms:.2f} ms\tBilled Duration: {int(ms) + 1} ms\t"
            f"Memory Size: {self.configuration.memory_mb} MB\tMax Memory Used: {self.max_memory_mb} MB"
        )
        if self._init_s is not None:
            line += f"\tInit Duration: {self._init_s * 1000:.2f} ms"
            self._init_s = None
        return line + status

    # Ends.

    def _init_timed_out(self) -> None:
        self.kill(_INIT_TIMED_OUT)

    def _timed_out(self) -> None:
        self.kill(_TIMED_OUT)

    async def _wait(self, process: asyncio.subprocess.Process) -> None:
        code = await process.wait()
        self._kill_orphans(process.pid)
        self._port.guard(process.pid, False)
        if self._freeze:
            self._freeze.cancel()
        self._read_log()
        if self._end_reason == _INIT_TIMED_OUT and self._init_limit_s == INIT_LIMIT_S:
            self.unstarted, self._current = self._current, None
        if self._current and self.state is State.STARTING:
            self._begin()
        self.state = State.DEAD
        self._end(code)
        asyncio.get_running_loop().remove_reader(self._log_fd)
        os.close(self._log_fd)
        if self._server:
            self._server.close()
        self._write(self._log.rest())
        self.stream.closed = True
        self._port.died(self)

    def _kill_orphans(self, group: int) -> None:
        """Kill what the dead process leaves behind, in its group or out of it."""
        signal_family(group, signal.SIGKILL)
        if self._api and not self._alone:
            for stray in strays(f"AWS_LAMBDA_RUNTIME_API={self._api}"):
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(stray, signal.SIGKILL)

    def _end(self, code: int) -> None:
        """Tell whoever waits why there will be no answer."""
        if self._current is None:
            return
        request_id = self._current.request_id
        if self._end_reason in {_TIMED_OUT, _INIT_TIMED_OUT}:
            message = f"Task timed out after {self.configuration.timeout_s:.2f} seconds"
            kind, status = "Sandbox.Timedout", "\tStatus: timeout"
        else:
            why = f"signal: {_SIGNALS.get(-code, str(-code))}" if code < 0 else f"exit status {code}"
            message = f"Runtime exited with error: {why}" if code else "Runtime exited without providing a reason"
            kind, status = "Runtime.ExitError", "\tStatus: error\tError Type: Runtime.ExitError"
        note = f"RequestId: {request_id} Error: {message}"
        self._write(self._current.log.note(note))
        self._finish(f'{{"errorType":"{kind}","errorMessage":"{note}"}}'.encode(), failed=True, status=status)

    def _cancel_limit(self) -> None:
        if self._limit:
            self._limit.cancel()
            self._limit = None

    def _read_log(self) -> None:
        """Take what the process has printed, at most a little at a time: the loop has others to serve."""
        with contextlib.suppress(BlockingIOError):
            for _ in range(4):
                data = os.read(self._log_fd, _READ_BYTES)
                if not data:
                    asyncio.get_running_loop().remove_reader(self._log_fd)
                    return
                lines = self._log.take(data)
                if lines:
                    self._write(lines)
                if len(data) < _READ_BYTES:
                    return

    def _write(self, lines: list[str]) -> None:
        if lines:
            self._port.write(self.configuration.name, self.stream, lines)


_SIGNALS: dict[int, str] = {
    signal.SIGINT: "interrupt",
    signal.SIGTERM: "terminated",
    signal.SIGKILL: "killed",
    signal.SIGSEGV: "segmentation fault",
    signal.SIGABRT: "aborted",
}
