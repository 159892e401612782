"""Topic rule ``{stage}_answers``: what devices say about commands."""

from typing import Any

from backend import bootstrap
from backend.errors import InvalidInputError
from backend.schemas.control import load_answer
from backend.schemas.telemetry import load_delivery


def handler(event: dict[str, Any], _context: object) -> dict[str, bool]:
    """Take one answer; one that is none is named in the log by field, and kept in quarantine."""
    delivery = load_delivery(event)
    try:
        answer = load_answer(delivery)
    except InvalidInputError as error:
        bootstrap.admission().refuse(delivery, error.violations)
        return {"taken": False}
    return {"taken": bootstrap.command_desk().take_answer(answer)}
