"""One device: features started and stopped in order over one connection."""

import asyncio
import random
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from device_client.clock import DeviceClock, SystemClock
from device_client.config import DeviceSettings, TelemetrySettings
from device_client.connection import Connection
from device_client.features import Feature
from device_client.features.commands import Commands
from device_client.features.configuration import NAME as CONFIG
from device_client.features.configuration import Configuration
from device_client.features.identity import Identity
from device_client.features.shadow import Shadow
from device_client.features.telemetry import Telemetry
from device_client.hardware import Action, Sensor, Setting
from device_client.hardware.thermostat import Battery, ThermalSensor, build_actions, build_settings, number
from device_client.store.database import check
from device_client.store.journal import Journal
from device_client.store.outbox import Outbox, SealedBucket
from device_client.store.settings import SettingsStore
from device_client.topics import Topics


class Device:
    """A device that is running, or not yet, or no more.

    Sampling begins before there is a connection: a device in a cellar still measures.
    """

    def __init__(self, connection: Connection, features: Sequence[Feature], close: Callable[[], None]) -> None:
        self._connection = connection
        self._features = features
        self._close = close

    async def start(self) -> None:
        """Start every feature, then connect.

        Raises:
            NotConnectedError: there is no connection yet; features run on and it keeps being tried.
        """
        for feature in self._features:
            await feature.start()
        await self._connection.start()

    async def stop(self) -> None:
        """Stop the features in reverse order, then disconnect, then close what is on disk."""
        for feature in reversed(self._features):
            await feature.stop()
        await self._connection.stop()
        self._close()


@dataclass(frozen=True, slots=True, kw_only=True)
class Board:
    """The hardware: what it measures, what it can do, what can be configured."""

    sensors: list[Sensor]
    actions: dict[str, Action]
    settings: dict[str, Setting]


def build_board(dice: random.Random, clock: DeviceClock) -> Board:
    """Return a simulated thermostat; a real board returns its drivers here."""
    room = ThermalSensor(dice=dice, temperature_c=dice.uniform(17.0, 22.0))
    battery = Battery(dice=dice, charge=dice.uniform(0.4, 1.0))
    return Board(sensors=[room, battery], actions=build_actions(room, clock.sleep), settings=build_settings(room))


def build_pace(telemetry: Telemetry, first: TelemetrySettings) -> dict[str, Setting]:
    """Return how telemetry can be configured, by the setting's name in the device type."""
    pace = {"interval_s": "sample_every_s", "flush_count": "flush_readings", "flush_s": "flush_after_s"}
    now = first

    def setting(field: str) -> Setting:
        def change(value: Any) -> None:
            nonlocal now
            kind = type(getattr(first, field))
            wished = replace(now, **{field: getattr(first, field) if value is None else kind(number(value))})
            telemetry.change(wished)
            now = wished

        return change

    return {name: setting(field) for name, field in pace.items()}


def build_restart(reboot: Callable[[], None]) -> Action:
    """Return the command that starts the device again. It does not return: the start after it completes it."""

    async def restart(_parameters: Mapping[str, Any]) -> None:
        reboot()
        await asyncio.Event().wait()

    return restart


def build_device(
    settings: DeviceSettings,
    connection: Connection,
    *,
    dice: random.Random,
    clock: DeviceClock | None = None,
    reboot: Callable[[], None] | None = None,
    on_acknowledged: Callable[[SealedBucket], None] = lambda _bucket: None,
) -> tuple[Device, Telemetry]:
    """Return a device and its telemetry (for its counts), not yet started.

    ``reboot`` has the device stopped and built anew, soon; without it the device refuses to be restarted.

    Raises:
        ConfigurationError: its outbox can be neither read nor made. A damaged one is put aside.
    """
    clock = clock or SystemClock()
    topics = Topics(stage=settings.stage, thing=settings.thing)
    board = build_board(dice, clock)
    if reboot is not None:
        board.actions["restart"] = build_restart(reboot)
    check(settings.outbox)
    outbox = Outbox(settings.outbox, boot=secrets.token_hex(4), capacity=settings.telemetry.outbox_buckets)
    journal = Journal(settings.outbox)
    telemetry = Telemetry(
        settings=settings.telemetry,
        topics=topics,
        connection=connection,
        outbox=outbox,
        sensors=board.sensors,
        clock=clock,
        dice=dice,
        on_acknowledged=on_acknowledged,
    )
    commands = Commands(
        topics=topics, connection=connection, journal=journal, actions=board.actions, clock=clock, dice=dice
    )

    kept = SettingsStore(settings.outbox)
    configuration = Configuration({**board.settings, **build_pace(telemetry, settings.telemetry)}, kept)
    shadow = Shadow(topics=topics.shadow(CONFIG), connection=connection, follower=configuration)
    identity = Shadow(topics=topics.shadow(), connection=connection, follower=Identity(settings.firmware))

    def close() -> None:
        for store in (kept, journal, outbox):
            store.close()

    return Device(connection, [telemetry, commands, shadow, identity], close), telemetry
