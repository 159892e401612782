"""Run many devices at once and count what became of their readings."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from device_client.config import DeviceSettings
from device_client.connection import Connection
from device_client.device import Device, build_device
from device_client.errors import NotConnectedError
from device_client.features.telemetry import Telemetry
from device_client.store.outbox import SealedBucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Acknowledged:
    """One bucket that got its PUBACK."""

    thing: str
    boot: str
    seq: int
    at_ms: tuple[int, ...]
    """The instant of each reading, epoch ms."""


@dataclass(slots=True, kw_only=True)
class FleetCounts:
    """What the devices know of themselves; what the cloud holds is for somebody else to count."""

    devices_connected: int = 0
    messages_acknowledged: int = 0
    readings_acknowledged: int = 0
    messages_refused: int = 0
    buckets: list[Acknowledged] = field(default_factory=list)


class Fleet:
    """Devices that start, with a ramp, and stop together."""

    def __init__(
        self,
        settings: Sequence[DeviceSettings],
        *,
        connect: Callable[[DeviceSettings], Connection],
        seed: int,
        connects_per_s: float = 100.0,
        on_acknowledged: Callable[[Acknowledged], None] = lambda _bucket: None,
    ) -> None:
        self._buckets: list[Acknowledged] = []
        self._tell = on_acknowledged
        self._interval_s = 1.0 / connects_per_s
        self._connected = 0
        self._devices: list[tuple[Device, Telemetry]] = [
            build_device(
                one,
                connect(one),
                dice=random.Random(f"{seed}/{one.thing}"),  # noqa: S311 - physics, not secrets
                on_acknowledged=lambda bucket, thing=one.thing: self._on_acknowledged(thing, bucket),  # type: ignore[misc]  # the default binds the name
            )
            for one in settings
        ]

    async def start(self) -> list[str]:
        """Start every device; return what kept any of them from connecting, a line each."""
        starting = []
        for device, _ in self._devices:
            starting.append(asyncio.create_task(self._start(device)))
            await asyncio.sleep(self._interval_s)
        failures = await asyncio.gather(*starting)
        return [failure for failure in failures if failure]

    async def _start(self, device: Device) -> str:
        try:
            await device.start()
        except NotConnectedError as error:
            return str(error)
        self._connected += 1
        return ""

    async def stop(self) -> None:
        """Stop every device: each closes its open bucket and waits for its PUBACKs."""
        await asyncio.gather(*(device.stop() for device, _ in self._devices))

    def counts(self) -> FleetCounts:
        """Return the sums over all devices so far."""
        each = [telemetry.counts for _, telemetry in self._devices]
        return FleetCounts(
            devices_connected=self._connected,
            messages_acknowledged=sum(one.messages_acknowledged for one in each),
            readings_acknowledged=sum(one.readings_acknowledged for one in each),
            messages_refused=sum(one.messages_refused for one in each),
            buckets=list(self._buckets),
        )

    def _on_acknowledged(self, thing: str, bucket: SealedBucket) -> None:
        document = json.loads(bucket.payload)
        acknowledged = Acknowledged(
            thing=thing,
            boot=document["boot"],
            seq=document["seq"],
            at_ms=tuple(document["t0"] + dt for dt in document["dt"]),
        )
        self._buckets.append(acknowledged)
        self._tell(acknowledged)
