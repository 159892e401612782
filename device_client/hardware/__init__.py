"""Sensors and actuators: the interface that real drivers implement, and simulations of them."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Protocol

Action = Callable[[Mapping[str, Any]], Awaitable[Any]]
"""One thing that can be done: given the command's parameters, it returns the result once done.

Raises:
    CannotError: this hardware cannot do it, or not with these parameters.
"""

Setting = Callable[[Any], None]
"""Puts the value of one setting into effect; None goes back to what the device starts with.

Raises:
    ConfigurationError: the value does not fit; nothing has changed.
"""


class Sensor(Protocol):
    """One thing that can be measured."""

    @property
    def metric(self) -> str:
        """Return the metric's name in the device type, its unit at the end: ``temperature_c``."""

    def read(self, now_s: float) -> float | None:
        """Return the value at ``now_s`` (seconds of a clock that never steps back); None if the sensor gives none."""
