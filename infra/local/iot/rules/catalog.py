"""The catalogue of functions: what a statement may call, with how many arguments, and which page says so."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from infra.local.iot.rules.context import Context
from infra.local.iot.rules.values import UNDEFINED, Value, decimal, to_number

PAGE = "https://docs.aws.amazon.com/iot/latest/developerguide/iot-sql-functions.html"
ANY = 1_000
"""Arguments: as many as one likes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Function:
    """A function of AWS IoT SQL."""

    name: str
    arity: tuple[int, int]
    anchor: str
    """Of its section on ``PAGE``."""
    since_2016: bool
    external: bool
    """Reaches outside of the message: not allowed in error actions."""
    call: Callable[..., Value]
    """(context, *arguments); never raises."""


FUNCTIONS: dict[str, Function] = {}
"""By name in lower case: function names are compared without case (the page itself writes ``Ltrim``, ``Round``)."""

REFUSED = {
    "aws_lambda": "iot-func-aws-lambda",
    "get_dynamodb": "iot-sql-function-get-dynamodb",
    "get_registry_data": "iot-sql-function-get-registry-data",
    "get_secret": "iot-sql-function-get-secret",
    "machinelearning_predict": "iot-sql-function-machine-learning",
}
"""They call other services while a statement runs: a rule that names one is not deployed. With their anchors."""


def function(
    name: str,
    least: int,
    most: int | None = None,
    *,
    anchor: str = "",
    since_2016: bool = False,
    external: bool = False,
) -> Callable[[Callable[..., Value]], Callable[..., Value]]:
    """Return a decorator that enters a function: ``least`` to ``most`` arguments (as many as ``least`` if None)."""

    def enter(call: Callable[..., Value]) -> Callable[..., Value]:
        FUNCTIONS[name.lower()] = Function(
            name=name,
            arity=(least, least if most is None else most),
            anchor=anchor or f"iot-func-{name}",
            since_2016=since_2016,
            external=external,
            call=call,
        )
        return call

    return enter


def of_text(
    name: str, call: Callable[..., Value], arguments: int = 1, *, anchor: str = "", since_2016: bool = False
) -> None:
    """Enter a function of strings: "standard conversion rules apply", so Null and Undefined have no result."""

    def apply(context: Context, *values: Value) -> Value:
        texts = [context.text(value) for value in values]
        return UNDEFINED if UNDEFINED in texts else call(*texts)

    function(name, arguments, anchor=anchor, since_2016=since_2016)(apply)


def of_doubles(name: str, call: Callable[..., float], arguments: int = 1, *, anchor: str = "") -> None:
    """Enter a function of doubles: what has no real result, or one beyond double precision, is Undefined."""

    def apply(_: Context, *values: Value) -> Value:
        numbers = [to_number(value) for value in values]
        if UNDEFINED in numbers:
            return UNDEFINED
        try:
            result = call(*map(float, numbers))
        except (ValueError, OverflowError, ZeroDivisionError):
            return UNDEFINED
        return decimal(result) if math.isfinite(result) else UNDEFINED

    function(name, arguments, anchor=anchor)(apply)
