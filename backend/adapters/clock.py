"""The clock of a function: the machine's."""

import time
from datetime import UTC, datetime


class SystemClock:
    """The machine's clock, read through ``time.time`` alone, so that one who moves that moves everything here."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""
        return datetime.fromtimestamp(time.time(), UTC)  # noqa: TID251 - the clock
