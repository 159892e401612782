"""Functions of strings, collections, time and the message ("Functions"); those of numbers are in ``mathematics``."""

import base64
import binascii
import hashlib

from infra.local.iot.rules import times
from infra.local.iot.rules.catalog import ANY, function, of_text
from infra.local.iot.rules.context import Context
from infra.local.iot.rules.digests import md2
from infra.local.iot.rules.patterns import MAX_TEXT, first_match, matches, replace_all
from infra.local.iot.rules.values import UNDEFINED, Value, dump, encode, load, to_int

MAX_PADDING = 1000
MAX_TRANSFORM_BYTES = 128 * 1024
MAX_INDEX = 10**9
"""Beyond any string: a message has at most 128 KB."""


# Strings. "Standard conversion rules apply to non-String arguments": Null and Undefined have no string.


_SPACE = "".join(map(chr, range(33)))
"""What Java's ``trim`` removes."""


def _replace(text: str, old: str, new: str) -> Value:
    longer = text.count(old) * (len(new) - len(old))
    return text.replace(old, new) if len(text) + longer <= MAX_TEXT else UNDEFINED


of_text("endswith", str.endswith, 2)
of_text("indexof", str.find, 2, anchor="iot-sql-function-indexof", since_2016=True)
of_text("length", len, anchor="iot-sql-function-length", since_2016=True)
of_text("lower", str.lower)
of_text("ltrim", lambda text: text.lstrip(" \t"))
of_text("numbytes", lambda text: len(encode(text)), anchor="iot-sql-function-numbytes", since_2016=True)
of_text("regexp_matches", matches, 2, anchor="iot-func-regex-matches")
of_text("regexp_replace", replace_all, 3, anchor="iot-func-regex-replace")
of_text("regexp_substr", first_match, 2, anchor="iot-func-regex-substr")
of_text("replace", _replace, 3)
of_text("rtrim", lambda text: text.rstrip(" \t"))
of_text("startswith", str.startswith, 2)
of_text("trim", lambda text: text.strip(_SPACE))
of_text("upper", str.upper, anchor="iot-sql-function-upper")
of_text("md2", lambda text: md2(encode(text)).hex(), anchor="iot-sql-function-hash")
for _name in ("md5", "sha1", "sha224", "sha256", "sha384", "sha512"):
    of_text(_name, lambda text, name=_name: hashlib.new(name, encode(text)).hexdigest(), anchor="iot-sql-function-hash")


@function("chr", 1)
def _chr(_: Context, value: Value) -> Value:
    code = to_int(value)
    return chr(code) if code is not UNDEFINED and 0 <= code < 128 else UNDEFINED


@function("concat", 0, ANY)
def _concat(context: Context, *values: Value) -> Value:
    if len(values) < 2:
        return values[0] if values else UNDEFINED
    if any(type(value) is list for value in values):
        return [item for value in values for item in (value if type(value) is list else [value])]
    texts = [context.text(value) for value in values]
    return UNDEFINED if UNDEFINED in texts or all(type(value) is not str for value in values) else "".join(texts)


def _padded(name: str, *, left: bool) -> None:
    def apply(context: Context, value: Value, count: Value) -> Value:
        text, number = context.text(value), to_int(count)
        if UNDEFINED in (text, number):
            return UNDEFINED
        spaces = " " * min(max(number, 0), MAX_PADDING)
        return spaces + text if left else text + spaces

    function(name, 2)(apply)


_padded("lpad", left=True)
_padded("rpad", left=False)


@function("substring", 2, 3)
def _substring(context: Context, value: Value, start: Value, end: Value = MAX_INDEX) -> Value:
    text, first, last = context.text(value), to_int(start), to_int(end)
    return UNDEFINED if UNDEFINED in (text, first, last) else text[max(first, 0) : max(last, 0)]


@function("encode", 2, anchor="iot-sql-encode-payload", since_2016=True)
def _encode(context: Context, value: Value, _scheme: Value) -> Value:
    if value is not RAW:
        text = context.text(value)
        return text if text is UNDEFINED else base64.b64encode(encode(text)).decode()
    return base64.b64encode(context.payload).decode()


RAW = object()
"""What stands for ``*`` as the first argument of ``encode``: the payload as bytes, whatever it holds."""


@function("decode", 2, anchor="iot-sql-decode-base64", since_2016=True)
def _decode(context: Context, value: Value, _scheme: Value) -> Value:
    text = context.text(value)
    if text is UNDEFINED:
        return UNDEFINED
    try:
        padding = "=" * (-len(text) % 4)  # Java's decoder does not ask for it
        decoded = base64.b64decode(encode(text + padding), validate=True).decode()
    except (binascii.Error, ValueError):
        return None
    try:
        return load(decoded)
    except ValueError:
        return decoded


# Types and collections.


