"""One device: features started and stopped in order over one connection."""

import random
import secrets
from collections.abc import Callable, Sequence

from device_client.clock import DeviceClock, SystemClock
from device_client.config import DeviceSettings
from device_client.connection import Connection
from device_client.features import Feature
from device_client.features.telemetry import Telemetry
from device_client.hardware import Sensor
from device_client.hardware.thermostat import Battery, ThermalSensor
from device_client.store.outbox import Outbox, SealedBucket
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


def build_sensors(dice: random.Random) -> list[Sensor]:
    """Return the simulated sensors of a thermostat; a real board returns its drivers here."""
    start_c = dice.uniform(17.0, 22.0)
    return [ThermalSensor(dice=dice, temperature_c=start_c), Battery(dice=dice, charge=dice.uniform(0.4, 1.0))]


def build_device(
    settings: DeviceSettings,
    connection: Connection,
    *,
    dice: random.Random,
    clock: DeviceClock | None = None,
    on_acknowledged: Callable[[SealedBucket], None] = lambda _bucket: None,
) -> tuple[Device, Telemetry]:
    """Return a device and its telemetry (for its counts), not yet started."""
    outbox = Outbox(settings.outbox, boot=secrets.token_hex(4), capacity=settings.telemetry.outbox_buckets)
    telemetry = Telemetry(
        settings=settings.telemetry,
        topic=Topics(stage=settings.stage, thing=settings.thing).telemetry,
        connection=connection,
        outbox=outbox,
        sensors=build_sensors(dice),
        clock=clock or SystemClock(),
        dice=dice,
        on_acknowledged=on_acknowledged,
    )
    return Device(connection, [telemetry], outbox.close), telemetry
