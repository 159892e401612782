"""Attribute values on their way in and out. (DynamoDB API reference: AttributeValue)."""

import base64
import binascii
import re
from collections.abc import Mapping
from decimal import Context, Decimal
from typing import Any

from infra.local.aws import DynamoType, Invalid

_DIGITS = 38
"""Significant digits of a number. (Developer guide: Supported data types and naming rules)."""
_GREATEST, _LEAST = 125, -130
"""Powers of ten of the greatest and the smallest number. (The same page)."""
_DEEPEST = 32
"""Levels of lists and maps in an item. (Developer guide: Quotas)."""
MAX_ITEM_SIZE = 400 * 1024
"""Bytes of an item. (The same page)."""
_EXACT = Context(prec=1000)
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,9})?", re.ASCII)
_TYPED = frozenset({"Item", "Key", "ExpressionAttributeValues", "ExclusiveStartKey"})
"""Members of requests that are maps of names to attribute values."""
_ONE_TYPE = "Supplied AttributeValue {}, must contain exactly one of the supported datatypes"
_WRONG = "One or more parameter values were invalid: "


def load(document: Any) -> Any:
    """Return a request's document with binary values decoded, numbers in their shortest form, and without nulls.

    Raises:
        Invalid: a value that DynamoDB does not take.
    """
    if isinstance(document, list):
        return [load(each) for each in document]
    if not isinstance(document, dict):
        return document
    return {name: _loaded(name, value) for name, value in document.items() if value is not None}


def _loaded(name: str, value: Any) -> Any:
    if name in _TYPED and isinstance(value, dict):
        return load_values(value)
    if name == "RequestItems" and isinstance(value, dict):  # tables may have any name
        return {table: load(requests) for table, requests in value.items()}
    if name == "Keys" and isinstance(value, list):
        return [load_values(key) for key in value]
    return load(value)


def load_values(values: Any, depth: int = 0) -> dict[str, Any]:
    """Return a map of names to attribute values, loaded."""
    if not isinstance(values, dict):
        raise Invalid("Start of structure or map found where not expected")
    return {name: _value(value, depth) for name, value in values.items()}


def _value(value: Any, depth: int) -> dict[str, Any]:
    if not isinstance(value, dict) or len(value) != 1 or not _LOADERS.keys() >= value.keys():
        many = isinstance(value, dict) and len(value) > 1
        raise Invalid(_ONE_TYPE.format("has more than one datatypes set" if many else "is empty"))
    ((kind, given),) = value.items()
    if type(given) is not _SHAPES[kind]:  # as JSON has it
        raise Invalid(f"{_WRONG}{kind} is a {_SHAPES[kind].__name__}")
    if kind in ("L", "M"):
        if depth >= _DEEPEST:
            raise Invalid("Nesting Levels have exceeded supported limits")
        return {kind: load_values(given, depth + 1) if kind == "M" else [_value(each, depth + 1) for each in given]}
    return {kind: _LOADERS[kind](given)}


def dump(value: Any) -> Any:
    """Return moto's values, at any depth, as they stand in a JSON document."""
    if isinstance(value, DynamoType):
        return {value.type: dump(value.value)}
    if isinstance(value, Mapping):
        return {name: dump(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def size_of(value: Any) -> int:
    """Return the bytes that a value counts for. (Developer guide: DynamoDB item sizes and formats)."""
    kind, held = value.type, value.value
    if kind == "S":
        return _text_size(held)
    if kind == "L":
        return 3 + sum(1 + size_of(each) for each in held)
    if kind == "M":
        return 3 + sum(1 + len(name.encode()) + size_of(each) for name, each in held.items())
    if kind in ("BOOL", "NULL"):
        return 1
    one: Any = _SIZES[kind[0]]
    return sum(map(one, held)) if len(kind) > 1 else int(one(held))


def item_size(item: Any) -> int:
    """Return the bytes that an item counts for, the names of its attributes among them."""
    return sum(_text_size(name) + size_of(value) for name, value in item.attrs.items())


def _text_size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def _number_size(text: str) -> int:
    """Two digits a byte, one byte more, and one for a sign."""
    digits = len(text.lstrip("-").replace(".", "").strip("0"))
    return (digits + 1) // 2 + 1 + text.startswith("-")


_SIZES = {"S": _text_size, "B": len, "N": _number_size}


def exactly(number: Decimal) -> str:
    """Return a number as DynamoDB writes it.

    Raises:
        Invalid: it has too many digits, or is too great or too small.
    """
    shortest = number.normalize(_EXACT)
    if not shortest:
        return "0"
    if len(shortest.as_tuple().digits) > _DIGITS:
        raise Invalid("Attempting to store more than 38 significant digits in a Number")
    if shortest.adjusted() > _GREATEST:
        raise Invalid("Number overflow. Attempting to store a number with magnitude larger than supported range")
    if shortest.adjusted() < _LEAST:
        raise Invalid("Number underflow. Attempting to store a number with magnitude smaller than supported range")
    return f"{shortest:f}"


def calculated(first: str, second: str, *, difference: bool) -> str:
    """Return the sum or the difference, exactly: Python's own 28 digits would not do."""
    operation = _EXACT.subtract if difference else _EXACT.add
    return exactly(operation(Decimal(first), Decimal(second)))


def _number(text: str) -> str:
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _DIGITS:
        return text
    if not _NUMBER.fullmatch(text):
        raise Invalid(f"The parameter cannot be converted to a numeric value: {text}")
    return exactly(_EXACT.create_decimal(text))


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Invalid(f"Base64 encoded length is unexpected or the value is not base64: {error}") from error


def _null(given: bool) -> bool:  # noqa: FBT001 - an attribute's value
    if not given:
        raise Invalid(f"{_WRONG}Null attribute value types must have the value of true")
    return given


def _set(load_one: Any, noun: str) -> Any:
    def load_set(given: list[Any]) -> list[Any]:
        if not given:
            raise Invalid(f"{_WRONG}An {noun} set  may not be empty")
        if not all(isinstance(each, str) for each in given):
            raise Invalid(f"{_WRONG}a member of a {noun} set has another type")
        loaded = [load_one(each) for each in given]
        if len(set(loaded)) < len(loaded):
            raise Invalid(f"{_WRONG}Input collection [{', '.join(given)}] contains duplicates.")
        return loaded

    return load_set


def _as_it_is(given: Any) -> Any:
    return given


_LOADERS: dict[str, Any] = {
    "S": _as_it_is, "N": _number, "B": _binary, "BOOL": _as_it_is, "NULL": _null, "L": _as_it_is, "M": _as_it_is,
    "SS": _set(_as_it_is, "string"), "NS": _set(_number, "number"), "BS": _set(_binary, "binary"),
}  # fmt: skip
_SHAPES: dict[str, Any] = {
    "S": str, "N": str, "B": str, "BOOL": bool, "NULL": bool, "L": list, "M": dict, "SS": list, "NS": list, "BS": list,
}  # fmt: skip
