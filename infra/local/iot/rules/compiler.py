"""A statement's tree to closures, once at deploy. What they compute, they compute without ever raising.

Every compiled expression is a function of (context, scope): the message, and the value that names are looked up in,
which is the payload or, inside a nested SELECT, one row. ``PAYLOAD`` stands for a payload that nobody has parsed yet.
"""

from collections.abc import Callable
from dataclasses import dataclass

from infra.local.iot.rules import functions, mathematics, tree  # noqa: F401 - both enter their functions
from infra.local.iot.rules.catalog import FUNCTIONS, REFUSED, Function
from infra.local.iot.rules.context import BEYOND, V1, Context
from infra.local.iot.rules.filters import check_filter
from infra.local.iot.rules.functions import RAW
from infra.local.iot.rules.operators import CASTS, OPERATORS, add, equals, minus, negation, remainder
from infra.local.iot.rules.parser import SqlError, parse_statement
from infra.local.iot.rules.values import UNDEFINED, Value, dump, encode, to_boolean

Run = Callable[[Context, Value], Value]
PAYLOAD = object()
MAX_VARIABLE_BYTES = 128 * 1024
"""Of one variable and of all ("SET clause"); a larger one is Undefined."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a statement made of one message."""

    fires: bool
    value: Value = UNDEFINED
    payload: bytes = b""
    """The outgoing payload as actions get it."""
    raw: bool = False
    """The payload is the message's own bytes, whether or not they are JSON (``SELECT *``)."""
    error: str | None = None
    """Why the statement could not be carried through with this message."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """A compiled statement."""

    sql: str
    version: str
    tree: tree.Statement
    topic_filter: str | None
    _set: tuple[tuple[str, Run], ...]
    _where: Run | None
    _select: Run
    _raw: bool

    def assign(self, context: Context) -> None:
        """Compute the variables of the SET clause into the context: once per message, before all else."""
        room = MAX_VARIABLE_BYTES
        for name, run in self._set:
            value = run(context, PAYLOAD)
            size = len(encode(dump(value, whole_as_int=True)))
            room -= size
            context.variables[name] = value if room >= 0 else UNDEFINED

    def evaluate(self, context: Context) -> Outcome:
        """Return what the rule makes of the message. Never raises, whatever the payload."""
        context.rows = context.held = 0
        try:
            if self._set:
                self.assign(context)
            if self._where is not None and to_boolean(self._where(context, PAYLOAD)) is not True:
                return Outcome(fires=False)
            if self._raw:
                return Outcome(fires=True, value=context.root, payload=context.payload, raw=True)
            value = self._select(context, PAYLOAD)
            return Outcome(fires=True, value=value, payload=encode(dump(value, whole_as_int=self.version != V1)))
        except BEYOND as error:
            return Outcome(fires=False, error=f"Given up: {error}")


def compile_statement(sql: str, version: str) -> Query:
    """Return the statement, ready to run.

    Raises:
        SqlError: it cannot be parsed, its filter is none, it names an unknown or refused function, or misuses one.
    """
    statement = parse_statement(sql)
    wrong = None if statement.topic_filter is None else check_filter(statement.topic_filter)
    if wrong:
        raise SqlError(wrong, sql, statement.filter_at)
    compiler = Compiler(sql, version, variables=())
    assignments = []
    for name, expression in statement.variables:
        assignments.append((name, compiler.expression(expression)))
        compiler = Compiler(sql, version, variables=(*compiler.variables, name))
    only = statement.items[0] if len(statement.items) == 1 else None
    return Query(
        sql=sql,
        version=version,
        tree=statement,
        topic_filter=statement.topic_filter,
        _set=tuple(assignments),
        _where=None if statement.where is None else compiler.expression(statement.where),
        _select=compiler.selection(statement),
        _raw=only is not None and isinstance(only.expression, tree.Star) and not only.alias,
    )


_WITHOUT_VARIABLES = {"transform": 0, "get_thing_shadow": -1}
"""The mode and the role ARN: which argument takes no variable ("SET clause")."""


class Compiler:
    """Turns the expressions of one statement (or of its templates) into closures."""

    def __init__(
        self, sql: str, version: str, variables: tuple[str, ...], *, external: bool = True, rows: tuple[str, ...] = ()
    ) -> None:
        self.sql = sql
        self.version = version
        self.variables = variables
        self._external = external
        self._rows = rows
        """What the nested SELECTs around call their rows."""

    def _refuse(self, message: str, at: int = 0) -> SqlError:
        return SqlError(message, self.sql, at)

    def expression(self, node: tree.Expression) -> Run:
        """Return the closure of any expression."""
        return getattr(self, f"_{type(node).__name__.lower()}")(node)  # type: ignore[no-any-return]  # one a node type

    def _literal(self, node: tree.Literal) -> Run:
        value = node.value
        return lambda _, __: value

    def _star(self, _: tree.Star) -> Run:
        return lambda context, scope: context.whole if scope is PAYLOAD else scope

    def _field(self, node: tree.Field) -> Run:
        name = node.name
        if name in self._rows:
            return lambda context, _: context.named_rows[name]

        def run(context: Context, scope: Value) -> Value:
            row = context.root if scope is PAYLOAD else scope
            return row.get(name, UNDEFINED) if type(row) is dict else UNDEFINED

        return run

    def _variable(self, node: tree.Variable) -> Run:
        name = node.name
        if name not in self.variables:
            raise self._refuse(f"@{name} is not set before it is used", node.at)
        return lambda context, _: context.variables.get(name, UNDEFINED)

    def _member(self, node: tree.Member) -> Run:
        of, name = self.expression(node.of), node.name

        def run(context: Context, scope: Value) -> Value:
            value = of(context, scope)
            return value.get(name, UNDEFINED) if type(value) is dict else UNDEFINED

        return run

    def _call(self, node: tree.Call) -> Run:
        function = self._function(node)
        arguments = [self.expression(argument) for argument in node.arguments]
        call = function.call
        if function.name == "encode" and isinstance(node.arguments[0], tree.Star):
            arguments[0] = lambda _, scope: RAW if scope is PAYLOAD else scope
        if not arguments:
            return lambda context, _: call(context)
        if len(arguments) == 1:
            (only,) = arguments
            return lambda context, scope: call(context, only(context, scope))
        if len(arguments) == 2:
            first, second = arguments
            return lambda context, scope: call(context, first(context, scope), second(context, scope))
        return lambda context, scope: call(context, *[argument(context, scope) for argument in arguments])

    def _function(self, node: tree.Call) -> Function:
        name = node.name.lower()
        if name in REFUSED:
            raise self._refuse(f"{node.name}() calls another service while the rule runs; it is not emulated", node.at)
        function = FUNCTIONS.get(name)
        if function is None:
            raise self._refuse(f"Unknown function {node.name}()", node.at)
        scheme = node.arguments[1] if name in {"encode", "decode"} and len(node.arguments) > 1 else None
        if scheme not in (None, tree.Literal("base64")):
            raise self._refuse(f"{function.name}() is emulated for the scheme 'base64' only", node.at)
        least, most = function.arity
        if not least <= len(node.arguments) <= most:
            expected = str(least) if least == most else f"{least} to {most}"
            raise self._refuse(
                f"{function.name}() takes {expected} argument{'s' * (expected != '1')}, not {len(node.arguments)}",
                node.at,
            )
        if function.since_2016 and self.version == V1:
            raise self._refuse(f"{function.name}() needs SQL version 2016-03-23 or later", node.at)
        if function.external and not self._external:
            raise self._refuse(f"{function.name}() is not allowed in an error action", node.at)
        plain = node.arguments[_WITHOUT_VARIABLES[name]] if name in _WITHOUT_VARIABLES else None
        if isinstance(plain, tree.Variable):
            raise self._refuse(f"{function.name}() takes no variable here", plain.at)
        return function

    def _cast(self, node: tree.Cast) -> Run:
        value = self.expression(node.value)
        name = node.type.lower()
        to = CASTS.get(name)
        if to is None or (self.version == V1 and name in {"decimal", "bool", "boolean"}):
            raise self._refuse(f"Cannot cast to {node.type} in SQL version {self.version}", node.at)
        return lambda context, scope: to(context, value(context, scope))

    def _unary(self, node: tree.Unary) -> Run:
        operand = self.expression(node.operand)
        apply = negation if node.operator == "NOT" else minus
        return lambda context, scope: apply(operand(context, scope))

    def _binary(self, node: tree.Binary) -> Run:
        left, right = self.expression(node.left), self.expression(node.right)
        if node.operator in ("+", "%"):
            with_context = add if node.operator == "+" else remainder
            return lambda context, scope: with_context(context, left(context, scope), right(context, scope))
        apply = OPERATORS[node.operator]
        return lambda context, scope: apply(left(context, scope), right(context, scope))

    def _case(self, node: tree.Case) -> Run:
        value = self.expression(node.value)
        branches = [(self.expression(test), self.expression(result)) for test, result in node.branches]
        otherwise = self.expression(node.otherwise) if node.otherwise is not None else lambda _, __: UNDEFINED

        def run(context: Context, scope: Value) -> Value:
            given = value(context, scope)
            if given is UNDEFINED:
                return UNDEFINED
            for test, result in branches:
                if equals(given, test(context, scope)) is True:
                    return result(context, scope)
            return otherwise(context, scope)

        return run

    def _needs_2016(self, what: str) -> None:
        if self.version == V1:
            raise self._refuse(f"{what} need SQL version 2016-03-23 or later")

    def _array(self, node: tree.Array) -> Run:
        self._needs_2016("Array literals")
        items = [self.expression(item) for item in node.items]
        return lambda context, scope: [item(context, scope) for item in items]

    def _object(self, node: tree.Object) -> Run:
        self._needs_2016("Object literals")
        members = [(name, self.expression(value)) for name, value in node.members]
        return lambda context, scope: {name: value(context, scope) for name, value in members}

    def _select(self, node: tree.Select) -> Run:
        self._needs_2016("Nested SELECTs")
        alias = node.alias
        named = self._rows if alias is None else (*self._rows, alias)
        inner = Compiler(self.sql, self.version, self.variables, external=self._external, rows=named)
        source, select = self.expression(node.source), inner.selection(node)
        where = inner.expression(node.where) if node.where is not None else lambda _, __: True

        def of_row(context: Context, row: Value) -> Value:
            around = context.named_rows
            context.named_rows = around if alias is None else {**around, alias: row}
            given = select(context, row) if to_boolean(where(context, row)) is True else UNDEFINED
            context.named_rows = around
            return given

        def run(context: Context, scope: Value) -> Value:
            rows = source(context, scope)
            if type(rows) is list:
                context.look_at(len(rows))
                given = [of_row(context, row) for row in rows]
                return context.hold([value for value in given if value is not UNDEFINED])
            return of_row(context, rows) if type(rows) is dict else UNDEFINED

        return run

    def _exists(self, node: tree.Exists) -> Run:
        select = self._select(node.select)
        return lambda context, scope: select(context, scope) not in ([], UNDEFINED)

    def selection(self, select: tree.Select | tree.Statement) -> Run:
        """Return the closure of a SELECT's items: to one object, or to the value after VALUE; ``*`` alone is all."""
        if select.value or select.items == (tree.Item(tree.Star()),):
            return self.expression(select.items[0].expression)
        steps = [self._item(item) for item in select.items]

        def run(context: Context, scope: Value) -> Value:
            result: dict[str, Value] = {}
            for path, compute in steps:
                value = compute(context, scope)
                if len(path) == 1:
                    result[path[0]] = value
                elif path:
                    _place(result, path, value)
                elif type(value) is dict:
                    result.update(value)
            return result

        return run

    def _item(self, item: tree.Item) -> tuple[tuple[str, ...], Run]:
        """Return where an item's value goes: its alias, its own name, or () where an object's members are taken in."""
        run = self.expression(item.expression)
        if isinstance(item.expression, tree.Star) and not (item.alias or item.spread):
            return (), lambda context, scope: context.members if scope is PAYLOAD else scope
        if item.spread:
            return (), run
        return item.alias or (self._name(item),), run

    def _name(self, item: tree.Item) -> str:
        """Return the key of an item without AS: a path's last segment, a function's name as written."""
        node = item.expression
        if isinstance(node, tree.Field | tree.Member | tree.Variable | tree.Call):
            return node.name
        if isinstance(node, tree.Cast):
            return "cast"
        raise self._refuse("This item needs AS: what AWS IoT would name it is not documented", item.at)


def _place(result: dict[str, Value], path: tuple[str, ...], value: Value) -> None:
    """Put a value where a dotted alias says, beside what is there; nothing for Undefined."""
    if value is UNDEFINED:
        return
    for name in path[:-1]:
        inner = result.get(name)
        result[name] = dict(inner) if type(inner) is dict else {}
        result = result[name]
    result[path[-1]] = value
