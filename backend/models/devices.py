"""Devices."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from backend.models.base import Table


class ByRoom(GlobalSecondaryIndex["DevicesModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """What stands in a room; devices in none are not in it."""

    class Meta:
        index_name = "by_room"
        projection = AllProjection()

    room = UnicodeAttribute(hash_key=True)
    thing = UnicodeAttribute(range_key=True)


class DevicesModel(Table):
    """One device."""

    class Meta:
        table_name = "devices"

    thing = UnicodeAttribute(hash_key=True)
    type = UnicodeAttribute()
    registered_at = UTCDateTimeAttribute()
    secret_hash = UnicodeAttribute()
    secret_expires_at = UTCDateTimeAttribute(null=True)
    name = UnicodeAttribute(default="")
    attributes = UnicodeAttribute(default="{}")
    """JSON."""
    owner = UnicodeAttribute(null=True)
    claimed_at = UTCDateTimeAttribute(null=True)
    room = UnicodeAttribute(null=True)
    revoked = BooleanAttribute(default=False)
    data_from_ms = NumberAttribute(default=0)
    version = NumberAttribute(default=1)
    factory = UnicodeAttribute(default="{}")
    """JSON."""
    firmware = UnicodeAttribute(default="")
    firmware_as_of = UnicodeAttribute(default="")
    origin = UnicodeAttribute(default="")
    by_room = ByRoom()
