"""Commands."""

from pynamodb.attributes import NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from backend.models.base import Table


class ByWaiting(GlobalSecondaryIndex["CommandsModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """What devices have not taken yet; a command that was taken or has ended leaves the index."""

    class Meta:
        index_name = "by_waiting"
        projection = AllProjection()

    waiting = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class CommandsModel(Table):
    """One command to one device."""

    class Meta:
        table_name = "commands"

    thing = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    waiting = UnicodeAttribute(null=True)
    """The thing again, as long as the command waits for it."""
    name = UnicodeAttribute()
    parameters = UnicodeAttribute()
    state = UnicodeAttribute()
    rank = NumberAttribute()
    created_at = UTCDateTimeAttribute()
    updated_at = UTCDateTimeAttribute(null=True)
    ends_ms = NumberAttribute()
    sent_ms = NumberAttribute()
    result = UnicodeAttribute(null=True)
    reason = UnicodeAttribute(null=True)
    issuer = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()
    by_waiting = ByWaiting()
