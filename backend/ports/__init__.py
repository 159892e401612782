"""What services need from outside: carried out by adapters on AWS, by hand-written fakes in tests.

One contract suite holds both.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Protocol

from backend.domain.access import Invitation, Membership, Room
from backend.domain.accounts import Profile
from backend.domain.audit import Entry
from backend.domain.changes import Change
from backend.domain.commands import Command, CommandAnswer
from backend.domain.device_types import DeviceType
from backend.domain.devices import Device
from backend.domain.idempotency import Answered
from backend.domain.items import Item
from backend.domain.paging import Page
from backend.domain.presence import Presence
from backend.domain.telemetry import Bucket, BucketKey, Quarantined


class Clock(Protocol):
    """The time."""

    def now(self) -> datetime:
        """Return the present instant, aware, in UTC."""


class Dice(Protocol):
    """Randomness."""

    def token(self, size_bytes: int) -> str:
        """Return that many random bytes as URL-safe text."""


class Log(Protocol):
    """Structured log lines."""

    def info(self, message: str, **fields: Any) -> None:
        """Note what happened."""

    def warning(self, message: str, **fields: Any) -> None:
        """Note what somebody should look at."""


class DeviceTypes(Protocol):
    """The documents in ``backend/device_types``."""

    def find(self, name: str) -> DeviceType | None:
        """Return a type by its name; None if there is none."""


class Devices(Protocol):
    """The registry of devices."""

    def find(self, thing: str) -> Device | None:
        """Return a device; None if it was never registered."""

    def find_many(self, things: Iterable[str]) -> Mapping[str, Device]:
        """Return those of the devices that exist, by thing; at most 100 asked at a time."""

    def add(self, device: Device) -> None:
        """Register a device.

        Raises:
            ConflictError: a device of that name is registered.
        """


class Attempts(Protocol):
    """How often something was tried."""

    def take(self, subject: str, what: str, limit: int, window: timedelta, now: datetime) -> bool:
        """Count one attempt, atomically, before it is judged; False when the window's are used up.

        A window begins with the first attempt in it.
        """


class Store(Protocol):
    """Where changes that belong together are written."""

    def commit(self, *changes: Change) -> None:
        """Make all changes, or none; at most 100.

        Raises:
            ConflictError: what one of them holds by has moved.
            UnauthenticatedError: a person who must be `Present` has deleted their account.
            UnavailableError: other transactions were in the way.
        """


class DeviceControl(Protocol):
    """What AWS IoT does to a device on our behalf."""

    def deactivate(self, thing: str) -> None:
        """Make every certificate of a thing inactive."""

    def disconnect(self, thing: str) -> None:
        """Cut the connection of a thing, if it has one."""

    def forget(self, thing: str) -> None:
        """Delete the shadows of a thing."""


class Publisher(Protocol):
    """Messages out over MQTT."""

    def publish(self, topic: str, payload: Mapping[str, Any]) -> None:
        """Publish a document, QoS 1.

        Raises:
            UnavailableError: it was not sent.
        """


class Shadows(Protocol):
    """Device shadows."""

    def shadow(self, thing: str, name: str | None) -> dict[str, Any]:
        """Return a shadow document (``state``, ``version`` …); one that never was is empty, at version 0."""

    def desire(self, thing: str, name: str | None, desired: Mapping[str, Any], version: int | None) -> dict[str, Any]:
        """Change what is desired of a thing and return the shadow then.

        Raises:
            ConflictError: ``version`` is given and is not the current one.
        """


class Commands(Protocol):
    """Commands, by device. A state is written only where it moves a command forward."""

    def add(self, command: Command) -> None:
        """Keep a new command."""

    def find(self, thing: str, command: str) -> Command | None:
        """Return one command; None if there is none. Read consistently."""

    def of_thing(self, thing: str, from_ms: int, *, limit: int, after: str | None) -> Page[Command]:
        """Return commands created at or after ``from_ms``, newest first."""

    def waiting(self, thing: str) -> Sequence[Command]:
        """Return the commands that the device has not taken yet, oldest first."""

    def take(self, command: Command, now: datetime) -> bool:
        """Mark a command as sent at this moment; False if somebody else does, or it has moved on."""

    def give_back(self, command: Command, now: datetime) -> None:
        """Take the mark made at ``now`` back: it was not sent after all."""

    def advance(self, answer: CommandAnswer) -> bool:
        """Move a command on as an answer says; False where that is not forward, not in time, or there is none."""


class Memberships(Protocol):
    """Who is what to which device or room."""

    def find(self, subject: str, user: str) -> Membership | None:
        """Return what a person is to a subject; read consistently, so that an ended share is ended."""

    def of_subject(self, subject: str) -> Sequence[Membership]:
        """Return all members of a subject; there are at most ``MAX_MEMBERS``. Read consistently."""

    def of_user(self, user: str, kind: str, *, limit: int, after: str | None) -> Page[Membership]:
        """Return memberships of a person in subjects of one kind (``device``, ``room``), ordered by subject."""


class Rooms(Protocol):
    """Rooms, and what stands in them."""

    def find(self, room: str) -> Room | None:
        """Return a room; None if there is none. Read consistently."""

    def find_many(self, rooms: Iterable[str]) -> Mapping[str, Room]:
        """Return those of the rooms that exist, by id; at most 100 asked at a time."""

    def things_in(self, room: str, *, limit: int, after: str | None) -> Page[str]:
        """Return the things in a room, in order; a device just moved may be missing or still be there."""


class Invitations(Protocol):
    """Offers of roles."""

    def discard(self, invitation: Invitation) -> None:
        """Forget an offer, if it is still there."""

    def find(self, invitation: str) -> Invitation | None:
        """Return an offer by its id, expired or not; None if it was accepted, declined or revoked."""

    def of_subject(self, subject: str) -> Sequence[Invitation]:
        """Return the offers for a device or room; there are at most a few more than ``MAX_INVITATIONS``."""

    def of_email(self, email: str, *, limit: int, after: str | None) -> Page[Invitation]:
        """Return the offers made to an address, ordered by id."""


class Audit(Protocol):
    """The trail of changes, read back; written by the store."""

    def of_subject(self, subject: str, *, limit: int, after: str | None) -> Page[Entry]:
        """Return what was changed about a subject, newest first."""

    def of_person(self, user: str, *, limit: int, after: Any) -> Page[Entry]:
        """Return what a person changed, and then what others changed that concerned them."""

    def blank(self, entry: Entry) -> None:
        """Keep that something was changed, by whom and when, but no longer from what to what."""

    def forget(self, entry: Entry, user: str) -> None:
        """Keep the entry, but no longer that this person did it, from where, or was concerned."""


class Profiles(Protocol):
    """What people told us about themselves."""

    def find(self, user: str) -> Profile | None:
        """Return a profile; None if there is none. Read consistently."""

    def of_identity(self, identity_id: str) -> Profile | None:
        """Return the profile of the person an AWS identity is tied to; None if it is tied to nobody."""


class Closed(Protocol):
    """Who deleted their account, for as long as their tokens live."""

    def has(self, user: str) -> bool:
        """Say whether a person has deleted their account. Read consistently."""


class People(Protocol):
    """The user pool."""

    def attributes(self, user: str) -> Mapping[str, str]:
        """Return what the pool knows of a user, by OpenID name.

        Raises:
            NotFoundError: the pool knows no such user.
        """

    def remove(self, user: str) -> None:
        """Delete a user; one that is gone is deleted already."""


class Configurations(Protocol):
    """Where the configuration is stored."""

    def find(self) -> tuple[int, Mapping[str, Any]] | None:
        """Return version and settings; None if none were ever stored.

        Raises:
            UnavailableError: it is out of reach.
        """

    def put(self, version: int, settings: Mapping[str, Any]) -> None:
        """Store a version that is one more than the stored one.

        Raises:
            ConflictError: it is not.
        """


class PoolKeys(Protocol):
    """The public keys of the user pool."""

    def current(self) -> Mapping[str, Mapping[str, str]]:
        """Return the keys as JWKs, by key id; kept for the life of the container."""

    def refreshed(self) -> Mapping[str, Mapping[str, str]]:
        """Return the keys, read anew, though not more often than once in five minutes."""


class Identities(Protocol):
    """AWS identities of people, by which phones use AWS credentials of their own."""

    def tie(self, user: str, id_token: str) -> str:
        """Return the identity id of a person, proven by their own ID token, and let it use their live topics.

        Raises:
            InvalidInputError: the token is not one of this person's.
        """

    def untie(self, user: str, identity_id: str | None) -> None:
        """Take back what `tie` allowed."""


class Items(Protocol):
    """Items of people, by logical table."""

    def find(self, owner: str, table: str, item: str) -> Item | None:
        """Return an item, or the tombstone of a deleted one; None if there never was one, or long ago. Consistent."""

    def list(self, owner: str, table: str, *, limit: int, after: str | None) -> Page[Item]:
        """Return items that are not deleted, ordered by id."""

    def write(self, item: Item, *, was: int | None) -> Item:
        """Write an item or tombstone and return it with the number of its change; None: only where there was none.

        Raises:
            ConflictError: its version is no longer ``was``.
            UnauthenticatedError: the owner has deleted their account.
        """

    def changes(self, owner: str, table: str, *, since: int, limit: int) -> Page[Item]:
        """Return what changed after change number ``since``, each item once at its newest, in order of change."""

    def remove_all(self, owner: str) -> None:
        """Forget all items of a person, tombstones too."""


class Idempotency(Protocol):
    """Answers already given, by (person, key)."""

    def begin(self, user: str, key: str, fingerprint: str, now: datetime) -> Answered | None:
        """Return the answer given to this call before; None if it is now ours to answer.

        Raises:
            KeyReusedError: the key was used for another call.
            UnderWayError: the same call is being answered, and is not done within a moment.
        """

    def finish(self, user: str, key: str, answered: Answered) -> None:
        """Keep the answer."""

    def abandon(self, user: str, key: str) -> None:
        """Let the key be used again: nothing came of the call."""

    def keys_of(self, user: str) -> Sequence[str]:
        """Return the keys of all answers kept for a person."""

    def remove_all(self, user: str) -> None:
        """Forget all answers given to a person."""


class Presences(Protocol):
    """Who is connected."""

    def find(self, subject: str, client: str) -> Presence | None:
        """Return what is known of one client. Read consistently."""

    def of_subject(self, subject: str) -> Sequence[Presence]:
        """Return what is known of all clients of a person, or the one of a device."""

    def find_many(self, things: Iterable[str]) -> Mapping[str, Presence]:
        """Return what is known of devices, by thing; at most 100 asked at a time."""

    def devices_by_connection(
        self, *, connected: bool, after: datetime | None, until: datetime | None, limit: int, position: Any
    ) -> Page[tuple[str, Any]]:
        """Return devices that are connected, or away, and became so at or after an instant, or before one.

        With each comes the position after it. A device that changes at this moment may be missing, or still be there.
        """

    def put(self, presence: Presence, *, was: int | None) -> None:
        """Write what is known now.

        Raises:
            ConflictError: somebody else wrote since revision ``was``; None: since there was nothing.
        """

    def remove_all(self, subject: str) -> None:
        """Forget all clients of a subject."""


class Readings(Protocol):
    """Buckets of readings, one item each."""

    def add(self, thing: str, bucket: Bucket, *, received_ms: int) -> bool:
        """Store a bucket; False if the very same is stored already.

        Raises:
            ConflictError: another bucket is stored under the same thing, t0, boot and seq.
        """

    def between(self, thing: str, from_ms: int, to_ms: int, *, page_size: int) -> Iterator[tuple[BucketKey, Bucket]]:
        """Yield buckets that begin in [from, to), in order of their keys, reading as far as is consumed."""

    def latest(self, thing: str, from_ms: int) -> Bucket | None:
        """Return the bucket that begins last, not before ``from_ms``; None if there is none."""


class Quarantine(Protocol):
    """Documents that did not fit."""

    def add(self, quarantined: Quarantined) -> None:
        """Keep a document; the same one again changes nothing."""

    def of_thing(self, thing: str, from_ms: int, *, limit: int, after: Any) -> Page[Quarantined]:
        """Return documents received at or after ``from_ms``, newest first."""
