"""What firmware devices say they run."""

from dataclasses import dataclass

MAX_LENGTH = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class FirmwareReport:
    """That a device reported what it runs; ``reported.firmware`` of its classic shadow."""

    thing: str
    firmware: str
    """Empty when it took the report back."""
    at_s: int
    """Of the shadow's update, epoch seconds."""
    version: int
    """Of the shadow after it; begins anew some time after a shadow was deleted."""

    @property
    def as_of(self) -> str:
        """Return what sorts reports of one device by which is newer."""
        return f"{self.at_s:011d}#{self.version:012d}"
