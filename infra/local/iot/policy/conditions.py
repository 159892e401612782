"""The Condition block: operators, set operators and ``IfExists``, as AWS documents them for policies.

IAM user guide, "IAM JSON policy elements: Condition operators" and "Conditions with multiple context keys or values";
AWS IoT uses the same language ("Connect policy examples").
"""

import base64
import binascii
import ipaddress
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.iot.policy.context import Context
from infra.local.iot.policy.errors import PolicyError
from infra.local.iot.policy.patterns import Pattern, Resolve

Test = Callable[[str, "Expected", Resolve], bool]
_VARIABLE_OR_CHARACTER = re.compile(r"\$\{[^}]*\}|.", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Expected:
    """One value of a condition, compiled."""

    whole: Pattern
    arn: tuple[Pattern, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One operator on one key."""

    operator: str
    key: str
    quantifier: str
    """``ForAllValues``, ``ForAnyValue`` or ""."""
    if_exists: bool
    expected: tuple[Expected, ...]

    def holds(self, context: Context, resource: str) -> bool:
        """Say whether the request satisfies this condition."""
        values = context.values(self.key, resource)
        if self.operator == "Null":
            wanted = {expected.whole.plain(context.variable).lower() for expected in self.expected}
            # A key that is there without a value is null too: it is what keeps ForAllValues from being true of nothing.
            return ("false" if values else "true") in wanted
        if values is None and self.if_exists:
            return True
        test, negated = _OPERATORS[self.operator]

        def fits(value: str) -> bool:
            return any(_quietly(test, value, expected, context.variable) for expected in self.expected) != negated

        # Over no values at all ForAllValues is true and ForAnyValue false.
        if self.quantifier == "ForAllValues" or (negated and not self.quantifier):
            return all(map(fits, values or ()))
        return any(map(fits, values or ()))


def parse_conditions(block: object) -> tuple[Condition, ...]:
    """Return the block's conditions, all of which must hold.

    Raises:
        PolicyError: an operator AWS does not have, or a shape that is not operator → key → values.
    """
    if not isinstance(block, Mapping):
        raise PolicyError("Condition must be an object.")
    conditions = []
    for name, keys in block.items():
        quantifier, _, operator = name.rpartition(":")
        base = operator.removesuffix("IfExists")
        known = base in _OPERATORS or operator == "Null"
        if not known or quantifier not in {"", "ForAllValues", "ForAnyValue"} or not isinstance(keys, Mapping):
            raise PolicyError(f"Invalid condition operator: {name}.")
        conditions += [
            Condition(
                operator=base,
                key=key,
                quantifier=quantifier,
                if_exists=operator.endswith("IfExists"),
                expected=tuple(map(_expected, values if isinstance(values, list) else [values])),
            )
            for key, values in keys.items()
        ]
    return tuple(conditions)


def _expected(value: Any) -> Expected:
    if isinstance(value, bool):
        value = str(value).lower()
    elif isinstance(value, int | float):
        value = str(value)
    elif not isinstance(value, str):
        raise PolicyError("Condition values must be strings.")
    return Expected(Pattern(value), tuple(map(Pattern, _arn_parts(value))))


def _arn_parts(text: str) -> list[str]:
    """Return what stands between the first five colons; those within a variable's name do not count."""
    parts = [""]
    for token in _VARIABLE_OR_CHARACTER.findall(text):
        if token == ":" and len(parts) < 6:
            parts.append("")
        else:
            parts[-1] += token
    return parts


def _quietly(test: Test, value: str, expected: Expected, resolve: Resolve) -> bool:
    try:
        return test(value, expected, resolve)
    except (ValueError, binascii.Error, OverflowError):
        return False  # a value that is no number, date or address fits nothing


def _equals(value: str, expected: Expected, resolve: Resolve) -> bool:
    return value in expected.whole.spellings(resolve)


def _equals_ignoring_case(value: str, expected: Expected, resolve: Resolve) -> bool:
    return value.lower() in map(str.lower, expected.whole.spellings(resolve))


def _like(value: str, expected: Expected, resolve: Resolve) -> bool:
    return expected.whole.matches(value, resolve)


def _arn(value: str, expected: Expected, resolve: Resolve) -> bool:
    parts: Sequence[str] = value.split(":", 5)
    return len(parts) == len(expected.arn) and all(
        pattern.matches(part, resolve) for part, pattern in zip(parts, expected.arn, strict=True)
    )


def _in_network(value: str, expected: Expected, resolve: Resolve) -> bool:
    return ipaddress.ip_address(value) in ipaddress.ip_network(expected.whole.plain(resolve), strict=False)


def _binary(value: str, expected: Expected, resolve: Resolve) -> bool:
    return base64.b64decode(value) == base64.b64decode(expected.whole.plain(resolve))


def _ordered(convert: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Test:
    def test(value: str, expected: Expected, resolve: Resolve) -> bool:
        return compare(convert(value), convert(expected.whole.plain(resolve)))

    return test


def _instant(text: str) -> datetime:
    if re.fullmatch(r"\d+(\.\d+)?", text) and len(text) > len("2026"):
        return datetime.fromtimestamp(float(text), UTC)
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=UTC)


_COMPARISONS: dict[str, tuple[Callable[[Any, Any], bool], bool]] = {
    "Equals": (lambda a, b: a == b, False),
    "NotEquals": (lambda a, b: a == b, True),
    "LessThan": (lambda a, b: a < b, False),
    "LessThanEquals": (lambda a, b: a <= b, False),
    "GreaterThan": (lambda a, b: a > b, False),
    "GreaterThanEquals": (lambda a, b: a >= b, False),
}
_OPERATORS: dict[str, tuple[Test, bool]] = {
    "StringEquals": (_equals, False),
    "StringNotEquals": (_equals, True),
    "StringEqualsIgnoreCase": (_equals_ignoring_case, False),
    "StringNotEqualsIgnoreCase": (_equals_ignoring_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "Bool": (_equals_ignoring_case, False),
    "BinaryEquals": (_binary, False),
    "IpAddress": (_in_network, False),
    "NotIpAddress": (_in_network, True),
    # ArnEquals and ArnLike behave alike: each of the six parts is matched by itself, wildcards allowed.
    "ArnEquals": (_arn, False),
    "ArnLike": (_arn, False),
    "ArnNotEquals": (_arn, True),
    "ArnNotLike": (_arn, True),
    **{f"Numeric{name}": (_ordered(float, test), negated) for name, (test, negated) in _COMPARISONS.items()},
    **{f"Date{name}": (_ordered(_instant, test), negated) for name, (test, negated) in _COMPARISONS.items()},
}
"""Operator to (test of one value against one expected value, negated)."""
