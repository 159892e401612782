"""Durations as people type them."""

import re
from datetime import timedelta

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_PART = re.compile(r"(\d+(?:\.\d+)?)([smhdw])")


def parse_duration(text: str) -> timedelta:
    """Return the duration that ``+2d``, ``-30s`` or ``+1h30m`` stands for.

    Raises:
        ValueError: the text is none.
    """
    body = text.lstrip("+-")
    parts = _PART.findall(body)
    if not parts or "".join(number + unit for number, unit in parts) != body:
        raise ValueError(f"{text!r} is no duration; write +2d, +90m, -30s or +1h30m")
    total = sum((timedelta(**{_UNITS[unit]: float(number)}) for number, unit in parts), timedelta())
    return -total if text.startswith("-") else total
