"""Topic rule ``{stage}_telemetry``: one bucket of readings to one item."""

from typing import Any

from backend import bootstrap
from backend.schemas.telemetry import load_delivery


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Store one bucket; a duplicate is a success that stores nothing, and so is what goes to quarantine."""
    return {"stored": bootstrap.telemetry_ingest().ingest(load_delivery(event))}
