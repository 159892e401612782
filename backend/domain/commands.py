"""Commands: what was asked of a device, and how far it has come. Nothing ever moves backwards."""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

DEFAULT_LIFETIME = timedelta(hours=1)
MAX_LIFETIME = timedelta(days=7)
RETENTION = timedelta(days=90)
MAX_RESULT_BYTES = 8_192


class State(StrEnum):
    """How far a command has come."""

    QUEUED = "QUEUED"
    """Held: the device is offline. What is offline is not called delivered."""
    SENT = "SENT"
    """Published while the device was connected."""
    ACKED = "ACKED"
    """The device has it and works on it."""
    SUCCEEDED = "SUCCEEDED"
    FAILED = "FAILED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"
    """Its time ran out before the device took it."""


RANK = {
    State.QUEUED: 0,
    State.SENT: 1,
    State.ACKED: 2,
    State.SUCCEEDED: 3,
    State.FAILED: 3,
    State.REJECTED: 3,
    State.EXPIRED: 3,
}
ANSWERS = frozenset({State.ACKED, State.SUCCEEDED, State.FAILED, State.REJECTED})
"""What a device may say."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    """One command to one device."""

    thing: str
    id: str
    """Sorts by time."""
    name: str
    parameters: Mapping[str, Any]
    created_at: datetime
    expires_at: datetime
    state: State = State.QUEUED
    sent_at: datetime | None = None
    updated_at: datetime | None = None
    result: Any = None
    reason: str = ""
    issuer: str = ""
    """Who ordered it (`issuer_of`): asked for their right again when the device takes it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CommandAnswer:
    """What a device says about a command."""

    thing: str
    id: str
    state: State
    at: datetime
    result: Any = None
    reason: str = ""


def issuer_of(command: str, user: str) -> str:
    """Return what a command remembers of who ordered it, by its id: enough to know them again, not to find them.

    So nothing of a person stays in the commands of others' devices when they delete their account.
    """
    return hashlib.sha256(f"{command}\0{user}".encode()).hexdigest()[:32]


def state_at(command: Command, now: datetime) -> State:
    """Return how far a command has come; one that the device has not taken in time has expired, whoever noticed."""
    waiting = RANK[command.state] < RANK[State.ACKED]
    return State.EXPIRED if waiting and now >= command.expires_at else command.state


def may_become(command: Command, state: State, now: datetime) -> bool:
    """Say whether a command may move on to a state: forward only, and not out of an end."""
    return RANK[state] > RANK[state_at(command, now)]
