"""What can be changed while everything runs, without a deploy."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from backend.domain.fields import check_fields

RELOAD_AFTER = timedelta(seconds=60)
FIELDS: Mapping[str, Mapping[str, Any]] = {
    "presence_grace_s": {"type": "integer", "minimum": 0, "maximum": 3600},
    "minimum_app_version": {"type": "string"},
    "maintenance_message": {"type": "string"},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One version of the configuration. The defaults are safe: they serve when the table is out of reach."""

    version: int = 0
    presence_grace_s: int = 60
    """A device away for no longer than this is not called offline: it is changing its network."""
    minimum_app_version: str = "0"
    """Older apps ask their user to update."""
    maintenance_message: str = ""
    """What apps show at their top; empty for nothing."""
    unknown: Mapping[str, Any] = field(default_factory=dict)
    """Settings of a newer version of the code, kept and not looked at."""


def build_configuration(version: int, settings: Mapping[str, Any]) -> Configuration:
    """Return the configuration that stored settings make.

    Raises:
        InvalidInputError: a known setting has an impossible value; names each.
    """
    known = {name: value for name, value in settings.items() if name in FIELDS}
    check_fields(FIELDS, known, path="settings")
    unknown = {name: value for name, value in settings.items() if name not in FIELDS}
    return Configuration(version=version, **known, unknown=unknown)
