"""Sharing devices and rooms: invitations, members, and handing a device over for good."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta

from backend.domain.access import (
    INVITATION_LIFETIME,
    MAX_INVITATIONS,
    MAX_MEMBERS,
    Action,
    Caller,
    Invitation,
    Membership,
    Role,
    device_subject,
    invitation_id,
    name_of,
)
from backend.domain.accounts import same_email
from backend.domain.changes import (
    Change,
    Present,
    PutDevice,
    PutInvitation,
    PutMembership,
    PutRoom,
    RemoveInvitation,
    RemoveMembership,
)
from backend.domain.paging import Page
from backend.domain.telemetry import epoch_ms
from backend.errors import (
    ConflictError,
    ForbiddenError,
    NotFoundError,
    PreconditionFailedError,
    TooManyError,
    UnauthenticatedError,
    invalid,
)
from backend.ports import Clock, DeviceControl, Devices, Dice, Invitations, Memberships, Profiles, Rooms, Store
from backend.services.access import Access
from backend.services.trail import Trail

CODE_BYTES = 16
NO_INVITATION = "There is no such invitation for you."
NO_MEMBER = "There is no such member."


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What somebody wants to share, with whom."""

    subject: str
    role: Role
    email: str | None = None
    hand_over: bool = False
    lifetime: timedelta = INVITATION_LIFETIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Invited:
    """An invitation and the code that opens it, told this once and never again."""

    invitation: Invitation
    code: str


