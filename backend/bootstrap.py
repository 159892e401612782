"""Composition root: which adapter stands behind which port. Each part is made once per container, when first asked for.

Parts are imported where they are made, so that a function's cold start pays for what it uses and nothing else.
"""

from functools import cache
from typing import TYPE_CHECKING

from backend import config
from backend.adapters.clock import SystemClock
from backend.runtime.logs import StructuredLog

if TYPE_CHECKING:
    from backend import ports
    from backend.adapters.iot import IotControl
    from backend.services.access import Access
    from backend.services.accounts import Accounts, Openings
    from backend.services.commands import CommandDesk
    from backend.services.configuration import Settings
    from backend.services.devices import DeviceBook
    from backend.services.doorkeeper import Doorkeeper
    from backend.services.items import ItemBook
    from backend.services.live import Live
    from backend.services.mobile import Mobile
    from backend.services.presence import PresenceBook
    from backend.services.provisioning import AllowList
    from backend.services.registry import Registry
    from backend.services.rooms import RoomBook
    from backend.services.shadows import ShadowDesk
    from backend.services.sharing import Sharing
    from backend.services.telemetry import Admission, TelemetryIngest, TelemetryQueries
    from backend.services.trail import Trail


@cache
def telemetry_ingest() -> "TelemetryIngest":
    """Return what takes in buckets."""
    from backend.services.telemetry import TelemetryIngest

    return TelemetryIngest(admission=admission(), readings=_readings())


@cache
def admission() -> "Admission":
    """Return what decides whether a document is a bucket of its device's type."""
    from backend.schemas.telemetry import load_bucket
    from backend.services.telemetry import Admission

    return Admission(
        load_bucket=load_bucket,
        devices=_devices(),
        device_types=_device_types(),
        quarantine=_quarantine(),
        log=log(),
        retention=settings().readings_retention,
    )


@cache
def telemetry_queries() -> "TelemetryQueries":
    """Return what answers questions about readings."""
    from backend.services.telemetry import TelemetryQueries

    return TelemetryQueries(access=access(), readings=_readings(), quarantine=_quarantine())


@cache
def device_book() -> "DeviceBook":
    """Return what a person can do with devices."""
    from backend.services.devices import DeviceBook

    return DeviceBook(
        access=access(),
        devices=_devices(),
        memberships=_memberships(),
        invitations=_invitations(),
        audit=_audit(),
        store=_store(),
        control=_iot(),
        clock=clock(),
        trail=_trail(),
    )


@cache
def room_book() -> "RoomBook":
    """Return what a person can do with rooms."""
    from backend.services.rooms import RoomBook

    return RoomBook(
        access=access(),
        rooms=_rooms(),
        devices=_devices(),
        memberships=_memberships(),
        invitations=_invitations(),
        store=_store(),
        clock=clock(),
        dice=_dice(),
        trail=_trail(),
    )


@cache
def sharing() -> "Sharing":
    """Return what lets people share."""
    from backend.services.sharing import Sharing

    return Sharing(
        access=access(),
        devices=_devices(),
        rooms=_rooms(),
        memberships=_memberships(),
        invitations=_invitations(),
        profiles=_profiles(),
        store=_store(),
        clock=clock(),
        dice=_dice(),
        trail=_trail(),
    )


@cache
def accounts() -> "Accounts":
    """Return what a person can do with their account."""
    from backend.adapters.cognito import CognitoIdentities, CognitoPeople
    from backend.services.accounts import Accounts

    identities = CognitoIdentities(
        stage=settings().stage,
        user_pool=settings().user_pool,
        identity_pool=settings().identity_pool,
        arn_prefix=settings().iot_arn_prefix,
    )
    return Accounts(
        openings=accounts_opening(),
        profiles=_profiles(),
        memberships=_memberships(),
        devices=_devices(),
        rooms=_rooms(),
        invitations=_invitations(),
        items=_items(),
        answers=answers(),
        presences=_presences(),
        audit=_audit(),
        store=_store(),
        identities=identities,
        people=CognitoPeople(settings().user_pool),
        device_book=device_book(),
        room_book=room_book(),
    )


@cache
def accounts_opening() -> "Openings":
    """Return what makes profiles."""
    from backend.services.accounts import Openings

    return Openings(profiles=_profiles(), store=_store(), clock=clock())


@cache
def registry() -> "Registry":
    """Return what operators can do with devices."""
    from backend.services.registry import Registry

    return Registry(devices=_devices(), device_types=_device_types(), clock=clock(), dice=_dice())


@cache
def allow_list() -> "AllowList":
    """Return what decides which devices are provisioned."""
    from backend.services.provisioning import AllowList

    proof_required = settings().provisioning_proof_required
    return AllowList(stage=settings().stage, devices=_devices(), proof_required=proof_required, log=log())


