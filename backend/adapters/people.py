"""Memberships, rooms, invitations, profiles and the audit trail, read from DynamoDB. `store` writes them."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pynamodb.expressions.update import Action

from backend.adapters.dynamo import page_of, translated
from backend.domain.access import Invitation, Membership, Role, Room, name_of, room_subject, user_subject
from backend.domain.accounts import Notifications, Profile, closed_key
from backend.domain.audit import FORGOTTEN, Entry
from backend.domain.paging import Page
from backend.errors import ConflictError
from backend.models.devices import DevicesModel
from backend.models.people import AccountsModel, AuditModel, MembershipsModel

ROOM = "#room"


class DynamoMemberships:
    """Who is what to which device or room."""

    def __init__(self, table: str) -> None:
        MembershipsModel.bind(table)

    def find(self, subject: str, user: str) -> Membership | None:
        """Return what a person is to a subject; read consistently, so that an ended share is ended."""
        with translated():
            try:
                return load_membership(MembershipsModel.get(subject, user_subject(user), consistent_read=True))
            except MembershipsModel.DoesNotExist:
                return None

    def of_subject(self, subject: str) -> Sequence[Membership]:
        """Return all members of a subject, read consistently."""
        members = MembershipsModel.member.startswith(user_subject(""))
        with translated():
            return [load_membership(item) for item in MembershipsModel.query(subject, members, consistent_read=True)]

    def of_user(self, user: str, kind: str, *, limit: int, after: str | None) -> Page[Membership]:
        """Return memberships of a person in subjects of one kind, ordered by subject."""
        member = user_subject(user)
        start = {"subject": {"S": after}, "member": {"S": member}} if after else None
        with translated():
            results = MembershipsModel.by_member.query(
                member, MembershipsModel.subject.startswith(f"{kind}#"), limit=limit, last_evaluated_key=start
            )
            page = page_of(results, "subject")
        return Page(items=[load_membership(item) for item in page.items], after=page.after)


class DynamoRooms:
    """Rooms, and what stands in them."""

    def __init__(self, memberships_table: str, devices_table: str) -> None:
        MembershipsModel.bind(memberships_table)
        DevicesModel.bind(devices_table)

    def find(self, room: str) -> Room | None:
        """Return a room; None if there is none. Read consistently."""
        with translated():
            try:
                return _load_room(MembershipsModel.get(room_subject(room), ROOM, consistent_read=True))
            except MembershipsModel.DoesNotExist:
                return None

    def find_many(self, rooms: Iterable[str]) -> Mapping[str, Room]:
        """Return those of the rooms that exist, by id."""
        keys = [(room_subject(room), ROOM) for room in rooms]
        with translated():
            found = [_load_room(item) for item in MembershipsModel.batch_get(keys)]
        return {room.id: room for room in found}

    def things_in(self, room: str, *, limit: int, after: str | None) -> Page[str]:
        """Return the things in a room, in order."""
        start = {"room": {"S": room}, "thing": {"S": after}} if after else None
        with translated():
            page = page_of(DevicesModel.by_room.query(room, limit=limit, last_evaluated_key=start), "thing")
        return Page(items=[item.thing for item in page.items], after=page.after)


class DynamoInvitations:
    """Offers of roles."""

    def __init__(self, table: str) -> None:
        MembershipsModel.bind(table)

    def find(self, invitation: str) -> Invitation | None:
        """Return an offer by its id; None if it was accepted, declined or revoked."""
        offers = MembershipsModel.member.startswith("offer#")
        with translated():
            for item in MembershipsModel.query(f"invitation#{invitation}", offers, consistent_read=True):
                return load_invitation(item)
        return None

    def of_subject(self, subject: str) -> Sequence[Invitation]:
        """Return the offers for a device or room."""
        with translated():
            return [load_invitation(item) for item in MembershipsModel.by_member.query(f"offer#{subject}")]

    def of_email(self, email: str, *, limit: int, after: str | None) -> Page[Invitation]:
        """Return the offers made to an address, ordered by id."""
        member = f"email#{email}"
        start = {"member": {"S": member}, "subject": {"S": after}} if after else None
        with translated():
            page = page_of(MembershipsModel.by_member.query(member, limit=limit, last_evaluated_key=start), "subject")
        found = (self.find(name_of(item.subject)) for item in page.items)
        return Page(items=[invitation for invitation in found if invitation], after=page.after)

    def discard(self, invitation: Invitation) -> None:
        """Forget an offer, if it is still there."""
        with translated():
            for member in invitation_members(invitation):
                MembershipsModel(f"invitation#{invitation.id}", member).delete()


class DynamoProfiles:
    """What people told us about themselves."""

    def __init__(self, table: str) -> None:
        AccountsModel.bind(table)

    def find(self, user: str) -> Profile | None:
        """Return a profile; None if there is none. Read consistently."""
        with translated():
            try:
                return _load_profile(AccountsModel.get(user, consistent_read=True))
            except AccountsModel.DoesNotExist:
                return None

    def of_identity(self, identity_id: str) -> Profile | None:
        """Return the profile of the person an AWS identity is tied to; None if it is tied to nobody."""
        with translated():
            for item in AccountsModel.by_identity.query(identity_id, limit=1):
                return _load_profile(item)
        return None


class DynamoClosed:
    """Who deleted their account."""

    def __init__(self, table: str) -> None:
        AccountsModel.bind(table)

    def has(self, user: str) -> bool:
        """Say whether a person has deleted their account. Read consistently."""
        with translated():
            try:
                AccountsModel.get(closed_key(user), consistent_read=True)
            except AccountsModel.DoesNotExist:
                return False
        return True


class DynamoAudit:
    """The trail of changes."""

    def __init__(self, table: str) -> None:
        AuditModel.bind(table)

    def of_subject(self, subject: str, *, limit: int, after: str | None) -> Page[Entry]:
        """Return what was changed about a subject, newest first."""
        start = {"subject": {"S": subject}, "id": {"S": after}} if after else None
        with translated():
            results = AuditModel.query(subject, scan_index_forward=False, limit=limit, last_evaluated_key=start)
            page = page_of(results, "id")
        return Page(items=[_load_entry(item) for item in page.items], after=page.after)

    def of_person(self, user: str, *, limit: int, after: Any) -> Page[Entry]:
        """Return what a person changed, and then what others changed that concerned them."""
        index, key = after or ("by_actor", None)
        by = AuditModel.by_actor if index == "by_actor" else AuditModel.by_about
        with translated():
            results = by.query(user, scan_index_forward=False, limit=limit, last_evaluated_key=key)
            items = [_load_entry(item) for item in results]
        if results.last_evaluated_key:
            return Page(items=items, after=[index, results.last_evaluated_key])
        if index == "by_actor":
            rest = self.of_person(user, limit=limit, after=["by_about", None])
            return Page(items=[*items, *rest.items], after=rest.after)
        return Page(items=items)

    def blank(self, entry: Entry) -> None:
        """Keep that something was changed, by whom and when, but no longer from what to what."""
        self._update(entry, [AuditModel.before.set("{}"), AuditModel.after.set("{}")])

    def forget(self, entry: Entry, user: str) -> None:
        """Keep the entry, but no longer that this person did it, from where, or was concerned."""
        actions: list[Action] = []
        if entry.actor == user:
            actions += [AuditModel.actor.set(FORGOTTEN), AuditModel.address.set("")]
        if entry.about == user:
            actions.append(AuditModel.about.set(FORGOTTEN))
        if actions:
            self._update(entry, actions)

    @staticmethod
    def _update(entry: Entry, actions: list[Action]) -> None:
        try:
            with translated():
                AuditModel(entry.subject, entry.id).update(actions, AuditModel.subject.exists())
        except ConflictError:
            return  # it has expired meanwhile: an update would bring half of it back


def invitation_members(invitation: Invitation) -> list[str]:
    """Return the range keys under which an invitation stands."""
    return [f"offer#{invitation.subject}"] + ([f"email#{invitation.email}"] if invitation.email else [])


def load_membership(item: MembershipsModel) -> Membership:
    """Return a row as a membership."""
    return Membership(
        subject=item.subject,
        user=name_of(item.member),
        role=Role(item.role),
        since=item.since,
        version=int(item.version or 1),
    )


def load_invitation(item: MembershipsModel) -> Invitation:
    """Return a row as an invitation."""
    return Invitation(
        id=name_of(item.subject),
        subject=name_of(item.member),
        role=Role(item.role),
        inviter=item.inviter or "",
        created_at=item.since,
        expires_at=item.ends_at,
        email=item.email,
        hand_over=bool(item.hand_over),
    )


def _load_profile(item: AccountsModel) -> Profile:
    return Profile(
        user=item.user,
        email=item.email,
        created_at=item.created_at,
        name=item.name,
        locale=item.locale,
        time_zone=item.time_zone,
        notifications=Notifications(push=item.push, email=item.email_wanted),
        identity_id=item.identity_id,
        version=int(item.version),
    )


def _load_room(item: MembershipsModel) -> Room:
    return Room(id=name_of(item.subject), name=item.name or "", owner=item.owner or "", version=int(item.version or 0))


def _load_entry(item: AuditModel) -> Entry:
    return Entry(
        subject=item.subject,
        id=item.id,
        at=item.at,
        actor=item.actor,
        about=item.about,
        what=item.what,
        before=json.loads(item.before),
        after=json.loads(item.after),
        address=item.address,
    )
