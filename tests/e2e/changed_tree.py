"""What works once the README's three changes are made; run by `test_changing_it.py`, in a copy of the tree."""

import json
import time
from pathlib import Path

import pytest

from tests.e2e.conftest import World, call, until
from tests.e2e.test_devices_at_the_door import connected
from tests.e2e.test_reference_device import running

pytestmark = pytest.mark.e2e


def test_a_new_metric_is_taken_in_and_read_back_and_out_of_its_range_it_is_not(world: World):
    phone = world.phone("metric@example.com")
    device = world.claimed(phone)
    stage, thing = device.settings.stage, device.settings.thing
    topic = f"$aws/rules/{stage}_telemetry/dt/{stage}/{thing}/telemetry"
    now_ms = int(time.time() * 1000)
    good = {"v": 1, "boot": "9f3c12ab", "seq": 1, "t0": now_ms, "dt": [0], "m": {"co2_ppm": [612]}}
    with connected(device) as peer:
        peer.client.publish(topic, json.dumps(good), qos=1)
        peer.client.publish(topic, json.dumps({**good, "seq": 2, "m": {"co2_ppm": [10_001]}}), qos=1)
        path = f"/v1/devices/{thing}"
        deadline = time.monotonic() + 60
        while not (found := call(world, phone, "GET", f"{path}/readings/latest")["reading"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert found["metrics"] == {"co2_ppm": 612}
        while not (refused := call(world, phone, "GET", f"{path}/quarantine")["items"]):
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert "co2_ppm" in json.dumps(refused[0]["violations"])


def test_a_new_command_is_checked_by_the_type_and_done_by_the_reference_device(world: World, tmp_path: Path):
    phone = world.phone("command@example.com")
    device = world.claimed(phone)
    path = f"/v1/devices/{device.settings.thing}"
    order = {"command": "boost", "parameters": {"degrees": 2}}
    call(world, phone, "POST", f"{path}/commands", {**order, "parameters": {"degrees": 99}}, status=400)
    made = call(world, phone, "POST", f"{path}/commands", order, status=202)
    with running(device, tmp_path):
        done = until(world, phone, f"{path}/commands/{made['id']}", {"state": "SUCCEEDED"})
    assert set(done["result"]) == {"temperature_c"}


def test_a_new_route_answers_its_owner_and_nobody_else(world: World):
    phone, stranger = world.phone("route@example.com"), world.phone("other@example.com")
    device = world.claimed(phone)
    path = f"/v1/devices/{device.settings.thing}"
    answer = call(world, phone, "GET", f"{path}/age")
    assert answer == {"claimed_at": call(world, phone, "GET", path)["claimed_at"]}
    call(world, stranger, "GET", f"{path}/age", status=404)
    assert world.http("GET", f"{path}/age", None) == (401, {"message": "Unauthorized"})
