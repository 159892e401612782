"""The updates that clients of the mobile contract send, of top-level attributes.

Update expressions take SET (``:value``, ``name + :value``, ``name - :value``), REMOVE and ADD of a number. (DynamoDB
developer guide, "Using update expressions".) AttributeUpdates, which the blueprint's own example sends, take PUT,
DELETE and ADD of a number. (The same guide, "Legacy conditional parameters".) Anything else is refused by name.
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
            elif keyword == "ADD":
                _add(updated, part, names, values)
            else:
                raise invalid(FIELD, f"{keyword} is not carried; SET, REMOVE and ADD are")
    if end == 0 or expression[end:].strip():
        raise invalid(FIELD, "is not an update expression of SET, REMOVE and ADD")
    return updated


def find_assigned(expression: str, names: Mapping[str, str]) -> set[str]:
    """Return the attributes that an update expression, one that could be applied, sets, removes or adds to."""
    parts = [part for clause in CLAUSE.finditer(expression) for part in clause[2].split(",")]
    return {_name(part.partition("=")[0].split()[0], names) for part in parts}


def apply_attribute_updates(body: Mapping[str, Any], updates: Mapping[str, Any]) -> dict[str, Any]:
    """Return the item after ``AttributeUpdates``: ``{name: {"Action": "PUT" | "DELETE" | "ADD", "Value": …}}``.

    Raises:
        InvalidInputError: an update is not of this form.
    """
    updated = dict(body)
    for name, update in updates.items():
        action = update.get("Action", "PUT") if isinstance(update, Mapping) else None
        if action == "DELETE" and "Value" not in update:
            updated.pop(name, None)
        elif action == "PUT" and "Value" in update:
            updated[name] = update["Value"]
        elif action == "ADD" and _is_number(update.get("Value")) and _is_number(body.get(name, 0)):
            updated[name] = body.get(name, 0) + update["Value"]
        else:
            raise invalid(f"AttributeUpdates.{name}", "is not PUT of a Value, DELETE without one, or ADD of a number")
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


def _add(updated: dict[str, Any], part: str, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
    text, _, value = part.partition(" ")
    name, by = _name(text, names), values.get(value.strip())
    if not _is_number(by) or not _is_number(updated.get(name, 0)):
        raise invalid(FIELD, f"{part!r} adds what is not a number")
    updated[name] = updated.get(name, 0) + by


def _name(text: str, names: Mapping[str, str]) -> str:
    if not NAME.match(text):
        raise invalid(FIELD, f"{text!r} is not the name of a top-level attribute")
    if not text.startswith("#"):
        return text
    if not isinstance(names.get(text), str):
        raise invalid("ExpressionAttributeNames", f"has no {text}")
    return names[text]


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
