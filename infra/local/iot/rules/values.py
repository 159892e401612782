"""Values of AWS IoT SQL and their conversions ("Data types"): pure functions, nothing here raises on any value.

Int is ``int`` (34 digits at most), Decimal is ``decimal.Decimal`` (34 digits, 1E-999 to 9.99…E999), Boolean ``bool``,
String ``str``, Array ``list``, Object ``dict``, Null ``None``, and Undefined the one member of :class:`Undefined`.
"""

import re
from decimal import ROUND_FLOOR, ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from enum import Enum
from json import JSONDecoder
from json.encoder import encode_basestring
from typing import Any, Final


class Undefined(Enum):
    """Not a value: it vanishes from objects and serialises alone as an empty string."""

    UNDEFINED = "undefined"

    def __repr__(self) -> str:
        return "UNDEFINED"


UNDEFINED: Final = Undefined.UNDEFINED
Value = Any
"""Any of the types above; written so because it nests."""

DIGITS = 34
DECIMAL128: Final = Context(
    prec=DIGITS, rounding=ROUND_HALF_EVEN, Emin=-999, Emax=999, traps=[InvalidOperation, DivisionByZero, Overflow]
)
WIDE: Final = Context(prec=3_000, rounding=ROUND_HALF_EVEN, Emin=-9_999, Emax=9_999)
"""Decimal arithmetic without rounding, for what Java's BigDecimal does exactly."""
_INT_LIMIT = 10**DIGITS
_NUMERIC = re.compile(r"-?[0-9]+(\.[0-9]+)?([eE]-?[0-9]+)?")


def decimal(source: str | float | Decimal) -> Value:
    """Return ``source`` as a Decimal of 34 digits; Undefined where its magnitude is out of range."""
    try:
        number = DECIMAL128.create_decimal(source if not isinstance(source, float) else repr(source))
    except ArithmeticError:
        return UNDEFINED
    if not number.is_finite():
        return UNDEFINED
    return number if number.adjusted() >= DECIMAL128.Emin else Decimal(0)


def integer(number: int) -> Value:
    """Return ``number`` as an Int, or as a rounded Decimal where it has more than 34 digits."""
    return number if -_INT_LIMIT < number < _INT_LIMIT else decimal(number)


def whole(number: Decimal) -> Value:
    """Return a Decimal that has no fraction as an Int, if 34 digits can hold it."""
    return int(number) if number.adjusted() < DIGITS else number


def to_number(value: Value) -> Value:
    """Convert to Decimal or Int: numbers as they are, strings of the documented form; Undefined otherwise."""
    kind = type(value)
    if kind is int or kind is Decimal:
        return value
    if kind is str and _NUMERIC.fullmatch(value):
        return decimal(value)
    return UNDEFINED


def to_int(value: Value) -> Value:
    """Convert to Int, rounding down ("rounded down to the nearest Int", as every function's table says)."""
    number = to_number(value)
    return int(number.to_integral_value(ROUND_FLOOR)) if type(number) is Decimal else number


def to_boolean(value: Value) -> Value:
    """Convert to Boolean: "true" and "false" in any case; Undefined otherwise."""
    if value is True or value is False:
        return value
    if type(value) is str:
        return {"true": True, "false": False}.get(value.lower(), UNDEFINED)
    return UNDEFINED


def to_text(value: Value, *, whole_as_int: bool) -> Value:
    """Convert to String; Null and Undefined are Undefined. ``whole_as_int``: SQL 2016-03-23 writes 10.0 as 10."""
    if type(value) is str:
        return value
    return UNDEFINED if value is None or value is UNDEFINED else dump(value, whole_as_int=whole_as_int)


def equal(left: Value, right: Value) -> bool:
    """Say whether two defined values are equal: numbers by magnitude, no conversion between types ("= operator")."""
    kind = type(left)
    if kind is list:
        return type(right) is list and len(left) == len(right) and all(map(equal, left, right))
    if kind is dict:
        return (
            type(right) is dict and left.keys() == right.keys() and all(equal(left[name], right[name]) for name in left)
        )
    numeric = kind is int or kind is Decimal
    if numeric and (type(right) is int or type(right) is Decimal):
        return bool(left == right)
    return kind is type(right) and bool(left == right)


def _load_int(text: str) -> Value:
    return int(text) if len(text.lstrip("-")) <= DIGITS else decimal(text)


def _refuse_constant(name: str) -> Value:
    raise ValueError(f"{name} is not JSON")


_decode = JSONDecoder(parse_float=decimal, parse_int=_load_int, parse_constant=_refuse_constant).decode


def load(text: str) -> Value:
    """Return a JSON document as a value, numbers with 34 digits.

    Raises:
        ValueError: it is not JSON, or nests deeper than the parser goes.
    """
    try:
        return _decode(text)
    except RecursionError as error:
        raise ValueError("JSON nested too deeply") from error


def dump(value: Value, *, whole_as_int: bool) -> str:
    """Return a value as compact JSON, leaving out what is Undefined; Undefined alone is an empty string."""
    kind = type(value)
    if kind is str:
        return str(encode_basestring(value))
    if kind is int:
        return str(value)
    if kind is Decimal:
        return _dump_decimal(value, whole_as_int=whole_as_int)
    if kind is dict:
        members = [
            f"{encode_basestring(name)}:{dump(item, whole_as_int=whole_as_int)}"
            for name, item in value.items()
            if item is not UNDEFINED
        ]
        return "{" + ",".join(members) + "}"
    if kind is list:
        return "[" + ",".join([dump(item, whole_as_int=whole_as_int) for item in value if item is not UNDEFINED]) + "]"
    return {True: "true", False: "false", None: "null"}.get(value, "")


def _dump_decimal(number: Decimal, *, whole_as_int: bool) -> str:
    if whole_as_int and number == number.to_integral_value():
        return str(whole(number))
    return str(number)


def encode(text: str) -> bytes:
    """Return the UTF-8 of a string; a lone surrogate becomes "?", as in Java."""
    return text.encode("utf-8", "replace")
