"""Accounts, members, invitations and rooms as phones see them."""

from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from backend.domain.access import INVITATION_LIFETIME, Invitation, Role, device_subject, name_of
from backend.schemas.base import Document, strict_boolean
from backend.schemas.devices import DeviceDocument, name_field, thing_field
from backend.schemas.paging import PageQuery

MAX_TOKEN_LENGTH = 8_192
SHARED_ROLES = (Role.OWNER, Role.OPERATOR, Role.VIEWER)


def role_field(**options: Any) -> fields.Enum[Role]:
    """Return a field for the role of a member."""
    return fields.Enum(Role, by_value=True, **options)


class NotificationsDocument(Document):
    """By which ways to be told of alarms."""

    push = strict_boolean()
    email = strict_boolean()


class ProfileDocument(Document):
    """What is known about me."""

    user = fields.String(metadata={"description": "The pool's `sub`, my one key."})
    email = fields.String()
    created_at = fields.AwareDateTime()
    name = fields.String()
    locale = fields.String()
    time_zone = fields.String()
    notifications = fields.Nested(NotificationsDocument)
    identity_id = fields.String(allow_none=True)
    version = fields.Integer()


class ProfileChanges(Document):
    """What to change about me; what is left out stays."""

    name = name_field()
    locale = fields.String(validate=validate.Regexp(r"[a-z]{2,3}(-[A-Za-z0-9]{2,8})*\Z", error="is not a language tag"))
    time_zone = fields.String(validate=validate.Regexp(r"[A-Za-z0-9_+/-]{1,64}\Z", error="is not a time zone"))
    notifications = fields.Nested(NotificationsDocument)


class ConfigurationDocument(Document):
    """What apps go by."""

    version = fields.Integer()
    minimum_app_version = fields.String(metadata={"description": "Older apps ask their user to update."})
    maintenance_message = fields.String(metadata={"description": "To be shown at the top; empty for nothing."})


class IdentityProof(Document):
    """My own ID token, by which the identity pool knows me."""

    id_token = fields.String(required=True, validate=validate.Length(1, MAX_TOKEN_LENGTH))


class MemberDocument(Document):
    """That somebody is something to a device or room."""

    user = fields.String()
    role = role_field()
    since = fields.AwareDateTime()
    version = fields.Integer()


class MembersPage(Document):
    """Members, ordered by user; there are at most 20."""

    items = fields.List(fields.Nested(MemberDocument))
    next_cursor = fields.String(allow_none=True)


class RoleChange(Document):
    """What a member is from now on."""

    role = role_field(required=True)


class RoomName(Document):
    """How a room is called."""

    name = name_field(required=True)


class RoomDocument(Document):
    """A room."""

    id = fields.String()
    name = fields.String()
    role = role_field(metadata={"description": "What the caller is to it."})
    version = fields.Integer()


class RoomsPage(Document):
    """Rooms of the caller's."""

    items = fields.List(fields.Nested(RoomDocument))
    next_cursor = fields.String(allow_none=True)


