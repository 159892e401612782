"""See that no worker outlives the local cloud: kill every worker still on the list when our parent is gone.

Reads ``+<pid>`` and ``-<pid>`` lines on standard input; its end is the parent's, however that came. What a worker has
forked dies with it, which a parent-death signal in the worker itself would not reach.
"""

import contextlib
import os
import signal
import sys
from pathlib import Path

_PROC = Path("/proc")


def family(pid: int, proc: Path = _PROC) -> list[int]:
    """Return a worker and all that it has forked, as far as the system says (Linux).

    What was forked and let go is there too: a worker inherits its own orphans, see ``bootstrap``.
    """
    found = [pid]
    for member in found:
        threads: list[Path] = []
        with contextlib.suppress(OSError):
            threads.extend((proc / str(member) / "task").iterdir())
        for thread in threads:
            with contextlib.suppress(OSError):  # it ended meanwhile; the others have children too
                found.extend(int(child) for child in (thread / "children").read_text().split())
    return found


def signal_family(pid: int, number: signal.Signals) -> int:
    """Send a signal to a worker's process group and to what has left the group; return how many there are."""
    members = family(pid)
    for send, target in ((os.killpg, pid), *((os.kill, member) for member in members[1:])):
        with contextlib.suppress(ProcessLookupError, PermissionError):
            send(target, number)
    return len(members)


def main() -> None:
    """Keep the list until the input ends, then kill what is on it."""
    workers: set[int] = set()
    for line in sys.stdin:
        change, worker = line[0], int(line[1:])
        (workers.add if change == "+" else workers.discard)(worker)
    for worker in workers:
        signal_family(worker, signal.SIGKILL)


if __name__ == "__main__":
    main()
