"""The inbox and the clock of a cloud that a session started: ``python -m tests.e2e.features.local_cloud``.

``scripts/cloud`` asks for a cloud that it started itself; what these print is the same.
"""

import sys
from pathlib import Path

from infra.local.clock import SharedClock
from infra.local.cognito.inbox import Inbox
from infra.local.durations import parse_duration


def main(command: str, state_dir: str, argument: str) -> None:
    """Print the codes sent to an address, or move the clock."""
    if command == "inbox":
        for letter in Inbox(Path(state_dir)).letters(argument):
            print(f"{letter.subject}: code {letter.code}")
    else:
        SharedClock(Path(state_dir)).move(parse_duration(argument))


if __name__ == "__main__":
    main(*sys.argv[1:])
