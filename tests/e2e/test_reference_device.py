"""The reference device as firmware engineers run it: a process of its own, told what to do by a phone."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from device_client.config import FIRMWARE
from infra.local.config import ROOT
from scripts.main_job.factory import Device
from scripts.main_job.phone import Phone
from tests.e2e.conftest import World, call, until

pytestmark = pytest.mark.e2e


@contextmanager
def running(device: Device, folder: Path) -> Iterator["subprocess.Popen[bytes]"]:
    settings = device.settings
    names = ("thing", "stage", "endpoint", "port", "certificate", "private_key", "ca", "outbox")
    document = {name: str(value) if isinstance(value := getattr(settings, name), Path) else value for name in names}
    document["telemetry"] = {"sample_every_s": 0.1, "flush_readings": 2}
    config = folder / f"{settings.thing}.json"
    config.write_text(json.dumps(document))
    process = subprocess.Popen(
        [sys.executable, "-m", "device_client.cli", str(config)], cwd=ROOT, stderr=subprocess.DEVNULL
    )
    try:
        yield process
    finally:
        process.send_signal(signal.SIGINT)
        assert process.wait(20) == 0


@pytest.fixture(scope="module")
def told(world: World, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Phone, str]]:
    phone = world.phone("told@example.com")
    device = world.claimed(phone)
    with running(device, tmp_path_factory.mktemp("told")):
        until(world, phone, f"/v1/devices/{device.settings.thing}", {"status": "online"})
        yield phone, f"/v1/devices/{device.settings.thing}"


@pytest.mark.parametrize(
    ("command", "parameters", "result"),
    [("identify", {"seconds": 1}, None), ("set_target", {"temperature_c": 24}, {"temperature_c": 24.0})],
)
def test_it_does_what_a_phone_asks(world: World, told: tuple[Phone, str], command: str, parameters, result):
    phone, path = told
    order = call(world, phone, "POST", f"{path}/commands", {"command": command, "parameters": parameters}, status=202)
    done = until(world, phone, f"{path}/commands/{order['id']}", {"state": "SUCCEEDED"})
    assert done["result"] == result


def test_its_configuration_comes_over_the_air_and_is_taken_back_over_it(world: World, told: tuple[Phone, str]):
    phone, path = told
    wanted = {"interval_s": 0.2, "target_c": 18, "mode": "eco"}
    call(world, phone, "PATCH", f"{path}/config", {"settings": wanted})
    assert until(world, phone, f"{path}/config", {"reported": wanted})["delta"] == {}
    call(world, phone, "PATCH", f"{path}/config", {"settings": {"mode": None, "target_c": 19}})
    until(world, phone, f"{path}/config", {"reported": {"interval_s": 0.2, "target_c": 19}})


def test_a_restart_is_done_once_it_is_back_and_measuring(world: World, told: tuple[Phone, str]):
    phone, path = told
    order = call(world, phone, "POST", f"{path}/commands", {"command": "restart"}, status=202)
    until(world, phone, f"{path}/commands/{order['id']}", {"state": "SUCCEEDED"})
    before = call(world, phone, "GET", f"{path}/readings/latest")
    deadline = time.monotonic() + 60
    while call(world, phone, "GET", f"{path}/readings/latest") == before:
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_it_says_what_it_runs_and_the_fleet_is_searched_by_it(world: World, told: tuple[Phone, str]):
    phone, path = told
    thing = until(world, phone, path, {"firmware": FIRMWARE})["thing"]
    assert call(world, phone, "GET", f"/v1/devices?firmware={FIRMWARE}")["items"][0]["thing"] == thing
    cognito: Any = world.operator.client("cognito-idp")
    names = {"UserPoolId": world.outputs["UserPoolId"], "GroupName": world.outputs["AdminGroupName"]}
    call(world, phone, "GET", f"/v1/fleet/devices?firmware={FIRMWARE}", status=403)
    admin = world.phone("fleet.admin@example.com")
    cognito.admin_add_user_to_group(**names, Username=admin.email)
    admin.sign_in()
    for asked in (f"firmware={FIRMWARE}", "status=online", f"status=online&firmware={FIRMWARE}"):
        found = call(world, admin, "GET", f"/v1/fleet/devices?{asked}")["items"]
        assert thing in {each["thing"] for each in found}, asked
