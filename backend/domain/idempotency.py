"""The same call twice has one effect and one answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

LIFETIME = timedelta(days=1)
UNDER_WAY = timedelta(seconds=60)
"""A call that has not answered by then never will: its function has been stopped."""
MAX_KEY_LENGTH = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer as it went out."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
