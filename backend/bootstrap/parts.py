"""The parts: one adapter behind each port, made once per container, when first asked for."""

from functools import cache
from typing import TYPE_CHECKING

from backend import config
from backend.adapters.clock import SystemClock
from backend.runtime.logs import StructuredLog

if TYPE_CHECKING:
    from backend import ports
    from backend.adapters.iot import IotControl
    from backend.services.trail import Trail


@cache
def settings() -> config.Config:
    """Return what the template says."""
    return config.load()


@cache
def clock() -> SystemClock:
    """Return the clock."""
    return SystemClock()


@cache
def log() -> StructuredLog:
    """Return the log."""
    return StructuredLog()


@cache
def answers() -> "ports.Idempotency":
    """Return the answers already given to calls with an idempotency key."""
    from backend.adapters.idempotency import DynamoIdempotency

    return DynamoIdempotency(settings().table("idempotency"))


@cache
def attempts() -> "ports.Attempts":
    """Return how often something was tried."""
    from backend.adapters.attempts import DynamoAttempts

    return DynamoAttempts(settings().table("idempotency"))


@cache
def dice() -> "ports.Dice":
    """Return randomness."""
    from backend.adapters.dice import SystemDice

    return SystemDice()


@cache
def device_types() -> "ports.DeviceTypes":
    """Return the device types."""
    from backend.adapters.device_types import DeviceTypeDocuments

    return DeviceTypeDocuments()


@cache
def devices() -> "ports.Devices":
    """Return the registry of devices."""
    from backend.adapters.devices import DynamoDevices

    return DynamoDevices(settings().table("devices"), settings().table("search"))


@cache
def memberships() -> "ports.Memberships":
    """Return who is what to which device or room."""
    from backend.adapters.people import DynamoMemberships

    return DynamoMemberships(settings().table("memberships"))


@cache
def rooms() -> "ports.Rooms":
    """Return the rooms."""
    from backend.adapters.people import DynamoRooms

    return DynamoRooms(settings().table("memberships"), settings().table("devices"))


@cache
def invitations() -> "ports.Invitations":
    """Return the offers of roles."""
    from backend.adapters.people import DynamoInvitations

    return DynamoInvitations(settings().table("memberships"))


@cache
def profiles() -> "ports.Profiles":
    """Return what people told us about themselves."""
    from backend.adapters.people import DynamoProfiles

    return DynamoProfiles(settings().table("accounts"))


@cache
def closed() -> "ports.Closed":
    """Return who deleted their account."""
    from backend.adapters.people import DynamoClosed

    return DynamoClosed(settings().table("accounts"))


@cache
def audit() -> "ports.Audit":
    """Return the trail of changes, to read."""
    from backend.adapters.people import DynamoAudit

    return DynamoAudit(settings().table("audit"))


@cache
def store() -> "ports.Store":
    """Return where changes that belong together are written."""
    from backend.adapters.store import DynamoStore

    name = settings().table
    return DynamoStore(
        devices=name("devices"),
        search=name("search"),
        memberships=name("memberships"),
        accounts=name("accounts"),
        audit_table=name("audit"),
    )


@cache
def trail() -> "Trail":
    """Return what writes down who changed what."""
    from backend.services.trail import Trail

    return Trail(clock=clock())


@cache
def readings() -> "ports.Readings":
    """Return the buckets of readings."""
    from backend.adapters.readings import DynamoReadings

    return DynamoReadings(settings().table("readings"), retention=settings().readings_retention)


@cache
def quarantine() -> "ports.Quarantine":
    """Return the documents that did not fit."""
    from backend.adapters.readings import DynamoQuarantine

    return DynamoQuarantine(settings().table("quarantine"), retention=settings().quarantine_retention)


@cache
def presences() -> "ports.Presences":
    """Return who is connected."""
    from backend.adapters.presence import DynamoPresences

    return DynamoPresences(settings().table("presence"))


@cache
def items() -> "ports.Items":
    """Return the items of people."""
    from backend.adapters.items import DynamoItems

    return DynamoItems(settings().table("items"), settings().table("accounts"))


@cache
def iot() -> "IotControl":
    """Return AWS IoT, as control over devices and the way out to them."""
    from backend.adapters.iot import IotControl

    return IotControl()
