"""The local cloud as a whole: start its two processes, deploy the template into them, stop them.

Processes: the device gateway (`iot/main.py`), the rest of AWS (`services.py`, which starts the function workers), and
whoever holds a `LocalCloud`: the background supervisor that ``scripts/cloud up`` leaves running, or the demo. A child
ends when its standard input ends, so that killing the holder, however hard, leaves nothing behind.
"""

import contextlib
import fcntl
import json
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Self

from infra.local.config import ROOT, Ports, Settings, forget_client_environment

if TYPE_CHECKING:
    from infra.local.template import Deployment

TEMPLATE = ROOT / "infra" / "template.yaml"
_MODULES = {"gateway": "infra.local.iot.main", "services": "infra.local.services"}
_MARKER = "settings.json"
_KEPT = "translations"
"""Of the template, by its content: the same however often the local cloud starts afresh."""
_READY_TIMEOUT_S = 90.0
_LAST_PORT = 65_535
_STOP_TIMEOUT_S = 10.0
_WATCH_EVERY_S = 0.5
Report = Callable[[str], None]


class CloudError(Exception):
    """The local cloud cannot do what was asked; the message names the cause and what cures it."""


class LocalCloud:
    """One local cloud. Use it as a context manager: entered, it runs; left, nothing of it does."""

    def __init__(self, settings: Settings, report: Report = lambda _line: None) -> None:
        self.settings = settings
        self.outputs: dict[str, str] = {}
        self._report = report
        self._children: dict[str, subprocess.Popen[str]] = {}
        self._prepared: Deployment | None = None
        self._hold: IO[str] | None = None

    def __enter__(self) -> Self:
        """Start afresh: the processes, then the template."""
        try:
            self.start()
            self.deploy()
        except BaseException:
            self.stop()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Stop every process."""
        self.stop()

    def start(self) -> None:
        """Start the processes; return when every port is served.

        Raises:
            CloudError: a port is taken, or a process did not come up; the message says which and what to do.
        """
        forget_client_environment()
        check_ports(self.settings.ports)
        check_nobody_lives_in(self.settings.state_dir)
        empty_state_dir(self.settings.state_dir)
        self.settings.save()
        self._hold = (self.settings.state_dir / _MARKER).open()
        fcntl.flock(self._hold, fcntl.LOCK_EX)
        (self.settings.state_dir / "logs").mkdir()
        for name, module in _MODULES.items():
            self._children[name] = self._spawn(name, module)
        self._prepared = self._prepare(TEMPLATE, {})
        for name, child in self._children.items():
            self._await_ready(name, child)

    def _spawn(self, name: str, module: str) -> subprocess.Popen[str]:
        log = self._log(name).open("w")
        command = [sys.executable, "-m", module, "--state-dir", str(self.settings.state_dir)]
        with log:
            return subprocess.Popen(  # noqa: S603 - our own module
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=ROOT,
                start_new_session=True,  # Ctrl-C reaches the holder alone, which then stops things in order
            )

    def _await_ready(self, name: str, child: subprocess.Popen[str]) -> None:
        watchdog = _Watchdog(child, _READY_TIMEOUT_S)
        with watchdog:
            for line in _lines(child.stdout):
                if _is_ready(line):
                    return
        why = f"was not ready within {_READY_TIMEOUT_S:g} s" if watchdog.fired else "ended while it started"
        tail = self._log(name).read_text()[-2_000:].strip()
        raise CloudError(f"the {name} process {why}; its last words ({self._log(name)}):\n{tail}")

    def _log(self, name: str) -> Path:
        return self.settings.state_dir / "logs" / f"{name}.log"

    def deploy(self, template: Path = TEMPLATE, parameters: Mapping[str, str] | None = None) -> None:
        """Deploy the template; deploying again updates in place.

        Raises:
            CloudError: the template is wrong, or a service refused; the message begins with the logical id.
        """
        from infra.local.template import TemplateError

        prepared, self._prepared = self._prepared, None
        if prepared is None or template != TEMPLATE or parameters:
            prepared = self._prepare(template, parameters or {})
        try:
            stack = prepared.run(self._report)
        except TemplateError as error:
            raise CloudError(f"{template.name}: {error}") from error
        self.outputs = dict(stack.outputs)

    def _prepare(self, template: Path, parameters: Mapping[str, str]) -> "Deployment":
        """Do of a deploy what needs no service, which takes about as long as the processes take to start."""
        from infra.local.template import TemplateError, prepare

        wanted = {"Stage": self.settings.stage, **parameters}
        try:
            return prepare(template, parameters=wanted, settings=self.settings)
        except TemplateError as error:
            raise CloudError(f"{template.name}: {error}") from error

    def dead(self) -> str | None:
        """Return the name of a process that ended although nobody stopped it; None while all are well."""
        return next((name for name, child in self._children.items() if child.poll() is not None), None)

    def pids(self) -> dict[str, int]:
        """Return the process id of each child."""
        return {name: child.pid for name, child in self._children.items()}

    def stop(self) -> None:
        """Stop every process, by SIGTERM and, where that does not help, SIGKILL. Idempotent."""
        for child in self._children.values():
            child.terminate()
        for child in self._children.values():
            try:
                child.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                child.kill()
                child.wait()
            for stream in (child.stdin, child.stdout):
                if stream is not None:
                    with contextlib.suppress(BrokenPipeError):
                        stream.close()
        self._children = {}
        if self._hold is not None:
            self._hold.close()


class _Watchdog:
    """Kills a process that takes too long, so that reading its output cannot last for ever."""

    def __init__(self, child: subprocess.Popen[str], timeout_s: float) -> None:
        self.fired = False
        self._child = child
        self._timer = threading.Timer(timeout_s, self._fire)
        self._timer.daemon = True

    def _fire(self) -> None:
        self.fired = True
        self._child.kill()

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()


def _lines(stream: IO[str] | None) -> Iterator[str]:
    if stream is not None:
        yield from iter(stream.readline, "")


def _is_ready(line: str) -> bool:
    try:
        document: Any = json.loads(line)
    except ValueError:
        return False
    return isinstance(document, dict) and document.get("ready") is True


def build_settings(state_dir: Path, *, ports: Mapping[str, int] | None = None, **changes: Any) -> Settings:
    """Return the settings of a new local cloud, with secrets of its own."""
    settings = Settings(
        state_dir=state_dir,
        ports=Ports(**(ports or {})),
        secret_access_key=secrets.token_urlsafe(30),
        service_secret=secrets.token_urlsafe(30),
    )
    return replace(settings, **changes)


def check_ports(ports: Ports) -> None:
    """Say at once which port is taken, before anything is started.

    Raises:
        CloudError: a port is taken or chosen twice.
    """
    for name in asdict(ports):
        check_port(ports, name)


def check_port(ports: Ports, name: str) -> None:
    """Pass a port that is free and chosen once.

    Raises:
        CloudError: it is not.
    """
    chosen = asdict(ports)
    port = chosen[name]
    other = f"--port {name}={port + 10_000 if port + 10_000 <= _LAST_PORT else port - 10_000}"
    if sum(port == one for one in chosen.values()) > 1:
        raise CloudError(f"port {port} is chosen twice; give {name} another: {other}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError as error:
            cure = f"stop what holds it (scripts/cloud down?), or choose another: {other}"
            raise CloudError(f"port {port} ({name}) cannot be had: {error.strerror}; {cure}") from error


def check_state_dir(state_dir: Path) -> None:
    """Pass a directory that is not there, empty, or an earlier local cloud's.

    Raises:
        CloudError: it holds something else, or cannot be looked into.
    """
    try:
        strange = state_dir.exists() and any(state_dir.iterdir()) and not (state_dir / _MARKER).exists()
    except OSError as error:
        cure = "mend its owner or its permissions, or choose another --state-dir"
        raise CloudError(f"{state_dir} cannot be looked into: {error.strerror}; {cure}") from error
    if strange:
        raise CloudError(f"{state_dir} holds files that are not a local cloud's; choose another --state-dir")


def check_nobody_lives_in(state_dir: Path) -> None:
    """Pass a directory in which no local cloud runs, as the lock tells that a running one holds on its settings.

    Raises:
        CloudError: one does; emptied under its feet, it would go on without its certificates.
    """
    try:
        with (state_dir / _MARKER).open() as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        cure = "stop it (scripts/cloud down, or Ctrl-C where it runs), or choose another --state-dir"
        raise CloudError(f"a local cloud runs in {state_dir}; {cure}") from None
    except OSError:
        return


def empty_state_dir(state_dir: Path) -> None:
    """Remove what an earlier local cloud left, but for translations of the template; never a stranger's directory.

    Raises:
        CloudError: the directory holds something else.
    """
    check_state_dir(state_dir)
    if not state_dir.exists():
        return
    for entry in state_dir.iterdir():
        if entry.name == _KEPT:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


# --- the background supervisor -----------------------------------------------------------------------------------


def supervisor_pid(state_dir: Path) -> int | None:
    """Return the process id of the running supervisor of this state directory; None if none runs.

    Told by the lock that it holds on its file, so that a number left behind by a crash never names a stranger.
    """
    try:
        with _pid_file(state_dir).open() as file:
            try:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except BlockingIOError:
                return int(file.read())
    except (OSError, ValueError):
        return None
    return None


def _pid_file(state_dir: Path) -> Path:
    return state_dir / "supervisor.pid"


def run_supervisor(settings: Settings, report: Report) -> None:
    """Hold a local cloud until SIGTERM or SIGINT, or until one of its processes dies."""
    stopping = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda _number, _frame: stopping.set())
    # The lock on the file outlives the cloud: when it is free, the ports are too.
    with contextlib.ExitStack() as held, LocalCloud(settings, report) as cloud:
        file = held.enter_context(_pid_file(settings.state_dir).open("w"))
        fcntl.flock(file, fcntl.LOCK_EX)
        file.write(str(os.getpid()))
        file.flush()
        report("ready")
        while not stopping.wait(_WATCH_EVERY_S):
            if (dead := cloud.dead()) is not None:
                report(f"the {dead} process ended; see {settings.state_dir}/logs/{dead}.log")
                break


def stop_supervisor(state_dir: Path, timeout_s: float = 20.0) -> bool:
    """Stop the running supervisor and all it holds; False if none runs.

    Raises:
        CloudError: it did not end in time.
    """
    pid = supervisor_pid(state_dir)
    if pid is None:
        return False
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + timeout_s
    while time.monotonic() < deadline:
        if supervisor_pid(state_dir) != pid:
            return True
        time.sleep(0.05)
    raise CloudError(f"process {pid} did not end within {timeout_s:g} s; kill -9 {pid} ends it and its children")