@function("isNull", 1, anchor="iot-sql-function-isNull")
def _is_null(_: Context, value: Value) -> Value:
    return value is None


@function("isUndefined", 1, anchor="iot-sql-function-isUndefined", since_2016=True)
def _is_undefined(_: Context, value: Value) -> Value:
    return value is UNDEFINED


@function("get", 2, anchor="iot-sql-function-get")
def _get(_: Context, collection: Value, key: Value) -> Value:
    if type(collection) is dict:
        return collection.get(key, UNDEFINED) if type(key) is str else UNDEFINED
    if type(collection) is list or type(collection) is str:
        index = to_int(key)
        return collection[index] if index is not UNDEFINED and 0 <= index < len(collection) else UNDEFINED
    return UNDEFINED


@function("get_or_default", 1, 2, anchor="iot-sql-function-get-or-default")
def _get_or_default(_: Context, value: Value, default: Value = UNDEFINED) -> Value:
    return default if value is UNDEFINED or value is None else value


@function("transform", 3, since_2016=True)
def _transform(_: Context, mode: Value, attributes: Value, rows: Value) -> Value:
    if mode != "enrichArray" or type(attributes) is not dict or type(rows) is not list:
        return UNDEFINED
    if any(type(row) is not dict for row in rows):
        return UNDEFINED
    if len(rows) * len(dump(attributes, whole_as_int=True)) > MAX_TRANSFORM_BYTES:
        return UNDEFINED
    enriched = [{**row, **attributes} for row in rows]
    return enriched if len(encode(dump(enriched, whole_as_int=True))) <= MAX_TRANSFORM_BYTES else UNDEFINED


# Time.


@function("timestamp", 0, anchor="iot-function-timestamp")
def _timestamp(context: Context) -> Value:
    return context.now_ms


@function("parse_time", 2, 3, anchor="iot-sql-function-parse-time", since_2016=True)
def _parse_time(context: Context, pattern: Value, time: Value, zone: Value = "UTC") -> Value:
    text, instant, name = context.text(pattern), to_int(time), context.text(zone)
    return UNDEFINED if UNDEFINED in (text, instant, name) else times.format_joda(text, instant, name)


of_text("time_to_epoch", times.parse_jdk, 2, anchor="iot-sql-function-time-to-epoch", since_2016=True)


# The message and who sent it.


@function("accountid", 0, anchor="iot-sql-function-accountid")
def _account(context: Context) -> Value:
    return context.account_id


@function("clientid", 0, anchor="iot-sql-function-clientid")
def _client(context: Context) -> Value:
    return "n/a" if context.client_id is None else context.client_id


@function("principal", 0, anchor="iot-sql-function-principal")
def _principal(context: Context) -> Value:
    return UNDEFINED if context.principal is None else context.principal


@function("sourceip", 0, anchor="iot-sql-function-sourceip")
def _source_ip(context: Context) -> Value:
    return UNDEFINED if context.source_ip is None else context.source_ip


@function("traceid", 0, anchor="iot-sql-function-traceid")
def _trace(context: Context) -> Value:
    return UNDEFINED if context.trace_id is None else context.trace_id


@function("sql_version", 0, anchor="iot-sql-function-sql-version")
def _version(context: Context) -> Value:
    return context.version


@function("newuuid", 0, anchor="iot-sql-function-newuuid")
def _uuid(context: Context) -> Value:
    return context.new_uuid()


@function("topic", 0, 1, anchor="iot-function-topic")
def _topic(context: Context, *segment: Value) -> Value:
    if not segment:
        return context.topic
    segments, index = context.topic.split("/"), to_int(segment[0])
    return segments[index - 1] if index is not UNDEFINED and 1 <= index <= len(segments) else UNDEFINED


@function("get_mqtt_property", 1, anchor="iot-sql-function-get-mqtt-property")
def _mqtt_property(context: Context, name: Value) -> Value:
    if name == "format_indicator":
        return context.mqtt.get(name, "UNSPECIFIED_BYTES")
    return context.mqtt.get(name, UNDEFINED) if type(name) is str else UNDEFINED


@function("get_user_properties", 0, 1, anchor="iot-sql-function-get-user-properties")
def _user_properties(context: Context, *name: Value) -> Value:
    if not name:
        return [{key: value} for key, value in context.user_properties]
    return [value for key, value in context.user_properties if key == name[0]] or UNDEFINED


@function("get_thing_shadow", 2, 3, anchor="iot-sql-function-get-thing-shadow", since_2016=True, external=True)
def _thing_shadow(context: Context, thing: Value, *rest: Value) -> Value:
    names = (thing, *rest)
    if any(type(name) is not str for name in names):
        return UNDEFINED
    key = (thing, rest[0] if len(rest) == 2 else None)
    if key not in context.shadows:
        context.wanted[key] = rest[-1]
        return UNDEFINED
    return context.shadows[key]
