"""AWS IoT SQL text to its tree. What cannot be parsed is an error that knows its line, column and what was expected."""

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

from lark import Lark, Token, Transformer, UnexpectedInput, UnexpectedToken, v_args
from lark.exceptions import VisitError

from infra.local.iot.rules import tree
from infra.local.iot.rules.values import UNDEFINED, decimal, integer

MAX_VARIABLES = 10
MAX_VARIABLE_NAME = 64
"""Both: "SET clause"."""


class SqlError(Exception):
    """The statement is not AWS IoT SQL, or asks for what is not emulated: the rule must not be deployed."""

    def __init__(self, message: str, sql: str, at: int) -> None:
        self.sql = sql
        self.at = min(at, len(sql))
        self.line = sql.count("\n", 0, self.at) + 1
        self.column = self.at - (sql.rfind("\n", 0, self.at) + 1) + 1
        self.message = message
        super().__init__(f"{message} at line {self.line}, column {self.column}")

    def caret(self) -> str:
        """Return the line in question with a caret under the place, then the message."""
        line = self.sql.split("\n")[self.line - 1].replace("\t", " ")
        return f"{line}\n{' ' * (self.column - 1)}^\n{self}"


class _RefusedError(Exception):
    """An error found while building the tree; the text is not known there."""

    def __init__(self, message: str, at: int) -> None:
        super().__init__(message)
        self.at = at


def parse_statement(sql: str) -> tree.Statement:
    """Return the tree of a whole statement.

    Raises:
        SqlError: with the place and what was expected there.
    """
    result: tree.Statement = _parse(sql, "statement")
    return result


def parse_expression(text: str) -> tree.Expression:
    """Return the tree of one expression, as substitution templates hold it.

    Raises:
        SqlError: with the place and what was expected there.
    """
    result: tree.Expression = _parse(text, "expr")
    return result


def _parse(text: str, start: str) -> Any:
    try:
        return _Build().transform(_grammar().parse(text, start=start))
    except UnexpectedInput as error:
        raise _error(_plainer(error, text, start), text) from None
    except VisitError as error:
        if isinstance(error.orig_exc, _RefusedError):
            raise SqlError(str(error.orig_exc), text, error.orig_exc.at) from None
        if isinstance(error.orig_exc, RecursionError):
            raise SqlError("The statement is nested too deeply", text, 0) from None
        raise
    except RecursionError:
        raise SqlError("The statement is nested too deeply", text, 0) from None


def _plainer(error: UnexpectedInput, text: str, start: str) -> UnexpectedInput:
    """Return the error of a reading in which no keyword is a name: it stands where something was left out."""
    try:
        _grammar(reserved=True).parse(text, start=start)
    except UnexpectedInput as plainer:
        return plainer
    return error


def _error(error: UnexpectedInput, text: str) -> SqlError:
    ended = isinstance(error, UnexpectedToken) and error.token.type == "$END"
    place: Any = error.pos_in_stream
    at = len(text) if ended else place
    return SqlError(_explain(error, text, at), text, at)


_RESERVED = "(?i:(?!(?:select|from|where|as|and|or|not|in|case|when|then|else|end)(?![A-Za-z0-9_])))"


@cache
def _grammar(*, reserved: bool = False) -> Lark:
    source = Path(__file__).with_name("grammar.lark").read_text()
    if reserved:
        source = source.replace(": /[A-Za-z_]", f": /{_RESERVED}[A-Za-z_]")
    return Lark(source, parser="lalr", lexer="contextual", start=["statement", "expr"], propagate_positions=True)


_WORDS = {
    "$END": "the end", "STRING": "a string", "NUMBER": "a number", "NAME": "a name", "WORD": "a name",
    "VARIABLE": "@variable", "LPAR": "(", "RPAR": ")", "LSQB": "[", "RSQB": "]", "LBRACE": "{", "RBRACE": "}",
    "COMMA": "a comma", "COLON": ":", "DOT": ".", "EQUAL": "=",
}  # fmt: skip
_EXPRESSION = {"NUMBER", "STRING", "NAME", "CAST", "_CASE", "VARIABLE", "LBRACE", "LSQB", "NULL", "TRUE", "FALSE"}
_OPERATORS = {"SLASH", "PERCENT", "PLUS", "COMPARE", "IN", "_AND", "_OR"}


def _explain(error: UnexpectedInput, text: str, at: int) -> str:
    if text.startswith(("--", "/*"), at):
        return "AWS IoT SQL has no comments"
    found = repr(str(error.token) if isinstance(error, UnexpectedToken) else text[at]) if text[at:] else "the end"
    parser = getattr(error, "interactive_parser", None)
    expected: set[str] = set(parser.accepts() if parser else getattr(error, "allowed", None) or ())
    words = []
    if expected >= _EXPRESSION:
        expected -= _EXPRESSION | {"STAR", "MINUS", "LPAR", "NOT", "VALUE", "_EXISTS"}
        words.append("an expression")
    if expected >= _OPERATORS:
        expected -= _OPERATORS | {"STAR", "MINUS", "DOT", "DOT_STAR", "LPAR"}
        words.append("an operator")
    words += sorted(_WORDS.get(name, name.strip("_")) for name in expected)
    return f"Unexpected {found}; expected {' or '.join(filter(None, [', '.join(words[:-1]), *words[-1:]]))}"


def _unquote(token: str) -> str:
    return token[1:-1].replace(token[0] * 2, token[0])


def _number(token: str) -> Decimal | int:
    number = integer(int(token)) if token.isdigit() and len(token) < 1000 else decimal(token)
    if number is UNDEFINED:
        raise OverflowError(token)
    result: Decimal | int = number
    return result


