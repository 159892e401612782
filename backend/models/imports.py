"""Imports of files."""

from pynamodb.attributes import BinaryAttribute, BooleanAttribute, NumberAttribute, UnicodeAttribute

from backend.models.base import Table


class ImportsModel(Table):
    """How far the latest import of one key has come."""

    class Meta:
        table_name = "imports"

    file = UnicodeAttribute(hash_key=True)
    """Bucket and key."""
    sequencer = UnicodeAttribute()
    offset = NumberAttribute()
    line = NumberAttribute()
    imported = NumberAttribute()
    unchanged = NumberAttribute()
    bad = NumberAttribute()
    problems = BinaryAttribute(legacy_encoding=False)
    parts = NumberAttribute()
    refused = BooleanAttribute()
    done = BooleanAttribute()
    revision = NumberAttribute()
    expires_at = NumberAttribute()
