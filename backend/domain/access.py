"""Who may do what with a device or a room: roles, what each may, and how a role is come by."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

MAX_MEMBERS = 20
"""Of one device or room; so that whatever ends all memberships fits one transaction of 100 writes."""
MAX_INVITATIONS = 20
INVITATION_LIFETIME = timedelta(days=7)


class Role(StrEnum):
    """What a person is to a device or a room."""

    VIEWER = "viewer"
    OPERATOR = "operator"
    OWNER = "owner"
    ADMIN = "admin"
    """Of the whole product: a group of the user pool, never a membership."""


class Action(StrEnum):
    """What a person may want of a device or a room."""

    SEE = "see"
    CONTROL = "control"
    MANAGE = "manage"


ALLOWED = {
    Role.VIEWER: frozenset({Action.SEE}),
    Role.OPERATOR: frozenset({Action.SEE, Action.CONTROL}),
    Role.OWNER: frozenset(Action),
    Role.ADMIN: frozenset(Action),
}
STRONGEST_FIRST = (Role.ADMIN, Role.OWNER, Role.OPERATOR, Role.VIEWER)


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who calls, as a verified token says."""

    user: str
    """The pool's ``sub``: the one key of a person."""
    is_admin: bool = False
    address: str = ""
    """Where the call came from, for the audit trail."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Membership:
    """That a person is something to a device or a room. The one authority on access."""

    subject: str
    user: str
    role: Role
    since: datetime
    version: int = 1
    """Moves with the role, so that it can be changed from what was read and from nothing else."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Room:
    """Devices of one person, shared as a whole."""

    id: str
    name: str
    owner: str
    version: int = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Invitation:
    """An offer of a role; the role of owner offers the device itself."""

    id: str
    """Derived from the code, so that the code itself is stored nowhere."""
    subject: str
    role: Role
    inviter: str
    created_at: datetime
    expires_at: datetime
    email: str | None = None
    """Whom it is for, in lower case; None for whoever has the code."""
    hand_over: bool = False
    """With the role of owner: the new owner sees readings from before."""


def device_subject(thing: str) -> str:
    """Return how memberships name a device."""
    return f"device#{thing}"


def room_subject(room: str) -> str:
    """Return how memberships name a room."""
    return f"room#{room}"


def user_subject(user: str) -> str:
    """Return how tables name a person among devices and rooms."""
    return f"user#{user}"


def name_of(subject: str) -> str:
    """Return the thing or room that a subject names."""
    return subject.partition("#")[2]


def live_policy(user: str, *, stage: str, arn_prefix: str) -> dict[str, Any]:
    """Return the policy of a person's live connection: the same for everybody but for their name.

    Which devices they may see does not stand here: it is asked where messages are published.
    """
    own = f"live/{stage}/{user}/*"
    allowed = {
        "iot:Connect": f"client/app-{user}-*",
        "iot:Subscribe": f"topicfilter/{own}",
        "iot:Receive": f"topic/{own}",
    }
    return {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Action": action, "Resource": f"{arn_prefix}:{resource}"}
            for action, resource in allowed.items()
        ],
    }


def invitation_id(code: str) -> str:
    """Return the id of the invitation that a code opens."""
    return hashlib.sha256(f"invitation\0{code}".encode()).hexdigest()[:32]


def strongest(roles: Iterable[Role]) -> Role | None:
    """Return the role that allows most; None of none."""
    return min(roles, key=STRONGEST_FIRST.index, default=None)
