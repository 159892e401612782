"""Attribute values on their way in and out. (DynamoDB API reference: AttributeValue)."""

import base64
import binascii
from collections.abc import Mapping
from decimal import Context, Decimal, InvalidOperation
from typing import Any

from infra.local.aws import DynamoType, Invalid

_DIGITS = 38
"""Significant digits of a number. (Developer guide: Naming rules and data types)."""
_EXACT = Context(prec=1000)


def load(document: Any) -> Any:
    """Return a request's document with binary values decoded and numbers in their shortest form.

    A member ``N`` or ``B`` whose value is text can only be a typed value: names stand where their values are objects.

    Raises:
        Invalid: a number with more than 38 digits, or what is not base64.
    """
    if isinstance(document, list):
        return [load(each) for each in document]
    if not isinstance(document, dict):
        return document
    if len(document) == 1:
        ((kind, value),) = document.items()
        if kind in _LOADERS and isinstance(value, str):
            return {kind: _LOADERS[kind](value)}
        if kind in _SETS and isinstance(value, list):
            return {kind: [_SETS[kind](each) for each in value]}
    return {name: load(value) for name, value in document.items()}


def dump(value: Any) -> Any:
    """Return moto's values, at any depth, as they stand in a JSON document."""
    if isinstance(value, DynamoType):
        return {value.type: dump(value.value)}
    if isinstance(value, Mapping):
        return {name: dump(each) for name, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [dump(each) for each in value]
    return base64.b64encode(value).decode() if isinstance(value, bytes) else value


def _number(text: str) -> str:
    """Return ``text`` without leading and trailing zeros; what is no number is left for moto to refuse."""
    if text.isascii() and text.isdigit() and text[0] != "0" and len(text) <= _DIGITS:
        return text
    try:
        number = Decimal(text)
    except InvalidOperation:
        return text
    if not number.is_finite() or text != text.strip():
        return text
    shortest = number.normalize(_EXACT)
    if len(shortest.as_tuple().digits) > _DIGITS:
        raise Invalid("Attempting to store more than 38 significant digits in a Number")
    return f"{shortest:f}" if shortest else "0"


def _binary(text: str) -> bytes:
    try:
        return base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise Invalid(f"Base64 encoded length is unexpected or the value is not base64: {error}") from error


_LOADERS = {"N": _number, "B": _binary}
_SETS = {"NS": _number, "BS": _binary}
