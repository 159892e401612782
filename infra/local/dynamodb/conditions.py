"""Conditions parsed once: moto parses a put's condition twice at every call, 0.4 ms each.

A correction of moto 5.2.5; a condition that names no value of the call, "not there yet", means the same each time.
"""

from typing import Any

from infra.local.aws import comparisons

_MAX_KNOWN = 1024
_Key = tuple[str, tuple[tuple[str, str], ...]]


def apply() -> None:
    """Put this parser in the place of moto's."""
    parser = comparisons.ConditionExpressionParser
    parse, known = parser.parse, dict[_Key, tuple[Any, list[str]]]()

    def parse_once(self: Any) -> Any:
        if not self.condition_expression or self.expression_attribute_values:
            return parse(self)
        key = (self.condition_expression, tuple((self.expression_attribute_names or {}).items()))
        if key in known:
            condition, names = known[key]
            self.expr_attr_names_found.extend(names)
            return condition
        condition = parse(self)
        if len(known) >= _MAX_KNOWN:
            known.clear()
        known[key] = (condition, list(self.expr_attr_names_found))
        return condition

    parser.parse = parse_once  # type: ignore[method-assign]  # a correction
