"""One shadow, fifty writers at once, over REST and MQTT."""

import asyncio
import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from botocore.config import Config

from tests.integration.iot_devices.conftest import SESSION
from tests.integration.iot_mqtt.conftest import running
from tests.integration.iot_mqtt.raw import Wire, tls
from tests.unit.iot_mqtt import wire

REST_WRITERS, MQTT_WRITERS, UPDATES = 40, 10, 5
TOPIC = "$aws/things/shared/shadow"


@pytest.fixture
def local(tmp_path):
    with running(tmp_path) as local:
        yield local
        local.iot.close()
        local.data.close()


def open_data(local):
    client = SESSION.client(
        "iot-data",
        endpoint_url=f"http://127.0.0.1:{local.ports['gateway']}",
        region_name="us-east-1",
        aws_access_key_id="a",
        aws_secret_access_key="b",
        config=Config(max_pool_connections=REST_WRITERS, retries={"total_max_attempts": 1}),
    )

    def sign(request, **_):
        request.headers["x-fieldline-service"] = "iotdata"
        request.headers["x-fieldline-secret"] = local.settings.service_secret

    client.meta.events.register("before-send", sign)
    return client


def write_over_rest(data, writer):
    """Return how many updates were accepted and how many conflicted; every second one names a version."""
    accepted = conflicts = version = 0
    while accepted < UPDATES:
        request: dict[str, Any] = {"state": {"reported": {f"w{writer}": accepted}}}
        if version and accepted % 2:
            request["version"] = version
        try:
            answer = data.update_thing_shadow(thingName="shared", payload=json.dumps(request))
        except data.exceptions.ConflictException:
            conflicts += 1
            version = json.loads(data.get_thing_shadow(thingName="shared")["payload"].read())["version"]
        else:
            accepted += 1
            version = json.loads(answer["payload"].read())["version"]
    return accepted, conflicts


async def write_over_mqtt(local, writer):
    name = f"writer{writer}"
    identity = await asyncio.to_thread(local.identity, name)
    accepted = 0
    async with Wire.open(local.ports["mqtt"], tls(local, identity)) as client:
        client.writer.write(wire.connect(name))
        assert (await client.get()).codes == [0]
        client.writer.write(wire.subscribe(f"{TOPIC}/update/accepted"))
        assert (await client.get()).codes == [1]
        for number in range(UPDATES):
            token = f"{writer}-{number}"
            document = {"state": {"reported": {name: number}}, "clientToken": token}
            client.writer.write(wire.publish(f"{TOPIC}/update", json.dumps(document).encode(), qos=1, pid=number + 1))
            while True:
                packet = await client.get()
                if packet.kind == 3:
                    if packet.pid:
                        client.writer.write(wire.puback(packet.pid))
                    if json.loads(packet.payload).get("clientToken") == token:
                        accepted += 1
                        break
    return accepted


async def test_the_final_version_is_the_number_of_accepted_updates(local):
    data = open_data(local)
    loop = asyncio.get_running_loop()
    with ThreadPoolExecutor(REST_WRITERS) as threads:
        rest = [loop.run_in_executor(threads, write_over_rest, data, writer) for writer in range(REST_WRITERS)]
        mqtt = [write_over_mqtt(local, writer) for writer in range(MQTT_WRITERS)]
        done = await asyncio.gather(*rest, *mqtt)
    accepted = sum(one[0] if isinstance(one, tuple) else one for one in done)
    document = json.loads(data.get_thing_shadow(thingName="shared")["payload"].read())
    data.close()
    assert accepted == (REST_WRITERS + MQTT_WRITERS) * UPDATES
    assert document["version"] == accepted
    names = {f"w{writer}" for writer in range(REST_WRITERS)} | {f"writer{writer}" for writer in range(MQTT_WRITERS)}
    assert document["state"]["reported"] == dict.fromkeys(names, UPDATES - 1)
