"""Changes that are made together or not at all: a service says what, the store does it in one transaction."""

from dataclasses import dataclass
from datetime import datetime

from backend.domain.access import Invitation, Membership, Room
from backend.domain.accounts import Profile
from backend.domain.audit import Entry
from backend.domain.devices import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class PutDevice:
    """Write what a device is now, and under which attributes it is found; what it runs stays.

    Holds only if it is still at the version of ``before``; None: only if it does not exist yet.
    """

    device: Device
    before: Device | None


@dataclass(frozen=True, slots=True, kw_only=True)
class PutFirmware:
    """Write what a device runs, and under which firmware it is found. Holds only if nothing newer was reported."""

    device: Device
    """As it was."""
    firmware: str
    as_of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutRoom:
    """Write what a room is now. Holds only if its version is still ``was``; None: only if it does not exist yet."""

    room: Room
    was: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveRoom:
    """End a room. Holds only if its version is still that of ``room``."""

    room: Room


@dataclass(frozen=True, slots=True, kw_only=True)
class PutMembership:
    """Let a person be something to a subject, whatever they were before. Holds only if they are `Present`."""

    membership: Membership


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMembership:
    """End a membership; one that is not there is ended already."""

    subject: str
    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PutInvitation:
    """Offer a role. Holds only if no such invitation exists."""

    invitation: Invitation


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveInvitation:
    """Take an offer away: accepted, declined or revoked. Holds only if it still exists, so that one of them happens."""

    invitation: Invitation


@dataclass(frozen=True, slots=True, kw_only=True)
class PutProfile:
    """Write what a person told us.

    Holds only if its version is still ``was``; None: only if it does not exist yet and they are `Present`.
    """

    profile: Profile
    was: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveProfile:
    """Forget what a person told us."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Present:
    """Change nothing. Holds only if a person has not deleted their account."""

    user: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CloseAccount:
    """Let nothing more come into being of a person, whatever tokens they hold, until these have expired."""

    user: str
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Note:
    """Write an entry of the audit trail."""

    entry: Entry


Change = (
    PutDevice
    | PutFirmware
    | PutRoom
    | RemoveRoom
    | PutMembership
    | RemoveMembership
    | PutInvitation
    | RemoveInvitation
    | PutProfile
    | RemoveProfile
    | Present
    | CloseAccount
    | Note
)
