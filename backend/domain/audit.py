"""What was changed: who, what, before, after, when and from where."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from backend.domain.telemetry import epoch_ms

RETENTION = timedelta(days=400)
PLACE_DIGITS = 4
FORGOTTEN = "deleted-account"
"""The actor of entries whose actor deleted their account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of one subject (``device#…``, ``room#…``, ``user#…``)."""

    subject: str
    id: str
    """Sorts by time, and among entries of one instant by the order in which they were written."""
    at: datetime
    actor: str
    what: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    about: str | None = None
    """The other person it concerns, if it concerns one; nowhere else does an entry name a person."""
    address: str = ""

    def next(self) -> "Entry":
        """Return the entry one place later, where the place it wanted among those of its instant is taken."""
        instant, _, place = self.id.partition("-")
        return replace(self, id=f"{instant}-{int(place) + 1:0{PLACE_DIGITS}d}")


def first_id(at: datetime) -> str:
    """Return the id of the first entry of an instant, which the store moves on where there are others already."""
    return f"{epoch_ms(at):013d}-{0:0{PLACE_DIGITS}d}"
