"""Fields of small documents that a device type describes: parameters of commands, settings of the ``config`` shadow."""

from collections.abc import Iterator, Mapping
from typing import Any

from backend.errors import InvalidInputError, Violation

KINDS: Mapping[str, tuple[type, ...]] = {
    "number": (int, float),
    "integer": (int,),
    "string": (str,),
    "boolean": (bool,),
}
MAX_TEXT = 256


def check_fields(fields: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any], *, path: str) -> dict[str, Any]:
    """Return the values, defaults filled in.

    Args:
        fields: by name: ``type`` (number, integer, string, boolean), and as wanted ``minimum``, ``maximum``, ``enum``,
            ``required``, ``default``.
        values: what was sent.
        path: what to put before a field's name in an error, such as ``parameters``.

    Raises:
        InvalidInputError: names every field that is unknown, missing, or not as described.
    """
    violations = tuple(_violations(fields, values, path))
    if violations:
        raise InvalidInputError(*violations)
    defaults = {name: field["default"] for name, field in fields.items() if "default" in field}
    return {**defaults, **values}


def _violations(fields: Mapping[str, Mapping[str, Any]], values: Mapping[str, Any], path: str) -> Iterator[Violation]:
    for name in values:
        if name not in fields:
            yield Violation(field=f"{path}.{name}", problem="is not a field of this document")
    for name, field in fields.items():
        if name not in values:
            if field.get("required"):
                yield Violation(field=f"{path}.{name}", problem="is missing")
        elif problem := _problem(field, values[name]):
            yield Violation(field=f"{path}.{name}", problem=problem)


def _problem(field: Mapping[str, Any], value: Any) -> str | None:
    kind = field["type"]
    if not isinstance(value, KINDS[kind]) or (isinstance(value, bool) and kind != "boolean"):
        return f"is not a {kind}"
    if "enum" in field and value not in field["enum"]:
        return f"is none of {', '.join(map(str, field['enum']))}"
    if isinstance(value, str) and len(value) > MAX_TEXT:
        return f"is longer than {MAX_TEXT} characters"
    low, high = field.get("minimum"), field.get("maximum")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        return f"is out of range: {low} to {high}"
    return None
