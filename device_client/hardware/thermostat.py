"""A room with a heater, and the battery of the thermostat in it, simulated."""

import math
import random
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from device_client.errors import CannotError, ConfigurationError
from device_client.hardware import Action, Setting

ECO_C = 3.0
MODES = ("off", "heat", "eco")


@dataclass(slots=True, kw_only=True)
class ThermalSensor:
    """Room temperature by Newton's law of cooling, with a heater under hysteresis and sensor noise.

    dT/dt = (outside - T) / time constant + heating, solved exactly over each step, so that the step's length does not
    change the curve.
    """

    dice: random.Random
    outside_c: float = 5.0
    setpoint_c: float = 21.0
    hysteresis_c: float = 0.5
    heater_c_per_s: float = 0.012
    time_constant_s: float = 3_600.0
    noise_c: float = 0.03
    resolution_c: float = 0.01
    temperature_c: float = 19.0
    heating: bool = False
    mode: str = "heat"
    """``heat`` holds the setpoint, ``eco`` a few degrees less, ``off`` nothing."""
    _last_s: float | None = field(default=None, repr=False)

    @property
    def metric(self) -> str:
        """Return the metric's name."""
        return "temperature_c"

    def read(self, now_s: float) -> float:
        """Advance the room to ``now_s`` and return what the sensor shows, in degrees Celsius."""
        elapsed_s = 0.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        self._last_s = now_s
        self._advance(elapsed_s)
        shown = self.temperature_c + self.dice.gauss(0.0, self.noise_c)
        return round(round(shown / self.resolution_c) * self.resolution_c, 4)

    def _advance(self, elapsed_s: float) -> None:
        held_c = self.setpoint_c - (ECO_C if self.mode == "eco" else 0.0)
        if self.mode == "off" or self.temperature_c > held_c + self.hysteresis_c:
            self.heating = False
        elif self.temperature_c < held_c - self.hysteresis_c:
            self.heating = True
        rise = self.heater_c_per_s * self.time_constant_s if self.heating else 0.0
        rest = self.outside_c + rise
        self.temperature_c = rest + (self.temperature_c - rest) * math.exp(-elapsed_s / self.time_constant_s)


@dataclass(slots=True, kw_only=True)
class Battery:
    """Two lithium cells that discharge linearly in charge and, by their curve, not in voltage."""

    dice: random.Random
    full_v: float = 4.15
    empty_v: float = 3.3
    life_s: float = 30 * 86_400.0
    charge: float = 1.0
    noise_v: float = 0.002
    _last_s: float | None = field(default=None, repr=False)

    @property
    def metric(self) -> str:
        """Return the metric's name."""
        return "battery_v"

    def read(self, now_s: float) -> float:
        """Discharge to ``now_s`` and return the voltage."""
        elapsed_s = 0.0 if self._last_s is None else max(0.0, now_s - self._last_s)
        self._last_s = now_s
        self.charge = max(0.0, self.charge - elapsed_s / self.life_s)
        knee = 1.0 - math.exp(-12.0 * self.charge)
        volts = self.empty_v + (self.full_v - self.empty_v) * (0.6 * self.charge + 0.4 * knee)
        return round(volts + self.dice.gauss(0.0, self.noise_v), 3)


def build_actions(room: ThermalSensor, sleep: Callable[[float], Awaitable[None]]) -> dict[str, Action]:
    """Return what a thermostat can do, by the command's name in the device type."""

    async def identify(parameters: Mapping[str, Any]) -> None:
        await sleep(float(parameters.get("seconds", 5)))  # a lamp would blink

    async def set_target(parameters: Mapping[str, Any]) -> dict[str, float]:
        wanted = parameters.get("temperature_c")
        if isinstance(wanted, bool) or not isinstance(wanted, int | float):
            raise CannotError("temperature_c must be a number of degrees Celsius")
        room.setpoint_c = float(wanted)
        return {"temperature_c": room.setpoint_c}

    return {"identify": identify, "set_target": set_target}


def build_settings(room: ThermalSensor) -> dict[str, Setting]:
    """Return what of a thermostat's hardware can be configured, by the setting's name in the device type."""
    first_c, first_mode = room.setpoint_c, room.mode

    def target_c(value: Any) -> None:
        room.setpoint_c = first_c if value is None else number(value)

    def mode(value: Any) -> None:
        if value is not None and value not in MODES:
            raise ConfigurationError(f"mode must be one of {', '.join(MODES)}")
        room.mode = first_mode if value is None else value

    return {"target_c": target_c, "mode": mode}


def number(value: Any) -> float:
    """Return a setting that is a number.

    Raises:
        ConfigurationError: it is none.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConfigurationError(f"must be a number, not {value!r}")
    return float(value)
