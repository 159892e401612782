"""Runs something whenever an expression is due by the movable clock."""

from collections.abc import Callable
from datetime import UTC, datetime

from infra.local.functions.schedules.expressions import Expression
from infra.local.functions.timers import Timers

MAX_CATCH_UP = 100
"""Due times made up for at once when the clock jumps; of more, the latest.

A bound of ours: two days of every minute are 2,880.
"""


class Clockwork:
    """One schedule, until it is stopped or has no due time any more."""

    def __init__(
        self, expression: Expression, timers: Timers, due: Callable[[datetime], None], end: datetime | None
    ) -> None:
        """``due`` is called with each due time; ``end``: no due time after it."""
        self._expression = expression
        self._timers = timers
        self._due = due
        self._end = end
        self._stopped = False

    def start(self, after: datetime) -> None:
        """Wait for the first due time later than ``after``."""
        upcoming = self._expression.next_after(after)
        if upcoming is not None and (self._end is None or upcoming <= self._end):
            self._timers.at(upcoming.timestamp(), lambda: self._fire(upcoming))

    def stop(self) -> None:
        """Fire no more."""
        self._stopped = True

    def _fire(self, upcoming: datetime) -> None:
        """Fire for every due time up to now, as the clock may have jumped over several, then wait for the next."""
        now = datetime.fromtimestamp(self._timers.now(), UTC)
        missed: list[datetime] = []
        due: datetime | None = upcoming
        while due is not None and due <= now and (self._end is None or due <= self._end):
            missed.append(due)
            due = self._expression.next_after(due)
        for each in missed[-MAX_CATCH_UP:]:
            if not self._stopped:
                self._due(each)
        if missed and not self._stopped:
            self.start(missed[-1])
