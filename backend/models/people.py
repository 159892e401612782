"""Who is what to which device or room, what is offered to whom, and what people told us about themselves."""

from pynamodb.attributes import BooleanAttribute, NumberAttribute, UnicodeAttribute, UTCDateTimeAttribute
from pynamodb.indexes import AllProjection, GlobalSecondaryIndex

from backend.models.base import Table


class ByMember(GlobalSecondaryIndex["MembershipsModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """The same rows seen from the other side."""

    class Meta:
        index_name = "by_member"
        projection = AllProjection()

    member = UnicodeAttribute(hash_key=True)
    subject = UnicodeAttribute(range_key=True)


class MembershipsModel(Table):
    """The rows of one table, which all say what is to do with what.

    | subject | member | is |
    |---|---|---|
    | ``device#{thing}``, ``room#{id}`` | ``user#{sub}`` | a membership |
    | ``room#{id}`` | ``#room`` | the room itself |
    | ``invitation#{id}`` | ``offer#{subject}`` | an offer; listed by subject through the index |
    | ``invitation#{id}`` | ``email#{address}`` | that the offer is for an address; listed through the index |
    """

    class Meta:
        table_name = "memberships"

    subject = UnicodeAttribute(hash_key=True)
    member = UnicodeAttribute(range_key=True)
    role = UnicodeAttribute(null=True)
    since = UTCDateTimeAttribute(null=True)
    name = UnicodeAttribute(null=True)
    owner = UnicodeAttribute(null=True)
    version = NumberAttribute(null=True)
    inviter = UnicodeAttribute(null=True)
    email = UnicodeAttribute(null=True)
    hand_over = BooleanAttribute(null=True)
    ends_at = UTCDateTimeAttribute(null=True)
    expires_at = NumberAttribute(null=True)
    by_member = ByMember()


class ByIdentity(GlobalSecondaryIndex["AccountsModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """Whose AWS identity it is."""

    class Meta:
        index_name = "by_identity"
        projection = AllProjection()

    identity_id = UnicodeAttribute(hash_key=True)


class AccountsModel(Table):
    """One person."""

    class Meta:
        table_name = "accounts"

    user = UnicodeAttribute(hash_key=True)
    email = UnicodeAttribute()
    created_at = UTCDateTimeAttribute()
    name = UnicodeAttribute()
    locale = UnicodeAttribute()
    time_zone = UnicodeAttribute()
    push = BooleanAttribute()
    email_wanted = BooleanAttribute()
    identity_id = UnicodeAttribute(null=True)
    version = NumberAttribute()
    expires_at = NumberAttribute(null=True)
    """Of the mark that somebody deleted their account, which stands alone under `closed_key`."""
    by_identity = ByIdentity()


class ByActor(GlobalSecondaryIndex["AuditModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """What a person did."""

    class Meta:
        index_name = "by_actor"
        projection = AllProjection()

    actor = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class ByAbout(GlobalSecondaryIndex["AuditModel"]):  # type: ignore[no-untyped-call]  # untyped hook
    """What others did that concerned a person."""

    class Meta:
        index_name = "by_about"
        projection = AllProjection()

    about = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)


class AuditModel(Table):
    """One change."""

    class Meta:
        table_name = "audit"

    subject = UnicodeAttribute(hash_key=True)
    id = UnicodeAttribute(range_key=True)
    at = UTCDateTimeAttribute()
    actor = UnicodeAttribute()
    about = UnicodeAttribute(null=True)
    what = UnicodeAttribute()
    before = UnicodeAttribute()
    after = UnicodeAttribute()
    address = UnicodeAttribute()
    expires_at = NumberAttribute()
    by_actor = ByActor()
    by_about = ByAbout()


class AnswersModel(Table):
    """One answer given to a call with an idempotency key."""

    class Meta:
        table_name = "idempotency"

    user = UnicodeAttribute(hash_key=True)
    key = UnicodeAttribute(range_key=True)
    fingerprint = UnicodeAttribute()
    begun_at = NumberAttribute()
    """Epoch seconds."""
    status = NumberAttribute(null=True)
    """None while the call is being answered."""
    body = UnicodeAttribute(null=True)
    headers = UnicodeAttribute(null=True)
    expires_at = NumberAttribute()


ATTEMPT = "\N{SECTION SIGN}"
"""How the keys of attempts begin: no idempotency key does, for those are ASCII."""


class AttemptsModel(Table):
    """How often something was tried; stands in the table of answers."""

    class Meta:
        table_name = "idempotency"

    user = UnicodeAttribute(hash_key=True)
    """The person, or what was tried by many (``device#…``)."""
    key = UnicodeAttribute(range_key=True)
    attempts = NumberAttribute()
    since = NumberAttribute()
    """Epoch seconds."""
    expires_at = NumberAttribute()
