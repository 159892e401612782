"""Conditions over values with their types, in the place of moto 5.2.5's, which compares Python's.

(Developer guide: Comparison operator and function reference.)
"""

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from infra.local.aws import DynamoType, comparisons

Typed = tuple[str, Any]
"""A value's type, and what two values of one type are compared by, at any depth."""
_ORDERED = ("S", "N", "B")


def apply() -> None:
    """Put these in the place of moto's."""
    replaced: Any = comparisons
    replaced.OpEqual.expr = lambda self, item: _equal(_typed(self.lhs, item), _typed(self.rhs, item))
    replaced.OpNotEqual.expr = lambda self, item: not _equal(_typed(self.lhs, item), _typed(self.rhs, item))
    for name, compare in (
        ("OpLessThan", operator.lt),
        ("OpLessThanOrEqual", operator.le),
        ("OpGreaterThan", operator.gt),
        ("OpGreaterThanOrEqual", operator.ge),
    ):
        getattr(replaced, name).expr = _ordering(compare)
    replaced.FuncBetween.expr = _between
    replaced.FuncIn.expr = _in
    replaced.FuncContains.expr = _contains
    replaced.FuncBeginsWith.expr = _begins_with


def _typed(operand: Any, item: Any) -> Typed | None:
    """Return what an operand is in an item; None where it is not there."""
    if isinstance(operand, comparisons.FuncSize):
        size: Any = operand.expr(item)
        return None if size is None else ("N", Decimal(size))
    if isinstance(operand, comparisons.AttributePath):
        held = operand._get_attr(item)  # noqa: SLF001 - moto's one way to it with its type
        return None if held is None else _of(held)
    return _of({operand.type: operand.value})


def _of(value: DynamoType | Mapping[str, Any]) -> Typed:
    kind, held = (value.type, value.value) if isinstance(value, DynamoType) else next(iter(value.items()))
    if kind == "L":
        return kind, [_of(each) for each in held]
    if kind == "M":
        return kind, {name: _of(each) for name, each in held.items()}
    if kind in ("SS", "NS", "BS"):
        return kind, frozenset(map(Decimal, held) if kind == "NS" else held)
    return kind, Decimal(held) if kind == "N" else held


def _equal(one: Typed | None, other: Typed | None) -> bool:
    return one is not None and one == other


def _ordered(compare: Callable[[Any, Any], bool], one: Typed | None, other: Typed | None) -> bool:
    return one is not None and other is not None and one[0] == other[0] in _ORDERED and compare(one[1], other[1])


def _ordering(compare: Callable[[Any, Any], bool]) -> Callable[[Any, Any], bool]:
    return lambda self, item: _ordered(compare, _typed(self.lhs, item), _typed(self.rhs, item))


def _between(self: Any, item: Any) -> bool:
    low, value, high = (_typed(each, item) for each in (self.start, self.attr, self.end))
    return _ordered(operator.le, low, value) and _ordered(operator.le, value, high)


def _in(self: Any, item: Any) -> bool:
    value = _typed(self.attr, item)
    return any(_equal(value, _typed(each, item)) for each in self.possible_values)


def _contains(self: Any, item: Any) -> bool:
    whole, part = _typed(self.attr, item), _typed(self.operand, item)
    if whole is None or part is None:
        return False
    if whole[0] == "L":
        return part in whole[1]
    return whole[0] in ("S", "B", "SS", "NS", "BS") and whole[0][0] == part[0] and part[1] in whole[1]


def _begins_with(self: Any, item: Any) -> bool:
    whole, part = _typed(self.attr, item), _typed(self.substr, item)
    if whole is None or part is None or whole[0] != part[0] or whole[0] not in ("S", "B"):
        return False
    return bool(whole[1].startswith(part[1]))
