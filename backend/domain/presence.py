"""Who is connected: the truth out of events that repeat, overtake one another and get lost."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

GRACE = timedelta(seconds=60)
"""A device away for no longer than this is not called offline: it is changing its network."""
FLAPPING_WINDOW = timedelta(minutes=10)
FLAPPING_CONNECTS = 5
VERSION_RESET_AFTER = timedelta(minutes=45)
"""AWS IoT starts a client's version numbers again after about an hour offline; two events further apart than this are
ordered by their time, closer ones by their version."""


class Status(StrEnum):
    """What to tell people."""

    ONLINE = "online"
    UNSTABLE = "unstable"
    """Connected, or away only just now, but it comes and goes."""
    OFFLINE = "offline"
    NEVER = "never"
    """It has not connected yet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One lifecycle event, as the AWS IoT developer guide has it under "Lifecycle events"."""

    client: str
    session: str
    version: int
    at: datetime
    connected: bool
    reason: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Presence:
    """What is known of one client."""

    subject: str
    client: str
    session: str
    version: int
    connected: bool
    changed_at: datetime
    reason: str = ""
    connects: tuple[datetime, ...] = ()
    """The latest connects, in order; each counted once."""
    revision: int = 0
    """Of what is stored."""

    def last_seen_at(self, now: datetime) -> datetime:
        """Return when the client was last known to be there; while connected, that is now."""
        return max(now, self.changed_at) if self.connected else self.changed_at


def learn(known: Presence | None, event: Event, subject: str) -> Presence:
    """Return what is known after an event.

    Any order of the same events, with repetitions, ends in the same knowledge: the newest event wins, the version
    number says which is newer, and of one session the disconnect is the end.
    """
    connects = known.connects if known else ()
    if event.connected and event.at not in connects:
        connects = tuple(sorted((*connects, event.at))[-FLAPPING_CONNECTS:])
    if known is not None and not _is_newer(event, known):
        return replace(known, connects=connects)
    return Presence(
        subject=subject,
        client=event.client,
        session=event.session,
        version=event.version,
        connected=event.connected,
        changed_at=event.at,
        reason=event.reason,
        connects=connects,
        revision=known.revision if known else 0,
    )


def status(known: Presence | None, now: datetime, *, grace: timedelta = GRACE) -> Status:
    """Return what to tell people about a client."""
    if known is None:
        return Status.NEVER
    if not known.connected and now - known.changed_at > grace:
        return Status.OFFLINE
    recent = [at for at in known.connects if now - at <= FLAPPING_WINDOW]
    return Status.UNSTABLE if len(recent) >= FLAPPING_CONNECTS else Status.ONLINE


def _is_newer(event: Event, known: Presence) -> bool:
    if abs(event.at - known.changed_at) >= VERSION_RESET_AFTER:
        return event.at > known.changed_at
    if event.version != known.version:
        return event.version > known.version
    if event.session == known.session:
        return known.connected and not event.connected
    return event.at > known.changed_at
