"""What can be said of expressions without looking at items: names and values defined and used, reserved words. Pure.

moto lets much of it pass that AWS refuses. (Developer guide: Expressions in DynamoDB; Reserved words in DynamoDB.)
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from decimal import Decimal
from functools import cache, lru_cache
from itertools import pairwise
from typing import Any

from infra.local.aws import Invalid, ReservedKeywords

KINDS = (
    "ConditionExpression", "FilterExpression", "KeyConditionExpression", "ProjectionExpression", "UpdateExpression",
)  # fmt: skip
_TOKEN = re.compile(r"\s*([#:]?[\w]+|<>|<=|>=|[-=<>(),.+\[\]])")
_WORDS = {
    "ConditionExpression": ("AND", "OR", "NOT", "IN", "BETWEEN"),
    "UpdateExpression": ("SET", "REMOVE", "ADD", "DELETE"),
    "ProjectionExpression": (),
}
_FUNCTIONS = {
    "ConditionExpression": (
        "attribute_exists", "attribute_not_exists", "attribute_type", "begins_with", "contains", "size",
    ),
    "KeyConditionExpression": ("begins_with",),
    "UpdateExpression": ("if_not_exists", "list_append"),
    "ProjectionExpression": (),
}  # fmt: skip
_TYPES = frozenset({"S", "N", "B", "SS", "NS", "BS", "BOOL", "NULL", "L", "M"})
_ORDERS = frozenset({"<", "<=", ">", ">="})
_ORDERED_TYPES = ("S", "N", "B")
_MOST_IN = 100
"""Operands of an IN. (Developer guide: Comparison operator and function reference)."""
_NOT_IN_KEYS = frozenset({"OR", "NOT", "IN", "<>"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Expression:
    """What stands in one expression."""

    kind: str
    names: frozenset[str]
    """With their ``#``."""
    values: frozenset[str]
    """With their ``:``."""
    paths: tuple[tuple[str, ...], ...]
    """Documents' paths, names unresolved, list places as ``[0]``."""
    calls: tuple[tuple[str, str], ...]
    """(function, its second operand), where that is a value."""
    ranges: tuple[tuple[str, str], ...]
    """The values of each BETWEEN that stands between two."""
    orders: tuple[tuple[str, str], ...]
    """(comparator, a value beside it), of those that ask for more or less."""

    def resolved(self, names: Mapping[str, str]) -> list[tuple[str, ...]]:
        """Return the paths with the names that ``#`` stands for."""
        return [tuple(names.get(part, part) for part in path) for path in self.paths]


def check(request: Mapping[str, Any]) -> dict[str, Expression]:
    """Return the expressions of a request by their kind, each found to be what it can be without an item.

    Raises:
        Invalid: one names what is not defined or reserved, or nothing asks for what is defined.
    """
    names, values = request.get("ExpressionAttributeNames"), request.get("ExpressionAttributeValues")
    if names is None and values is None and request.keys().isdisjoint(KINDS):
        return {}
    found = {kind: _read(kind, request[kind]) for kind in KINDS if request.get(kind) is not None}
    for member, given in (("Names", names), ("Values", values)):
        if given is not None and not found:
            raise Invalid(f"ExpressionAttribute{member} can only be specified when using expressions")
        if given is not None and not given:
            raise Invalid(f"ExpressionAttribute{member} must not be empty")
    for one in found.values():
        _check_defined(one, names or {}, values or {})
    for member, given, used in (
        ("Names", names or {}, {name for one in found.values() for name in one.names}),
        ("Values", values or {}, {value for one in found.values() for value in one.values}),
    ):
        if unused := given.keys() - used:
            keys = ", ".join(sorted(unused))
            raise Invalid(f"Value provided in ExpressionAttribute{member} unused in expressions: keys: {{{keys}}}")
    return found


def check_key_condition(condition: Expression, text: str, names: Mapping[str, str]) -> None:
    """Pass a condition that asks each key attribute once, by what a key can be asked.

    Raises:
        Invalid: it does not.
    """
    words = {word.upper() for word in tokens_of(condition.kind, text)}
    if wrong := words & _NOT_IN_KEYS:
        raise Invalid(f"Invalid operator used in KeyConditionExpression: {min(wrong)}")
    asked = condition.resolved(names)
    if len(set(asked)) < len(asked):
        raise Invalid("KeyConditionExpressions must only contain one condition per key")


def check_projection(projection: Expression, names: Mapping[str, str]) -> None:
    """Pass paths of which none leads into another.

    Raises:
        Invalid: one does.
    """
    for first, second in pairwise(sorted(projection.resolved(names))):
        if second[: len(first)] == first:
            _refuse(
                projection.kind,
                "Two document paths overlap with each other; must remove or rewrite one of these paths; "
                f"path one: [{', '.join(first)}], path two: [{', '.join(second)}]",
            )


def _refuse(kind: str, why: str) -> None:
    raise Invalid(f"Invalid {kind}: {why}")


