"""Start a worker: put the function's code first on the path, follow a moved clock, hand over to the runtime client.

Run as ``python bootstrap.py <handler>`` in an environment as AWS sets it.
"""

import os
import sys

OFFSET_VARIABLE = "FIELDLINE_CLOCK_OFFSET_S"


def main() -> None:
    """Run the handler named on the command line until the process is ended."""
    environment = os.environ  # noqa: TID251 - a worker's configuration is its environment
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


if __name__ == "__main__":
    main()
