"""Examples the backend's tests share."""

import json
from typing import Any

from backend.domain.devices import Device, hash_secret
from backend.domain.telemetry import Bucket, Delivery, epoch_ms
from tests.unit.backend.fakes import NOW

NOW_MS = epoch_ms(NOW)
SECRET = "a-secret-on-a-label"


def device(thing: str = "t1", **changes: Any) -> Device:
    values: dict[str, Any] = {
        "thing": thing,
        "type": "thermostat",
        "registered_at": NOW,
        "secret_hash": hash_secret(thing, SECRET),
    }
    return Device(**{**values, **changes})


def bucket(**changes: Any) -> Bucket:
    values: dict[str, Any] = {
        "boot": "9f3c12ab",
        "seq": 17,
        "t0_ms": NOW_MS - 10_000,
        "offsets_ms": (0, 1000, 2000),
        "metrics": {"temperature_c": (21.4, 21.5, None), "battery_v": (3.71, 3.71, 3.7)},
    }
    return Bucket(**{**values, **changes})


def document(**changes: Any) -> dict[str, Any]:
    good: dict[str, Any] = {
        "v": 1,
        "boot": "9f3c12ab",
        "seq": 17,
        "t0": NOW_MS - 10_000,
        "dt": [0, 1000, 2000],
        "m": {"temperature_c": [21.4, 21.5, None], "battery_v": [3.71, 3.71, 3.7]},
    }
    return {**good, **changes}


def delivery(body: bytes | dict[str, Any], thing: str = "t1") -> Delivery:
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return Delivery(thing=thing, principal="certificate-1", received_ms=NOW_MS, body=raw)
