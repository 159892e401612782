"""People's accounts: what they told us, their AWS identity, their leaving."""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, replace
from datetime import datetime
from typing import Any, TypeVar

from backend.domain.access import (
    Caller,
    Invitation,
    Membership,
    Role,
    device_subject,
    name_of,
    room_subject,
    user_subject,
)
from backend.domain.accounts import CLOSED_FOR, Notifications, Profile
from backend.domain.audit import FORGOTTEN, Entry
from backend.domain.changes import CloseAccount, PutProfile, RemoveMembership, RemoveProfile
from backend.domain.items import TABLES, Item
from backend.domain.paging import Page
from backend.errors import ConflictError, NotFoundError, PreconditionFailedError
from backend.ports import (
    Audit,
    Clock,
    Devices,
    Idempotency,
    Identities,
    Invitations,
    Items,
    Memberships,
    People,
    Presences,
    Profiles,
    Rooms,
    Store,
)
from backend.services.devices import DeviceBook
from backend.services.rooms import RoomBook
from backend.services.trail import Trail

T = TypeVar("T")
PAGE = 100
EXPORT_BYTES = 1_000_000
"""Of items and changes, after which one more page of them may come: Lambda answers with 6 MB at most, and quotes them
twice. (AWS Lambda developer guide, "Lambda quotas".)"""


class Openings:
    """Makes profiles."""

    def __init__(self, *, profiles: Profiles, store: Store, clock: Clock) -> None:
        self._profiles = profiles
        self._store = store
        self._clock = clock

    def open(self, user: str, attributes: Mapping[str, str]) -> Profile:
        """Make the profile of somebody who confirmed their address; once more changes nothing."""
        found = self._profiles.find(user)
        if found is not None:
            return found
        profile = Profile(
            user=user,
            email=attributes.get("email", "").strip().casefold(),
            created_at=self._clock.now(),
            name=attributes.get("name", ""),
            locale=attributes.get("locale", "en"),
            time_zone=attributes.get("zoneinfo", "UTC"),
        )
        try:
            self._store.commit(PutProfile(profile=profile, was=None))
        except ConflictError:
            return self._profiles.find(user) or profile
        return profile


