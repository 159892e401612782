"""``scripts/cloud doctor``: what can keep the local cloud from starting on this machine, each with its cure."""

import importlib.metadata
import os
import re
import resource
import shutil
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

from infra.local.cloud import CloudError, check_port, check_state_dir
from infra.local.config import ROOT, Ports

_FILES_WANTED = 4_096
_FREE_MB_WANTED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    what: str
    problem: str = ""
    """Cause and cure; empty where all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """What is looked at; tests look at worse ones."""

    python: tuple[int, ...] = tuple(sys.version_info[:3])
    lock: Path = ROOT / "requirements.lock"
    installed: Callable[[str], str] = importlib.metadata.version
    open_files: Callable[[], int] = lambda: resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    free_bytes: Callable[[Path], int] = lambda path: shutil.disk_usage(path).free


def examine(ports: Ports, state_dir: Path, *, running: bool, machine: Machine | None = None) -> Iterator[Finding]:
    """Yield what was found: Python, lock, open files, disk, ports (not while the local cloud itself holds them)."""
    machine = machine or Machine()
    version = ".".join(map(str, machine.python))
    fits = (3, 11) <= machine.python[:2] < (3, 15)
    yield Finding(what=f"Python {version}", problem="" if fits else "3.11 to 3.14 is wanted; PYTHON=… scripts/cloud up")
    yield _lock(machine)
    files = machine.open_files()
    few = f"each device takes one; raise it in this shell: ulimit -n {_FILES_WANTED}"
    yield Finding(what=f"{files} open files allowed", problem="" if files >= _FILES_WANTED else few)
    yield from _disk(state_dir, machine)
    if running:
        yield Finding(what="ports held by the running local cloud")
        return
    for name, port in asdict(ports).items():
        yield _finding(f"port {port} ({name})", partial(check_port, ports, name))


def _finding(what: str, check: Callable[[], None]) -> Finding:
    try:
        check()
    except CloudError as error:
        return Finding(what=what, problem=str(error))
    return Finding(what=what)


def _disk(state_dir: Path, machine: Machine) -> Iterator[Finding]:
    place = next(path for path in (state_dir, *state_dir.parents) if _is_there(path))
    free_mb = machine.free_bytes(place) // 1_000_000
    full = f"logs and outboxes want {_FREE_MB_WANTED} MB; make room, or --state-dir elsewhere"
    yield Finding(what=f"{free_mb} MB free at {place}", problem="" if free_mb >= _FREE_MB_WANTED else full)
    denied = "it cannot be written; mend its owner or its permissions, or --state-dir elsewhere"
    yield Finding(what=f"files go to {state_dir}", problem="" if os.access(place, os.W_OK | os.X_OK) else denied)
    yield _finding("no stranger's files there", partial(check_state_dir, state_dir))


def _is_there(path: Path) -> bool:
    """Say whether there is such a file; what lies beneath a closed directory is not."""
    with suppress(OSError):  # `exists` raises PermissionError before Python 3.14
        return path.exists()
    return False


def _lock(machine: Machine) -> Finding:
    """Compare what is installed with the lock."""
    wrong = []
    for name, wanted in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+) \\$", machine.lock.read_text(), re.MULTILINE):
        try:
            found = machine.installed(name)
        except importlib.metadata.PackageNotFoundError:
            found = "nothing"
        if found != wanted:
            wrong.append(f"{name} {found} where the lock says {wanted}")
    cure = f"{'; '.join(wrong[:3])}; make it again: rm -rf .venv && scripts/cloud doctor"
    return Finding(what="what is installed, against requirements.lock", problem=cure if wrong else "")
