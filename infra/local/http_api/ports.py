"""What this room needs from others."""

from typing import Protocol

from infra.local.wire import Caller


class Invoked(Protocol):
    """A function's answer."""

    @property
    def payload(self) -> bytes:
        """Return what the handler returned, or the error document."""

    @property
    def function_error(self) -> str | None:
        """Return ``Handled`` or ``Unhandled`` when the handler failed."""


class Invoker(Protocol):
    """The Lambda service."""

    async def invoke(self, arn_or_name: str, payload: bytes, *, caller: Caller) -> Invoked:
        """Return the function's answer.

        Raises:
            Exception: the service refused; its ``status`` is the HTTP status, 429 when throttled.
        """


class AccessLog(Protocol):
    """Where access logs go."""

    def __call__(self, group: str, line: str) -> None:
        """Take one line for a log group; returns at once."""
