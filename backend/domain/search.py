"""Finding devices: what is asked, and under which terms a device stands in the index of the fleet."""

from collections.abc import Mapping
from dataclasses import dataclass

from backend.domain.devices import Device
from backend.domain.presence import Status

MAX_EXAMINED = 400
"""By one call; a page may be short, or empty, and have a next one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """What devices are asked for; what is None is not asked."""

    type: str | None = None
    status: Status | None = None
    attribute: tuple[str, str] | None = None
    firmware: str | None = None
    name: str | None = None
    """How it begins, whatever the case."""

    def fits(self, device: Device) -> bool:
        """Say whether a device is as asked, but for its status."""
        return (
            self.type in {None, device.type}
            and self.firmware in {None, device.firmware}
            and (self.attribute is None or device.attributes.get(self.attribute[0]) == self.attribute[1])
            and (self.name is None or device.name.casefold().startswith(self.name.casefold()))
        )

    @property
    def term(self) -> str | None:
        """Return the term that leads to the fewest; None if the index knows none of what is asked."""
        if self.attribute is not None:
            return attribute_term(*self.attribute)
        return firmware_term(self.firmware) if self.firmware else None


def attribute_term(name: str, value: str) -> str:
    """Return the term of an attribute; no name holds an equals sign."""
    return f"attribute#{name}={value}"


def firmware_term(firmware: str) -> str:
    """Return the term of a firmware."""
    return f"firmware#{firmware}"


def attribute_terms(attributes: Mapping[str, str]) -> frozenset[str]:
    """Return the terms of all attributes."""
    return frozenset(attribute_term(name, value) for name, value in attributes.items())
