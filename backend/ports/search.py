"""What searching the fleet needs from outside."""

from typing import Protocol

from backend.domain.paging import Page


class SearchIndex(Protocol):
    """Devices by term; written by the store with the change that makes a term hold."""

    def things(self, term: str, *, limit: int, after: str | None) -> Page[str]:
        """Return the things that stand under a term, in order."""
