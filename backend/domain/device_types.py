"""What a type of device measures, obeys and is configured with. One document a type, in ``backend/device_types``."""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from backend.domain.telemetry import Bucket
from backend.errors import InvalidInputError, Violation

MAX_VIOLATIONS = 10
"""A document may be wrong in a thousand places; naming the first ten is enough to repair it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Metric:
    """One thing a device measures."""

    name: str
    unit: str
    minimum: float
    maximum: float
    integer: bool = False

    def problem(self, value: float) -> str | None:
        """Say what is wrong with a value; None when nothing is."""
        if not math.isfinite(value):
            return "is not a finite number"
        if not self.minimum <= value <= self.maximum:
            return f"{value:g} is out of range: {self.minimum:g} to {self.maximum:g} {self.unit}"
        if self.integer and value != int(value):
            return f"{value:g} is not a whole number"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceType:
    """The contract between a device and those who use it."""

    name: str
    title: str
    metrics: Mapping[str, Metric]
    commands: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Fields of the parameters of each command, by command."""
    configuration: Mapping[str, Any] = field(default_factory=dict)
    """Fields of the ``config`` shadow."""


def check(bucket: Bucket, device_type: DeviceType) -> None:
    """Hold a bucket against its device's type.

    Raises:
        InvalidInputError: a metric is unknown to the type, or a value out of its range; names each field.
    """
    violations = []
    for violation in _violations(bucket, device_type):
        violations.append(violation)
        if len(violations) == MAX_VIOLATIONS:
            break
    if violations:
        raise InvalidInputError(*violations)


def _violations(bucket: Bucket, device_type: DeviceType) -> Iterator[Violation]:
    for name, column in bucket.metrics.items():
        metric = device_type.metrics.get(name)
        if metric is None:
            yield Violation(field=f"m.{name}", problem=f"is not a metric of a {device_type.name}")
            continue
        for index, value in enumerate(column):
            if value is not None and (problem := metric.problem(value)):
                yield Violation(field=f"m.{name}[{index}]", problem=problem)
