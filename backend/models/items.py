"""Items of people, and who is connected."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex, KeysOnlyProjection, LocalSecondaryIndex

from backend.models.base import Table


class ByChange(LocalSecondaryIndex["ItemsModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """What changed, in order of change. A local index: only these are read consistently."""

    class Meta:
        index_name = "by_change"
        projection = AllProjection()

    owner = UnicodeAttribute(hash_key=True)
    change = NumberAttribute(range_key=True)


class ItemsModel(Table):
    """One item, tombstone, or the counter of changes of one owner's logical table."""

    class Meta:
        table_name = "items"

    owner = UnicodeAttribute(hash_key=True)
    """``{sub}#{logical table}``."""
    item = UnicodeAttribute(range_key=True)
    """``i#{id}``; ``#changes`` for the counter."""
    body = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)
    updated_at = UTCDateTimeAttribute(null=True)
    deleted = BooleanAttribute(null=True)
    change = NumberAttribute(null=True)
    last = NumberAttribute(null=True)
    """Of the counter: the number of the last change."""
    expires_at = NumberAttribute(null=True)
    by_change = ByChange()


class ByConnection(GlobalSecondaryIndex["PresenceModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """Devices that are connected, and those that are away, in the order they became so; keys alone."""

    class Meta:
        index_name = "by_connection"
        projection = KeysOnlyProjection()

    connection = UnicodeAttribute(hash_key=True)
    changed_at = UTCDateTimeAttribute(range_key=True)


class PresenceModel(Table):
    """What is known of one MQTT client."""

    class Meta:
        table_name = "presence"

    subject = UnicodeAttribute(hash_key=True)
    """``device#{thing}`` or ``user#{sub}``."""
    client = UnicodeAttribute(range_key=True)
    session = UnicodeAttribute()
    version = NumberAttribute()
    connected = BooleanAttribute()
    changed_at = UTCDateTimeAttribute()
    connection = UnicodeAttribute(null=True)
    """Of a device: ``connected#{shard}`` or ``away#{shard}``."""
    reason = UnicodeAttribute(default="")
    connects = UnicodeAttribute(default="[]")
    """JSON."""
    revision = NumberAttribute()
    by_connection = ByConnection()


class ConfigurationModel(Table):
    """The configuration. There is a default for it, so that nobody waits for it long."""

    class Meta:
        table_name = "config"
        connect_timeout_seconds = 1
        read_timeout_seconds = 1
        max_retry_attempts = 0

    name = UnicodeAttribute(hash_key=True)
    version = NumberAttribute()
    settings = UnicodeAttribute()
