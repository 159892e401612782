"""What devices report: taking it in, and answering questions about it."""

import hashlib
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from itertools import islice
from typing import Any

from backend.domain import telemetry as rules
from backend.domain.access import Action, Caller
from backend.domain.device_types import DeviceType, check
from backend.domain.paging import Page
from backend.domain.telemetry import Bucket, Delivery, Position, Quarantined, Range, Reading
from backend.errors import ConflictError, InvalidInputError, Violation, invalid
from backend.ports import Devices, DeviceTypes, Log, Quarantine, Readings
from backend.services.access import Access


class Admission:
    """Decides whether what a device sent is a bucket of its type, at a plausible time; the rest goes to quarantine."""

    def __init__(
        self,
        *,
        load_bucket: Callable[[bytes], Bucket],
        devices: Devices,
        device_types: DeviceTypes,
        quarantine: Quarantine,
        log: Log,
        retention: timedelta,
    ) -> None:
        self._load_bucket = load_bucket
        self._devices = devices
        self._device_types = device_types
        self._quarantine = quarantine
        self._log = log
        self._retention = retention
        self._type_of: dict[str, DeviceType] = {}

    def admit(self, delivery: Delivery) -> Bucket | None:
        """Return the bucket in a delivery; None when it does not fit, which is then logged by field and quarantined."""
        try:
            bucket = self._load_bucket(delivery.body)
        except InvalidInputError as error:
            self.refuse(delivery, error.violations)
            return None
        try:
            check(bucket, self._device_type(delivery.thing))
            return rules.place(bucket, received_at=delivery.received_at, retention=self._retention)
        except InvalidInputError as error:
            self.refuse(delivery, error.violations, bucket)
            return None

    def refuse(self, delivery: Delivery, violations: tuple[Violation, ...], bucket: Bucket | None = None) -> None:
        """Keep a document that does not fit where its owner can read it, and say why in the log."""
        digest = hashlib.sha256(delivery.body).hexdigest()[:16]
        name = digest if bucket is None else f"{bucket.boot}#{bucket.seq:010d}#{digest}"
        reasons = tuple((violation.field, violation.problem) for violation in violations)
        self._log.warning(
            "document quarantined",
            thing=delivery.thing,
            document=name,
            violations=[{"field": field, "problem": problem} for field, problem in reasons],
        )
        self._quarantine.add(
            Quarantined(
                thing=delivery.thing,
                document=name,
                received_ms=delivery.received_ms,
                principal=delivery.principal,
                violations=reasons,
                body=delivery.body,
            )
        )

    def _device_type(self, thing: str) -> DeviceType:
        """Return the type of a device. Kept for the life of the container: a device never changes its type."""
        known = self._type_of.get(thing)
        if known is None:
            device = self._devices.find(thing)
            if device is None:
                raise invalid("thing", "comes from a device that is not registered")
            known = self._device_types.find(device.type)
            if known is None:
                raise invalid("thing", f"comes from a device of type {device.type}, which has no document")
            self._type_of[thing] = known
        return known


class TelemetryIngest:
    """Takes in buckets of readings: one message, one item."""

    def __init__(self, *, admission: Admission, readings: Readings) -> None:
        self._admission = admission
        self._readings = readings

    def ingest(self, delivery: Delivery) -> bool:
        """Store one bucket; False when nothing was stored: it was a duplicate, or went to quarantine."""
        bucket = self._admission.admit(delivery)
        if bucket is None:
            return False
        try:
            return self._readings.add(delivery.thing, bucket, received_ms=delivery.received_ms)
        except ConflictError:
            # Two different buckets under one name: a device that lost its sequence, or somebody else's hand. The first
            # one stands, because readers may have seen it; the other is kept where it can be looked at.
            reason = Violation(field="seq", problem="another bucket is stored under the same t0, boot and seq")
            self._admission.refuse(delivery, (reason,), bucket)
            return False


class TelemetryQueries:
    """Answers questions about readings to those who may see the device."""

    def __init__(self, *, access: Access, readings: Readings, quarantine: Quarantine) -> None:
        self._access = access
        self._readings = readings
        self._quarantine = quarantine

    def latest(self, caller: Caller, thing: str) -> Reading | None:
        """Return the newest reading; None if there is none yet."""
        visible_from_ms = self._visible_from_ms(caller, thing, Action.SEE)
        bucket = self._readings.latest(thing, visible_from_ms)
        return rules.latest_reading(bucket) if bucket else None

    def between(
        self, caller: Caller, thing: str, wanted: Range, *, limit: int, after: Position | None
    ) -> Page[Reading]:
        """Return readings of a range in order of time."""
        visible_from_ms = self._visible_from_ms(caller, thing, Action.SEE)
        wanted = replace(wanted, from_ms=max(wanted.from_ms, visible_from_ms, after.at_ms if after else 0))
        first_ms = max(0, wanted.from_ms - rules.MAX_SPAN_MS)
        buckets = self._readings.between(thing, first_ms, wanted.to_ms, page_size=min(limit + 1, 100))
        placed = (
            (position, reading)
            for position, reading in rules.readings_between(buckets, wanted)
            if after is None or position > after
        )
        some = list(islice(placed, limit + 1))
        more = len(some) > limit
        return Page(items=[reading for _, reading in some[:limit]], after=some[limit - 1][0] if more else None)

    def quarantined(self, caller: Caller, thing: str, *, limit: int, after: Any) -> Page[Quarantined]:
        """Return documents of a device that did not fit, newest first; for those who manage it."""
        visible_from_ms = self._visible_from_ms(caller, thing, Action.MANAGE)
        return self._quarantine.of_thing(thing, visible_from_ms, limit=limit, after=after)

    def _visible_from_ms(self, caller: Caller, thing: str, action: Action) -> int:
        return self._access.device(caller, thing, action).device.data_from_ms