class OfferDocument(Document):
    """What to share, with whom: a device or a room."""

    thing = thing_field()
    room = fields.String(validate=validate.Length(1, 64))
    role = role_field(required=True)
    email = fields.Email(load_default=None, validate=validate.Length(3, 254))
    hand_over = strict_boolean(load_default=False)
    lifetime_s = fields.Integer(
        strict=True,
        load_default=int(INVITATION_LIFETIME.total_seconds()),
        validate=validate.Range(60, 30 * 86_400),
    )

    @validates_schema
    def _one_subject(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if ("thing" in data) == ("room" in data):
            raise ValidationError({"thing": ["name either a thing or a room"]})
        if data["role"] not in SHARED_ROLES:
            raise ValidationError({"role": ["is not a role that can be offered"]})


class InvitationDocument(Document):
    """An offer."""

    id = fields.String()
    thing = fields.String(allow_none=True)
    room = fields.String(allow_none=True)
    role = role_field()
    email = fields.String(allow_none=True)
    hand_over = fields.Boolean()
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()


class InvitedDocument(InvitationDocument):
    """A new offer and the code that opens it, told this once and never again."""

    code = fields.String()


class InvitationsPage(Document):
    """Open offers; there are at most 20 of one device or room."""

    items = fields.List(fields.Nested(InvitationDocument))
    next_cursor = fields.String(allow_none=True)


class InvitationsQuery(PageQuery):
    """Offers of what."""

    thing = thing_field()
    room = fields.String(validate=validate.Length(1, 64))

    @validates_schema
    def _one_subject(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if ("thing" in data) == ("room" in data):
            raise ValidationError({"thing": ["name either a thing or a room"]})


class InvitationAnswer(Document):
    """Which offer is answered: by its code, or by its id if it was made to my address."""

    code = fields.String(validate=validate.Length(1, 128))
    id = fields.String(validate=validate.Length(1, 64))

    @validates_schema
    def _one_name(self, data: dict[str, Any], **_kwargs: Any) -> None:
        if ("code" in data) == ("id" in data):
            raise ValidationError({"code": ["give either the code or the id"]})


class JoinedDocument(Document):
    """What I am now, to what."""

    thing = fields.String(allow_none=True)
    room = fields.String(allow_none=True)
    role = role_field()
    since = fields.AwareDateTime()


class EntryDocument(Document):
    """One change: who, what, before, after, when, from where."""

    at = fields.AwareDateTime()
    actor = fields.String()
    about = fields.String(allow_none=True)
    what = fields.String()
    before = fields.Dict(keys=fields.String())
    after = fields.Dict(keys=fields.String())
    address = fields.String()


class EntriesPage(Document):
    """Changes, newest first."""

    items = fields.List(fields.Nested(EntryDocument))
    next_cursor = fields.String(allow_none=True)


class SubjectMembership(MemberDocument):
    """A membership, and in what."""

    subject = fields.String()


class ExportedRoom(Document):
    """A room of mine."""

    id = fields.String()
    name = fields.String()


class ExportedItem(Document):
    """An item of mine."""

    table = fields.String()
    id = fields.String()
    version = fields.Integer()
    body = fields.Dict(keys=fields.String())
    updated_at = fields.AwareDateTime()


class ExportedInvitation(Document):
    """An offer by me or to me."""

    subject = fields.String()
    role = role_field()
    email = fields.String(allow_none=True)
    created_at = fields.AwareDateTime()
    expires_at = fields.AwareDateTime()


class ExportedConnection(Document):
    """A phone of mine, as the broker knows it."""

    client = fields.String()
    connected = fields.Boolean()
    changed_at = fields.AwareDateTime()


class ExportDocument(Document):
    """All that is stored about me, but for the readings of my devices, which `GET …/readings` gives."""

    profile = fields.Nested(ProfileDocument)
    memberships = fields.List(fields.Nested(SubjectMembership))
    devices = fields.List(fields.Nested(DeviceDocument))
    rooms = fields.List(fields.Nested(ExportedRoom))
    invitations_made = fields.List(fields.Nested(ExportedInvitation))
    invitations_received = fields.List(fields.Nested(ExportedInvitation))
    items = fields.List(fields.Nested(ExportedItem))
    changes_made = fields.List(
        fields.Nested(EntryDocument), metadata={"description": "Changes by me, and by others that concerned me."}
    )
    connections = fields.List(fields.Nested(ExportedConnection))
    answers_kept = fields.List(
        fields.String(), metadata={"description": "Idempotency keys whose answers are kept, for a day."}
    )
    next_cursor = fields.String(
        allow_none=True, metadata={"description": "There are more items or changes than one answer holds."}
    )


def dump_subject(subject: str) -> dict[str, Any]:
    """Return the device or room that a subject names."""
    name = name_of(subject)
    return {"thing": name, "room": None} if subject == device_subject(name) else {"thing": None, "room": name}


def dump_invitation(invitation: Invitation) -> dict[str, Any]:
    """Return an offer as phones read it."""
    names = ("id", "role", "email", "hand_over", "created_at", "expires_at")
    return {**dump_subject(invitation.subject), **{name: getattr(invitation, name) for name in names}}
