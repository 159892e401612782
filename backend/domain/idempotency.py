"""The same call twice has one effect and one answer."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

LIFETIME = timedelta(days=1)
UNDER_WAY = timedelta(seconds=60)
"""A call that has not answered by then never will: its function has been stopped."""
MAX_KEY_LENGTH = 128
MAX_KEPT_BYTES = 300_000
"""What an item of DynamoDB holds, with room to spare. Of a longer answer it is kept that it was given, and how."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answered:
    """An answer as it went out."""

    status: int
    body: str
    headers: Mapping[str, str] = field(default_factory=dict)
