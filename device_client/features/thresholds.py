"""Which readings cannot wait for their bucket: those with which a metric leaves its bounds."""

from collections.abc import Mapping
from dataclasses import dataclass

from device_client.errors import ConfigurationError


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """Where a metric may move without anybody being told at once, in the metric's unit; None is no bound."""

    below: float | None = None
    above: float | None = None

    def left_by(self, value: float) -> bool:
        """Say whether a value is outside."""
        return (self.below is not None and value < self.below) or (self.above is not None and value > self.above)


class Thresholds:
    """Remembers which metrics are outside, so that leaving is told once, and again only after a return."""

    def __init__(self, wanted: Mapping[str, Mapping[str, float]]) -> None:
        """Take bounds by metric: ``{"temperature_c": {"below": 5, "above": 30}}``.

        Raises:
            ConfigurationError: a bound is neither ``below`` nor ``above``.
        """
        try:
            self._bounds = {metric: Bounds(**bounds) for metric, bounds in wanted.items()}
        except TypeError as error:
            raise ConfigurationError(f"urgent: give below, above or both for each metric ({error})") from error
        self._outside: set[str] = set()

    def crossed(self, metrics: Mapping[str, float | None]) -> bool:
        """Take a reading; say whether a metric left its bounds with it. A missing value changes nothing."""
        outside = set(self._outside)
        for metric, bounds in self._bounds.items():
            value = metrics.get(metric)
            if value is not None:
                (outside.add if bounds.left_by(value) else outside.discard)(metric)
        newly = outside - self._outside
        self._outside = outside
        return bool(newly)
