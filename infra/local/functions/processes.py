"""Processes of workers: how much memory they hold, and the warden that lets none outlive us."""

import contextlib
import os
import subprocess
import sys
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


def family(pid: int) -> list[int]:
    """Return the process and those it has forked, as far as the system says (Linux)."""
    found = [pid]
    for member in found:
        with contextlib.suppress(OSError):
            found.extend(int(child) for child in (_PROC / f"{member}/task/{member}/children").read_text().split())
    return found


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

    def guard(self, group: int, alive: bool) -> None:  # noqa: FBT001 - on the list, or off it
        """Put a process group on its list, or take it off."""
        if self._process and self._process.stdin:
            self._process.stdin.write(f"{'+' if alive else '-'}{group}\n".encode())
            self._process.stdin.flush()

    def stop(self) -> None:
        """End it; it kills what is still on its list."""
        if self._process and self._process.stdin:
            self._process.stdin.close()
            self._process.wait(timeout=5)
