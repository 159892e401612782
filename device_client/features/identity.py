"""What a device says of itself: ``reported.firmware`` of its classic shadow, by which the fleet is searched."""

from collections.abc import Mapping
from typing import Any


class Identity:
    """What this device runs. A `Follower` of the classic shadow that follows no wish."""

    def __init__(self, firmware: str) -> None:
        self._firmware = firmware

    def apply(self, wanted: Mapping[str, Any]) -> None:
        """Do nothing: what is wished in the classic shadow is for the product built on this to follow."""

    def report(self) -> Mapping[str, Any]:
        """Return what is in effect."""
        return {"firmware": self._firmware}
