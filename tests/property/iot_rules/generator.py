"""Statements and payloads by the dice: every node of the tree, every function, values of every type and edge."""

import json
import random
from decimal import Decimal
from typing import Any

from infra.local.iot.rules import tree
from infra.local.iot.rules.catalog import ANY, FUNCTIONS
from infra.local.iot.rules.operators import CASTS, OPERATORS

NAMES = ("a", "b", "c", "value", "end", "Key_1", "select_", "x9")
STRINGS = (
    "", "a", "abc", "A/b", "it's", '"q"', "12", "-1.5", "5E-12", "1e999", "true", "False", "yyyy-MM-dd HH:mm", "UTC",
    "America/Lima", "aGVsbG8=", "!!", "(a+)+$",
    "[z-a]", "$1", "\\", "%", "😀", "\ud800", "\x00", "{", "a" * 300, " \t x \n",
    "format_indicator", "enrichArray", "2021-03-04 05:06", "\\p{Alpha}+", "(?<n>a)|b", "${n}", "NaN", "Infinity",
)  # fmt: skip
NUMBERS = (
    0, 1, -1, 2, 7, 65, 1000, 10**33, -(10**34) + 1, 1614834367089,
    Decimal("1.5"), Decimal("-0.0"), Decimal("1E-999"),
    Decimal("9.999E999"), Decimal("0." + "1" * 34), Decimal("1E+30"), Decimal("10.0"), Decimal("-2.5"),
    Decimal("1E-40"),
)  # fmt: skip


class Generator:
    """Draws from one seed; the same seed draws the same."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)

    def statement(self, variables: tuple[str, ...] | None = None) -> tree.Statement:
        names = tuple(f"v{n}" for n in range(self.dice.choice((0, 0, 0, 1, 2)))) if variables is None else variables
        assigned = tuple((name, self.expression(2, names[:at])) for at, name in enumerate(names))
        value = self.dice.random() < 0.2
        items = (tree.Item(self.expression(3, names)),) if value else self.items(3, names)
        where = self.expression(3, names) if self.dice.random() < 0.4 else None
        return tree.Statement(items, self.dice.choice((None, "a/b", "a/#")), where, value, assigned)

    def items(self, depth: int, names: tuple[str, ...]) -> tuple[tree.Item, ...]:
        return tuple(self.item(depth, names) for _ in range(self.dice.choice((1, 1, 2, 3))))

    def item(self, depth: int, names: tuple[str, ...]) -> tree.Item:
        kind = self.dice.random()
        if kind < 0.1:
            return tree.Item(tree.Star())
        if kind < 0.2:
            return tree.Item(tree.Member(tree.Field(self.name()), self.name()), spread=True)
        alias = tuple(self.name() for _ in range(self.dice.choice((1, 1, 1, 2))))
        return tree.Item(self.expression(depth, names), alias)

    def name(self) -> str:
        return self.dice.choice(NAMES)

    def expression(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        if depth == 0 or self.dice.random() < 0.15:
            return self.leaf(names)
        return self.dice.choice((
            self._call, self._call, self._call, self._binary, self._binary, self._unary, self._case, self._member,
            self._cast, self._array, self._object, self._select,
        ))(depth - 1, names)  # fmt: skip

    def leaf(self, names: tuple[str, ...]) -> tree.Expression:
        kind = self.dice.random()
        if kind < 0.35:
            return tree.Field(self.name())
        if kind < 0.4:
            return tree.Star()
        if kind < 0.5 and names:
            return tree.Variable(self.dice.choice(names))
        if kind < 0.7:
            return tree.Literal(self.dice.choice(NUMBERS))
        return tree.Literal(self.dice.choice((None, True, False, *STRINGS)))

    def _call(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        function = FUNCTIONS[self.dice.choice(sorted(FUNCTIONS))]
        least, most = function.arity
        count = self.dice.randint(least, 4 if most == ANY else most)
        arguments = [self.expression(depth, names) for _ in range(count)]
        if function.name in ("encode", "decode"):
            arguments[1] = tree.Literal("base64")
        if function.name == "transform":
            arguments[0] = tree.Literal(self.dice.choice(("enrichArray", "other")))
        if function.name == "get_thing_shadow":
            arguments[-1] = tree.Literal("arn:aws:iam::123456789012:role/r")
        return tree.Call(function.name, tuple(arguments))

    def _binary(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        operator = self.dice.choice((*OPERATORS, "+", "%"))
        left, right = self.expression(depth, names), self.expression(depth, names)
        return tree.Binary(operator, left, tree.Array((right,)) if operator == "IN" else right)

    def _unary(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        return tree.Unary(self.dice.choice(("NOT", "-")), tree.Call("abs", (self.expression(depth, names),)))

    def _case(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        branches = tuple(
            (self.expression(depth, names), self.expression(depth, names)) for _ in range(self.dice.randint(1, 2))
        )
        otherwise = self.expression(depth, names) if self.dice.random() < 0.5 else None
        return tree.Case(self.expression(depth, names), branches, otherwise)

    def _member(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        of: tree.Expression = tree.Field(self.name())
        return tree.Member(self._call(depth, names) if self.dice.random() < 0.3 else of, self.name())

    def _cast(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        return tree.Cast(self.expression(depth, names), self.dice.choice(sorted(CASTS)))

    def _array(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        return tree.Array(tuple(self.expression(depth, names) for _ in range(self.dice.randint(0, 3))))

    def _object(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        return tree.Object(
            tuple((self.dice.choice(STRINGS), self.expression(depth, names)) for _ in range(self.dice.randint(0, 2)))
        )

    def _select(self, depth: int, names: tuple[str, ...]) -> tree.Expression:
        value = self.dice.random() < 0.4
        items = (tree.Item(self.expression(depth, names)),) if value else self.items(depth, names)
        where = self.expression(depth, names) if self.dice.random() < 0.3 else None
        alias = self.name() if self.dice.random() < 0.3 else None
        select = tree.Select(items, self.expression(depth, names), where, value, alias)
        return tree.Exists(select) if self.dice.random() < 0.2 else select

    def payload(self) -> bytes:
        kind = self.dice.random()
        if kind < 0.1:
            return self.dice.randbytes(self.dice.choice((0, 1, 5, 40)))
        if kind < 0.15:
            text = json.dumps(self.document(2), ensure_ascii=True)
            return text[: self.dice.randint(0, len(text))].encode()
        if kind < 0.17:
            depth = self.dice.choice((50, 400, 900, 3_000))
            return b'{"a":' * depth + b"1" + b"}" * depth
        return json.dumps(self.document(3), default=str).encode()

    def document(self, depth: int) -> Any:
        kind = self.dice.random()
        if depth == 3 or (depth and kind < 0.35):
            return {self.name(): self.document(depth - 1) for _ in range(self.dice.randint(0, 5))}
        if depth and kind < 0.5:
            return [self.document(depth - 1) for _ in range(self.dice.randint(0, 3))]
        return self.dice.choice((None, True, False, 1e300, 1.5, -0.0, 10**40, 3, -7, 1e-300, *STRINGS))
