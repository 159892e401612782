"""The device's two clocks, and sleeping by them; a simulator or a test puts its own in their place."""

import asyncio
import time
from typing import Protocol


class DeviceClock(Protocol):
    """Time on a device."""

    def wall_ms(self) -> int:
        """Return epoch milliseconds as the device believes them; may step when the device learns better."""

    def monotonic_s(self) -> float:
        """Return seconds that never step back."""

    async def sleep(self, seconds: float) -> None:
        """Sleep."""


class SystemClock:
    """The machine's own clocks."""

    def wall_ms(self) -> int:
        """Return epoch milliseconds."""
        return time.time_ns() // 1_000_000

    def monotonic_s(self) -> float:
        """Return seconds that never step back."""
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        """Sleep."""
        await asyncio.sleep(seconds)
