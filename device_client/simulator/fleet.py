"""Run many devices at once and count what became of their readings."""

import asyncio
import json
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from device_client.config import DeviceSettings
from device_client.connection import Connection
from device_client.device import Device, build_device
from device_client.errors import NotConnectedError
from device_client.features.telemetry import Telemetry, TelemetryCounts
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


class _Member:
    """One device of the fleet, which may be built anew while the fleet runs."""

    def __init__(self, build: Callable[[Callable[[], None]], tuple[Device, Telemetry]]) -> None:
        self._build = build
        self._past: list[TelemetryCounts] = []
        self._restarting: asyncio.Task[None] | None = None
        self._device, self._telemetry = build(self._reboot)

    @property
    def counts(self) -> list[TelemetryCounts]:
        """Return what each run of the device counted."""
        return [*self._past, self._telemetry.counts]

    async def start(self) -> str:
        """Start; return what kept it from connecting, "" if nothing did. It keeps trying."""
        try:
            await self._device.start()
        except NotConnectedError as error:
            return str(error)
        return ""

    async def stop(self) -> None:
        """Stop, in the middle of a restart as well."""
        if self._restarting is not None:
            await self._restarting
        await self._device.stop()

    def _reboot(self) -> None:
        self._restarting = asyncio.create_task(self._restart())

    async def _restart(self) -> None:
        await self._device.stop()
        self._past.append(self._telemetry.counts)
        self._device, self._telemetry = self._build(self._reboot)
        await self.start()


class Fleet:
    """Devices that start, with a ramp, and stop together.

    With ``remember=False`` the single buckets are not kept, for fleets that run for days.
    """

    def __init__(
        self,
        settings: Sequence[DeviceSettings],
        *,
        connect: Callable[[DeviceSettings], Connection],
        seed: int,
        connects_per_s: float = 100.0,
        remember: bool = True,
        on_acknowledged: Callable[[Acknowledged], None] = lambda _bucket: None,
    ) -> None:
        self._buckets: list[Acknowledged] = []
        self._connect = connect
        self._remember = remember
        self._tell = on_acknowledged
        self._interval_s = 1.0 / connects_per_s
        self._connected = 0
        self._members = [
            _Member(partial(self._build, one, random.Random(f"{seed}/{one.thing}")))  # noqa: S311 - physics, not secrets
            for one in settings
        ]

    def _build(
        self, settings: DeviceSettings, dice: random.Random, reboot: Callable[[], None]
    ) -> tuple[Device, Telemetry]:
        told = partial(self._on_acknowledged, settings.thing)
        return build_device(settings, self._connect(settings), dice=dice, reboot=reboot, on_acknowledged=told)

    async def start(self) -> list[str]:
        """Start every device; return what kept any of them from connecting, a line each."""
        starting = []
        for member in self._members:
            starting.append(asyncio.create_task(member.start()))
            await asyncio.sleep(self._interval_s)
        failures = [failure for failure in await asyncio.gather(*starting) if failure]
        self._connected = len(self._members) - len(failures)
        return failures

    async def stop(self) -> None:
        """Stop every device: each closes its open bucket and waits for its PUBACKs."""
        await asyncio.gather(*(member.stop() for member in self._members))

    def counts(self) -> FleetCounts:
        """Return the sums over all devices so far."""
        each = [counts for member in self._members for counts in member.counts]
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
        if self._remember:
            self._buckets.append(acknowledged)
        self._tell(acknowledged)
