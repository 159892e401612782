"""A resource's properties as arguments of an API call, by botocore's own description of that call: pure.

CloudFormation writes ``RetentionInDays`` where an API wants ``retentionInDays``, a list of Key and Value where it wants
a map, a document where it wants its JSON, "300" where it wants 300. What the call does not know, a property or one of a
few values, is refused by its path.
"""

import json
from collections.abc import Mapping
from typing import Any

from botocore.model import ListShape, MapShape, Shape, StructureShape

from infra.local.template.errors import TemplateError

TAG = {"Key", "Value"}


class _RefusedError(Exception):
    """Carries the path of what is refused, and why; why is None where the call does not know the property."""

    def __init__(self, path: str, why: str | None = None) -> None:
        super().__init__(path)
        self.path, self.why = path, why


def build_arguments(logical_id: str, shape: StructureShape, values: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``values`` in the names and types of ``shape``.

    Raises:
        TemplateError: a property, at any depth, that the call does not have, or a value that is none of its few.
    """
    try:
        return _structure(shape, values, "")
    except _RefusedError as refused:
        why = refused.why or f"the local cloud does not carry this property ({shape.name})"
        raise TemplateError(logical_id, why, refused.path) from None


def _convert(shape: Shape, value: Any, path: str) -> Any:
    if isinstance(shape, StructureShape) and isinstance(value, dict):
        return _structure(shape, value, path)
    if isinstance(shape, ListShape):
        entries = value if isinstance(value, list) else [value]
        return [_convert(shape.member, entry, f"{path}[{index}]") for index, entry in enumerate(entries)]
    if isinstance(shape, MapShape):
        pairs = {tag["Key"]: tag["Value"] for tag in value} if _is_tags(value) else value
        if isinstance(pairs, dict):
            return {str(key): _convert(shape.value, entry, f"{path}.{key}") for key, entry in pairs.items()}
    scalar = _scalar(shape.type_name, value)
    allowed = shape.metadata.get("enum")
    if allowed and scalar not in allowed:
        raise _RefusedError(path, f"{scalar!r} is not one of {', '.join(allowed)}")
    return scalar


def _structure(shape: StructureShape, values: Mapping[str, Any], path: str) -> dict[str, Any]:
    members = {name.lower(): name for name in shape.members}
    found = {}
    for name, value in values.items():
        place = f"{path}.{name}".lstrip(".")
        member = name if name in shape.members else members.get(name.lower())
        if member is None:
            raise _RefusedError(place)
        found[member] = _convert(shape.members[member], value, place)
    return found


def _is_tags(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(entry, dict) and entry.keys() == TAG for entry in value)


def _scalar(type_name: str, value: Any) -> Any:
    if type_name == "string" and not isinstance(value, str):
        if isinstance(value, dict | list):
            return json.dumps(value, sort_keys=True)
        return str(value).lower() if isinstance(value, bool) else str(value)
    if isinstance(value, str):
        if type_name == "boolean" and value.lower() in {"true", "false"}:
            return value.lower() == "true"
        if type_name in {"integer", "long"} and value.lstrip("-").isdigit():
            return int(value)
        if type_name in {"double", "float"}:
            return float(value)
    return value
