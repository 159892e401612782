"""The update expressions that clients of the mobile contract send: SET and REMOVE of top-level attributes.

(DynamoDB developer guide, "Using update expressions".) SET takes ``:value``, ``name + :value`` and ``name - :value``.
Anything else of DynamoDB's language is refused by name.
"""

import re
from collections.abc import Mapping
from typing import Any

from backend.errors import invalid

FIELD = "UpdateExpression"
CLAUSE = re.compile(r"\s*\b(SET|REMOVE|ADD|DELETE)\b\s*(.*?)\s*(?=\b(?:SET|REMOVE|ADD|DELETE)\b|\Z)", re.DOTALL)
ASSIGNMENT = re.compile(r"(?P<name>#?\w+)\s*=\s*(?:(?P<left>#?\w+)\s*(?P<sign>[+-])\s*)?(?P<value>:\w+)\Z")
NAME = re.compile(r"#?\w+\Z")


def apply_update(
    body: Mapping[str, Any], expression: str, *, names: Mapping[str, str], values: Mapping[str, Any]
) -> dict[str, Any]:
    """Return the item after an update expression.

    Raises:
        InvalidInputError: the expression is not of the part of the language that is carried.
    """
    updated = dict(body)
    end = 0
    for clause in CLAUSE.finditer(expression):
        if clause.start() != end:
            break
        end = clause.end()
        keyword, rest = clause.groups()
        for part in (each.strip() for each in rest.split(",")):
            if keyword == "SET":
                _set(updated, body, part, names, values)
            elif keyword == "REMOVE":
                updated.pop(_name(part, names), None)
            else:
                raise invalid(FIELD, f"{keyword} is not carried; SET and REMOVE are")
    if end == 0 or expression[end:].strip():
        raise invalid(FIELD, "is not an update expression of SET and REMOVE")
    return updated


def _set(
    updated: dict[str, Any],
    body: Mapping[str, Any],
    part: str,
    names: Mapping[str, str],
    values: Mapping[str, Any],
) -> None:
    found = ASSIGNMENT.match(part)
    if found is None:
        raise invalid(FIELD, f"{part!r} is not carried; name = :value and name = name + :value are")
    if found["value"] not in values:
        raise invalid("ExpressionAttributeValues", f"has no {found['value']}")
    value = values[found["value"]]
    if found["left"]:
        current = body.get(_name(found["left"], names))
        if not _is_number(current) or not _is_number(value):
            raise invalid(FIELD, f"{part!r} adds what is not a number")
        value = current + value if found["sign"] == "+" else current - value
    updated[_name(found["name"], names)] = value


def _name(text: str, names: Mapping[str, str]) -> str:
    if not NAME.match(text):
        raise invalid(FIELD, f"{text!r} is not the name of a top-level attribute")
    if not text.startswith("#"):
        return text
    if text not in names:
        raise invalid("ExpressionAttributeNames", f"has no {text}")
    return names[text]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