class Sharing:
    """Lets people share what is theirs."""

    def __init__(
        self,
        *,
        access: Access,
        devices: Devices,
        rooms: Rooms,
        memberships: Memberships,
        invitations: Invitations,
        profiles: Profiles,
        store: Store,
        control: DeviceControl,
        clock: Clock,
        dice: Dice,
        trail: Trail,
    ) -> None:
        self._access = access
        self._devices = devices
        self._rooms = rooms
        self._memberships = memberships
        self._invitations = invitations
        self._profiles = profiles
        self._store = store
        self._control = control
        self._clock = clock
        self._dice = dice
        self._trail = trail

    def invite(self, caller: Caller, offer: Offer) -> Invited:
        """Offer a role on a device or room, in its owner's name; the trail says who did it.

        Raises:
            ConflictError: nobody owns it, so that there is nothing to offer.
            TooManyError: too many offers of it are open.
        """
        owner = self._manage(caller, offer.subject)
        if owner is None:
            raise ConflictError("Nobody owns it: it must be claimed first.")
        if offer.role is Role.OWNER and not offer.subject.startswith("device#"):
            raise invalid("role", "of owner can be offered for a device only")
        now = self._clock.now()
        offers = self._invitations.of_subject(offer.subject)
        if sum(now < each.expires_at for each in offers) >= MAX_INVITATIONS:
            raise TooManyError("Too many invitations are open: revoke one, or wait until one expires.")
        for each in offers:
            if now >= each.expires_at:  # TTL deletes when it pleases; meanwhile they would outgrow one transaction
                self._invitations.discard(each)
        code = self._dice.token(CODE_BYTES)
        invitation = Invitation(
            id=invitation_id(code),
            subject=offer.subject,
            role=offer.role,
            inviter=owner,
            created_at=now,
            expires_at=now + offer.lifetime,
            email=offer.email.strip().casefold() if offer.email else None,
            hand_over=offer.hand_over,
        )
        told = {"invitation": invitation.id, "role": offer.role}
        self._store.commit(
            PutInvitation(invitation=invitation),
            self._trail.note(caller, offer.subject, "invited", after=told),
        )
        return Invited(invitation=invitation, code=code)

    def invitations(self, caller: Caller, subject: str) -> Sequence[Invitation]:
        """Return the open offers of a device or room."""
        self._manage(caller, subject)
        return self._open(subject)

    def revoke(self, caller: Caller, invitation: str) -> None:
        """Take an offer back; for those who manage what is offered.

        Raises:
            NotFoundError: there is none; perhaps it was just accepted.
        """
        found = self._invitations.find(invitation)
        if found is None:
            raise NotFoundError(NO_INVITATION)
        try:
            self._manage(caller, found.subject)
        except (NotFoundError, ForbiddenError):
            raise NotFoundError(NO_INVITATION) from None
        self._end(caller, found, "revoked an invitation")

    def to_me(self, caller: Caller, *, limit: int, after: str | None) -> Page[Invitation]:
        """Return the open offers made to the caller's address."""
        profile = self._profiles.find(caller.user)
        if profile is None:
            return Page(items=[])
        now = self._clock.now()
        page = self._invitations.of_email(profile.email, limit=limit, after=after)
        return replace(page, items=[each for each in page.items if now < each.expires_at])

    def decline(self, caller: Caller, *, code: str | None = None, invitation: str | None = None) -> None:
        """Turn an offer down."""
        self._end(caller, self._offered(caller, code, invitation), "declined an invitation")

    def accept(self, caller: Caller, *, code: str | None = None, invitation: str | None = None) -> Membership:
        """Take an offer: by its code, or by its id if it was made to the caller's address.

        Raises:
            NotFoundError: there is no such offer, it has ended, or it is for somebody else; nobody can tell which.
            ConflictError: what is offered is no longer the inviter's to offer, or has too many members.
        """
        found = self._offered(caller, code, invitation)
        membership = Membership(subject=found.subject, user=caller.user, role=found.role, since=self._clock.now())
        if found.role is Role.OWNER:
            changes = self._taking_over(caller, found, membership)
            if not found.hand_over:
                # First: were it to fail afterwards, the new owner would see what was wished before.
                self._control.forget(name_of(found.subject))
        else:
            changes = self._joining(caller, found, membership)
        try:
            self._store.commit(RemoveInvitation(invitation=found), *changes)
        except ConflictError:
            if self._invitations.find(found.id) is None:
                raise NotFoundError(NO_INVITATION) from None
            raise
        return membership

    def members(self, caller: Caller, subject: str) -> Sequence[Membership]:
        """Return who is what to a device or room; for its members."""
        self._see(caller, subject)
        return self._memberships.of_subject(subject)

    def change_role(self, caller: Caller, subject: str, user: str, role: Role, *, version: int | None) -> Membership:
        """Change what a member is; never the owner, and never to owner: that is a handing over.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        self._manage(caller, subject)
        touch = self._touch(subject)  # before the member is read: whoever changes members meanwhile moves it
        member = self._member(subject, user, version)
        if Role.OWNER in {member.role, role}:
            raise ConflictError("Ownership changes by invitation only.")
        changed = replace(member, role=role, version=member.version + 1)
        note = self._trail.note(
            caller, subject, "changed a role", before={"role": member.role}, after={"role": role}, about=user
        )
        try:
            self._store.commit(touch, PutMembership(membership=changed), note)
        except UnauthenticatedError:
            raise NotFoundError(NO_MEMBER) from None  # it is the member's account that is gone
        return changed

    def remove(self, caller: Caller, subject: str, user: str, *, version: int | None = None) -> None:
        """End a membership: one's own, or, for those who manage it, anybody's but the owner's.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        if user == caller.user:
            self._see(caller, subject)
        else:
            self._manage(caller, subject)
        touch = self._touch(subject)
        member = self._member(subject, user, version)
        if member.role is Role.OWNER:
            raise ConflictError("The owner cannot leave: release it, or hand it over.")
        note = self._trail.note(caller, subject, "removed a member", before={"role": member.role}, about=user)
        self._store.commit(touch, RemoveMembership(subject=subject, user=user), note)

    def _member(self, subject: str, user: str, version: int | None) -> Membership:
        member = self._memberships.find(subject, user)
        if member is None:
            raise NotFoundError(NO_MEMBER)
        if version is not None and version != member.version:
            raise PreconditionFailedError(f"The member is at version {member.version}.")
        return member

    def _offered(self, caller: Caller, code: str | None, invitation: str | None) -> Invitation:
        found = self._invitations.find(invitation_id(code) if code else invitation or "")
        if found is None or self._clock.now() >= found.expires_at:
            raise NotFoundError(NO_INVITATION)
        if found.email is not None:
            profile = self._profiles.find(caller.user)
            if profile is None or not same_email(profile.email, found.email):
                raise NotFoundError(NO_INVITATION)
        elif code is None:
            raise NotFoundError(NO_INVITATION)
        return found

    def _joining(self, caller: Caller, found: Invitation, membership: Membership) -> list[Change]:
        members = self._memberships.of_subject(found.subject)
        if any(member.user == caller.user for member in members):
            raise ConflictError("You are a member already.")
        if len(members) >= MAX_MEMBERS:
            raise ConflictError("There are too many members.")
        if not any(member.user == found.inviter and member.role is Role.OWNER for member in members):
            raise ConflictError("It is no longer the inviter's to share.")
        note = self._trail.note(
            caller, found.subject, "accepted an invitation", after={"role": found.role}, about=found.inviter
        )
        # Touching the subject moves its version: of a joining and a release at the same time, one comes too late.
        return [self._touch(found.subject), PutMembership(membership=membership), note]

    def _taking_over(self, caller: Caller, found: Invitation, membership: Membership) -> list[Change]:
        device = self._devices.find(name_of(found.subject))
        if device is None or device.owner != found.inviter:
            raise ConflictError("It is no longer the inviter's to give.")
        if caller.user == found.inviter:
            raise ConflictError("It is yours already.")
        taken = replace(
            device,
            owner=caller.user,
            claimed_at=membership.since,
            room=None,
            version=device.version + 1,
        )
        if not found.hand_over:  # how its owner called it and where it stood is theirs, as what it measured is
            began_ms = epoch_ms(membership.since) + 1
            taken = replace(taken, data_from_ms=began_ms, name="", attributes=device.factory)
        others = [member for member in self._memberships.of_subject(found.subject) if member.user != caller.user]
        open_offers = [each for each in self._invitations.of_subject(found.subject) if each.id != found.id]
        note = self._trail.note(
            caller, found.subject, "took over", after={"hand_over": found.hand_over}, about=device.owner
        )
        return [
            PutDevice(device=taken, before=device),
            PutMembership(membership=membership),
            *(RemoveMembership(subject=found.subject, user=member.user) for member in others),
            *(RemoveInvitation(invitation=each) for each in open_offers),
            note,
        ]

    def _touch(self, subject: str) -> Change:
        if subject.startswith("device#"):
            device = self._devices.find(name_of(subject))
            if device is None:
                raise NotFoundError(NO_INVITATION)
            return PutDevice(device=replace(device, version=device.version + 1), before=device)
        room = self._rooms.find(name_of(subject))
        if room is None:
            raise NotFoundError(NO_INVITATION)
        return PutRoom(room=replace(room, version=room.version + 1), was=room.version)

    def _open(self, subject: str) -> list[Invitation]:
        now = self._clock.now()
        return [each for each in self._invitations.of_subject(subject) if now < each.expires_at]

    def _end(self, caller: Caller, found: Invitation, what: str) -> None:
        note = self._trail.note(caller, found.subject, what, before={"invitation": found.id})
        try:
            self._store.commit(RemoveInvitation(invitation=found), note, Present(user=caller.user))
        except ConflictError:
            raise NotFoundError(NO_INVITATION) from None

    def _manage(self, caller: Caller, subject: str) -> str | None:
        return self._owner(caller, subject, Action.MANAGE)

    def _see(self, caller: Caller, subject: str) -> None:
        self._owner(caller, subject, Action.SEE)

    def _owner(self, caller: Caller, subject: str, action: Action) -> str | None:
        """Return whose it is, if the caller may do this to it."""
        if subject == device_subject(name_of(subject)):
            return self._access.device(caller, name_of(subject), action).device.owner
        return self._access.room(caller, name_of(subject), action).room.owner
