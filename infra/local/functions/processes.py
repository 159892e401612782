"""Processes of workers: how much memory they hold, what they leave behind, and the warden that lets none outlive us."""

import contextlib
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
_WARDEN = Path(__file__).parent / "inside" / "warden.py"
_PROC = Path("/proc")


def memory_mb(pid: int) -> int:
    """Return the resident memory of a process in MB; 0 where it is gone or the system does not say (outside Linux)."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as statm:  # noqa: PTH123 - once an invocation, and twice as fast
            return int(statm.read().split()[1]) * _PAGE_BYTES // 1_048_576
    except (OSError, IndexError):
        return 0


def strays(mark: str) -> list[int]:
    """Return the processes with ``mark`` in the environment they were started with: a dead worker's orphans (Linux)."""
    found = []
    for process in _PROC.glob("[0-9]*"):
        with contextlib.suppress(OSError):
            if mark.encode() in (process / "environ").read_bytes().split(b"\0"):
                found.append(int(process.name))
    return found


def family_memory_mb(members: Sequence[int]) -> int:
    """Return what processes hold together in MB, what they share counted once."""
    most = sum(memory_mb(member) for member in members)
    if len(members) == 1 or not most:
        return most
    return sum(_share_kb(member) for member in members) // 1024


def _share_kb(pid: int) -> int:
    """Return a process's proportional set size."""
    with contextlib.suppress(OSError, ValueError):
        for line in (_PROC / f"{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    return 0


class Warden:
    """The process that kills what workers are left when we are gone, however we went."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it."""
        self._process = subprocess.Popen(  # noqa: S603 - our own file
            [sys.executable, "-I", "-S", str(_WARDEN)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={},
            start_new_session=True,
        )

    def guard(self, worker: int, alive: bool) -> None:  # noqa: FBT001 - on the list, or off it
        """Put a worker on its list, or take it off."""
        if self._process and self._process.stdin:
            self._process.stdin.write(f"{'+' if alive else '-'}{worker}\n".encode())
            self._process.stdin.flush()

    def stop(self) -> None:
        """End it; it kills what is still on its list."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(timeout=5)
