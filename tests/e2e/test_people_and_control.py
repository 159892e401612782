"""People, rooms, commands, shadows, items and live messages on the whole local cloud, permissions enforced."""

import json
import queue
import ssl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3
import paho.mqtt.client as paho
import pytest
from botocore.exceptions import ClientError
from paho.mqtt.enums import CallbackAPIVersion
from pycognito.aws_srp import AWSSRP

from scripts.main_job.factory import Device
from scripts.main_job.phone import Phone
from tests.e2e.conftest import World
from tests.e2e.test_devices_at_the_door import Peer, connected

pytestmark = pytest.mark.e2e
WAIT_S = 20.0


@pytest.fixture(scope="module")
def ann(world: World) -> Phone:
    return world.phone("ann.control@example.com")


@pytest.fixture(scope="module")
def bob(world: World) -> Phone:
    return world.phone("bob.control@example.com")


@pytest.fixture
def device(world: World, ann: Phone) -> Device:
    return world.claimed(ann)


def call(world: World, phone: Phone, method: str, path: str, document: Any = None, *, status: int = 200) -> Any:
    found, answer = world.http(method, path, phone.token, document)
    assert found == status, (method, path, found, answer)
    return answer


def until(world: World, phone: Phone, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what stands at ``path`` once it is as wanted."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found: dict[str, Any] = call(world, phone, "GET", path)
        if wanted.items() <= found.items():
            return found
        assert time.monotonic() < deadline, (wanted, found)
        time.sleep(0.2)


def user_of(world: World, phone: Phone) -> str:
    return str(call(world, phone, "GET", "/v1/me")["user"])


@contextmanager
def obedient(device: Device) -> Iterator["queue.Queue[tuple[str, dict[str, Any]]]"]:
    """Connect a device that hears its commands and says that it did them."""
    heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
    stage, thing = device.settings.stage, device.settings.thing

    def obey(client: Any, _data: Any, message: Any) -> None:
        document = json.loads(message.payload)
        for state in ("ACKED", "SUCCEEDED"):
            answer = json.dumps({"id": document["id"], "state": state, "result": None})
            client.publish(message.topic.removesuffix("req") + "res", answer, qos=1)
        heard.put((message.topic, document))

    with connected(device) as peer:
        peer.client.on_message = obey
        peer.client.subscribe(f"cmd/{stage}/{thing}/+/req", qos=1)
        yield heard


def test_a_profile_is_made_at_confirmation_and_can_be_changed(world: World, ann: Phone) -> None:
    assert call(world, ann, "GET", "/v1/me")["email"] == ann.email
    assert call(world, ann, "PATCH", "/v1/me", {"name": "Ann"})["name"] == "Ann"
    assert call(world, ann, "GET", "/v1/config")["version"] == 0


def test_a_command_waits_for_its_device_and_comes_back_done(world: World, ann: Phone, device: Device) -> None:
    path = f"/v1/devices/{device.settings.thing}"
    order = {"command": "identify", "parameters": {"seconds": 2}}
    command = call(world, ann, "POST", f"{path}/commands", order, status=202)
    assert command["state"] == "QUEUED"
    with obedient(device) as heard:
        topic, document = heard.get(timeout=WAIT_S)
        assert topic.endswith("/identify/req")
        assert (document["id"], document["parameters"]) == (command["id"], {"seconds": 2})
        until(world, ann, f"{path}/commands/{command['id']}", {"state": "SUCCEEDED"})
        until(world, ann, path, {"status": "online"})
        again = call(world, ann, "POST", f"{path}/commands", order, status=202)
        assert again["state"] == "SENT"
        assert heard.get(timeout=WAIT_S)[1]["id"] == again["id"]
    assert heard.empty()
    assert len(call(world, ann, "GET", f"{path}/commands")["items"]) == 2


def test_shadow_and_configuration_go_through_the_api(world: World, ann: Phone, device: Device) -> None:
    path = f"/v1/devices/{device.settings.thing}"
    assert call(world, ann, "GET", f"{path}/shadow")["version"] == 0
    assert call(world, ann, "PATCH", f"{path}/shadow", {"desired": {"target_c": 20}})["delta"] == {"target_c": 20}
    assert call(world, ann, "PATCH", f"{path}/config", {"settings": {"mode": "eco"}})["desired"] == {"mode": "eco"}
    call(world, ann, "PATCH", f"{path}/config", {"settings": {"mode": "loud"}}, status=400)


def test_a_room_is_shared_and_taken_back(world: World, ann: Phone, bob: Phone, device: Device) -> None:
    thing = device.settings.thing
    room = call(world, ann, "POST", "/v1/rooms", {"name": "Hall"}, status=201)["id"]
    call(world, ann, "PUT", f"/v1/rooms/{room}/devices/{thing}", status=204)
    offer = {"room": room, "role": "operator", "email": bob.email}
    call(world, ann, "POST", "/v1/invitations", offer, status=201)
    (received,) = call(world, bob, "GET", "/v1/me/invitations")["items"]
    call(world, bob, "POST", "/v1/invitations/accept", {"id": received["id"]})
    assert call(world, bob, "GET", f"/v1/devices/{thing}")["role"] == "operator"
    assert [each["thing"] for each in call(world, bob, "GET", f"/v1/rooms/{room}/devices")["items"]] == [thing]
    outcomes = call(world, bob, "POST", f"/v1/rooms/{room}/commands", {"command": "identify"}, status=202)["items"]
    assert [each["thing"] for each in outcomes] == [thing]
    call(world, ann, "DELETE", f"/v1/rooms/{room}/members/{user_of(world, bob)}", status=204)
    call(world, bob, "GET", f"/v1/devices/{thing}", status=404)
    call(world, ann, "DELETE", f"/v1/rooms/{room}", status=204)


def test_items_sync_and_the_original_contract_is_served(world: World, ann: Phone) -> None:
    created = {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "a", "n": 1}}}
    assert call(world, ann, "POST", "/v1/mobile", created) == {"result": {}}
    assert call(world, ann, "PUT", "/v1/items/notes/b", {"body": {"n": 2}})["version"] == 1
    call(world, ann, "DELETE", "/v1/items/notes/b", status=204)
    changes = call(world, ann, "GET", "/v1/items/notes?since=0")["items"]
    assert [(each["id"], each["deleted"]) for each in changes] == [("a", False), ("b", True)]


