"""The updates that clients of the mobile contract send, of top-level attributes.

Update expressions take SET (of values, attributes, ``if_not_exists``, ``list_append``, and sums of two), REMOVE and ADD
of a number. (DynamoDB developer guide, "Using update expressions".) AttributeUpdates, which the blueprint's own example
sends, take PUT, DELETE and ADD of a number. (The same guide, "Legacy conditional parameters".) Anything else is refused
by name.
"""

import re
from collections.abc import Mapping
from typing import Any

from backend.errors import invalid

FIELD = "UpdateExpression"
KEYWORD = r"(?<![#:\w])(?:SET|REMOVE|ADD|DELETE)\b"
CLAUSE = re.compile(rf"\s*({KEYWORD})\s*(.*?)\s*(?={KEYWORD}|\Z)", re.DOTALL | re.IGNORECASE)
FUNCTION = re.compile(r"(if_not_exists|list_append)\s*\((.*)\)\Z", re.DOTALL)
OPERANDS = 2
"""Of a function, and at most of a sum."""
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
        keyword, rest = clause[1].upper(), clause[2]
        for part in _split(rest, ","):
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
    parts = [part for clause in CLAUSE.finditer(expression) for part in _split(clause[2], ",")]
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
    name, equals, expression = part.partition("=")
    terms = _split(expression, "+-")
    if not equals or not all(terms) or len(terms) > OPERANDS:
        raise invalid(FIELD, f"{part!r} is not carried; name = value and name = value + value are")
    value, *other = (_operand(term, body, names, values) for term in terms)
    if other:
        if not _is_number(value) or not _is_number(other[0]):
            raise invalid(FIELD, f"{part!r} adds what is not a number")
        sign = expression.strip()[len(terms[0]) :].strip()[0]
        value = value + other[0] if sign == "+" else value - other[0]
    updated[_name(name.strip(), names)] = value


def _operand(text: str, body: Mapping[str, Any], names: Mapping[str, str], values: Mapping[str, Any]) -> Any:
    """Return what one side of a sum, or one argument of a function, stands for; the item is as it was before."""
    if text.startswith(":"):
        if text not in values:
            raise invalid("ExpressionAttributeValues", f"has no {text}")
        return values[text]
    call = FUNCTION.match(text)
    if call is None:
        name = _name(text, names)
        if name not in body:
            raise invalid(FIELD, f"the item has no {name}")
        return body[name]
    arguments = _split(call[2], ",")
    if len(arguments) != OPERANDS:
        raise invalid(FIELD, f"{call[1]} takes two arguments")
    if call[1] == "if_not_exists":
        name = _name(arguments[0], names)
        return body[name] if name in body else _operand(arguments[1], body, names, values)
    first, second = (_operand(each, body, names, values) for each in arguments)
    if not isinstance(first, list) or not isinstance(second, list):
        raise invalid(FIELD, "list_append joins two lists")
    return [*first, *second]


def _split(text: str, separators: str) -> list[str]:
    """Return the parts of a text between separators that stand in no brackets."""
    parts, depth = [""], 0
    for character in text:
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0 and character in separators:
            parts.append("")
        else:
            parts[-1] += character
    return [part.strip() for part in parts]


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
