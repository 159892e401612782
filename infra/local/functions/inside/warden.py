"""See that no worker outlives the local cloud: kill every process group still on the list when our parent is gone.

Reads ``+<group>`` and ``-<group>`` lines on standard input; its end is the parent's, however that came. A worker's
children are of its group and die with it, which a parent-death signal in the worker itself would not reach.
"""

import contextlib
import os
import signal
import sys


def main() -> None:
    """Keep the list until the input ends, then kill what is on it."""
    groups: set[int] = set()
    for line in sys.stdin:
        change, group = line[0], int(line[1:])
        (groups.add if change == "+" else groups.discard)(group)
    for group in groups:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(group, signal.SIGKILL)


if __name__ == "__main__":
    main()
