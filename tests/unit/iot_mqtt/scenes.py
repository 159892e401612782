"""What several files of these tests need: clients that stay, events read back, time moved."""

import asyncio
import json
from datetime import timedelta

import pytest

from infra.local.iot.mqtt.sessions import SWEEP_S
from tests.unit.iot_mqtt.harness import Broker

BOTH = pytest.mark.parametrize("v5", [False, True])
WEEK = 604_800


def prop(name: int, value: int, size: int) -> bytes:
    return bytes([name]) + value.to_bytes(size, "big")


def expiry(seconds: int) -> bytes:
    return prop(17, seconds, 4)


def events(broker: Broker, kind: str, client_id: str = "c") -> list[dict]:
    """What was told of a client: its connected, disconnected, subscribed ... events."""
    return [json.loads(m.payload) for m in broker.tap.received if m.topic.endswith(f"/{kind}/{client_id}")]


async def moved(broker: Broker, seconds: float) -> None:
    """Move the clock and let the gateway look at it."""
    broker.clock.move(timedelta(seconds=seconds))
    await asyncio.sleep(SWEEP_S * 1.2)


async def persistent(broker, client_id="c", *, v5=False, seconds=3600, **more):
    if v5:
        return await broker.connected(client_id, v5=True, clean=False, props=expiry(seconds), **more)
    return await broker.connected(client_id, clean=False, **more)
