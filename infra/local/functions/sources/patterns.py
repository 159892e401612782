"""Event patterns, as filters of event sources have them.

Pure. ("Lambda: event filtering", "EventBridge: event patterns").
"""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.functions.model import invalid

_NUMERIC: Mapping[str, Callable[[float, float], bool]] = {
    "=": lambda value, bound: value == bound,
    "<": lambda value, bound: value < bound,
    "<=": lambda value, bound: value <= bound,
    ">": lambda value, bound: value > bound,
    ">=": lambda value, bound: value >= bound,
}

_TEXT: Mapping[str, Callable[[str, str], bool]] = {
    "prefix": str.startswith,
    "suffix": str.endswith,
    "equals-ignore-case": lambda value, wanted: value.lower() == wanted.lower(),
}


def check(pattern: Any) -> None:
    """Refuse a pattern that is none, or that uses an operator not carried here.

    Raises:
        LambdaError: it does.
    """
    if not isinstance(pattern, dict) or not pattern:
        raise invalid("Invalid filter pattern definition.")
    for name, wanted in pattern.items():
        if name == "$or":
            for each in wanted:
                check(each)
        elif isinstance(wanted, dict):
            check(wanted)
        elif not isinstance(wanted, list):
            raise invalid("Invalid filter pattern definition. A leaf is an array.")
        else:
            for condition in wanted:
                _check_condition(condition)


def matches(pattern: Mapping[str, Any], event: Any) -> bool:
    """Say whether an event has what a pattern asks for: every field of it, each with one of the values."""
    if not isinstance(event, dict):
        return False
    for name, wanted in pattern.items():
        if name == "$or":
            if not any(matches(each, event) for each in wanted):
                return False
        elif isinstance(wanted, dict):
            if not matches(wanted, event.get(name, {})):
                return False
        elif not any(_holds(condition, event, name) for condition in wanted):
            return False
    return True


def _check_condition(condition: Any) -> None:
    if not isinstance(condition, dict):
        return
    operators = set(condition)
    if len(operators) != 1 or not operators <= {
        "exists",
        "prefix",
        "suffix",
        "anything-but",
        "numeric",
        "equals-ignore-case",
    }:
        raise invalid(f"Filter operator {', '.join(sorted(operators))} is not carried by the local cloud")
    if "numeric" in condition:
        terms = condition["numeric"]
        if len(terms) not in {2, 4} or any(sign not in _NUMERIC for sign in terms[::2]):
            raise invalid("Invalid filter pattern definition. Bad numeric condition.")


def _holds(condition: Any, event: Mapping[str, Any], name: str) -> bool:
    if isinstance(condition, dict) and "exists" in condition:
        return bool(condition["exists"]) == (name in event)
    if name not in event:
        return False
    values = event[name] if isinstance(event[name], list) else [event[name]]
    return any(_value_holds(condition, value) for value in values)


def _value_holds(condition: Any, value: Any) -> bool:
    if not isinstance(condition, dict):
        return bool(value == condition and isinstance(value, bool) == isinstance(condition, bool))
    ((operator, wanted),) = condition.items()
    if operator == "anything-but":
        return not _any_of(wanted, value)
    if operator == "numeric":
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        terms = zip(wanted[::2], wanted[1::2], strict=True)
        return number and all(_NUMERIC[sign](value, bound) for sign, bound in terms)
    return isinstance(value, str) and _TEXT[operator](value, str(wanted))


def _any_of(wanted: Any, value: Any) -> bool:
    return any(_value_holds(each, value) for each in (wanted if isinstance(wanted, list) else [wanted]))
