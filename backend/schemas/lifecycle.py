"""What AWS IoT tells of devices: lifecycle events (developer guide, "Lifecycle events") and reports in shadows."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from backend.domain.firmware import MAX_LENGTH, FirmwareReport
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


def load_firmware(event: Mapping[str, Any]) -> FirmwareReport | None:
    """Return what a device reported to run; None if the event tells of something else, or of no firmware.

    The rule ``{stage}_firmware`` makes the event of what AWS IoT says of an update of the classic shadow. (AWS IoT
    developer guide, "Device Shadow service documents".)
    """
    firmware = event.get("firmware", "") or ""
    if "firmware" not in event or not isinstance(firmware, str):
        return None
    if len(firmware) > MAX_LENGTH or not firmware.isprintable():
        return None
    try:
        return FirmwareReport(
            thing=str(event["thing"]), firmware=firmware, at_s=int(event["at_s"]), version=int(event["version"])
        )
    except (KeyError, TypeError, ValueError) as error:
        message = f"not an update of a shadow: {error!r}"
        raise FieldlineError(message) from error
