"""``scripts/cloud doctor``: what can keep the local cloud from starting on this machine, each with its cure."""

import importlib.metadata
import re
import resource
import shutil
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from infra.local.cloud import CloudError, check_ports
from infra.local.config import ROOT, Ports

_FILES_WANTED = 4_096
_FREE_MB_WANTED = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One thing looked at."""

    what: str
    problem: str = ""
    """Cause and cure; empty where all is well."""


def examine(ports: Ports, state_dir: Path, *, running: bool) -> Iterator[Finding]:
    """Yield what was found: Python, lock, open files, disk, ports (not while the local cloud itself holds them)."""
    version = ".".join(map(str, sys.version_info[:3]))
    fits = (3, 11) <= sys.version_info[:2] < (3, 15)
    yield Finding(what=f"Python {version}", problem="" if fits else "3.11 to 3.14 is wanted; PYTHON=… scripts/cloud up")
    yield _lock(ROOT / "requirements.lock")
    files = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    few = f"each device takes one; raise it in this shell: ulimit -n {_FILES_WANTED}"
    yield Finding(what=f"{files} open files allowed", problem="" if files >= _FILES_WANTED else few)
    free_mb = shutil.disk_usage(state_dir.parent).free // 1_000_000
    full = f"logs and outboxes want {_FREE_MB_WANTED} MB; make room, or --state-dir elsewhere"
    yield Finding(what=f"{free_mb} MB free at {state_dir.parent}", problem="" if free_mb >= _FREE_MB_WANTED else full)
    try:
        if not running:
            check_ports(ports)
        yield Finding(what="ports held by the running local cloud" if running else "ports free")
    except CloudError as error:
        yield Finding(what="ports", problem=str(error))


def _lock(path: Path) -> Finding:
    """Compare what is installed with the lock."""
    wrong = []
    for name, wanted in re.findall(r"^([A-Za-z0-9_.-]+)==([^ ;\\]+) \\$", path.read_text(), re.MULTILINE):
        try:
            found = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found = "nothing"
        if found != wanted:
            wrong.append(f"{name} {found} where the lock says {wanted}")
    cure = f"{'; '.join(wrong[:3])}; make it again: rm -rf .venv && scripts/cloud doctor"
    return Finding(what="what is installed, against requirements.lock", problem=cure if wrong else "")
