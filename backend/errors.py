"""What can go wrong, by remedy.

FieldlineError
├── InvalidInputError        change the input: every violation names its field
├── UnauthenticatedError     sign in (again)
├── ForbiddenError           you may see it, but not do this
├── NotFoundError            it is not there, or not yours; nobody can tell which
├── ConflictError            the state moved under you, or forbids this: read again, then decide
│   └── UnderWayError        the same call is being answered at this moment: wait, then send it again
├── KeyReusedError           the idempotency key was used for another call: take a new one
├── PreconditionFailedError  the version you named is not the current one: read again, then retry
├── TooManyError             a limit is reached: wait, or give something back
└── UnavailableError         something we depend on did not answer: retry the same call
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar


@dataclass(frozen=True, slots=True, kw_only=True)
class Violation:
    """One thing wrong with one field."""

    field: str
    """Path of the field as the caller wrote it, such as ``m.temperature_c[3]``; ``body`` for the whole document."""
    problem: str


class FieldlineError(Exception):
    """Base of all errors of the backend."""

    code: ClassVar[str] = "internal"
    status: ClassVar[int] = 500
    retryable: ClassVar[bool] = False

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


MAX_VIOLATIONS = 20
"""A document may be wrong in ten thousand places: the first few are enough to repair it, and all would fit nowhere."""
MAX_SHOWN_LENGTH = 256
"""Characters of a field's name, or of what is wrong with it: both may hold what the caller sent."""


class InvalidInputError(FieldlineError):
    """The input cannot be accepted: change it; every violation names its field, the first of them if they are many."""

    code = "invalid-input"
    status = 400

    def __init__(self, *violations: Violation) -> None:
        beyond = len(violations) - MAX_VIOLATIONS
        violations = tuple(map(_shown, violations[:MAX_VIOLATIONS]))
        if beyond > 0:
            violations += (Violation(field="body", problem=f"and {beyond} more"),)
        super().__init__("; ".join(f"{v.field}: {v.problem}" for v in violations))
        self.violations = violations


class UnauthenticatedError(FieldlineError):
    """Nobody has proved who is calling: sign in, and send the access token."""

    code = "unauthenticated"
    status = 401


class ForbiddenError(FieldlineError):
    """The caller may see this, but not do this to it."""

    code = "forbidden"
    status = 403


class NotFoundError(FieldlineError):
    """It does not exist, or is not the caller's; the answer is the same, so that nobody can probe."""

    code = "not-found"
    status = 404


class ConflictError(FieldlineError):
    """The state moved under the caller, or forbids this: read again, then decide."""

    code = "conflict"
    status = 409

    def __init__(self, message: str, *, details: Mapping[str, Any] | None = None) -> None:
        super().__init__(message)
        self.details = details or {}
        """What the caller needs to decide, such as both sides of the conflict."""


class UnderWayError(ConflictError):
    """The same call, by its idempotency key, is being answered at this moment: wait, then send it again."""

    code = "under-way"
    retryable = True


class KeyReusedError(FieldlineError):
    """The idempotency key was used for another call: a new call takes a new key."""

    code = "key-reused"
    status = 422


class PreconditionFailedError(FieldlineError):
    """The version the caller named is not the current one: read again, then retry."""

    code = "precondition-failed"
    status = 412


class TooManyError(FieldlineError):
    """A limit is reached: wait, or give something back."""

    code = "too-many"
    status = 429
    retryable = True


class UnavailableError(FieldlineError):
    """Something we depend on did not answer: the same call may be sent again."""

    code = "unavailable"
    status = 503
    retryable = True


def invalid(field: str, problem: str) -> InvalidInputError:
    """Return the error for one field."""
    return InvalidInputError(Violation(field=field, problem=problem))


def _shown(violation: Violation) -> Violation:
    """Return a violation as logs, tables and answers can hold it, whatever the caller sent for a name."""
    return Violation(field=_shortened(violation.field), problem=_shortened(violation.problem))


def _shortened(text: str) -> str:
    return text if len(text) <= MAX_SHOWN_LENGTH else f"{text[:MAX_SHOWN_LENGTH]}…"
