"""How entries of the audit trail are made."""

from collections.abc import Mapping
from typing import Any

from backend.domain.access import Caller
from backend.domain.audit import Entry, first_id
from backend.domain.changes import Note
from backend.ports import Clock


class Trail:
    """Makes notes, to be committed with the change they tell of."""

    def __init__(self, *, clock: Clock) -> None:
        self._clock = clock

    def note(
        self,
        caller: Caller,
        subject: str,
        what: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
        about: str | None = None,
    ) -> Note:
        """Return the note that a caller changed something about a subject."""
        now = self._clock.now()
        return Note(
            entry=Entry(
                subject=subject,
                id=first_id(now),
                at=now,
                actor=caller.user,
                what=what,
                before=before or {},
                after=after or {},
                about=about,
                address=caller.address,
            )
        )