class Accounts:
    """What the signed-in person can do with their account."""

    def __init__(  # noqa: PLR0913 - composition
        self,
        *,
        openings: Openings,
        profiles: Profiles,
        memberships: Memberships,
        devices: Devices,
        rooms: Rooms,
        invitations: Invitations,
        items: Items,
        answers: Idempotency,
        presences: Presences,
        audit: Audit,
        store: Store,
        identities: Identities,
        people: People,
        clock: Clock,
        device_book: DeviceBook,
        room_book: RoomBook,
        trail: Trail,
    ) -> None:
        self._openings = openings
        self._profiles = profiles
        self._memberships = memberships
        self._devices = devices
        self._rooms = rooms
        self._invitations = invitations
        self._items = items
        self._answers = answers
        self._presences = presences
        self._audit = audit
        self._store = store
        self._identities = identities
        self._people = people
        self._clock = clock
        self._device_book = device_book
        self._room_book = room_book
        self._trail = trail

    def get(self, caller: Caller) -> Profile:
        """Return the caller's profile; made now, if the trigger that makes it failed."""
        return self._profiles.find(caller.user) or self._openings.open(
            caller.user, self._people.attributes(caller.user)
        )

    def change(self, caller: Caller, changes: Mapping[str, Any], *, version: int | None) -> Profile:
        """Change the caller's profile.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        profile = self.get(caller)
        if version is not None and version != profile.version:
            raise PreconditionFailedError(f"The profile is at version {profile.version}.")
        named = dict(changes)
        if "notifications" in named:
            named["notifications"] = Notifications(**{**asdict(profile.notifications), **named["notifications"]})
        changed = replace(profile, **named, version=profile.version + 1)
        self._store.commit(PutProfile(profile=changed, was=profile.version))
        return changed

    def tie_identity(self, caller: Caller, id_token: str) -> Profile:
        """Tie the identity-pool id to the caller and let it connect to their own live topics."""
        profile = self.get(caller)
        identity_id = self._identities.tie(caller.user, id_token)
        if profile.identity_id == identity_id:
            return profile
        changed = replace(profile, identity_id=identity_id, version=profile.version + 1)
        self._store.commit(PutProfile(profile=changed, was=profile.version))
        return changed

    def export(self, caller: Caller, *, after: Any = None) -> tuple[dict[str, Any], Any]:
        """Return all that is stored about the caller, but for the readings of their devices, which have routes.

        Of items and changes it holds what one answer can, and where the next one goes on; None at the end.
        """
        items, changes, end = self._long_of(caller, after)
        profile = self.get(caller)
        things = [name_of(each.subject) for each in self._of(caller, "device")]
        rooms = [name_of(each.subject) for each in self._of(caller, "room")]
        mine = [room for room in self._many(self._rooms.find_many, rooms) if room.owner == caller.user]
        owned = [device for device in self._many(self._devices.find_many, things) if device.owner == caller.user]
        subjects = [device_subject(device.thing) for device in owned] + [room_subject(room.id) for room in mine]
        exported = {
            "profile": profile,
            "memberships": [*self._of(caller, "device"), *self._of(caller, "room")],
            "devices": owned,
            "rooms": mine,
            "invitations_made": [each for subject in subjects for each in self._invitations.of_subject(subject)],
            "invitations_received": list(self._offers_to(profile)),
            "items": items,
            "changes_made": changes,
            "connections": list(self._presences.of_subject(user_subject(caller.user))),
            "answers_kept": list(self._answers.keys_of(caller.user)),
        }
        return exported, end

    def close(self, caller: Caller) -> None:
        """Delete the caller's account: their devices are released, their rooms end, and nothing of them stays.

        It can be asked again after a failure half-way: every step that is done is skipped, and the sign-in goes last.
        What comes first is that nothing more comes into being, of calls that are under way or made with a token that
        outlives the account.
        """
        self._store.commit(CloseAccount(user=caller.user, until=self._clock.now() + CLOSED_FOR))
        profile = self._profiles.find(caller.user)
        for membership in list(self._of(caller, "room")):
            self._leave(caller, membership, self._room_book.remove)
        for membership in list(self._of(caller, "device")):
            self._leave(caller, membership, self._device_book.release)
        if profile is not None:
            for invitation in list(self._offers_to(profile)):
                self._invitations.discard(invitation)
        self._items.remove_all(caller.user)
        self._answers.remove_all(caller.user)
        self._presences.remove_all(user_subject(caller.user))
        while page := self._audit.of_person(caller.user, limit=PAGE, after=None).items:
            for entry in page:
                self._audit.forget(entry, caller.user)
        self._identities.untie(caller.user, profile.identity_id if profile else None)
        self._store.commit(RemoveProfile(user=caller.user))
        self._people.remove(caller.user)

    def _leave(self, caller: Caller, membership: Membership, end: Callable[[Caller, str], None]) -> None:
        subject = membership.subject
        try:
            if membership.role is Role.OWNER:
                self._blank(subject, since=membership.since)
                end(caller, name_of(subject))
                return
        except NotFoundError:
            pass  # what it was a membership of is gone: what remains is the membership
        note = self._trail.note(
            Caller(user=FORGOTTEN), subject, "removed a member", before={"role": membership.role}, about=FORGOTTEN
        )
        self._store.commit(RemoveMembership(subject=subject, user=caller.user), note)

    def _blank(self, subject: str, *, since: datetime) -> None:
        """Forget what was changed, by whomever, about what is the caller's: names of rooms and devices tell of them."""
        for entry in _all(lambda after: self._audit.of_subject(subject, limit=PAGE, after=after)):
            if entry.at < since:
                return
            self._audit.blank(entry)

    def _long_of(self, caller: Caller, after: Any) -> tuple[list[Item], list[Entry], Any]:
        """Return items and changes from a position on, as many as one answer holds, and where they go on."""
        items: list[Item] = []
        changes: list[Entry] = []
        part, position = after or (0, None)
        size = 0
        while part <= len(TABLES) and size < EXPORT_BYTES:
            if part < len(TABLES):
                stored = self._items.list(caller.user, TABLES[part], limit=PAGE, after=position)
                items += stored.items
                size += sum(len(json.dumps(item.body)) for item in stored.items)
                position = stored.after
            else:
                noted = self._audit.of_person(caller.user, limit=PAGE, after=position)
                changes += noted.items
                size += sum(len(json.dumps([entry.before, entry.after])) for entry in noted.items)
                position = noted.after
            part += position is None
        return items, changes, (part, position) if part <= len(TABLES) else None

    def _offers_to(self, profile: Profile) -> Iterator[Invitation]:
        return _all(lambda after: self._invitations.of_email(profile.email, limit=PAGE, after=after))

    def _of(self, caller: Caller, kind: str) -> Iterator[Any]:
        return _all(lambda after: self._memberships.of_user(caller.user, kind, limit=PAGE, after=after))

    def _many(self, find_many: Callable[[list[str]], Mapping[str, T]], names: list[str]) -> list[T]:
        return [
            found for start in range(0, len(names), PAGE) for found in find_many(names[start : start + PAGE]).values()
        ]


def _all(page_after: Callable[[Any], Page[T]]) -> Iterator[T]:
    after: Any = None
    while True:
        page = page_after(after)
        yield from page.items
        after = page.after
        if after is None:
            return
