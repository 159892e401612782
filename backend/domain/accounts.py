"""People: what they told us about themselves, and how they want to be told things."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta

CLOSED_FOR = timedelta(days=2)
"""For how long it is remembered that an account was deleted: longer than its tokens and connections live (an hour, a
day), by which its owner could go on; nobody else can know in time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """By which ways a person wants to hear of alarms."""

    push: bool = True
    email: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Profile:
    """One person."""

    user: str
    email: str
    created_at: datetime
    name: str = ""
    locale: str = "en"
    time_zone: str = "UTC"
    notifications: Notifications = field(default_factory=Notifications)
    identity_id: str | None = None
    """The identity-pool id tied to this person; None until they asked for it."""
    version: int = 1


def closed_key(user: str) -> str:
    """Return under what it is remembered that a person deleted their account; it does not tell whose it was."""
    return f"closed#{hashlib.sha256(user.encode()).hexdigest()[:32]}"


def same_email(one: str, other: str) -> bool:
    """Say whether two addresses are one: Cognito compares without regard to case, and so do we."""
    return one.strip().casefold() == other.strip().casefold()
