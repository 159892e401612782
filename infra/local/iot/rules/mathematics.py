"""Functions of numbers. "Decimal arguments are rounded to double precision" before those that are not exact."""

import math
from collections.abc import Callable
from decimal import ROUND_CEILING, ROUND_DOWN, ROUND_FLOOR, ROUND_HALF_UP, Decimal

from infra.local.iot.rules.catalog import function, of_doubles
from infra.local.iot.rules.context import Context
from infra.local.iot.rules.operators import remainder
from infra.local.iot.rules.values import UNDEFINED, WIDE, Value, decimal, integer, to_int, to_number, whole

for _name, _call in {
    "acos": math.acos, "asin": math.asin, "atan": math.atan, "cos": math.cos, "cosh": math.cosh, "exp": math.exp,
    "log": math.log10, "sin": math.sin, "sinh": math.sinh, "sqrt": math.sqrt, "tan": math.tan, "tanh": math.tanh,
}.items():  # fmt: skip
    of_doubles(_name, _call)
of_doubles("ln", math.log, anchor="iot-func-nln")
of_doubles("atan2", math.atan2, 2)
of_doubles("power", math.pow, 2)


@function("abs", 1)
def _abs(_: Context, value: Value) -> Value:
    number = to_number(value)
    return number if number is UNDEFINED else number.copy_abs() if type(number) is Decimal else abs(number)


def _rounded(mode: str) -> Callable[[Context, Value], Value]:
    def apply(_: Context, value: Value) -> Value:
        number = to_number(value)
        return whole(number.to_integral_value(mode)) if type(number) is Decimal else number

    return apply


function("ceil", 1)(_rounded(ROUND_CEILING))
function("floor", 1)(_rounded(ROUND_FLOOR))
function("round", 1)(_rounded(ROUND_HALF_UP))


@function("sign", 1)
def _sign(_: Context, value: Value) -> Value:
    number = to_number(value)
    return number if number is UNDEFINED else (number > 0) - (number < 0)


@function("trunc", 2)
def _trunc(_: Context, value: Value, places: Value) -> Value:
    number: Value = to_number(value)
    digits: Value = UNDEFINED if type(places) is str else to_int(places)
    if UNDEFINED in (number, digits):
        return UNDEFINED
    if type(number) is int:
        return number
    digits = min(max(digits, 0), 34)
    if -number.as_tuple().exponent > digits:
        number = number.quantize(Decimal(1).scaleb(-digits), ROUND_DOWN, WIDE)
    return whole(number) if number == number.to_integral_value() else number.normalize(WIDE)


def _bits(name: str, anchor: str, combine: Callable[[int, int], int]) -> None:
    def apply(_: Context, left: Value, right: Value) -> Value:
        one, other = to_int(left), to_int(right)
        return UNDEFINED if UNDEFINED in (one, other) else integer(combine(one, other))

    function(name, 2, anchor=anchor)(apply)


_bits("bitand", "iot-func-bitand", int.__and__)
_bits("bitor", "iot-func-bitor", int.__or__)
_bits("bitxor", "iot-func-xbitor", int.__xor__)


@function("bitnot", 1)
def _bitnot(_: Context, value: Value) -> Value:
    number = to_int(value)
    return number if number is UNDEFINED else integer(~number)


function("mod", 2)(remainder)
function("remainder", 2)(remainder)


@function("rand", 0, anchor="iot-sql-function-rand")
def _rand(context: Context) -> Value:
    return decimal(context.random())


@function("nanvl", 2)
def _nanvl(_: Context, value: Value, other: Value) -> Value:
    return other if value is UNDEFINED or value is None else value
