"""Operators and casts ("Operators", "cast()"): pure functions of values, Undefined where a type does not fit."""

import math
from collections.abc import Callable
from decimal import Decimal

from infra.local.iot.rules.context import Context
from infra.local.iot.rules.values import (
    DECIMAL128,
    UNDEFINED,
    WIDE,
    Value,
    decimal,
    equal,
    integer,
    to_boolean,
    to_int,
    to_number,
)


def negation(value: Value) -> Value:
    """Return NOT of a Boolean."""
    boolean = to_boolean(value)
    return UNDEFINED if boolean is UNDEFINED else not boolean


def minus(value: Value) -> Value:
    """Return a number with its sign turned."""
    number = to_number(value)
    return number.copy_negate() if type(number) is Decimal else number if number is UNDEFINED else -number


def _and(left: Value, right: Value) -> Value:
    one, other = to_boolean(left), to_boolean(right)
    return UNDEFINED if one is UNDEFINED or other is UNDEFINED else one and other


def _or(left: Value, right: Value) -> Value:
    one, other = to_boolean(left), to_boolean(right)
    return UNDEFINED if one is UNDEFINED or other is UNDEFINED else one or other


def _compare(compare: Callable[[Value, Value], bool]) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        one, other = to_number(left), to_number(right)
        return UNDEFINED if one is UNDEFINED or other is UNDEFINED else compare(one, other)

    return apply


def equals(left: Value, right: Value) -> Value:
    """Say whether two values are equal; Undefined if one is."""
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else equal(left, right)


def _differs(left: Value, right: Value) -> Value:
    return UNDEFINED if left is UNDEFINED or right is UNDEFINED else not equal(left, right)


def _in(value: Value, collection: Value) -> Value:
    if value is UNDEFINED or type(collection) is not list:
        return UNDEFINED
    return any(equals(value, item) is True for item in collection)


def add(context: Context, left: Value, right: Value) -> Value:
    """Add numbers, or concatenate as soon as one side is a String."""
    if type(left) is str or type(right) is str:
        one, other = context.text(left), context.text(right)
        return UNDEFINED if one is UNDEFINED or other is UNDEFINED else one + other
    return _sum(left, right) if type(left) is not bool and type(right) is not bool else UNDEFINED


def _arithmetic(
    of_ints: Callable[[int, int], int], of_decimals: Callable[[Decimal, Decimal], Decimal]
) -> Callable[[Value, Value], Value]:
    def apply(left: Value, right: Value) -> Value:
        one, other = to_number(left), to_number(right)
        if one is UNDEFINED or other is UNDEFINED:
            return UNDEFINED
        try:
            if type(left) is int and type(right) is int:
                return integer(of_ints(one, other))
            return decimal(of_decimals(Decimal(one), Decimal(other)))
        except ArithmeticError:
            return UNDEFINED

    return apply


def _divide(left: int, right: int) -> int:
    """Divide Ints as Java does, toward zero."""
    quotient = abs(left) // abs(right)
    return quotient if (left < 0) == (right < 0) else -quotient


_sum = _arithmetic(int.__add__, DECIMAL128.add)
OPERATORS: dict[str, Callable[[Value, Value], Value]] = {
    "AND": _and,
    "OR": _or,
    "=": equals,
    "<>": _differs,
    "<": _compare(lambda one, other: one < other),
    "<=": _compare(lambda one, other: one <= other),
    ">": _compare(lambda one, other: one > other),
    ">=": _compare(lambda one, other: one >= other),
    "IN": _in,
    "-": _arithmetic(int.__sub__, DECIMAL128.subtract),
    "*": _arithmetic(int.__mul__, DECIMAL128.multiply),
    "/": _arithmetic(_divide, DECIMAL128.divide),
}


# cast() ("cast()").


def _cast_number(value: Value) -> Value:
    if type(value) is bool:
        return int(value)
    return to_number(value)


def _cast_boolean(_: Context, value: Value) -> Value:
    return value != 0 if type(value) is int or type(value) is Decimal else to_boolean(value)


def _cast_double(_: Context, value: Value) -> Value:
    number = _cast_number(value)
    try:
        return UNDEFINED if number is UNDEFINED else decimal(float(number))
    except OverflowError:
        return UNDEFINED


def _cast_decimal(_: Context, value: Value) -> Value:
    number = _cast_number(value)
    return number if number is UNDEFINED else Decimal(number)


CASTS: dict[str, Callable[[Context, Value], Value]] = {
    **dict.fromkeys(("string", "nvarchar", "text", "ntext", "varchar"), Context.text),
    **dict.fromkeys(("int", "integer"), lambda _, value: to_int(_cast_number(value))),
    "double": _cast_double,
    "decimal": _cast_decimal,
    **dict.fromkeys(("bool", "boolean"), _cast_boolean),
}


def remainder(_: Context, left: Value, right: Value) -> Value:
    """Return the remainder with the dividend's sign, as Java's; Int of Ints, else Decimal; Undefined by zero."""
    one, other = to_number(left), to_number(right)
    if UNDEFINED in (one, other) or not other:
        return UNDEFINED
    if type(left) is int and type(right) is int:
        return int(math.copysign(1, one)) * (abs(one) % abs(other))
    return decimal(WIDE.remainder(Decimal(one), Decimal(other)))
