"""Lifecycle events of AWS IoT. (AWS IoT developer guide, "Lifecycle events".)."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.domain.presence import Event
from backend.domain.telemetry import instant
from backend.errors import FieldlineError


@dataclass(frozen=True, slots=True, kw_only=True)
class Subscription:
    """That a client has subscribed to topics."""

    client: str
    at: datetime
    filters: tuple[str, ...]

    def hears_commands(self, stage: str) -> bool:
        """Say whether the client, if it is a device, now hears its own commands."""
        return any(each.startswith(f"cmd/{stage}/{self.client}/") for each in self.filters)


def load_subscription(event: Mapping[str, Any]) -> Subscription | None:
    """Return the subscription an event tells of; None if it tells of something else."""
    if event.get("eventType") != "subscribed":
        return None
    return Subscription(
        client=str(event["clientId"]),
        at=instant(int(event["timestamp"])),
        filters=tuple(map(str, event.get("topics", ()))),
    )


def load_event(event: Mapping[str, Any]) -> Event | None:
    """Return the connect or disconnect an event tells of; None if it tells of something else.

    Raises:
        FieldlineError: it is not an event of AWS IoT at all.
    """
    kind = event.get("eventType")
    if kind not in {"connected", "disconnected"}:
        return None
    try:
        return Event(
            client=str(event["clientId"]),
            session=str(event["sessionIdentifier"]),
            version=int(event.get("versionNumber", 0)),
            at=instant(int(event["timestamp"])),
            connected=kind == "connected",
            reason=str(event.get("disconnectReason", "")),
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"not a lifecycle event: {error!r}"
        raise FieldlineError(message) from error
