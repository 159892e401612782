"""The one clock of the local cloud: real time plus an offset that ``scripts/cloud clock`` moves for all processes."""

import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

_LOOK_EVERY_S = 0.02
"""A look at the file is a system call; under load the rooms ask for the time thousands of times a second."""


class Clock(Protocol):
    """What every room asks for the time. Pure modules take an instant as an argument instead."""

    def time(self) -> float:
        """Return epoch seconds."""

    def now(self) -> datetime:
        """Return the same instant, aware, in UTC."""


class SharedClock:
    """Real time plus the offset that stands in the state directory, the same in every process."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "clock_offset_s"
        self._mtime_ns = -1
        self._offset_s = 0.0
        self._looked_at = -_LOOK_EVERY_S

    def offset_s(self) -> float:
        """Return the seconds by which this clock is ahead of real time, as they were at most 20 ms ago."""
        now = time.monotonic()
        if now - self._looked_at < _LOOK_EVERY_S:
            return self._offset_s
        self._looked_at = now
        try:
            mtime_ns = self._path.stat().st_mtime_ns
        except FileNotFoundError:
            self._mtime_ns, self._offset_s = -1, 0.0
            return 0.0
        if mtime_ns != self._mtime_ns:
            self._offset_s = float(self._path.read_text() or 0)
            self._mtime_ns = mtime_ns
        return self._offset_s

    def time(self) -> float:
        """Return epoch seconds."""
        return time.time() + self.offset_s()  # noqa: TID251 - the clock

    def now(self) -> datetime:
        """Return the same instant, aware, in UTC."""
        return datetime.fromtimestamp(self.time(), UTC)

    def move(self, by: timedelta) -> timedelta:
        """Add ``by`` to the offset of every process that shares the state directory; return the new offset.

        On return every process sees it: those that looked just before have looked again.
        """
        self._looked_at = -_LOOK_EVERY_S
        offset_s = self.offset_s() + by.total_seconds()
        fresh = self._path.with_suffix(".new")
        fresh.write_text(str(offset_s))
        fresh.replace(self._path)
        self._looked_at = -_LOOK_EVERY_S
        time.sleep(_LOOK_EVERY_S)
        return timedelta(seconds=offset_s)


class ManualClock:
    """A clock for tests: stands still until moved."""

    def __init__(self, at: datetime, on_move: Callable[[], None] = lambda: None) -> None:
        self._at = at
        self._on_move = on_move

    def time(self) -> float:
        """Return epoch seconds."""
        return self._at.timestamp()

    def now(self) -> datetime:
        """Return the same instant, aware, in UTC."""
        return self._at

    def move(self, by: timedelta) -> None:
        """Add ``by`` to the time."""
        self._at += by
        self._on_move()
