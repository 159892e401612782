"""Topic rule ``{stage}_urgent``: one reading that overtakes its bucket."""

from typing import Any

from backend import bootstrap
from backend.domain.telemetry import latest_reading
from backend.schemas.telemetry import ReadingDocument, load_delivery


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Tell those who may see the device and are connected. It is not stored: it comes again in its bucket."""
    delivery = load_delivery(event)
    bucket = bootstrap.admission().admit(delivery)
    if bucket is None:
        return {"admitted": False}
    reading = ReadingDocument().dump(latest_reading(bucket))
    bootstrap.live().tell(delivery.thing, "urgent", {"thing": delivery.thing, "reading": reading})
    return {"admitted": True}