def _at(token: Any) -> int:
    return token.start_pos or 0 if isinstance(token, Token) else 0


@v_args(inline=True)
class _Build(Transformer[Token, Any]):
    """One method a rule of the grammar; ``None`` stands for what is left out in ``[…]``."""

    word = str

    def number(self, token: Token) -> tree.Literal:
        try:
            return tree.Literal(_number(token))
        except OverflowError:
            raise _RefusedError("A number must be within 1E-999 and 9.99E999", _at(token)) from None

    def star(self, _: Token) -> tree.Star:
        return tree.Star()

    def string(self, token: Token) -> tree.Literal:
        return tree.Literal(_unquote(token))

    def true(self, _: Token) -> tree.Literal:
        return tree.Literal(value=True)

    def false(self, _: Token) -> tree.Literal:
        return tree.Literal(value=False)

    def null(self, _: Token) -> tree.Literal:
        return tree.Literal(None)

    def variable_use(self, token: Token) -> tree.Variable:
        return tree.Variable(token[1:], _at(token))

    def field(self, token: Token) -> tree.Field:
        return tree.Field(str(token))

    def member(self, of: tree.Expression, name: str) -> tree.Member:
        return tree.Member(of, name)

    def call(self, name: Token, *arguments: tree.Expression | None) -> tree.Call:
        return tree.Call(str(name), tuple(one for one in arguments if one is not None), _at(name))

    def cast(self, cast: Token, value: tree.Expression, kind: Token) -> tree.Cast:
        return tree.Cast(value, str(kind), _at(kind) or _at(cast))

    def unary(self, operator: Token, operand: tree.Expression) -> tree.Expression:
        if operator.type == "MINUS" and isinstance(operand, tree.Literal):
            value = operand.value
            if isinstance(value, Decimal):
                return tree.Literal(value.copy_negate())
            if isinstance(value, int) and not isinstance(value, bool):
                return tree.Literal(-value)
        return tree.Unary(operator.upper(), operand)

    def binary(self, left: tree.Expression, operator: Token, right: tree.Expression) -> tree.Binary:
        return tree.Binary(str(operator), left, right)

    def either(self, left: tree.Expression, right: tree.Expression) -> tree.Binary:
        return tree.Binary("OR", left, right)

    def both(self, left: tree.Expression, right: tree.Expression) -> tree.Binary:
        return tree.Binary("AND", left, right)

    def membership(self, left: tree.Expression, _: Token, right: tree.Expression) -> tree.Binary:
        return tree.Binary("IN", left, tree.Array((right,)) if isinstance(right, tree.Literal) else right)

    def when(self, test: tree.Expression, result: tree.Expression) -> tuple[tree.Expression, tree.Expression]:
        return test, result

    def case(self, value: tree.Expression, *rest: Any) -> tree.Case:
        return tree.Case(value, rest[:-1], rest[-1])

    def array(self, *items: tree.Expression | None) -> tree.Array:
        return tree.Array(tuple(item for item in items if item is not None))

    def pair(self, name: Token, value: tree.Expression) -> tuple[str, tree.Expression]:
        return _unquote(name), value

    def object(self, *pairs: tuple[str, tree.Expression] | None) -> tree.Object:
        return tree.Object(tuple(pair for pair in pairs if pair is not None))

    def alias(self, *words: str) -> tuple[str, ...]:
        return words

    @v_args(inline=True, meta=True)
    def item(self, meta: Any, expression: tree.Expression, rest: Token | tuple[str, ...] | None = None) -> tree.Item:
        spread = isinstance(rest, Token)
        return tree.Item(expression, () if spread or rest is None else tuple(rest), spread, meta.start_pos)

    def selection(self, first: Token | tree.Item, *rest: tree.Item | tree.Expression | None) -> Any:
        if isinstance(first, Token):
            return (tree.Item(rest[0]),), True  # type: ignore[arg-type]  # the grammar gives an expression after VALUE
        return tuple(item for item in (first, *rest) if item is not None), False

    def subselect(
        self,
        selection: tuple[tuple[tree.Item, ...], bool],
        source: tree.Expression,
        alias: str | None,
        where: tree.Expression | None,
    ) -> tree.Select:
        return tree.Select(selection[0], source, where, selection[1], alias)

    def exists(self, select: tree.Select) -> tree.Exists:
        return tree.Exists(select)

    def variable(self, token: Token, value: tree.Expression) -> tuple[Token, tree.Expression]:
        if len(token) - 1 > MAX_VARIABLE_NAME:
            raise _RefusedError(f"A variable's name has at most {MAX_VARIABLE_NAME} characters", _at(token))
        return token, value

    def set(self, *variables: tuple[Token, tree.Expression]) -> tuple[tuple[str, tree.Expression], ...]:
        seen: dict[str, tree.Expression] = {}
        for token, value in variables:
            if token[1:] in seen:
                raise _RefusedError(f"{token} is assigned twice; variables are immutable", _at(token))
            if len(seen) == MAX_VARIABLES:
                raise _RefusedError(f"SET takes at most {MAX_VARIABLES} variables", _at(token))
            seen[token[1:]] = value
        return tuple(seen.items())

    def statement(
        self,
        variables: tuple[tuple[str, tree.Expression], ...] | None,
        selection: tuple[tuple[tree.Item, ...], bool],
        source: Token | None,
        where: tree.Expression | None,
    ) -> tree.Statement:
        topic_filter = None if source is None else _unquote(source)
        return tree.Statement(selection[0], topic_filter, where, selection[1], variables or (), _at(source))
