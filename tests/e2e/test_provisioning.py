"""A device with nothing but its fleet's claim becomes a thing if an operator registered it, and only then."""

import asyncio
import json
import re
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from device_client.config import ClaimSettings, DeviceSettings
from device_client.connection.mqtt import MqttConnection
from device_client.errors import NotConnectedError, RefusedError
from device_client.features.provisioning import provision
from device_client.topics import Topics
from tests.e2e.conftest import World

_WAIT_S = 60.0


def _claim(world: World, folder: Path, thing: str) -> ClaimSettings:
    """Return what comes from the factory: the claim certificate that every device of the fleet shares."""
    iot = world.operator.client("iot")
    made = iot.create_keys_and_certificate(setAsActive=True)
    iot.attach_policy(policyName=world.outputs["ClaimPolicyName"], target=made["certificateArn"])
    (folder / "claim.pem").write_text(made["certificatePem"])
    (folder / "claim.key").write_text(made["keyPair"]["PrivateKey"])
    settings = world.cloud.settings
    document = {
        "thing": thing, "stage": settings.stage, "endpoint": "127.0.0.1", "port": settings.ports.mqtt,
        "certificate": "claim.pem", "private_key": "claim.key", "ca": str(settings.state_dir / "ca" / "ca.pem"),
        "outbox": f"{thing}.outbox", "connect_timeout_s": _WAIT_S, "type": "thermostat",
    }  # fmt: skip
    path = folder / "claim.json"
    path.write_text(json.dumps(document))
    return ClaimSettings.load(path)


def _register(world: World, thing: str) -> None:
    document = {"operation": "register", "devices": [{"thing": thing, "type": "thermostat"}]}
    answer = world.operator.client("lambda").invoke(
        FunctionName=world.outputs["RegistryFunctionName"], Payload=json.dumps(document)
    )
    assert "FunctionError" not in answer, answer["Payload"].read()


async def test_a_registered_device_gets_an_identity_of_its_own_and_publishes_with_it(world: World, tmp_path: Path):
    await asyncio.to_thread(_register, world, "claimed-0001")
    claim = _claim(world, tmp_path, "claimed-0001")
    own = await provision(claim, tmp_path / "device.json", connect=MqttConnection)
    assert own.certificate != claim.device.certificate
    assert DeviceSettings.load(tmp_path / "device.json") == own

    connection = MqttConnection(own)
    await connection.start()
    await connection.publish(Topics(stage=own.stage, thing=own.thing).telemetry, b'{"v": 1}')
    await connection.stop()

    iot = world.operator.client("iot")
    assert iot.describe_thing(thingName="claimed-0001")["thingTypeName"] == world.outputs["ThermostatTypeName"]


def _device_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", "from device_client.cli import app; app()", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)


def _stored(world: World, thing: str) -> int:
    asked = {":t": {"S": thing}}
    table = world.operator.client("dynamodb")
    deadline_s = time.monotonic() + _WAIT_S
    while time.monotonic() < deadline_s:
        found = table.query(
            TableName=world.outputs["ReadingsTableName"],
            KeyConditionExpression="thing = :t",
            ExpressionAttributeValues=asked,
        )["Count"]
        if found:
            return int(found)
        time.sleep(0.1)
    return 0


def test_the_reference_device_provisions_itself_by_its_command_and_what_it_measures_is_stored(
    world: World, tmp_path: Path
):
    _register(world, "claimed-0005")
    _claim(world, tmp_path, "claimed-0005")
    made = _device_command("provision", str(tmp_path / "claim.json"))
    assert made.returncode == 0, made.stderr
    assert made.stdout.strip() == str(tmp_path / "device.json")
    twice = _device_command("provision", str(tmp_path / "claim.json"))
    assert (twice.returncode, "--again" in twice.stderr) == (1, True)
    again = _device_command("provision", "--again", str(tmp_path / "claim.json"))
    (former,) = re.findall(r"--certificate-id (\w{64}) --new-status INACTIVE", again.stderr)
    iot = world.operator.client("iot")
    iot.update_certificate(certificateId=former, newStatus="INACTIVE")
    principals = iot.list_thing_principals(thingName="claimed-0005")["principals"]
    assert (len(principals), any(each.endswith(former) for each in principals)) == (2, True)
    ran = _device_command(str(tmp_path / "device.json"), "--seconds", "2")
    assert ran.returncode == 0, ran.stderr
    assert _stored(world, "claimed-0005")


@pytest.mark.parametrize("changes", [{"secret": "not-what-the-label-says"}, {"type": "lamp"}])
async def test_a_registered_device_that_pretends_is_refused(world: World, tmp_path: Path, changes: dict[str, Any]):
    thing = f"pretended-{next(iter(changes))}"
    await asyncio.to_thread(_register, world, thing)
    claim = replace(_claim(world, tmp_path, thing), **changes)
    with pytest.raises(RefusedError, match="ACCESS_DENIED"):
        await provision(claim, tmp_path / "device.json", connect=MqttConnection)
    iot = world.operator.client("iot")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName=thing)


async def test_a_device_that_nobody_registered_is_refused_and_no_thing_is_made(world: World, tmp_path: Path):
    claim = _claim(world, tmp_path, "stray-0001")
    with pytest.raises(RefusedError):
        await provision(claim, tmp_path / "device.json", connect=MqttConnection)
    assert not (tmp_path / "device.json").exists()
    iot = world.operator.client("iot")
    with pytest.raises(iot.exceptions.ResourceNotFoundException):
        iot.describe_thing(thingName="stray-0001")


async def test_a_claim_cannot_connect_under_a_things_name(world: World, tmp_path: Path):
    claim = _claim(world, tmp_path, "claimed-0002")
    connection = MqttConnection(replace(claim.device, connect_timeout_s=2.0))
    with pytest.raises(NotConnectedError):
        await connection.start()
    await connection.stop()


@pytest.mark.parametrize(
    "topic", ["$aws/rules/dev_telemetry/dt/dev/claimed-0001/telemetry", "cmd/dev/claimed-0001/a/res"]
)
async def test_a_claim_cannot_publish_anything_but_its_request(world: World, tmp_path: Path, topic: str):
    claim = _claim(world, tmp_path, "claimed-0003")
    connection = MqttConnection(claim.device, "claim-dev-claimed-0003")
    await connection.start()
    with pytest.raises((RefusedError, NotConnectedError)):
        await connection.publish(topic, b"{}")
    await connection.stop()


@pytest.mark.parametrize(
    "topic_filter", ["dt/dev/+/telemetry", "#", "$aws/certificates/#", "$aws/things/claimed-0004/shadow/#"]
)
async def test_a_claim_cannot_listen_to_others(world: World, tmp_path: Path, topic_filter: str):
    claim = _claim(world, tmp_path, "claimed-0004")
    connection = MqttConnection(claim.device, "claim-dev-claimed-0004")
    await connection.start()
    with pytest.raises((RefusedError, NotConnectedError)):
        await connection.subscribe(topic_filter, lambda _topic, _payload: None)
    await connection.stop()