@cache
def presence_book() -> "PresenceBook":
    """Return what keeps who is connected."""
    from backend.services.presence import PresenceBook

    return PresenceBook(presences=_presences(), live=live(), settings=configuration(), clock=clock())


@cache
def configuration() -> "Settings":
    """Return what knows the configuration."""
    from backend.adapters.configuration import DynamoConfigurations
    from backend.services.configuration import Settings

    return Settings(configurations=DynamoConfigurations(settings().table("config")), clock=clock(), log=log())


@cache
def command_desk() -> "CommandDesk":
    """Return what takes commands to devices."""
    from backend.adapters.commands import DynamoCommands
    from backend.services.commands import CommandDesk

    return CommandDesk(
        stage=settings().stage,
        access=access(),
        commands=DynamoCommands(settings().table("commands")),
        device_types=_device_types(),
        presence=presence_book(),
        rooms=room_book(),
        publisher=_iot(),
        live=live(),
        clock=clock(),
        dice=_dice(),
        log=log(),
    )


@cache
def shadow_desk() -> "ShadowDesk":
    """Return what reads and changes shadows for people."""
    from backend.services.shadows import ShadowDesk

    return ShadowDesk(access=access(), shadows=_iot(), device_types=_device_types(), store=_store(), trail=_trail())


@cache
def item_book() -> "ItemBook":
    """Return what a person can do with their items."""
    from backend.services.items import ItemBook

    return ItemBook(items=_items(), clock=clock())


@cache
def mobile() -> "Mobile":
    """Return what serves the original mobile-backend contract."""
    from backend.services.mobile import Mobile

    return Mobile(items=item_book(), profiles=_profiles())


@cache
def live() -> "Live":
    """Return the way out to phones."""
    from backend.services.live import Live

    return Live(stage=settings().stage, access=access(), devices=_devices(), presences=_presences(), publisher=_iot())


@cache
def doorkeeper() -> "Doorkeeper":
    """Return what judges tokens at the MQTT door."""
    from backend.adapters.jwks import PublishedKeys
    from backend.services.doorkeeper import Doorkeeper

    pool = settings().user_pool
    keys = PublishedKeys(f"{settings().keys_url}/{pool}/.well-known/jwks.json", clock())
    return Doorkeeper(
        keys=keys, issuer=f"{settings().pools_url}/{pool}", client=settings().user_pool_client, clock=clock()
    )


@cache
def access() -> "Access":
    """Return the one authority on access."""
    from backend.services.access import Access

    return Access(memberships=_memberships(), devices=_devices(), rooms=_rooms())


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
def _dice() -> "ports.Dice":
    from backend.adapters.dice import SystemDice

    return SystemDice()


@cache
def _device_types() -> "ports.DeviceTypes":
    from backend.adapters.device_types import DeviceTypeDocuments

    return DeviceTypeDocuments()


@cache
def _devices() -> "ports.Devices":
    from backend.adapters.devices import DynamoDevices

    return DynamoDevices(settings().table("devices"))


@cache
def _memberships() -> "ports.Memberships":
    from backend.adapters.people import DynamoMemberships

    return DynamoMemberships(settings().table("memberships"))


@cache
def _rooms() -> "ports.Rooms":
    from backend.adapters.people import DynamoRooms

    return DynamoRooms(settings().table("memberships"), settings().table("devices"))


@cache
def _invitations() -> "ports.Invitations":
    from backend.adapters.people import DynamoInvitations

    return DynamoInvitations(settings().table("memberships"))


@cache
def _profiles() -> "ports.Profiles":
    from backend.adapters.people import DynamoProfiles

    return DynamoProfiles(settings().table("accounts"))


@cache
def _audit() -> "ports.Audit":
    from backend.adapters.people import DynamoAudit

    return DynamoAudit(settings().table("audit"))


@cache
def _store() -> "ports.Store":
    from backend.adapters.store import DynamoStore

    name = settings().table
    return DynamoStore(
        devices=name("devices"), memberships=name("memberships"), accounts=name("accounts"), audit_table=name("audit")
    )


@cache
def _trail() -> "Trail":
    from backend.services.trail import Trail

    return Trail(clock=clock(), dice=_dice())


@cache
def _readings() -> "ports.Readings":
    from backend.adapters.readings import DynamoReadings

    return DynamoReadings(settings().table("readings"), retention=settings().readings_retention)


@cache
def _quarantine() -> "ports.Quarantine":
    from backend.adapters.readings import DynamoQuarantine

    return DynamoQuarantine(settings().table("quarantine"), retention=settings().quarantine_retention)


@cache
def _presences() -> "ports.Presences":
    from backend.adapters.presence import DynamoPresences

    return DynamoPresences(settings().table("presence"))


@cache
def _items() -> "ports.Items":
    from backend.adapters.items import DynamoItems

    return DynamoItems(settings().table("items"))


@cache
def _iot() -> "IotControl":
    from backend.adapters.iot import IotControl

    return IotControl()
