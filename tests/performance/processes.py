"""What a process costs, read from /proc (Linux)."""

import os
from pathlib import Path

_TICKS = os.sysconf("SC_CLK_TCK")
_PAGE = os.sysconf("SC_PAGE_SIZE")
_GONE = (FileNotFoundError, ProcessLookupError)  # the second when it is reaped between the opening and the reading


def _stat(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()


def cpu_s(pid: int) -> float:
    """Return user and system CPU seconds of a process; 0 if it is gone."""
    return _ticks(pid, 11) / _TICKS


def ended_children_cpu_s(pid: int) -> float:
    """Return user and system CPU seconds of a process's children that have ended."""
    return _ticks(pid, 13) / _TICKS


def _ticks(pid: int, first: int) -> int:
    try:
        return sum(int(ticks) for ticks in _stat(pid)[first : first + 2])
    except _GONE:
        return 0


def rss_mb(pid: int) -> float:
    """Return the resident memory of a process in MB; 0 if it is gone."""
    try:
        return int(_stat(pid)[21]) * _PAGE / 1e6
    except _GONE:
        return 0.0


def tree(pid: int) -> list[int]:
    """Return a process and all its descendants."""
    children: dict[int, list[int]] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                children.setdefault(int(_stat(int(entry.name))[1]), []).append(int(entry.name))
            except _GONE:
                continue
    found, todo = [], [pid]
    while todo:
        one = todo.pop()
        found.append(one)
        todo += children.get(one, [])
    return found
