"""What was changed: who, what, before, after, when and from where."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

RETENTION = timedelta(days=400)
FORGOTTEN = "deleted-account"
"""The actor of entries whose actor deleted their account."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One change of one subject (``device#…``, ``room#…``, ``user#…``)."""

    subject: str
    id: str
    """Sorts by time."""
    at: datetime
    actor: str
    what: str
    before: Mapping[str, Any]
    after: Mapping[str, Any]
    about: str | None = None
    """The other person it concerns, if it concerns one; nowhere else does an entry name a person."""
    address: str = ""
