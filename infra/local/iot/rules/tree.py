"""The parsed form of AWS IoT SQL. Printing any node gives SQL that parses to the same node."""

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Union

Expression = Union[
    "Literal", "Star", "Field", "Variable", "Member", "Call", "Cast", "Unary", "Binary", "Case", "Array", "Object",
    "Select", "Exists",
]  # fmt: skip


def quote(text: str) -> str:
    """Return a string literal: a quote inside is doubled."""
    return "'" + text.replace("'", "''") + "'"


@dataclass(frozen=True, slots=True)
class Literal:
    """A number, string, Boolean or Null."""

    value: Decimal | int | str | bool | None

    def __str__(self) -> str:
        match self.value:
            case None:
                return "NULL"
            case bool():
                return "true" if self.value else "false"
            case str():
                return quote(self.value)
            case _:
                return str(self.value)


@dataclass(frozen=True, slots=True)
class Star:
    """The whole payload, or the row of a nested SELECT."""

    def __str__(self) -> str:
        return "*"


@dataclass(frozen=True, slots=True)
class Field:
    """A key of the payload, or of the row of a nested SELECT."""

    name: str

    def __str__(self) -> str:
        return self.name


@dataclass(frozen=True, slots=True)
class Variable:
    """``@name`` of the SET clause."""

    name: str
    at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"@{self.name}"


@dataclass(frozen=True, slots=True)
class Member:
    """``of.name``."""

    of: Expression
    name: str

    def __str__(self) -> str:
        return f"{_group(self.of)}.{self.name}"


@dataclass(frozen=True, slots=True)
class Call:
    """A function; ``name`` as written, compared without case."""

    name: str
    arguments: tuple[Expression, ...]
    at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"{self.name}({', '.join(map(str, self.arguments))})"


@dataclass(frozen=True, slots=True)
class Cast:
    """``cast(value as type)``."""

    value: Expression
    type: str
    at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        return f"cast({self.value} AS {self.type})"


@dataclass(frozen=True, slots=True)
class Unary:
    """``NOT`` or ``-``."""

    operator: str
    operand: Expression

    def __str__(self) -> str:
        return f"{self.operator} {_group(self.operand)}"


@dataclass(frozen=True, slots=True)
class Binary:
    """One of the operators of the page "Operators", or ``IN``."""

    operator: str
    left: Expression
    right: Expression

    def __str__(self) -> str:
        return f"{_group(self.left)} {self.operator} {_group(self.right)}"


@dataclass(frozen=True, slots=True)
class Case:
    """``CASE value WHEN t THEN r … ELSE e END``."""

    value: Expression
    branches: tuple[tuple[Expression, Expression], ...]
    otherwise: Expression | None

    def __str__(self) -> str:
        branches = " ".join(f"WHEN {test} THEN {result}" for test, result in self.branches)
        otherwise = "" if self.otherwise is None else f" ELSE {self.otherwise}"
        return f"CASE {self.value} {branches}{otherwise} END"


@dataclass(frozen=True, slots=True)
class Array:
    """``[…]``."""

    items: tuple[Expression, ...]

    def __str__(self) -> str:
        return f"[{', '.join(map(str, self.items))}]"


@dataclass(frozen=True, slots=True)
class Object:
    """``{'key': …}``."""

    members: tuple[tuple[str, Expression], ...]

    def __str__(self) -> str:
        return "{" + ", ".join(f"{quote(name)}: {value}" for name, value in self.members) + "}"


@dataclass(frozen=True, slots=True)
class Item:
    """One item of a SELECT; ``spread`` for ``path.*``."""

    expression: Expression
    alias: tuple[str, ...] = ()
    spread: bool = False
    at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        alias = f" AS {'.'.join(self.alias)}" if self.alias else ""
        return f"{_group(self.expression)}.*" if self.spread else f"{self.expression}{alias}"


@dataclass(frozen=True, slots=True)
class Select:
    """A nested SELECT: its source is an expression; ``alias`` names the row in it, which may be no object."""

    items: tuple[Item, ...]
    source: Expression
    where: Expression | None
    value: bool = False
    alias: str | None = None

    def __str__(self) -> str:
        source = str(self.source) if self.alias is None else f"{self.source} AS {self.alias}"
        return f"(SELECT {_selection(self)} FROM {source}{_where(self)})"  # noqa: S608 - a rule, not a database


@dataclass(frozen=True, slots=True)
class Exists:
    """``EXISTS (SELECT …)``."""

    select: Select

    def __str__(self) -> str:
        return f"EXISTS {self.select}"


@dataclass(frozen=True, slots=True)
class Statement:
    """A whole rule. ``topic_filter`` is None where FROM is left out (Basic Ingest only)."""

    items: tuple[Item, ...]
    topic_filter: str | None = None
    where: Expression | None = None
    value: bool = False
    variables: tuple[tuple[str, Expression], ...] = ()
    filter_at: int = field(default=0, compare=False, repr=False)

    def __str__(self) -> str:
        assignments = ", ".join(f"@{name} = {value}" for name, value in self.variables)
        source = "" if self.topic_filter is None else f" FROM {quote(self.topic_filter)}"
        return f"{f'SET {assignments} ' if assignments else ''}SELECT {_selection(self)}{source}{_where(self)}"


def _selection(select: Select | Statement) -> str:
    items = ", ".join(map(str, select.items))
    return f"VALUE ({items})" if select.value else items


def _where(select: Select | Statement) -> str:
    return "" if select.where is None else f" WHERE {select.where}"


def _group(expression: Expression) -> str:
    text = str(expression)
    return f"({text})" if isinstance(expression, Unary | Binary) or text.startswith("-") else text


def roles_named(node: object) -> set[str]:
    """Return the role ARNs that stand in a tree as literals: what ``get_thing_shadow`` is given."""
    if isinstance(node, Literal) and isinstance(node.value, str):
        return {node.value} if node.value.startswith("arn:aws:iam::") and ":role/" in node.value else set()
    children = node if isinstance(node, tuple) else [getattr(node, name) for name in getattr(node, "__slots__", ())]
    return {role for child in children for role in roles_named(child)}
