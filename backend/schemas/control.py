"""Commands, shadows and items as phones and devices write them."""

import json
from collections.abc import Mapping
from typing import Any

from marshmallow import fields, validate

from backend.domain.commands import ANSWERS, DEFAULT_LIFETIME, MAX_LIFETIME, MAX_RESULT_BYTES, CommandAnswer, State
from backend.domain.telemetry import Delivery
from backend.errors import invalid
from backend.schemas.base import Document, load, load_json
from backend.schemas.paging import PageQuery

MAX_FIELDS = 64


class OrderDocument(Document):
    """What to ask of a device."""

    command = fields.String(required=True, validate=validate.Length(1, 64))
    parameters = fields.Dict(keys=fields.String(), load_default=dict, validate=validate.Length(max=MAX_FIELDS))
    expires_in_s = fields.Integer(
        strict=True,
        load_default=int(DEFAULT_LIFETIME.total_seconds()),
        validate=validate.Range(1, int(MAX_LIFETIME.total_seconds())),
        metadata={"description": "Held for an offline device no longer than this."},
    )


class CommandDocument(Document):
    """A command and how far it has come."""

    id = fields.String()
    thing = fields.String()
    command = fields.String(attribute="name")
    parameters = fields.Dict(keys=fields.String())
    state = fields.Enum(State, by_value=True)
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()
    updated_at = fields.AwareDateTime(allow_none=True)
    result = fields.Raw(allow_none=True)
    reason = fields.String()


class CommandsPage(Document):
    """Commands, newest first."""

    items = fields.List(fields.Nested(CommandDocument))
    next_cursor = fields.String(allow_none=True)


class OutcomeDocument(Document):
    """What became of a command to one device of many."""

    thing = fields.String()
    command = fields.Nested(CommandDocument, allow_none=True)
    error = fields.Dict(keys=fields.String(), values=fields.String(), allow_none=True)


class OutcomesDocument(Document):
    """What became of a command to all devices in a room."""

    items = fields.List(fields.Nested(OutcomeDocument))


class AnswerDocument(Document):
    """What a device says on ``cmd/{stage}/{thing}/{command}/res``."""

    id = fields.String(required=True, validate=validate.Length(1, 64))
    state = fields.String(required=True, validate=validate.OneOf(sorted(ANSWERS)))
    result = fields.Raw(load_default=None, allow_none=True)
    reason = fields.String(load_default="", validate=validate.Length(max=256))


class ShadowDocument(Document):
    """What is wanted of a device, and what it reports."""

    thing = fields.String()
    desired = fields.Dict(keys=fields.String())
    reported = fields.Dict(keys=fields.String())
    delta = fields.Dict(keys=fields.String(), metadata={"description": "What is desired and not reported yet."})
    version = fields.Integer()


class DesiredDocument(Document):
    """What to want of a device; null takes a wish back."""

    desired = fields.Dict(keys=fields.String(), required=True, validate=validate.Length(1, MAX_FIELDS))


class SettingsDocument(Document):
    """Settings of a device, as its type describes them; null takes one back."""

    settings = fields.Dict(keys=fields.String(), required=True, validate=validate.Length(1, MAX_FIELDS))


class ItemBody(Document):
    """What an item is from now on."""

    body = fields.Dict(keys=fields.String(), required=True)


class ItemDocument(Document):
    """One item."""

    id = fields.String()
    body = fields.Dict(keys=fields.String())
    version = fields.Integer()
    updated_at = fields.AwareDateTime()
    deleted = fields.Boolean()


class ItemsQuery(PageQuery):
    """Which items: all, or what changed."""

    since = fields.Integer(
        validate=validate.Range(0, 2**53),
        metadata={"description": "Only what changed since `next_since` of an earlier answer, deletions included."},
    )


class ItemsPage(Document):
    """Items, ordered by id; or changes, in order."""

    items = fields.List(fields.Nested(ItemDocument))
    next_cursor = fields.String(allow_none=True)
    next_since = fields.Integer(
        allow_none=True,
        metadata={"description": "With `since`: ask from here next time. More may be there until a page is empty."},
    )


class EnvelopeDocument(Document):
    """The envelope of the original mobile-backend contract."""

    operation = fields.Raw(required=True, allow_none=True)
    tableName = fields.String(validate=validate.Length(1, 64))  # noqa: N815 - the contract's name
    payload = fields.Raw(allow_none=True)


class EnvelopeAnswer(Document):
    """What the operation gave."""

    result = fields.Raw(allow_none=True)


def load_answer(delivery: Delivery) -> CommandAnswer:
    """Return what a device said about a command.

    Raises:
        InvalidInputError: it is no answer; names every field that is wrong.
    """
    document = load(AnswerDocument(), load_json(delivery.body))
    if len(json.dumps(document["result"])) > MAX_RESULT_BYTES:
        raise invalid("result", f"is more than {MAX_RESULT_BYTES} bytes")
    return CommandAnswer(
        thing=delivery.thing,
        id=document["id"],
        state=State(document["state"]),
        at=delivery.received_at,
        result=document["result"],
        reason=document["reason"],
    )


def dump_shadow(thing: str, shadow: Mapping[str, Any]) -> dict[str, Any]:
    """Return a shadow as phones read it."""
    state = shadow.get("state", {})
    return {
        "thing": thing,
        "desired": state.get("desired", {}),
        "reported": state.get("reported", {}),
        "delta": state.get("delta", {}),
        "version": shadow.get("version", 0),
    }
