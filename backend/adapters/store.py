"""Changes that belong together, in one DynamoDB transaction."""

import json
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from functools import singledispatch
from typing import Any, TypeGuard

from pynamodb.expressions.update import Action
from pynamodb.transactions import TransactWrite

from backend.adapters.devices import device_actions
from backend.adapters.dynamo import only_returned_failed, transact, translated
from backend.adapters.people import ROOM, invitation_members
from backend.domain import audit
from backend.domain.access import room_subject, user_subject
from backend.domain.accounts import closed_key
from backend.domain.audit import Entry
from backend.domain.changes import (
    Change,
    CloseAccount,
    Note,
    Present,
    PutDevice,
    PutFirmware,
    PutInvitation,
    PutMembership,
    PutProfile,
    PutRoom,
    RemoveInvitation,
    RemoveMembership,
    RemoveProfile,
    RemoveRoom,
)
from backend.domain.search import attribute_terms, firmware_term
from backend.errors import ConflictError, UnavailableError
from backend.models.devices import DevicesModel
from backend.models.people import AccountsModel, AuditModel, MembershipsModel
from backend.models.search import SearchModel

MAX_WRITES = 100
"""Of one TransactWriteItems. (DynamoDB developer guide, "Amazon DynamoDB Transactions".)"""
MAX_NOTES_AT_ONCE = 100
"""About one subject in one millisecond."""


class DynamoStore:
    """Where changes are written, all or none."""

    def __init__(self, *, devices: str, search: str, memberships: str, accounts: str, audit_table: str) -> None:
        DevicesModel.bind(devices)
        SearchModel.bind(search)
        MembershipsModel.bind(memberships)
        AccountsModel.bind(accounts)
        AuditModel.bind(audit_table)

    def commit(self, *changes: Change) -> None:
        """Make all changes, or none."""
        placed = _placed(changes)
        for _ in range(MAX_NOTES_AT_ONCE):
            try:
                self._commit(placed)
            except ConflictError as error:
                if not (_is_note(placed) or only_returned_failed(error)):
                    raise
                placed = [Note(entry=each.entry.next()) if isinstance(each, Note) else each for each in placed]
            else:
                return
        raise UnavailableError("Too much is written about this at once: try again.")

    def _commit(self, changes: Sequence[Change]) -> None:
        if _is_note(changes):  # half the price of a transaction
            with translated():
                _row(changes[0].entry).save(AuditModel.subject.does_not_exist())
            return

        def build(transaction: TransactWrite) -> None:
            for change in changes:
                write(change, transaction)

        present = {user for change in changes if (user := _must_be_present(change))}
        transact(build, conflict="It changed meanwhile: look again, then decide.", present=present)


def _must_be_present(change: Change) -> str | None:
    match change:
        case PutMembership(membership=member):
            return member.user
        case PutProfile(profile=profile, was=None):
            return profile.user
        case Present(user=user):
            return user
    return None


def _is_note(changes: Sequence[Change]) -> TypeGuard[Sequence[Note]]:
    return len(changes) == 1 and isinstance(changes[0], Note)


def _placed(changes: Sequence[Change]) -> list[Change]:
    """Return the changes, notes of one subject at one instant each at a place of its own."""
    taken: set[tuple[str, str]] = set()
    placed: list[Change] = []
    for change in changes:
        while isinstance(change, Note) and (key := (change.entry.subject, change.entry.id)) in taken:
            change = Note(entry=change.entry.next())  # noqa: PLW2901 - moved on until it has a place
        if isinstance(change, Note):
            taken.add(key)
        placed.append(change)
    return placed


@singledispatch
def write(change: Any, _transaction: TransactWrite) -> None:
    """Add a change to a transaction."""
    message = f"no way is known to write a {type(change).__name__}"
    raise TypeError(message)


@write.register
def _(change: PutDevice, transaction: TransactWrite) -> None:
    device, before = change.device, change.before
    condition = DevicesModel.thing.does_not_exist() if before is None else DevicesModel.version == before.version
    transaction.update(DevicesModel(device.thing), actions=device_actions(device), condition=condition)
    held = attribute_terms(before.attributes) if before else frozenset()
    _find_under(device.thing, attribute_terms(device.attributes), held, transaction)


