"""Composition root: which adapter stands behind which port. Each part is made once per container, when first asked for.

Parts are imported where they are made, so that a function's cold start pays for what it uses and nothing else.
"""

from functools import cache
from typing import TYPE_CHECKING

from backend.bootstrap import parts

if TYPE_CHECKING:
    from backend.adapters.invoker import LambdaInvoker
    from backend.services.access import Access
    from backend.services.accounts import Accounts, Openings
    from backend.services.commands import CommandDesk
    from backend.services.configuration import Settings
    from backend.services.devices import DeviceBook
    from backend.services.doorkeeper import Doorkeeper
    from backend.services.firmware import FirmwareBook
    from backend.services.imports import Imports
    from backend.services.items import ItemBook
    from backend.services.live import Live
    from backend.services.mobile import Mobile
    from backend.services.presence import PresenceBook
    from backend.services.provisioning import AllowList
    from backend.services.registry import Registry
    from backend.services.rooms import RoomBook
    from backend.services.search import Search
    from backend.services.shadows import ShadowDesk
    from backend.services.sharing import Sharing
    from backend.services.telemetry import Admission, TelemetryIngest, TelemetryQueries

# Parts that doors ask for themselves.
answers, clock, log, settings = parts.answers, parts.clock, parts.log, parts.settings


@cache
def telemetry_ingest() -> "TelemetryIngest":
    """Return what takes in buckets."""
    from backend.services.telemetry import TelemetryIngest

    return TelemetryIngest(admission=admission(), readings=parts.readings())


@cache
def admission() -> "Admission":
    """Return what decides whether a document is a bucket of its device's type."""
    from backend.schemas.telemetry import load_bucket
    from backend.services.telemetry import Admission

    return Admission(
        load_bucket=load_bucket,
        devices=parts.devices(),
        device_types=parts.device_types(),
        quarantine=parts.quarantine(),
        log=parts.log(),
        retention=parts.settings().readings_retention,
    )


@cache
def telemetry_queries() -> "TelemetryQueries":
    """Return what answers questions about readings."""
    from backend.services.telemetry import TelemetryQueries

    return TelemetryQueries(access=access(), readings=parts.readings(), quarantine=parts.quarantine())


@cache
def device_book() -> "DeviceBook":
    """Return what a person can do with devices."""
    from backend.services.devices import DeviceBook

    return DeviceBook(
        access=access(),
        devices=parts.devices(),
        attempts=parts.attempts(),
        memberships=parts.memberships(),
        invitations=parts.invitations(),
        audit=parts.audit(),
        store=parts.store(),
        control=parts.iot(),
        clock=parts.clock(),
        trail=parts.trail(),
    )


@cache
def search() -> "Search":
    """Return what finds devices."""
    from backend.adapters.search import DynamoSearchIndex
    from backend.services.search import Search

    return Search(
        memberships=parts.memberships(),
        devices=parts.devices(),
        index=DynamoSearchIndex(parts.settings().table("search")),
        presences=parts.presences(),
        presence=presence_book(),
        settings=configuration(),
        clock=parts.clock(),
    )


@cache
def firmware_book() -> "FirmwareBook":
    """Return what keeps which device runs what."""
    from backend.services.firmware import FirmwareBook

    return FirmwareBook(devices=parts.devices(), store=parts.store(), trail=parts.trail())


@cache
def room_book() -> "RoomBook":
    """Return what a person can do with rooms."""
    from backend.services.rooms import RoomBook

    return RoomBook(
        access=access(),
        rooms=parts.rooms(),
        devices=parts.devices(),
        memberships=parts.memberships(),
        invitations=parts.invitations(),
        store=parts.store(),
        clock=parts.clock(),
        dice=parts.dice(),
        trail=parts.trail(),
    )


@cache
def sharing() -> "Sharing":
    """Return what lets people share."""
    from backend.services.sharing import Sharing

    return Sharing(
        access=access(),
        devices=parts.devices(),
        rooms=parts.rooms(),
        memberships=parts.memberships(),
        invitations=parts.invitations(),
        profiles=parts.profiles(),
        store=parts.store(),
        control=parts.iot(),
        clock=parts.clock(),
        dice=parts.dice(),
        trail=parts.trail(),
    )


@cache
def accounts() -> "Accounts":
    """Return what a person can do with their account."""
    from backend.adapters.cognito import CognitoIdentities, CognitoPeople
    from backend.services.accounts import Accounts

    identities = CognitoIdentities(
        stage=parts.settings().stage,
        user_pool=parts.settings().user_pool,
        identity_pool=parts.settings().identity_pool,
        arn_prefix=parts.settings().iot_arn_prefix,
    )
    return Accounts(
        openings=accounts_opening(),
        profiles=parts.profiles(),
        memberships=parts.memberships(),
        devices=parts.devices(),
        rooms=parts.rooms(),
        invitations=parts.invitations(),
        items=parts.items(),
        answers=parts.answers(),
        presences=parts.presences(),
        audit=parts.audit(),
        store=parts.store(),
        identities=identities,
        people=CognitoPeople(parts.settings().user_pool),
        clock=parts.clock(),
        device_book=device_book(),
        room_book=room_book(),
        trail=parts.trail(),
    )


