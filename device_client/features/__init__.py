"""What a device does over its connection, a module a feature, each with ``start`` and ``stop``."""

from typing import Protocol


class Feature(Protocol):
    """One thing that a device does while it is connected."""

    async def start(self) -> None:
        """Begin; return once under way."""

    async def stop(self) -> None:
        """Finish what must be finished while there is still a connection, then end. Idempotent."""