@lru_cache(2048)
def _read(kind: str, text: str) -> Expression:
    if not text.strip():
        _refuse(kind, "The expression can not be empty;")
    grammar = "ConditionExpression" if kind in {"FilterExpression", "KeyConditionExpression"} else kind
    tokens = tokens_of(kind, text)
    for word, after in pairwise((*tokens, "")):
        if after == "(" and word[0].isalpha() and word.upper() not in _WORDS[grammar]:
            allowed = _FUNCTIONS.get(kind, _FUNCTIONS.get(grammar, ()))
            if word not in allowed:
                _refuse(kind, f"Invalid function name; function: {word}")
        elif word.upper() in _reserved() and word.upper() not in _WORDS[grammar]:
            _refuse(kind, f"Attribute name is a reserved keyword; reserved keyword: {word}")
    _check_counts(kind, tokens)
    return Expression(
        kind=kind,
        names=frozenset(token for token in tokens if token[0] == "#"),
        values=frozenset(token for token in tokens if token[0] == ":"),
        paths=tuple(_paths(tokens, _WORDS[grammar])),
        calls=tuple(
            (tokens[at], tokens[end - 1])
            for at, end in _arguments(tokens)
            if tokens[end - 1][0] == ":" and tokens[end - 2] == ","
        ),
        ranges=tuple(
            (tokens[at + 1], tokens[at + 3])
            for at, token in enumerate(tokens[:-3])
            if token.upper() == "BETWEEN" and tokens[at + 1][0] == tokens[at + 3][0] == ":"
        ),
        orders=tuple(
            (comparator, value)
            for before, comparator, after in zip(tokens, tokens[1:], tokens[2:], strict=False)
            for value in (before, after)
            if comparator in _ORDERS and value[0] == ":"
        ),
    )


def _check_counts(kind: str, tokens: list[str]) -> None:
    """Pass an expression with at most a hundred operands in each IN, and one plus or minus in each value set."""
    signs = 0
    for at, token in enumerate(tokens):
        if token.upper() == "IN" and tokens[at + 1 : at + 2] == ["("] and ")" in tokens[at:]:
            count = tokens[at : tokens.index(")", at)].count(",") + 1
            if count > _MOST_IN:
                _refuse(kind, f"The IN operator is provided with too many operands; number of operands: {count}")
        signs = signs + 1 if token in "+-" else 0 if token in {",", "="} else signs
        if signs > 1:
            near = " ".join(tokens[at - 1 : at + 2])
            _refuse(kind, f'Syntax error; token: "{token}", near: "{near}"')


@cache
def _reserved() -> frozenset[str]:
    return frozenset(ReservedKeywords.get_reserved_keywords())


def tokens_of(kind: str, text: str) -> list[str]:
    """Return the tokens of an expression.

    Raises:
        Invalid: something in it is none.
    """
    tokens, at = [], 0
    end = len(text.rstrip())
    while at < end:
        found = _TOKEN.match(text, at)
        if found is None:
            near = text[max(0, at - 5) : at + 5].strip()
            _refuse(kind, f'Syntax error; token: "{text[at:].strip()[:1]}", near: "{near}"')
            break
        tokens.append(found[1])
        at = found.end()
    return tokens


def _paths(tokens: list[str], words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    path: list[str] = []
    before = ""
    for token, after in pairwise((*tokens, "")):
        is_name = token[0] == "#" or (token[0].isalpha() and after != "(" and token.upper() not in words)
        if path and before == "[" and token.isdigit():
            path.append(f"[{token}]")
        elif is_name and before == ".":
            path.append(token)
        elif token not in {".", "[", "]"}:
            if path:
                yield tuple(path)
            path = [token] if is_name else []
        before = token
    if path:
        yield tuple(path)


def _arguments(tokens: list[str]) -> Iterator[tuple[int, int]]:
    """Yield where each call of a function begins, and its closing parenthesis."""
    for at, (token, after) in enumerate(pairwise(tokens)):
        if after == "(" and token in {"begins_with", "attribute_type"} and ")" in tokens[at:]:
            yield at, tokens.index(")", at)


def _check_defined(one: Expression, names: Mapping[str, str], values: Mapping[str, Any]) -> None:
    for name in sorted(one.names - names.keys()):
        why = f"An expression attribute name used in the document path is not defined; attribute name: {name}"
        _refuse(one.kind, why)
    for value in sorted(one.values - values.keys()):
        _refuse(one.kind, f"An expression attribute value used in expression is not defined; attribute value: {value}")
    for function, operand in one.calls:
        ((kind, value),) = values[operand].items()
        if kind not in (("S",) if function == "attribute_type" else ("S", "B")):
            what = f"operator or function: {function}, operand type: {kind}"
            _refuse(one.kind, f"Incorrect operand type for operator or function; {what}")
        if function == "attribute_type" and value not in _TYPES:
            valid = "{" + ",".join(sorted(_TYPES)) + "}"
            _refuse(one.kind, f"Invalid attribute type name found; type: {value}, valid types: {valid}")
    for comparator, value in one.orders:
        _check_ordered(one.kind, comparator, values[value])
    for low, high in one.ranges:
        _check_range(one.kind, values[low], values[high])


def _check_ordered(kind: str, comparator: str, value: Mapping[str, Any]) -> None:
    """Pass a value of a type that has an order."""
    if (given := next(iter(value))) not in _ORDERED_TYPES:
        what = f"operator or function: {comparator}, operand type: {given}"
        _refuse(kind, f"Incorrect operand type for operator or function; {what}")


def _check_range(kind: str, low: Mapping[str, Any], high: Mapping[str, Any]) -> None:
    """Pass a BETWEEN of two values of one type, the greater last."""
    ((low_type, least),) = low.items()
    ((high_type, most),) = high.items()
    bounds = f"lower bound operand: AttributeValue: {{{low_type}:{least}}}, "
    bounds += f"upper bound operand: AttributeValue: {{{high_type}:{most}}}"
    if low_type != high_type:
        why = "The BETWEEN operator requires same data type for lower and upper bounds"
        _refuse(kind, f"{why}; {bounds}")
    _check_ordered(kind, "BETWEEN", low)
    order: Any = Decimal if low_type == "N" else _bytes
    if order(least) > order(most):
        why = "The BETWEEN operator requires upper bound to be greater than or equal to lower bound"
        _refuse(kind, f"{why}; {bounds}")


def _bytes(value: str | bytes) -> bytes:
    return value if isinstance(value, bytes) else value.encode()
