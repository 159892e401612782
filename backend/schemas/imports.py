"""What S3 tells of a dropped file, and the rows of a manufacturer's list of devices."""

import re
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import unquote_plus

from marshmallow import ValidationError, fields, validate, validates_schema

from backend.domain.devices import NewDevice
from backend.domain.imports import DroppedFile
from backend.domain.telemetry import instant
from backend.errors import FieldlineError, InvalidInputError, Violation
from backend.schemas.base import Document, Instant, load
from backend.schemas.devices import MAX_SECRET_LENGTH, attributes_field

ATTRIBUTE = "attribute."
"""A column of that beginning is an attribute of the device: ``attribute.site``."""
MAX_ATTRIBUTE_COLUMNS = 10
"""Half of what a device may have, so that releasing one, which brings them back, fits one transaction."""
HASH = re.compile(r"[0-9a-f]{64}\Z")


def load_dropped(record: Mapping[str, Any]) -> DroppedFile:
    """Return the file that a record of an S3 event tells of, as the S3 user guide has it ("Event message structure").

    Raises:
        FieldlineError: it tells of none.
    """
    try:
        found = record["s3"]["object"]
        return DroppedFile(
            bucket=str(record["s3"]["bucket"]["name"]),
            key=unquote_plus(found["key"]),  # the key is URL-encoded, a space as +
            etag=str(found["eTag"]),
            size_bytes=int(found.get("size", 0)),
            sequencer=str(found["sequencer"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"not an event of a dropped file: {error!r}"
        raise FieldlineError(message) from error


class DeviceRow(Document):
    """One device of a manufacturer's list."""

    thing = fields.String(required=True)
    type = fields.String(required=True)
    secret = fields.String(load_default=None, validate=validate.Length(max=MAX_SECRET_LENGTH))
    secret_hash = fields.String(
        load_default=None,
        validate=validate.Regexp(HASH, error='is not the SHA-256 of "{thing}", NUL, "{secret}" in small hex digits'),
    )
    expires_at = Instant(load_default=None)
    attributes = attributes_field(load_default=dict)

    @validates_schema
    def _one_secret(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if (data["secret"] is None) == (data["secret_hash"] is None):
            raise ValidationError({"secret": ["is missing" if data["secret"] is None else "stands beside its hash"]})


COLUMNS = frozenset(DeviceRow().fields) - {"attributes"}


def check_device_columns(columns: Sequence[str]) -> None:
    """Check what columns a list has: thing, type, secret or secret_hash, and perhaps expires_at and attributes.

    Raises:
        InvalidInputError: names each that is missing or not known.
    """
    attributes = [name for name in columns if name.startswith(ATTRIBUTE) and name != ATTRIBUTE]
    found = [
        *(Violation(field=name, problem="is missing") for name in ("thing", "type") if name not in columns),
        *(
            Violation(field=name, problem=f"is not a column of a list of devices; those are {', '.join(COLUMN_NAMES)}")
            for name in columns
            if name not in COLUMNS and name not in attributes
        ),
    ]
    if not {"secret", "secret_hash"} & set(columns):
        found.append(Violation(field="secret", problem="is missing, and so is secret_hash"))
    if len(attributes) > MAX_ATTRIBUTE_COLUMNS:
        found.append(Violation(field=ATTRIBUTE, problem=f"stands in more than {MAX_ATTRIBUTE_COLUMNS} columns"))
    if found:
        raise InvalidInputError(*found)


COLUMN_NAMES = (*sorted(COLUMNS), f"{ATTRIBUTE}NAME")


def load_device_row(cells: Mapping[str, str]) -> NewDevice:
    """Return the device of a row.

    Raises:
        InvalidInputError: names every field that is wrong.
    """
    attributes = {name.removeprefix(ATTRIBUTE): cell for name, cell in cells.items() if name.startswith(ATTRIBUTE)}
    named = {name: cell for name, cell in cells.items() if not name.startswith(ATTRIBUTE)}
    row = load(DeviceRow(), {**named, "attributes": attributes})
    return NewDevice(
        thing=row["thing"],
        type=row["type"],
        claim_secret=row["secret"],
        secret_hash=row["secret_hash"],
        secret_expires_at=None if row["expires_at"] is None else instant(row["expires_at"]),
        attributes=row["attributes"],
    )
