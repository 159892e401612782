"""Devices as phones and operators see them."""

import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from marshmallow import fields, post_load, validate

from backend.domain.access import Role
from backend.domain.devices import THING_NAME, Device, NewDevice
from backend.domain.firmware import MAX_LENGTH as MAX_FIRMWARE_LENGTH
from backend.domain.presence import Status
from backend.domain.search import Wanted
from backend.schemas.base import Document
from backend.schemas.paging import PageQuery

MAX_SECRET_LENGTH = 128
MAX_NAME_LENGTH = 128
MAX_ATTRIBUTES = 20
MAX_ATTRIBUTE_LENGTH = 256
ATTRIBUTE_NAME = re.compile(r"[^=]{1,64}\Z")
"""A search says ``name=value``."""
MAX_REGISTERED_AT_ONCE = 100


def thing_field(**options: Any) -> fields.String:
    """Return a field for the name of a device."""
    return fields.String(validate=validate.Regexp(THING_NAME, error="is not the name of a device"), **options)


def name_field(**options: Any) -> fields.String:
    """Return a field for what people call something."""
    return fields.String(validate=validate.Length(0, MAX_NAME_LENGTH), **options)


def attributes_field(**options: Any) -> fields.Dict:
    """Return a field for what people and manufacturers note about a device."""
    return fields.Dict(
        keys=fields.String(validate=validate.Regexp(ATTRIBUTE_NAME, error="is not the name of an attribute")),
        values=fields.String(validate=validate.Length(0, MAX_ATTRIBUTE_LENGTH)),
        validate=validate.Length(max=MAX_ATTRIBUTES),
        **options,
    )


class ClaimDocument(Document):
    """What the label on a device says."""

    thing = thing_field(required=True)
    secret = fields.String(required=True, validate=validate.Length(1, MAX_SECRET_LENGTH))


class DeviceDocument(Document):
    """A device of the caller's."""

    thing = fields.String()
    type = fields.String()
    name = fields.String()
    attributes = fields.Dict(keys=fields.String(), values=fields.String())
    role = fields.Enum(Role, by_value=True, metadata={"description": "What the caller is to it."})
    claimed_at = fields.AwareDateTime(allow_none=True)
    room = fields.String(allow_none=True)
    revoked = fields.Boolean()
    firmware = fields.String(metadata={"description": "What it reported last to run; empty while unknown."})
    status = fields.Enum(Status, by_value=True)
    last_seen_at = fields.AwareDateTime(allow_none=True)
    version = fields.Integer()


def dump_device(device: Device, role: Role, status: Status, last_seen_at: datetime | None) -> dict[str, Any]:
    """Return a device as phones read it."""
    names = ("thing", "type", "name", "attributes", "claimed_at", "room", "revoked", "firmware", "version")
    shown = {name: getattr(device, name) for name in names}
    return {**shown, "role": role, "status": status, "last_seen_at": last_seen_at}


class DeviceChanges(Document):
    """What to change about a device; what is left out stays."""

    name = name_field(load_default=None)
    attributes = attributes_field(load_default=None)


class FleetQuery(PageQuery):
    """Which devices. A page may be shorter than asked for, or empty, and have a next one."""

    type = fields.String(validate=validate.Length(1, 64))
    status = fields.Enum(Status, by_value=True)
    attribute = fields.String(
        validate=validate.Regexp(r"[^=]{1,64}=.{0,256}\Z", error="is not name=value"),
        metadata={"description": "`name=value`"},
    )
    firmware = fields.String(
        validate=validate.Length(1, MAX_FIRMWARE_LENGTH), metadata={"description": "What they reported to run."}
    )


class DevicesQuery(FleetQuery):
    """Which of my devices. A page may be shorter than asked for, or empty, and have a next one."""

    name = fields.String(
        validate=validate.Length(1, MAX_NAME_LENGTH),
        metadata={"description": "How their names begin, in capitals or not."},
    )


def load_wanted(query: Mapping[str, Any]) -> Wanted:
    """Return what is asked for by a query of devices."""
    name, _, value = query.get("attribute", "").partition("=")
    asked = {field: query.get(field) for field in ("type", "status", "firmware", "name")}
    return Wanted(attribute=(name, value) if name else None, **asked)


class DevicesPage(Document):
    """Devices of the caller's, ordered by thing."""

    items = fields.List(fields.Nested(DeviceDocument))
    next_cursor = fields.String(allow_none=True)


class NewDeviceDocument(Document):
    """A device to be registered."""

    thing = fields.String(required=True)
    type = fields.String(required=True)
    claim_secret = fields.String(load_default=None, validate=validate.Length(1, MAX_SECRET_LENGTH))
    secret_lifetime_s = fields.Integer(load_default=None, validate=validate.Range(1))

    @post_load
    def _build(self, data: Mapping[str, Any], **_kwargs: Any) -> NewDevice:
        lifetime_s = data["secret_lifetime_s"]
        return NewDevice(
            thing=data["thing"],
            type=data["type"],
            claim_secret=data["claim_secret"],
            secret_lifetime=timedelta(seconds=lifetime_s) if lifetime_s else None,
        )


class RegisteredDocument(Document):
    """A registered device and its secret, told this once and never again."""

    thing = fields.String()
    type = fields.String()
    claim_secret = fields.String()
    qr = fields.String(metadata={"description": "What to print on its label."})


class RegistrationDocument(Document):
    """What operators send to the registry function."""

    operation = fields.String(required=True, validate=validate.Equal("register"))
    devices = fields.List(
        fields.Nested(NewDeviceDocument), required=True, validate=validate.Length(1, MAX_REGISTERED_AT_ONCE)
    )


class ConfiguringDocument(Document):
    """What operators send to the registry function to change the configuration."""

    operation = fields.String(required=True, validate=validate.Equal("configure"))
    version = fields.Integer(strict=True, required=True, validate=validate.Range(1))
    settings = fields.Dict(keys=fields.String(), required=True)