@write.register
def _(change: PutFirmware, transaction: TransactWrite) -> None:
    before = change.device
    latest = DevicesModel.firmware_as_of
    condition = latest == before.firmware_as_of
    if not before.firmware_as_of:
        condition = latest.does_not_exist() | condition  # registered before reports were kept
    actions: list[Action] = [DevicesModel.firmware.set(change.firmware), latest.set(change.as_of)]
    condition = DevicesModel.thing.exists() & condition
    transaction.update(DevicesModel(before.thing), actions=actions, condition=condition)
    terms, held = ({firmware_term(each)} if each else set() for each in (change.firmware, before.firmware))
    _find_under(before.thing, terms, held, transaction)


def _find_under(thing: str, terms: AbstractSet[str], held: AbstractSet[str], transaction: TransactWrite) -> None:
    for term in sorted(terms - held):
        transaction.save(SearchModel(term, thing))
    for term in sorted(held - terms):
        transaction.delete(SearchModel(term, thing))


@write.register
def _(change: PutRoom, transaction: TransactWrite) -> None:
    room = change.room
    row = MembershipsModel(room_subject(room.id), ROOM, name=room.name, owner=room.owner, version=room.version)
    condition = (
        MembershipsModel.subject.does_not_exist() if change.was is None else MembershipsModel.version == change.was
    )
    transaction.save(row, condition=condition)


@write.register
def _(change: RemoveRoom, transaction: TransactWrite) -> None:
    row = MembershipsModel(room_subject(change.room.id), ROOM)
    transaction.delete(row, condition=MembershipsModel.version == change.room.version)


@write.register
def _(change: PutMembership, transaction: TransactWrite) -> None:
    member = change.membership
    row = MembershipsModel(
        member.subject,
        user_subject(member.user),
        role=member.role.value,
        since=member.since,
        version=member.version,
    )
    transaction.save(row)


@write.register
def _(change: RemoveMembership, transaction: TransactWrite) -> None:
    transaction.delete(MembershipsModel(change.subject, user_subject(change.user)))


@write.register
def _(change: PutInvitation, transaction: TransactWrite) -> None:
    offer = change.invitation
    for member in invitation_members(offer):
        row = MembershipsModel(
            f"invitation#{offer.id}",
            member,
            role=offer.role.value,
            since=offer.created_at,
            inviter=offer.inviter,
            email=offer.email,
            hand_over=offer.hand_over,
            ends_at=offer.expires_at,
            expires_at=int(offer.expires_at.timestamp()),
        )
        transaction.save(row, condition=MembershipsModel.subject.does_not_exist())


@write.register
def _(change: RemoveInvitation, transaction: TransactWrite) -> None:
    for member in invitation_members(change.invitation):
        row = MembershipsModel(f"invitation#{change.invitation.id}", member)
        transaction.delete(row, condition=MembershipsModel.subject.exists())


@write.register
def _(change: PutProfile, transaction: TransactWrite) -> None:
    profile = change.profile
    row = AccountsModel(
        profile.user,
        email=profile.email,
        created_at=profile.created_at,
        name=profile.name,
        locale=profile.locale,
        time_zone=profile.time_zone,
        push=profile.notifications.push,
        email_wanted=profile.notifications.email,
        identity_id=profile.identity_id,
        version=profile.version,
    )
    condition = AccountsModel.user.does_not_exist() if change.was is None else AccountsModel.version == change.was
    transaction.save(row, condition=condition)


@write.register
def _(change: RemoveProfile, transaction: TransactWrite) -> None:
    transaction.delete(AccountsModel(change.user))


@write.register
def _(change: Present, transaction: TransactWrite) -> None:
    """Write nothing: `_must_be_present` has it checked."""


@write.register
def _(change: CloseAccount, transaction: TransactWrite) -> None:
    mark = AccountsModel(closed_key(change.user))
    transaction.update(mark, actions=[AccountsModel.expires_at.set(int(change.until.timestamp()))])


@write.register
def _(change: Note, transaction: TransactWrite) -> None:
    # What stands there already is returned, by which `only_returned_failed` knows that the place is taken.
    free = AuditModel.subject.does_not_exist()
    transaction.save(_row(change.entry), condition=free, return_values="ALL_OLD")


def _row(entry: Entry) -> AuditModel:
    return AuditModel(
        entry.subject,
        entry.id,
        at=entry.at,
        actor=entry.actor,
        about=entry.about,
        what=entry.what,
        before=json.dumps(entry.before),
        after=json.dumps(entry.after),
        address=entry.address,
        expires_at=int((entry.at + audit.RETENTION).timestamp()),
    )
