"""What imports need from outside."""

from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from backend.domain.imports import DroppedFile, Progress


class Files(Protocol):
    """Where files are dropped, and reports are written beside them."""

    def read(self, file: DroppedFile, offset: int) -> Iterator[bytes]:
        """Yield a file from a byte on, in pieces, reading as far as is consumed.

        Raises:
            NotFoundError: it is gone, or another stands in its place.
            UnavailableError: it cannot be read at the moment.
        """

    def write(self, file: DroppedFile, key: str, document: Mapping[str, Any]) -> None:
        """Write a JSON document beside a file."""


class ImportProgress(Protocol):
    """How far imports have come."""

    def find(self, file: str) -> Progress | None:
        """Return how far the latest import of a key has come; None if there was none. Read consistently."""

    def put(self, progress: Progress, *, was: int | None) -> Progress:
        """Write how far an import has come, and return it as stored.

        Raises:
            ConflictError: somebody else wrote since revision ``was``; None: since there was nothing.
        """
