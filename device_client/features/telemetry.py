"""Telemetry: sample, gather into buckets, send, and forget only what was acknowledged.

One message is one bucket is one item in the table (infra/decisions: a reading a message costs ten times as much). A
bucket closes on N readings, T seconds after its first, on a step of the wall clock, when a metric leaves its bounds,
and before disconnecting. Offsets inside a bucket come from the clock that never steps back.
"""

import asyncio
import contextlib
import logging
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from device_client.clock import DeviceClock
from device_client.config import TelemetrySettings
from device_client.connection import Connection
from device_client.connection.backoff import full_jitter_s
from device_client.errors import ConfigurationError, NotConnectedError, RefusedError, StorageError
from device_client.features.thresholds import Thresholds
from device_client.hardware import Sensor
from device_client.store.outbox import Outbox, SealedBucket
from device_client.topics import Topics

_LOGGER = logging.getLogger(__name__)
MAX_READINGS = 1_000
MAX_SPAN_S = 3_600.0
_CLOCK_STEP_MS = 1_000
"""The wall clock may drift this far from the monotonic one inside a bucket; past it the bucket closes."""
URGENT_FOR_S = 30.0
"""So long an urgent reading waits for a connection."""
CONNECTED_WITHIN_S = 1.0
"""Who stops while there is no connection waits for one no longer than this: what is unsent is on the disk."""
_FINAL_REASONS = frozenset({0x90, 0x95, 0x99})
"""Topic name invalid, packet too large, payload format invalid: the same bytes never pass. [MQTT5 2.4]"""


@dataclass(slots=True, kw_only=True)
class TelemetryCounts:
    """What became of the readings of this run."""

    readings_taken: int = 0
    readings_lost: int = 0
    """Taken while the disk took nothing."""
    messages_acknowledged: int = 0
    readings_acknowledged: int = 0
    messages_refused: int = 0


def _ignore(_bucket: SealedBucket) -> None:
    """Do nothing."""


