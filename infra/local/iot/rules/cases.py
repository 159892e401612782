"""One case of the tool for people who write rules: a statement, expression or template, and a message, to an answer.

Keys of a case: ``sql``, ``expr`` or ``template``; ``topic``, ``payload`` (JSON), ``payload_text`` or
``payload_base64`` (only these two keep all digits of a number); ``sql_version`` (default 2016-03-23), ``now_ms``;
``context`` with ``client_id``, ``principal``, ``trace_id``, ``source_ip``, ``account_id``, ``shadows``,
``mqtt_properties``, ``user_properties`` (each also as ``clientid`` or ``clientId``), and again ``topic`` or ``now_ms``.
A case with ``filter`` and ``topic`` asks whether the one matches the other.
"""

import base64
import itertools
import json
from collections.abc import Iterator, Mapping
from random import Random
from typing import Any

from infra.local.iot.rules.compiler import PAYLOAD, Compiler, Outcome, compile_statement
from infra.local.iot.rules.context import BASIC_INGEST, BEYOND, V1, V2, VERSIONS, Context
from infra.local.iot.rules.filters import matches_filter
from infra.local.iot.rules.parser import SqlError, parse_expression
from infra.local.iot.rules.templates import compile_template, unescape_topic
from infra.local.iot.rules.values import UNDEFINED, Value, dump, encode, load

TRACE_ID = "00000000-0000-4000-8000-000000000000"
"""What ``traceid()`` returns for an MQTT client; ``newuuid()`` counts from it and ``rand()`` has one seed, so that
answers can be compared."""


def answer(case: Mapping[str, Any]) -> dict[str, Any]:
    """Return ``{"fires": …, "result": …}``, or ``{"error": …}``; an Undefined result is absent."""
    try:
        if "filter" in case:
            return {"fires": matches_filter(case["filter"], case["topic"])}
        return _answer(case, build_context(case))
    except SqlError as error:
        return {"error": str(error), "line": error.line, "column": error.column}
    except BEYOND as error:
        return {"error": f"Given up: {error}"}
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        return {"error": f"not a case: {error!r}"}


def build_context(case: Mapping[str, Any]) -> Context:
    """Return the message that a case describes.

    Raises:
        ValueError: a value of the case has the wrong form.
    """
    given = {name.replace("_", "").lower(): one for name, one in {**case, **(case.get("context") or {})}.items()}
    topic = str(given.get("topic") or given.get("publishtopic") or "")
    if topic.startswith(BASIC_INGEST):
        topic = topic.removeprefix(BASIC_INGEST).partition("/")[2]
    client_id, version = given.get("clientid"), str(case.get("sql_version") or V2)
    if version not in VERSIONS:
        raise ValueError(f"sql_version is one of {', '.join(VERSIONS)}")
    numbers = itertools.count(1)
    return Context(
        topic=topic,
        payload=_payload(case),
        now_ms=int(given.get("nowms") or 0),
        version=version,
        client_id=client_id,
        principal=given.get("principal"),
        trace_id=given.get("traceid", None if client_id is None else TRACE_ID),
        source_ip=given.get("sourceip"),
        account_id=str(given.get("accountid", "123456789012")),
        mqtt=given.get("mqttproperties", {}),
        user_properties=tuple(_pairs(given.get("userproperties", ()))),
        shadows=_shadows(given.get("shadows", {})),
        new_uuid=lambda: f"00000000-0000-4000-8000-{next(numbers):012x}",
        random=Random(0).random,  # noqa: S311 - dice of a game
    )


def _payload(case: Mapping[str, Any]) -> bytes:
    if case.get("payload_base64") is not None:
        return base64.b64decode(case["payload_base64"])
    if case.get("payload_text") is not None:
        return encode(case["payload_text"])
    return encode(json.dumps(case["payload"])) if "payload" in case else b""


def _pairs(given: Any) -> Iterator[tuple[str, str]]:
    """Yield user properties given as pairs, as objects of one member, or as an object of values or lists of them."""
    for entry in given.items() if isinstance(given, dict) else given:
        for name, values in entry.items() if isinstance(entry, dict) else [entry]:
            yield from ((str(name), str(value)) for value in (values if isinstance(values, list) else [values]))


def _shadows(given: Mapping[str, Any]) -> dict[tuple[str, str | None], Value]:
    """Return shadow documents by (thing, name): a named one stands under ``thing:name``, or inside of its thing."""
    shadows: dict[tuple[str, str | None], Value] = {}
    for key, document in given.items():
        thing, _, name = key.replace("/", ":").partition(":")
        named = {} if "state" in document else {one: inner for one, inner in document.items() if "state" in inner}
        for one, inner in (named or {name or None: document}).items():
            shadows[(thing, one)] = load(json.dumps(inner))
    return shadows


def _answer(case: Mapping[str, Any], context: Context) -> dict[str, Any]:
    if "expr" in case:
        run = Compiler(case["expr"], context.version, ()).expression(parse_expression(case["expr"]))
        return {"fires": True, **_result(run(context, PAYLOAD), context)}
    if "template" in case:
        fill = compile_template(case["template"], context.version)
        return {"fires": True, "result": unescape_topic(fill(context))}
    query = compile_statement(case["sql"], context.version)
    ingest = str(case.get("publish_topic") or case.get("topic")).startswith(BASIC_INGEST)
    if not ingest and case.get("topic") is not None and not matches_filter(query.topic_filter or "", context.topic):
        return {"fires": False}
    return result_of(query.evaluate(context), context)


def result_of(outcome: Outcome, context: Context) -> dict[str, Any]:
    """Return an outcome as an answer."""
    if outcome.error is not None:
        return {"error": outcome.error}
    if not outcome.fires:
        return {"fires": False}
    if outcome.raw and context.root is UNDEFINED:
        return {"fires": True, "result": _bytes(outcome.payload)}
    return {"fires": True, **_result(outcome.value, context)}


def _bytes(payload: bytes) -> str:
    """Return raw bytes as an answer can hold them: text if they are UTF-8, else base64."""
    try:
        return payload.decode()
    except UnicodeDecodeError:
        return base64.b64encode(payload).decode()


def _result(value: Value, context: Context) -> dict[str, Any]:
    if value is UNDEFINED:
        return {}
    return {"result": load(dump(value, whole_as_int=context.version != V1))}


def write(answered: Mapping[str, Any]) -> str:
    """Return an answer as one line of JSON, its numbers with all their digits."""
    value = answered.get("result", UNDEFINED)
    rest = {name: value for name, value in answered.items() if name != "result"}
    line = json.dumps(rest)
    if value is not UNDEFINED:
        line = f'{line[:-1]}, "result": {dump(value, whole_as_int=False)}}}'
    return encode(line).decode()
