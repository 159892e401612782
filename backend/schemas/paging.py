"""How every list is asked for."""

from marshmallow import fields, validate

from backend.domain.paging import DEFAULT_LIMIT
from backend.schemas.base import Document

MAX_PAGE = 100
MAX_CURSOR_LENGTH = 1_024


class OnwardQuery(Document):
    """Where to go on."""

    cursor = fields.String(
        load_default=None,
        validate=validate.Length(1, MAX_CURSOR_LENGTH),
        metadata={"description": "`next_cursor` of the page before; opaque, and of no use to anyone else."},
    )


class PageQuery(OnwardQuery):
    """Which page of a list."""

    limit = fields.Integer(
        load_default=DEFAULT_LIMIT,
        validate=validate.Range(1, MAX_PAGE),
        metadata={"description": "At most that many."},
    )
