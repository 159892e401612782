"""Who a connection is where only its CONNECT can tell, and for how long that holds."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from infra.local.iot.message import Principal
from infra.local.iot.mqtt.codec import Connect

if TYPE_CHECKING:
    from infra.local.iot.mqtt.connection import Connection


class Authenticate(Protocol):
    """Who a CONNECT comes from, where the door could not know before it (custom authentication)."""

    async def __call__(self, connection: "Connection", connect: Connect) -> Principal | None:
        """Return the principal, and give the connection its term; None refuses."""


@dataclass(slots=True, kw_only=True)
class Term:
    """How long a connection may last, by the movable clock, and when its principal is asked for anew."""

    ends_at: float
    reason: str
    """Of the lifecycle event then."""
    renew: Callable[[], Awaitable[Principal | None]] | None = None
    renew_every_s: int = 0
    renew_at: float = float("inf")