def test_a_revoked_device_is_cut_and_stays_out(world: World, ann: Phone, device: Device) -> None:
    with connected(device) as peer:
        call(world, ann, "POST", f"/v1/devices/{device.settings.thing}/revoke", status=204)
        assert peer.gone.wait(WAIT_S)
    again = Peer(device.settings, certificate=(device.settings.certificate, device.settings.private_key))
    assert not again.connect()
    again.close()


def test_a_released_device_is_nobodys(world: World, ann: Phone, bob: Phone, device: Device) -> None:
    thing = device.settings.thing
    call(world, ann, "POST", f"/v1/devices/{thing}/factory-reset", status=204)
    call(world, ann, "GET", f"/v1/devices/{thing}", status=404)
    claim = {"thing": thing, "secret": device.secret}
    assert call(world, bob, "POST", "/v1/devices/claim", claim)["role"] == "owner"
    assert [each["what"] for each in call(world, bob, "GET", f"/v1/devices/{thing}/audit")["items"]] == ["claimed"]


def test_a_phone_hears_what_it_may_see_by_its_access_token(world: World, ann: Phone, device: Device) -> None:
    user, stage = user_of(world, ann), device.settings.stage
    heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
    ready: queue.Queue[bool] = queue.Queue()
    client = paho.Client(CallbackAPIVersion.VERSION2, f"app-{user}-phone", transport="websockets")
    client.ws_set_options(path="/mqtt")
    client.tls_set_context(ssl.create_default_context(cafile=device.settings.ca))
    client.username_pw_set(f"phone?x-amz-customauthorizer-name={world.outputs['LiveAuthorizerName']}", ann.token)
    client.on_message = lambda _client, _data, message: heard.put((message.topic, json.loads(message.payload)))
    client.on_connect = lambda client, *_: client.subscribe(f"live/{stage}/{user}/#", qos=1)
    client.on_subscribe = lambda *_: ready.put(True)
    client.connect("localhost", world.cloud.settings.ports.https)
    client.loop_start()
    try:
        assert ready.get(timeout=WAIT_S)
        time.sleep(2)  # until it is known that the phone is there
        with connected(device):
            topic, document = heard.get(timeout=WAIT_S)
        assert topic == f"live/{stage}/{user}/presence"
        assert (document["thing"], document["connected"]) == (device.settings.thing, True)
    finally:
        client.disconnect()
        client.loop_stop()


def test_a_phone_invokes_the_original_contract_with_credentials_of_its_own(world: World, bob: Phone) -> None:
    settings, outputs = world.cloud.settings, world.outputs
    srp = AWSSRP(
        username=bob.email,
        password=bob.password,
        pool_id=outputs["UserPoolId"],
        client_id=outputs["UserPoolClientId"],
        client=world.operator.client("cognito-idp"),
    )
    id_token = srp.authenticate_user()["AuthenticationResult"]["IdToken"]
    other = world.phone("carl.control@example.com")
    call(world, other, "POST", "/v1/me/identity", {"id_token": id_token}, status=400)
    identity_id = call(world, bob, "POST", "/v1/me/identity", {"id_token": id_token})["identity_id"]
    logins = {f"cognito-idp.{settings.region}.amazonaws.com/{outputs['UserPoolId']}": id_token}
    given = world.operator.client("cognito-identity").get_credentials_for_identity(
        IdentityId=identity_id, Logins=logins
    )["Credentials"]
    functions = boto3.client(
        "lambda",
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=given["AccessKeyId"],
        aws_secret_access_key=given["SecretKey"],
        aws_session_token=given["SessionToken"],
    )

    def invoke(function: str, **envelope: Any) -> Any:
        answer = functions.invoke(FunctionName=outputs[function], Payload=json.dumps(envelope))
        return json.loads(answer["Payload"].read())

    item = {"id": "direct", "text": "milk"}
    assert invoke("MobileFunctionName", operation="create", tableName="notes", payload={"Item": item}) == {}
    read = {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "direct"}}}
    assert invoke("MobileFunctionName", **read) == {"Item": item}
    assert call(world, bob, "POST", "/v1/mobile", read) == {"result": {"Item": item}}
    unknown = invoke("MobileFunctionName", operation="drop", tableName="notes")
    assert unknown["errorMessage"] == 'Unrecognized operation "drop"'
    with pytest.raises(ClientError, match="AccessDenied"):
        invoke("RegistryFunctionName", operation="register", devices=[])
    call(world, bob, "DELETE", "/v1/me", status=204)


def test_a_deleted_account_is_gone(world: World) -> None:
    zoe = world.phone("zoe.control@example.com")
    device = world.claimed(zoe)
    assert call(world, zoe, "GET", "/v1/me/export")["devices"][0]["thing"] == device.settings.thing
    call(world, zoe, "DELETE", "/v1/me", status=204)
    with pytest.raises(Exception, match=r"(?i)user|password"):
        zoe.sign_in()
