"""Start a worker: the function's code first on the path, a moved clock followed, orphans kept, the client called.

Run as ``python bootstrap.py <handler>`` in an environment as AWS sets it.
"""

import os
import sys

_SET_CHILD_SUBREAPER = 36
"""Of prctl(2)."""
OFFSET_VARIABLE = "FIELDLINE_CLOCK_OFFSET_S"


def main() -> None:
    """Run the handler named on the command line until the process is ended."""
    environment = os.environ  # noqa: TID251 - a worker's configuration is its environment
    if sys.platform == "linux":
        keep_orphans()
    here = sys.path[0]
    sys.path[0] = environment["LAMBDA_TASK_ROOT"]
    offset_s = float(environment.pop(OFFSET_VARIABLE, "0"))
    if offset_s:
        sys.path.append(here)
        import moved_clock  # type: ignore[import-not-found, unused-ignore]  # beside this file, by path

        moved_clock.move(offset_s)
    try:
        from awslambdaric.__main__ import main as run
    except ImportError:  # no wheel outside Linux
        sys.path.append(here)
        from small_runtime import main as run  # type: ignore[import-not-found, unused-ignore]  # beside this file
    run(sys.argv)


def keep_orphans() -> None:
    """Become the parent of what this process's children leave behind, so that it can be found, frozen and ended."""
    import ctypes

    ctypes.CDLL(None).prctl(_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


if __name__ == "__main__":
    main()
