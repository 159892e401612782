"""Buckets of readings, and what did not fit."""

from pynamodb.attributes import BinaryAttribute, NumberAttribute, UnicodeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from backend.models.base import Table


class ReadingsModel(Table):
    """One bucket, one item. Attribute names are short where they would be paid for in every item."""

    class Meta:
        table_name = "readings"

    thing = UnicodeAttribute(hash_key=True)
    bucket = UnicodeAttribute(range_key=True)
    """``{t0, 13 digits}#{boot}#{seq, 10 digits}``."""
    columns = BinaryAttribute(legacy_encoding=False, attr_name="c")
    received_ms = NumberAttribute(attr_name="r")
    expires_at = NumberAttribute()


class QuarantineByReceived(GlobalSecondaryIndex["QuarantineModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """Newest first."""

    class Meta:
        index_name = "by_received"
        projection = AllProjection()

    thing = UnicodeAttribute(hash_key=True)
    received_ms = NumberAttribute(range_key=True)


class QuarantineModel(Table):
    """One document that did not fit."""

    class Meta:
        table_name = "quarantine"

    thing = UnicodeAttribute(hash_key=True)
    document = UnicodeAttribute(range_key=True)
    received_ms = NumberAttribute()
    principal = UnicodeAttribute()
    violations = UnicodeAttribute()
    body = BinaryAttribute(legacy_encoding=False)
    expires_at = NumberAttribute()
    by_received = QuarantineByReceived()
