"""Buckets as devices send them, readings as phones read them."""

import base64
import binascii
import math
from collections.abc import Mapping
from typing import Any

from marshmallow import ValidationError, fields, post_load, validate, validates_schema

from backend.domain.telemetry import (
    MAX_BODY_BYTES,
    MAX_READINGS,
    MAX_SEQ,
    MAX_SPAN_MS,
    MAX_T0_MS,
    Bucket,
    Delivery,
    Quarantined,
)
from backend.errors import FieldlineError, invalid
from backend.schemas.base import Document, Instant, load, load_json
from backend.schemas.paging import PageQuery

MAX_METRICS = 64
MAX_NAME_LENGTH = 64
MAX_SAFE_INTEGER = 2**53 - 1
"""The largest whole number that every JSON reader holds exactly. (RFC 8259, 6.)"""


class Offsets(fields.Field[tuple[int, ...]]):
    """Milliseconds after t0, non-decreasing; one a reading."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        del attr, data, kwargs
        if not isinstance(value, list) or not value:
            raise ValidationError("is not a list of at least one offset")
        if len(value) > MAX_READINGS:
            raise ValidationError(f"has {len(value)} readings; at most {MAX_READINGS} are allowed")
        previous = 0
        for index, offset in enumerate(value):
            if type(offset) is not int:
                raise ValidationError({index: ["is not a whole number of milliseconds"]})
            if offset < previous:
                raise ValidationError({index: ["is before the offset in front of it"]})
            previous = offset
        if value[-1] > MAX_SPAN_MS:
            raise ValidationError(f"spans {value[-1]} ms; at most {MAX_SPAN_MS} (one hour) are allowed")
        return tuple(value)


class Columns(fields.Field[dict[str, tuple[float | None, ...]]]):
    """Values by metric; null where a reading has none."""

    def _deserialize(self, value: Any, attr: str | None, data: Mapping[str, Any] | None, **kwargs: Any) -> Any:
        del attr, data, kwargs
        if not isinstance(value, dict) or not value:
            raise ValidationError("is not an object of at least one metric")
        if len(value) > MAX_METRICS:
            raise ValidationError(f"has {len(value)} metrics; at most {MAX_METRICS} are allowed")
        return {name: _column(name, column) for name, column in value.items()}


class BucketDocument(Document):
    """Version 1 of what stands on ``dt/{stage}/{thing}/telemetry``."""

    v = fields.Integer(strict=True, required=True, validate=validate.Equal(1, error="unknown version; 1 is known"))
    boot = fields.String(required=True, validate=validate.Regexp(r"[0-9A-Za-z]{1,32}\Z", error="is not a boot id"))
    seq = fields.Integer(strict=True, required=True, validate=validate.Range(0, MAX_SEQ))
    t0 = fields.Integer(
        strict=True, required=True, validate=validate.Range(0, MAX_T0_MS, error="implausible time: {input}")
    )
    dt = Offsets(required=True)
    m = Columns(required=True)

    @validates_schema
    def _columns_are_as_long_as_dt(self, data: Mapping[str, Any], **_kwargs: Any) -> None:
        wanted = len(data["dt"])
        uneven = {
            name: [f"has {len(column)} values for {wanted} readings"]
            for name, column in data["m"].items()
            if len(column) != wanted
        }
        if uneven:
            raise ValidationError({"m": uneven})

    @post_load
    def _build(self, data: Mapping[str, Any], **_kwargs: Any) -> Bucket:
        return Bucket(boot=data["boot"], seq=data["seq"], t0_ms=data["t0"], offsets_ms=data["dt"], metrics=data["m"])


_BUCKET = BucketDocument()


def load_bucket(body: bytes) -> Bucket:
    """Return the bucket a device sent.

    Raises:
        InvalidInputError: it is none; names every field that is wrong.
    """
    if len(body) > MAX_BODY_BYTES:
        raise invalid("body", f"is {len(body)} bytes; at most {MAX_BODY_BYTES} are allowed")
    bucket: Bucket = load(_BUCKET, load_json(body, constants=True))
    return bucket


def load_delivery(event: Mapping[str, Any]) -> Delivery:
    """Return what the topic rule handed over.

    Raises:
        FieldlineError: the event does not come from the rule in the template: a mistake in the deployment, not of a
            device, so that it goes to the dead letters and not to quarantine.
    """
    try:
        return Delivery(
            thing=str(event["thing"]),
            principal=str(event["principal"]),
            received_ms=int(event["received_ms"]),
            body=base64.b64decode(event["body"], validate=True),
        )
    except (KeyError, TypeError, ValueError, binascii.Error) as error:
        message = f"not an event of the telemetry rule: {error!r}"
        raise FieldlineError(message) from error


class ReadingDocument(Document):
    """One reading."""

    at_ms = fields.Integer(metadata={"description": "Epoch milliseconds on the device's clock."})
    metrics = fields.Dict(keys=fields.String(), values=fields.Float(), metadata={"description": "Values by metric."})


class LatestDocument(Document):
    """The newest reading of a device."""

    thing = fields.String()
    reading = fields.Nested(ReadingDocument, allow_none=True)


class ReadingsPage(Document):
    """Readings in order of time."""

    items = fields.List(fields.Nested(ReadingDocument))
    next_cursor = fields.String(allow_none=True)


class ReadingsQuery(PageQuery):
    """Which readings."""

    from_ = Instant(data_key="from", metadata={"description": "From this instant; a day ago if left out."})
    to = Instant(metadata={"description": "Up to, not including, this instant; now if left out."})
    metric = fields.String(validate=validate.Length(1, MAX_NAME_LENGTH))


class ViolationDocument(Document):
    """One thing wrong with one field."""

    field = fields.String()
    problem = fields.String()


class QuarantinedDocument(Document):
    """A document that did not fit."""

    document = fields.String()
    received_ms = fields.Integer()
    violations = fields.List(fields.Nested(ViolationDocument))
    body_base64 = fields.String(metadata={"description": "As sent, byte for byte."})


class QuarantinePage(Document):
    """Documents that did not fit, newest first."""

    items = fields.List(fields.Nested(QuarantinedDocument))
    next_cursor = fields.String(allow_none=True)


def _column(name: str, column: Any) -> tuple[float | None, ...]:
    if len(name) > MAX_NAME_LENGTH:
        raise ValidationError({name[:MAX_NAME_LENGTH]: ["is too long for the name of a metric"]})
    if not isinstance(column, list):
        raise ValidationError({name: ["is not a list"]})
    for index, value in enumerate(column):
        if value is None or (type(value) is int and -MAX_SAFE_INTEGER <= value <= MAX_SAFE_INTEGER):
            continue
        if type(value) is not float:
            raise ValidationError({name: {index: ["is not a number"]}})
        if not math.isfinite(value):
            raise ValidationError({name: {index: ["is not a finite number"]}})
    return tuple(column)


def dump_quarantined(quarantined: Quarantined) -> dict[str, Any]:
    """Return a quarantined document as its owner reads it."""
    return {
        "document": quarantined.document,
        "received_ms": quarantined.received_ms,
        "violations": [{"field": field, "problem": problem} for field, problem in quarantined.violations],
        "body_base64": base64.b64encode(quarantined.body).decode(),
    }
