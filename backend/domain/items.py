"""Items of people: small documents an app keeps for its user, with versions, so that it can sync after days offline."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

TABLES = ("notes", "scenes", "settings")
"""Logical tables: none is a table of DynamoDB, and to every caller each holds their own items only."""
TOMBSTONE_LIFETIME = timedelta(days=90)
"""An app that was offline for longer must read everything anew."""
MAX_ITEM_BYTES = 100_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Item:
    """One item of one person in one logical table."""

    owner: str
    table: str
    id: str
    body: Mapping[str, Any]
    version: int
    updated_at: datetime
    deleted: bool = False
    change: int = 0
    """Its place among all changes of the owner's table; the store numbers them without a gap."""
