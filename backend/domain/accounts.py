"""People: what they told us about themselves, and how they want to be told things."""

from dataclasses import dataclass, field
from datetime import datetime


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


def same_email(one: str, other: str) -> bool:
    """Say whether two addresses are one: Cognito compares without regard to case, and so do we."""
    return one.strip().casefold() == other.strip().casefold()
