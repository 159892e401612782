"""Substitution templates, ``${expression}`` ("Substitution templates"): compiled at deploy, filled per message."""

from collections.abc import Callable
from typing import Any

from infra.local.iot.rules.compiler import PAYLOAD, Compiler
from infra.local.iot.rules.context import Context
from infra.local.iot.rules.parser import SqlError, parse_expression
from infra.local.iot.rules.values import UNDEFINED

Fill = Callable[[Context], str]


def compile_template(template: str, version: str, variables: tuple[str, ...] = (), *, external: bool = True) -> Fill:
    """Return what fills the template.

    Expressions see the original payload, functions and the variables of SET, never an alias of the SELECT. Undefined
    and Null leave nothing. ``external``: whether functions that reach outside are allowed (not in an error action).

    Raises:
        SqlError: an expression in it is not AWS IoT SQL.
    """
    pieces: list[Fill] = []
    at = 0
    while (start := template.find("${", at)) >= 0:
        end = _end(template, start + 2)
        pieces.append(_constant(template[at:start]))
        pieces.append(_expression(template, start + 2, end, Compiler(template, version, variables, external=external)))
        at = end + 1
    if not pieces:
        return _constant(template)
    pieces.append(_constant(template[at:]))
    return lambda context: "".join([piece(context) for piece in pieces])


def compile_templates(value: Any, compile_text: Callable[[str], Fill]) -> Callable[[Context], Any]:
    """Return what fills every template inside a document."""
    if isinstance(value, str):
        return compile_text(value)
    if isinstance(value, dict):
        members = {name: compile_templates(member, compile_text) for name, member in value.items()}
        return lambda context: {name: member(context) for name, member in members.items()}
    if isinstance(value, list):
        items = [compile_templates(item, compile_text) for item in value]
        return lambda context: [item(context) for item in items]
    return lambda _: value


def _constant(text: str) -> Fill:
    return lambda _: text


def _expression(template: str, start: int, end: int, compiler: Compiler) -> Fill:
    try:
        run = compiler.expression(parse_expression(template[start:end]))
    except SqlError as error:
        raise SqlError(error.message, template, min(start + error.at, end)) from None

    def fill(context: Context) -> str:
        text = context.text(run(context, PAYLOAD))
        return "" if text is UNDEFINED else str(text)

    return fill


def _end(template: str, start: int) -> int:
    """Return where the expression's closing brace is: braces inside nest, strings are skipped."""
    depth, quote = 0, ""
    for at in range(start, len(template)):
        letter = template[at]
        if quote:
            quote = "" if letter == quote else quote
        elif letter in "'\"":
            quote = letter
        elif letter == "}" and depth == 0:
            return at
        else:
            depth += (letter == "{") - (letter == "}")
    raise SqlError("Unexpected the end; expected }", template, len(template))


def unescape_topic(topic: str) -> str:
    """Return a republish topic: ``$$`` at its beginning stands for a reserved topic's ``$`` ("Republish")."""
    return topic[1:] if topic.startswith("$$") else topic
