"""What does not fit stores nothing, is named in the log, can be read in quarantine, and cuts nobody off."""

import base64
import json
import time
import uuid
from collections.abc import Callable
from typing import Any

import pytest

from scripts.main_job.factory import Device
from scripts.main_job.phone import Phone
from tests.e2e.conftest import World
from tests.e2e.test_devices_at_the_door import Peer, connected

_WAIT_S = 60.0


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _bucket(**changes: Any) -> dict[str, Any]:
    good = {
        "v": 1, "boot": "0badf00d", "seq": 1, "t0": _now_ms() - 10_000,
        "dt": [0, 1000], "m": {"temperature_c": [20.0, 20.5], "battery_v": [3.9, 3.9]},
    }  # fmt: skip
    return {**good, **changes}


BAD: dict[str, tuple[Callable[[], bytes], str]] = {
    "not JSON": (lambda: b"\xff\x00 not json", "body"),
    "columns of unequal length": (
        lambda: json.dumps(_bucket(m={"temperature_c": [20.0], "battery_v": [3.9, 3.9]})).encode(),
        "temperature_c",
    ),
    "a span over one hour": (lambda: json.dumps(_bucket(t0=_now_ms() - 7_200_000, dt=[0, 3_600_001])).encode(), "dt"),
    "a thousand and one readings": (
        lambda: json.dumps(_bucket(dt=list(range(1001)), m={"temperature_c": [20.0] * 1001})).encode(),
        "dt",
    ),
    "NaN": (lambda: json.dumps(_bucket(m={"temperature_c": [float("nan"), 20.0]})).encode(), ""),
    "an implausible time": (lambda: json.dumps(_bucket(t0=_now_ms() + 86_400_000)).encode(), "t0"),
    "an unknown version": (lambda: json.dumps(_bucket(v=2)).encode(), "v"),
    "an unknown metric": (lambda: json.dumps(_bucket(m={"wind_mps": [4, 5]})).encode(), "wind_mps"),
    "a value out of its range": (lambda: json.dumps(_bucket(m={"temperature_c": [20, 900]})).encode(), "temperature_c"),
}  # fmt: skip


def _publish(peer: Peer, device: Device, payload: bytes) -> None:
    stage, thing = device.settings.stage, device.settings.thing
    peer.acknowledged.clear()
    peer.client.publish(f"$aws/rules/{stage}_telemetry/dt/{stage}/{thing}/telemetry", payload, qos=1)
    assert peer.acknowledged.wait(5.0)


def _quarantine(world: World, device: Device, phone: Phone) -> list[dict[str, Any]]:
    status, page = world.http("GET", f"/v1/devices/{device.settings.thing}/quarantine", phone.token)
    assert status == 200, page
    return page["items"]


def _await(found: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline:
        if result := found():
            return result
        time.sleep(0.05)
    return found()


@pytest.mark.parametrize("kind", BAD)
def test_a_bad_bucket_goes_to_quarantine_and_nowhere_else(world: World, phone: Phone, kind: str):
    build, field = BAD[kind]
    payload = build()
    device = world.claimed(phone)
    with connected(device) as peer:
        _publish(peer, device, payload)
        items = _await(lambda: _quarantine(world, device, phone))
        assert not peer.gone.is_set(), "the device must not be cut off"
    [item] = items
    assert field in json.dumps(item), "the field at fault must be named"
    assert base64.b64decode(item["body_base64"]) == payload, "what was sent can be read back, byte for byte"
    readings = world.http("GET", f"/v1/devices/{device.settings.thing}/readings", phone.token)[1]
    assert readings["items"] == []
    log = world.cloud.settings.state_dir / "logs" / f"fieldline-{device.settings.stage}-telemetry.log"
    lines = [line for line in log.read_text().splitlines() if device.settings.thing in line]
    assert any(field in line for line in lines), "the log must name the field"


def test_a_good_bucket_after_bad_ones_is_stored(world: World, phone: Phone):
    device = world.claimed(phone)
    good = _bucket(boot=uuid.uuid4().hex[:8])
    with connected(device) as peer:
        for build, _ in BAD.values():
            _publish(peer, device, build())
        _publish(peer, device, json.dumps(good).encode())
        path = f"/v1/devices/{device.settings.thing}/readings"
        items = _await(lambda: world.http("GET", path, phone.token)[1]["items"])
    assert [item["at_ms"] for item in items] == [good["t0"], good["t0"] + 1000]


def test_the_same_bucket_sent_again_is_stored_once(world: World, phone: Phone):
    device = world.claimed(phone)
    payload = json.dumps(_bucket()).encode()
    path = f"/v1/devices/{device.settings.thing}/readings"
    with connected(device) as peer:
        for _ in range(3):
            _publish(peer, device, payload)
        _publish(peer, device, json.dumps(_bucket(seq=2, t0=_now_ms() - 5_000)).encode())
        items = _await(lambda: [] if len(found := world.http("GET", path, phone.token)[1]["items"]) < 4 else found)
    assert len(items) == 4
