"""Hand-written fakes of the backend's ports. The contract suite holds them to what the real adapters do."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from backend.domain.access import Invitation, Membership, Room
from backend.domain.accounts import Profile
from backend.domain.audit import FORGOTTEN, Entry
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
from backend.domain.devices import Device
from backend.domain.paging import Page
from backend.domain.search import attribute_terms, firmware_term
from backend.domain.telemetry import Bucket, BucketKey, Quarantined
from backend.errors import ConflictError, UnauthenticatedError
from backend.services.access import Access

NOW = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class ManualClock:
    """Stands still until moved."""

    def __init__(self, at: datetime = NOW, *, tick: timedelta = timedelta(0)) -> None:
        self.at = at
        self.tick = tick
        """By how much the clock moves each time it is read, as real ones do."""

    def now(self) -> datetime:
        self.at += self.tick
        return self.at

    def move(self, **by: float) -> None:
        self.at += timedelta(**by)


class CountingDice:
    """Tokens that can be foreseen."""

    def __init__(self) -> None:
        self.thrown = 0

    def token(self, size_bytes: int) -> str:
        self.thrown += 1
        return f"token-{self.thrown:04d}".ljust(size_bytes, "x")


class RecordingLog:
    """Keeps its lines."""

    def __init__(self) -> None:
        self.lines: list[tuple[str, dict[str, Any]]] = []

    def info(self, message: str, **fields: Any) -> None:
        self.lines.append((message, fields))

    def warning(self, message: str, **fields: Any) -> None:
        self.lines.append((message, fields))


def paged(items: list[Any], key: Any, *, limit: int, after: Any) -> Page[Any]:
    """Return a page of items, in the order given, after the one whose key is ``after``."""
    keys = [key(item) for item in items]
    start = keys.index(after) + 1 if after in keys else 0
    some = items[start : start + limit]
    return Page(items=some, after=key(some[-1]) if len(some) == limit else None)


class FakeMemberships:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Membership] = {}

    def find(self, subject: str, user: str) -> Membership | None:
        return self.rows.get((subject, user))

    def of_subject(self, subject: str) -> list[Membership]:
        return [row for row in self.rows.values() if row.subject == subject]

    def of_user(self, user: str, kind: str, *, limit: int, after: str | None) -> Page[Membership]:
        mine = [row for row in self.rows.values() if row.user == user and row.subject.startswith(f"{kind}#")]
        return paged(sorted(mine, key=lambda row: row.subject), lambda row: row.subject, limit=limit, after=after)


class FakeDevices:
    def __init__(self) -> None:
        self.rows: dict[str, Device] = {}

    def find(self, thing: str) -> Device | None:
        return self.rows.get(thing)

    def find_many(self, things: Iterable[str]) -> Mapping[str, Device]:
        return {thing: self.rows[thing] for thing in things if thing in self.rows}

    def add(self, device: Device) -> None:
        if device.thing in self.rows:
            raise ConflictError("registered")
        self.rows[device.thing] = device


class FakeAttempts:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], tuple[int, datetime]] = {}

    def take(self, subject: str, what: str, limit: int, window: timedelta, now: datetime) -> bool:
        count, since = self.rows.get((subject, what), (0, datetime.min.replace(tzinfo=UTC)))
        if since <= now - window:
            count, since = 0, now
        self.rows[subject, what] = (min(count + 1, limit), since)
        return count < limit


class FakeSearchIndex:
    def __init__(self, devices: FakeDevices) -> None:
        self.devices = devices

    def things(self, term: str, *, limit: int, after: str | None) -> Page[str]:
        found = [
            thing
            for thing, device in sorted(self.devices.rows.items())
            if term in {*attribute_terms(device.attributes), firmware_term(device.firmware)}
        ]
        return paged(found, str, limit=limit, after=after)


class FakeReadings:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, BucketKey], Bucket] = {}
        self.read = 0

    def add(self, thing: str, bucket: Bucket, *, received_ms: int) -> bool:
        stored = self.rows.setdefault((thing, bucket.key), bucket)
        if stored != bucket:
            raise ConflictError("another")
        return self.rows[thing, bucket.key] is bucket

    def between(self, thing: str, from_ms: int, to_ms: int, *, page_size: int) -> Iterator[tuple[BucketKey, Bucket]]:
        for (owner, key), bucket in sorted(self.rows.items(), key=lambda row: row[0]):
            if owner == thing and from_ms <= key.t0_ms < to_ms:
                self.read += 1
                yield key, bucket

    def latest(self, thing: str, from_ms: int) -> Bucket | None:
        keys = [key for owner, key in self.rows if owner == thing and key.t0_ms >= from_ms]
        return self.rows[thing, max(keys)] if keys else None


class FakeQuarantine:
    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], Quarantined] = {}

    def add(self, quarantined: Quarantined) -> None:
        self.rows.setdefault((quarantined.thing, quarantined.document), quarantined)

    def of_thing(self, thing: str, from_ms: int, *, limit: int, after: Any) -> Page[Quarantined]:
        rows = [row for row in self.rows.values() if row.thing == thing and row.received_ms >= from_ms]
        rows.sort(key=lambda row: (row.received_ms, row.document), reverse=True)
        return paged(rows, lambda row: [row.received_ms, row.document], limit=limit, after=after)


class FakeRooms:
    def __init__(self, devices: FakeDevices) -> None:
        self.rows: dict[str, Room] = {}
        self.devices = devices

    def find(self, room: str) -> Room | None:
        return self.rows.get(room)

    def find_many(self, rooms: Iterable[str]) -> Mapping[str, Room]:
        return {room: self.rows[room] for room in rooms if room in self.rows}

    def things_in(self, room: str, *, limit: int, after: str | None) -> Page[str]:
        inside = sorted(device.thing for device in self.devices.rows.values() if device.room == room)
        return paged(inside, str, limit=limit, after=after)


class FakeInvitations:
    def __init__(self) -> None:
        self.rows: dict[str, Invitation] = {}

    def find(self, invitation: str) -> Invitation | None:
        return self.rows.get(invitation)

    def of_subject(self, subject: str) -> list[Invitation]:
        return [row for row in self.rows.values() if row.subject == subject]

    def of_email(self, email: str, *, limit: int, after: str | None) -> Page[Invitation]:
        found = sorted((row for row in self.rows.values() if row.email == email), key=lambda row: row.id)
        rest = [row for row in found if after is None or row.id > after]
        return Page(items=rest[:limit], after=rest[limit - 1].id if len(rest) > limit else None)

    def discard(self, invitation: Invitation) -> None:
        self.rows.pop(invitation.id, None)


class FakeProfiles:
    def __init__(self) -> None:
        self.rows: dict[str, Profile] = {}
        self.closed: set[str] = set()

    def has(self, user: str) -> bool:
        return user in self.closed

    def find(self, user: str) -> Profile | None:
        return self.rows.get(user)

    def of_identity(self, identity_id: str) -> Profile | None:
        return next((row for row in self.rows.values() if row.identity_id == identity_id), None)


class FakeAudit:
    def __init__(self) -> None:
        self.rows: list[Entry] = []

    def of_subject(self, subject: str, *, limit: int, after: str | None) -> Page[Entry]:
        rows = sorted((row for row in self.rows if row.subject == subject), key=lambda row: row.id, reverse=True)
        return paged(rows, lambda row: row.id, limit=limit, after=after)

    def of_person(self, user: str, *, limit: int, after: Any) -> Page[Entry]:
        rows = [row for row in self.rows if row.actor == user] + [row for row in self.rows if row.about == user]
        return paged(rows, lambda row: row.id, limit=limit, after=after)

    def blank(self, entry: Entry) -> None:
        if entry in self.rows:
            self.rows[self.rows.index(entry)] = replace(entry, before={}, after={})

    def forget(self, entry: Entry, user: str) -> None:
        if entry not in self.rows:
            return
        place = self.rows.index(entry)
        self.rows[place] = replace(
            entry,
            actor=FORGOTTEN if entry.actor == user else entry.actor,
            about=FORGOTTEN if entry.about == user else entry.about,
            address="" if entry.actor == user else entry.address,
        )


class FakeStore:
    """All or none, on the fakes above."""

    def __init__(
        self,
        devices: FakeDevices,
        memberships: FakeMemberships,
        rooms: FakeRooms,
        invitations: FakeInvitations,
        profiles: FakeProfiles,
        audit: FakeAudit,
    ) -> None:
        self.devices, self.memberships, self.rooms = devices, memberships, rooms
        self.invitations, self.profiles, self.audit = invitations, profiles, audit

    def commit(self, *changes: Change) -> None:
        assert len(changes) <= 100
        if any(self._is_closed(change) for change in changes):
            raise UnauthenticatedError("deleted")
        if not all(self._holds(change) for change in changes):
            raise ConflictError("moved")
        for change in changes:
            self._make(change)

    def _is_closed(self, change: Change) -> bool:
        match change:
            case PutMembership(membership=Membership(user=user)) | PutProfile(profile=Profile(user=user), was=None):
                return user in self.profiles.closed
            case Present(user=user):
                return user in self.profiles.closed
        return False

    def _holds(self, change: Change) -> bool:  # noqa: PLR0911 - one case a change
        match change:
            case PutDevice(device=device, before=before):
                found = self.devices.rows.get(device.thing)
                return (found.version if found else None) == (before.version if before else None)
            case PutFirmware(device=device):
                found = self.devices.rows.get(device.thing)
                return found is not None and found.firmware_as_of == device.firmware_as_of
            case PutRoom(room=room, was=was):
                stored = self.rooms.rows.get(room.id)
                return (stored.version if stored else None) == was
            case RemoveRoom(room=room):
                stored = self.rooms.rows.get(room.id)
                return stored is not None and stored.version == room.version
            case PutProfile(profile=profile, was=was):
                known = self.profiles.rows.get(profile.user)
                return (known.version if known else None) == was
            case PutInvitation(invitation=invitation):
                return invitation.id not in self.invitations.rows
            case RemoveInvitation(invitation=invitation):
                return invitation.id in self.invitations.rows
        return True

    def _make(self, change: Change) -> None:  # noqa: C901, PLR0912 - one case a change
        match change:
            case PutDevice(device=device):
                known = self.devices.rows.get(device.thing, device)
                self.devices.rows[device.thing] = replace(
                    device, firmware=known.firmware, firmware_as_of=known.firmware_as_of
                )
            case PutFirmware(device=device, firmware=firmware, as_of=as_of):
                known = self.devices.rows[device.thing]
                self.devices.rows[device.thing] = replace(known, firmware=firmware, firmware_as_of=as_of)
            case PutRoom(room=room):
                self.rooms.rows[room.id] = room
            case RemoveRoom(room=room):
                del self.rooms.rows[room.id]
            case PutMembership(membership=row):
                self.memberships.rows[row.subject, row.user] = row
            case RemoveMembership(subject=subject, user=user):
                self.memberships.rows.pop((subject, user), None)
            case PutInvitation(invitation=invitation):
                self.invitations.rows[invitation.id] = invitation
            case RemoveInvitation(invitation=invitation):
                del self.invitations.rows[invitation.id]
            case PutProfile(profile=profile):
                self.profiles.rows[profile.user] = profile
            case RemoveProfile(user=user):
                self.profiles.rows.pop(user, None)
            case CloseAccount(user=user):
                self.profiles.closed.add(user)
            case Note(entry=entry):
                while any((row.subject, row.id) == (entry.subject, entry.id) for row in self.audit.rows):
                    entry = entry.next()
                self.audit.rows.append(entry)


class FakeDatabase:
    """All fakes of people and devices, tied together."""

    def __init__(self) -> None:
        self.devices = FakeDevices()
        self.memberships = FakeMemberships()
        self.index = FakeSearchIndex(self.devices)
        self.rooms = FakeRooms(self.devices)
        self.invitations = FakeInvitations()
        self.profiles = FakeProfiles()
        self.audit = FakeAudit()
        self.store = FakeStore(self.devices, self.memberships, self.rooms, self.invitations, self.profiles, self.audit)
        self.access = Access(memberships=self.memberships, devices=self.devices, rooms=self.rooms)


class FakeControl:
    def __init__(self) -> None:
        self.deactivated: list[str] = []
        self.disconnected: list[str] = []
        self.forgotten: list[str] = []

    def deactivate(self, thing: str) -> None:
        self.deactivated.append(thing)

    def disconnect(self, thing: str) -> None:
        self.disconnected.append(thing)

    def forget(self, thing: str) -> None:
        self.forgotten.append(thing)
