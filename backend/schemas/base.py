"""What all documents share: strictness, and errors that name fields as the caller wrote them."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields

from backend.domain.telemetry import MAX_T0_MS, epoch_ms
from backend.errors import InvalidInputError, Violation, invalid

SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class Document(Schema):
    """A document in which an unknown field is an error, because it is a typing error or a misunderstanding."""

    class Meta:
        unknown = RAISE

    error_messages: dict[str, str] = {  # noqa: RUF012 - marshmallow's way
        "unknown": "is not a field of this document",
        "type": "is not an object",
    }


class Instant(fields.Field[int]):
    """An instant: ISO 8601 with a zone, or epoch milliseconds. Loads as epoch milliseconds."""

    default_error_messages = {  # noqa: RUF012 - marshmallow's way
        "invalid": "is not an instant: ISO 8601 with a zone, or epoch milliseconds"
    }

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> int:
        del attr, data, kwargs
        text = str(value)
        if text.isascii() and text.isdigit():
            at_ms = int(text[:20])
        else:
            try:
                at = datetime.fromisoformat(text)
                at_ms = epoch_ms(at)
            except (ValueError, TypeError, OverflowError):
                raise self.make_error("invalid") from None
        if not 0 <= at_ms <= MAX_T0_MS:
            raise self.make_error("invalid")
        return at_ms


def strict_boolean(**options: Any) -> fields.Boolean:
    """Return a field for true and false; marshmallow's own also takes "yes", 1 and their like."""
    return fields.Boolean(truthy={True}, falsy={False}, **options)


def load_json(text: str | bytes, *, constants: bool = False) -> Any:
    """Return a JSON document that can be told again; stricter than Python's own reader.

    That takes NaN, Infinity, ``1e999`` for infinity, a field twice, and the escape of half a surrogate pair, which no
    UTF-8 holds. (RFC 7493, "The I-JSON Message Format", section 2.)

    Args:
        text: the document.
        constants: let numbers pass that are not finite, for a schema that refuses them by the name of their field.

    Raises:
        InvalidInputError: it is not JSON.
    """
    number, constant = (None, None) if constants else (_finite, _no_constant)
    try:
        told = text if isinstance(text, str) else text.decode("utf-8-sig")
        document = json.loads(told, parse_float=number, parse_constant=constant, object_pairs_hook=_no_duplicates)
    except RecursionError:
        raise invalid("body", "is nested too deeply") from None
    except ValueError as error:
        raise invalid("body", f"is not JSON: {error}") from None
    if SURROGATE.search(told) and not _is_text(document):
        raise invalid("body", "holds half of a surrogate pair")
    return document


def load(schema: Schema, document: Any) -> Any:
    """Return what a schema makes of a document.

    Raises:
        InvalidInputError: names every field that is wrong.
    """
    try:
        return schema.load(document)
    except ValidationError as error:
        raise InvalidInputError(*_violations("", error.messages)) from None


def _violations(path: str, messages: Any) -> Iterator[Violation]:
    if isinstance(messages, Mapping):
        for key, inner in messages.items():
            if key == "_schema":
                yield from _violations(path, inner)
            else:
                step = f"[{key}]" if isinstance(key, int) else (f".{key}" if path else str(key))
                yield from _violations(path + step, inner)
    elif isinstance(messages, list):
        for message in messages:
            yield from _violations(path, message)
    else:
        yield Violation(field=path or "body", problem=str(messages))


def _is_text(document: Any) -> bool:
    try:
        json.dumps(document, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        message = f"{text[:32]} is too large a number"
        raise ValueError(message)
    return number


def _no_constant(name: str) -> Any:
    message = f"{name} is not a JSON number"
    raise ValueError(message)


def _no_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    document = dict(pairs)
    if len(document) != len(pairs):
        raise ValueError("a field stands twice in one object")
    return document