@cache
def accounts_opening() -> "Openings":
    """Return what makes profiles."""
    from backend.services.accounts import Openings

    return Openings(profiles=parts.profiles(), store=parts.store(), clock=parts.clock())


@cache
def registry() -> "Registry":
    """Return what operators can do with devices."""
    from backend.services.registry import Registry

    return Registry(devices=parts.devices(), device_types=parts.device_types(), clock=parts.clock(), dice=parts.dice())


@cache
def imports() -> "Imports":
    """Return what lets files in, each kind by the folder it is dropped in."""
    from backend.adapters.imports import DynamoImportProgress, S3Files
    from backend.schemas.imports import check_device_columns, load_device_row
    from backend.services.imports import Imports
    from backend.services.registry import DeviceRows

    devices = DeviceRows(registry=registry(), check_columns=check_device_columns, load_row=load_device_row)
    return Imports(
        files=S3Files(),
        progress=DynamoImportProgress(parts.settings().table("imports"), parts.clock()),
        readers={"devices": devices},
        clock=parts.clock(),
        log=parts.log(),
    )


@cache
def invoker() -> "LambdaInvoker":
    """Return what invokes a function again."""
    from backend.adapters.invoker import LambdaInvoker

    return LambdaInvoker()


@cache
def allow_list() -> "AllowList":
    """Return what decides which devices are provisioned."""
    from backend.services.provisioning import AllowList

    proof_required = parts.settings().provisioning_proof_required
    return AllowList(
        stage=parts.settings().stage, devices=parts.devices(), proof_required=proof_required, log=parts.log()
    )


@cache
def presence_book() -> "PresenceBook":
    """Return what keeps who is connected."""
    from backend.services.presence import PresenceBook

    return PresenceBook(
        presences=parts.presences(),
        closed=parts.closed(),
        live=live(),
        settings=configuration(),
        clock=parts.clock(),
    )


@cache
def configuration() -> "Settings":
    """Return what knows the configuration."""
    from backend.adapters.configuration import DynamoConfigurations
    from backend.services.configuration import Settings

    return Settings(
        configurations=DynamoConfigurations(parts.settings().table("config")), clock=parts.clock(), log=parts.log()
    )


@cache
def command_desk() -> "CommandDesk":
    """Return what takes commands to devices."""
    from backend.adapters.commands import DynamoCommands
    from backend.services.commands import CommandDesk

    return CommandDesk(
        stage=parts.settings().stage,
        access=access(),
        commands=DynamoCommands(parts.settings().table("commands")),
        devices=parts.devices(),
        device_types=parts.device_types(),
        presence=presence_book(),
        rooms=room_book(),
        publisher=parts.iot(),
        live=live(),
        store=parts.store(),
        trail=parts.trail(),
        clock=parts.clock(),
        dice=parts.dice(),
        log=parts.log(),
    )


@cache
def shadow_desk() -> "ShadowDesk":
    """Return what reads and changes shadows for people."""
    from backend.services.shadows import ShadowDesk

    return ShadowDesk(
        access=access(),
        shadows=parts.iot(),
        device_types=parts.device_types(),
        store=parts.store(),
        trail=parts.trail(),
    )


@cache
def item_book() -> "ItemBook":
    """Return what a person can do with their items."""
    from backend.services.items import ItemBook

    return ItemBook(items=parts.items(), clock=parts.clock())


@cache
def mobile() -> "Mobile":
    """Return what serves the original mobile-backend contract."""
    from backend.services.mobile import Mobile

    return Mobile(items=item_book(), profiles=parts.profiles())


@cache
def live() -> "Live":
    """Return the way out to phones."""
    from backend.services.live import Live

    return Live(
        stage=parts.settings().stage,
        access=access(),
        devices=parts.devices(),
        presences=parts.presences(),
        publisher=parts.iot(),
    )


@cache
def doorkeeper() -> "Doorkeeper":
    """Return what judges tokens at the MQTT door."""
    from backend.adapters.jwks import PublishedKeys
    from backend.services.doorkeeper import Doorkeeper

    pool = parts.settings().user_pool
    keys = PublishedKeys(f"{parts.settings().keys_url}/{pool}/.well-known/jwks.json", parts.clock())
    return Doorkeeper(
        keys=keys,
        closed=parts.closed(),
        issuer=f"{parts.settings().pools_url}/{pool}",
        client=parts.settings().user_pool_client,
        clock=parts.clock(),
    )


@cache
def access() -> "Access":
    """Return the one authority on access."""
    from backend.services.access import Access

    return Access(memberships=parts.memberships(), devices=parts.devices(), rooms=parts.rooms())