class Telemetry:
    """The telemetry of one device. A `Feature`.

    Args:
        drain_timeout_s: how long ``stop`` waits for outstanding PUBACKs; what is still waiting stays in the outbox.
        on_acknowledged: called with each bucket at its PUBACK.
    """

    def __init__(
        self,
        *,
        settings: TelemetrySettings,
        topics: Topics,
        connection: Connection,
        outbox: Outbox,
        sensors: Sequence[Sensor],
        clock: DeviceClock,
        dice: random.Random,
        drain_timeout_s: float = 30.0,
        on_acknowledged: Callable[[SealedBucket], None] = _ignore,
    ) -> None:
        _check(settings)
        self.counts = TelemetryCounts()
        self._settings = settings
        self._topics = topics
        self._thresholds = Thresholds(settings.urgent)
        self._connection = connection
        self._outbox = outbox
        self._sensors = sensors
        self._clock = clock
        self._dice = dice
        self._drain_timeout_s = drain_timeout_s
        self._on_acknowledged = on_acknowledged
        self._opened_wall_ms = 0
        self._opened_s: float | None = None
        self._held = 0
        self._urgent: set[asyncio.Task[None]] = set()
        self._sending: dict[int, asyncio.Task[None]] = {}
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._loops: list[asyncio.Task[None]] = []

    async def start(self) -> None:
        """Begin to sample and to send, with what an earlier run left in the outbox first."""
        self._loops = [asyncio.create_task(self._sample_for_ever()), asyncio.create_task(self._send_for_ever())]

    async def stop(self) -> None:
        """Stop sampling, close the open bucket and wait for the outstanding PUBACKs."""
        if not self._loops:
            return
        sampler, sender = self._loops
        self._loops = []
        await _end(sampler)
        try:
            self._flush()
        except StorageError as error:
            _LOGGER.warning("the open bucket stays open until the next start: %s", error)
        try:
            await asyncio.wait_for(self._connection.connected(), CONNECTED_WITHIN_S)
            await asyncio.wait_for(self._idle.wait(), self._drain_timeout_s)
        except TimeoutError:
            left = len(self._outbox.waiting(limit=self._settings.outbox_buckets))
            _LOGGER.warning("%d buckets stay in the outbox: no PUBACK in time", left)
        await _end(sender)
        for task in [*self._sending.values(), *self._urgent]:
            await _end(task)

    def change(self, settings: TelemetrySettings) -> None:
        """Go on with other settings from now on; readings already gathered stay in their bucket.

        Raises:
            ConfigurationError: they do not fit; the present ones stay.
        """
        _check(settings)
        if settings.urgent != self._settings.urgent:
            self._thresholds = Thresholds(settings.urgent)
        self._settings = settings
        if self._loops:  # it may be asleep for as long as the old settings said
            self._loops[0].cancel()
            self._loops[0] = asyncio.create_task(self._sample_for_ever())

    def sample(self) -> None:
        """Take one reading of every sensor; close the bucket when it is due.

        Raises:
            StorageError: the disk is full, or fails; at most this reading is lost.
        """
        now_s, wall_ms = self._clock.monotonic_s(), self._clock.wall_ms()
        metrics = {sensor.metric: _finite(sensor.read(now_s)) for sensor in self._sensors}
        if self._is_due(now_s, wall_ms):
            self._flush()
        opens = self._opened_s is None
        offset_ms = 0 if self._opened_s is None else round((now_s - self._opened_s) * 1_000)
        self._held = self._outbox.add(at_ms=wall_ms, offset_ms=offset_ms, metrics=metrics)
        if opens:  # now that it stands on the disk: what follows counts from it
            self._opened_s, self._opened_wall_ms = now_s, wall_ms
        self.counts.readings_taken += 1
        urgent = self._thresholds.crossed(metrics)
        if urgent:
            self._overtake(self._outbox.build_single(at_ms=wall_ms, metrics=metrics))
        if urgent or self._held >= self._settings.flush_readings:
            self._flush()

    def _overtake(self, payload: bytes) -> None:
        task = asyncio.create_task(self._send_urgent(payload))
        self._urgent.add(task)
        task.add_done_callback(self._urgent.discard)

    async def _send_urgent(self, payload: bytes) -> None:
        """Send a reading ahead of its bucket, once: later it would be no news, and the bucket brings it anyway."""
        try:
            async with asyncio.timeout(URGENT_FOR_S):
                await self._connection.connected()
                await self._connection.publish(self._topics.urgent, payload)
        except (TimeoutError, NotConnectedError, RefusedError) as error:
            _LOGGER.warning("an urgent reading waits for its bucket: %s", str(error) or "no connection")

    def _is_due(self, now_s: float, wall_ms: int) -> bool:
        if self._opened_s is None:
            return False
        elapsed_s = now_s - self._opened_s
        stepped_ms = abs(wall_ms - self._opened_wall_ms - elapsed_s * 1_000)
        full = self._held >= self._settings.flush_readings  # could not be closed when it became so
        return full or elapsed_s >= self._settings.flush_after_s or stepped_ms > _CLOCK_STEP_MS

    def _flush(self) -> None:
        self._outbox.seal()
        self._opened_s, self._held = None, 0
        self._idle.clear()
        self._wake.set()

    async def _sample_for_ever(self) -> None:
        due_s = self._clock.monotonic_s()
        while True:
            taken = self.counts.readings_taken
            try:
                self.sample()
            except StorageError as error:
                self.counts.readings_lost += self.counts.readings_taken == taken  # or only its bucket stays open
                _LOGGER.warning("%d readings are lost so far: %s", self.counts.readings_lost, error)
            due_s += self._settings.sample_every_s
            late_s = self._clock.monotonic_s() - due_s
            if late_s > self._settings.sample_every_s:  # slept through samples (suspended): do not catch up in a burst
                due_s += late_s
            await self._clock.sleep(max(0.0, due_s - self._clock.monotonic_s()))

    async def _send_for_ever(self) -> None:
        while True:
            self._wake.clear()
            free = self._settings.in_flight - len(self._sending)
            waiting = self._outbox.waiting(limit=self._settings.in_flight * 2)
            for bucket in [bucket for bucket in waiting if bucket.id not in self._sending][: max(0, free)]:
                self._sending[bucket.id] = asyncio.create_task(self._send(bucket))
            if not waiting:
                self._idle.set()
            await self._wake.wait()

    async def _send(self, bucket: SealedBucket) -> None:
        """Send one bucket until it is acknowledged or will never be taken."""
        attempt = 0
        try:
            while not await self._is_settled(bucket):
                attempt += 1  # not at once: a disk that cannot note the PUBACK would have it sent without a pause
                await self._clock.sleep(full_jitter_s(attempt, self._dice))
        finally:
            del self._sending[bucket.id]
            self._wake.set()

    async def _is_settled(self, bucket: SealedBucket) -> bool:
        await self._connection.connected()
        try:
            await self._connection.publish(self._topics.telemetry, bucket.payload)
        except NotConnectedError as error:
            _LOGGER.info("bucket %d goes again: %s", bucket.id, error)
            return False
        except RefusedError as error:
            self.counts.messages_refused += 1
            _LOGGER.warning("bucket %d refused: %s", bucket.id, error)
            final = error.reason in _FINAL_REASONS
            return final and _is_noted(bucket, partial(self._outbox.refuse, bucket, reason=error.reason))
        if not _is_noted(bucket, partial(self._outbox.acknowledge, bucket)):
            return False
        self.counts.messages_acknowledged += 1
        self.counts.readings_acknowledged += bucket.readings
        self._on_acknowledged(bucket)
        return True


def _check(settings: TelemetrySettings) -> None:
    if not 1 <= settings.flush_readings <= MAX_READINGS:
        raise ConfigurationError(f"flush_readings must be 1 to {MAX_READINGS}, not {settings.flush_readings}")
    if not 0 < settings.flush_after_s <= MAX_SPAN_S:
        raise ConfigurationError(f"flush_after_s must be above 0 and at most 3600, not {settings.flush_after_s:g}")
    if not settings.sample_every_s > 0:
        raise ConfigurationError(f"sample_every_s must be above 0, not {settings.sample_every_s:g}")


def _is_noted(bucket: SealedBucket, note: Callable[[], None]) -> bool:
    try:
        note()
    except StorageError as error:
        _LOGGER.warning("bucket %d goes again: %s", bucket.id, error)
        return False
    return True


def _finite(value: float | None) -> float | None:
    """Return the value, None where a sensor gave what JSON cannot carry."""
    return value if value is not None and math.isfinite(value) else None


async def _end(task: "asyncio.Task[None]") -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
