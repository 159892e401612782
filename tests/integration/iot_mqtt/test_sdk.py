"""AWS's own clients, unchanged, over every door: what works on AWS works here, what AWS refuses is refused."""

import base64
import queue
import time
from contextlib import contextmanager, suppress

import pytest
from awscrt.mqtt import QoS
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.integration.iot_mqtt.sdk import WAIT_S, Refused, Sdk3, Sdk5
from tests.integration.iot_mqtt.test_identities import phone, sign_up
from tests.unit.iot_mqtt.harness import ALLOW_ALL, document, statement

SDKS = pytest.mark.parametrize("sdk", [Sdk3, Sdk5], ids=["mqtt3", "mqtt5"])
DOORS = pytest.mark.parametrize("door", ["8883", "443", "sigv4", "custom", "custom websocket"])


@pytest.fixture(scope="module")
def device(local):
    return local.identity(local.name("sdk"))


@pytest.fixture(scope="module")
def custom(local):
    key = rsa.generate_private_key(65537, 2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    name = local.name("sdkauthorizer")
    local.iot.create_authorizer(
        authorizerName=name,
        authorizerFunctionArn="arn:aws:lambda:us-east-1:123456789012:function:auth",
        tokenKeyName="token",
        tokenSigningPublicKeys={"k": public.decode()},
        status="ACTIVE",
    )
    signature = base64.b64encode(key.sign(b"allow", padding.PKCS1v15(), hashes.SHA256())).decode()
    return {
        "auth_authorizer_name": name,
        "auth_authorizer_signature": signature,
        "auth_token_key_name": "token",
        "auth_token_value": "allow",
        "auth_username": "",
        "auth_password": "secret",
    }


def let_in(*documents):
    answer = {"isAuthenticated": True, "principalId": "sdk", "policyDocuments": list(documents or [ALLOW_ALL])}
    return lambda _event: answer | {"disconnectAfterInSeconds": 3600, "refreshAfterInSeconds": 300}


@pytest.fixture
def who(local, device, custom):
    """Credentials for every door, which allow everything."""
    local.aws.answer = let_in()
    return {"identity": device, "custom": custom}


@contextmanager
def client(sdk, local, *arguments, **more):
    one = sdk(local, *arguments, **more)
    try:
        yield one
    finally:
        one.stop()


def no_more(one) -> bool:
    try:
        one.messages.get(timeout=0.3)
    except queue.Empty:
        return True
    return False


@SDKS
@DOORS
def test_messages_and_retained_messages_over_every_door(local, who, sdk, door):
    name = local.name("door")
    with client(sdk, local, door, name, **who) as one:
        assert one.connect() is False
        one.subscribe(f"{name}/live", 1)
        one.subscribe(f"{name}/zero", 0)
        one.publish(f"{name}/live", b"at least once", 1)
        assert one.messages.get(timeout=WAIT_S) == (f"{name}/live", b"at least once", 1, False)
        one.publish(f"{name}/zero", b"at most once", 0)
        assert one.messages.get(timeout=WAIT_S) == (f"{name}/zero", b"at most once", 0, False)
        one.publish(f"{name}/kept", b"kept", 1, retain=True)
        one.subscribe(f"{name}/kept", 1)
        assert one.messages.get(timeout=WAIT_S) == (f"{name}/kept", b"kept", 1, True)


@SDKS
@DOORS
def test_a_will_is_sent_when_another_takes_the_client_id(local, who, sdk, door):
    name = local.name("will")
    with client(sdk, local, "8883", name + "w", **who) as watcher:
        watcher.connect()
        watcher.subscribe(f"{name}/will")
        old = sdk(local, door, name, will=(f"{name}/will", b"gone"), **who)
        old.connect()
        with client(sdk, local, door, name, **who) as new:
            new.connect()
            reason = old.cut()
            assert watcher.messages.get(timeout=WAIT_S)[1] == b"gone"
            if sdk.v5:
                assert reason == 0x8E
        old.stop()
        assert no_more(watcher)


@SDKS
@DOORS
def test_a_persistent_session_is_resumed(local, who, sdk, door):
    name = local.name("session")
    first = sdk(local, door, name, clean=False, expiry=300, **who)
    assert first.connect() is False
    first.subscribe(f"{name}/a")
    first.stop()
    with client(sdk, local, "8883", name + "p", **who) as publisher:
        publisher.connect()
        publisher.publish(f"{name}/a", b"while away")
    with client(sdk, local, door, name, clean=False, expiry=300, **who) as again:
        assert again.connect() is True
        assert again.messages.get(timeout=WAIT_S)[:2] == (f"{name}/a", b"while away")


@SDKS
@DOORS
def test_a_shared_subscription_gets_each_message_once(local, who, sdk, door):
    name = local.name("shared")
    with (
        client(sdk, local, door, name + "1", **who) as one,
        client(sdk, local, door, name + "2", **who) as two,
        client(sdk, local, door, name + "p", **who) as publisher,
    ):
        for each in (one, two, publisher):
            each.connect()
        for each in (one, two):
            each.subscribe(f"$share/g/{name}")
        for number in range(20):
            publisher.publish(name, b"%d" % number)
        got = []
        deadline = time.monotonic() + WAIT_S
        while len(got) < 20 and time.monotonic() < deadline:
            for each in (one, two):
                with suppress(queue.Empty):
                    got.append(each.messages.get(timeout=0.01))
        assert sorted(int(payload) for _, payload, _, _ in got) == list(range(20))
        assert no_more(one)
        assert no_more(two)


def limited(local, custom, door, name):
    """Credentials for a door that allow a client one id and topics of its own, and how explanations name it."""
    own = "${iot:Connection.Thing.ThingName}" if door in {"8883", "443"} else name
    only = document(
        statement("iot:Connect", f"client/{own}"),
        statement("iot:Publish", f"topic/{own}/*"),
        statement("iot:Subscribe", f"topicfilter/{own}/*"),
    )
    if door == "sigv4":
        return {"issued": phone(local, sign_up(local, only))}
    local.aws.answer = let_in(only)
    return {"identity": local.identity(name, only)} if door in {"8883", "443"} else {"custom": custom}


@SDKS
@DOORS
def test_what_the_policy_does_not_allow_is_refused(local, custom, sdk, door):
    name = local.name("limited")
    who = limited(local, custom, door, name)
    stranger = sdk(local, door, name + "x", **who)
    with pytest.raises(Refused) as refused:
        stranger.connect()
    if sdk.v5:
        assert refused.value.args[0] == 0x87
        stranger.stop()
    for forbidden in ("publish", "subscribe"):
        one = sdk(local, door, name, **who)
        one.connect()
        one.publish(f"{name}/ok", b"fine")
        if forbidden == "publish":
            if sdk.v5:
                with pytest.raises(Refused, match="135"):
                    one.publish("another/topic", b"x")
                assert one.cut() == 0x87
            else:
                one.connection.publish("another/topic", b"x", QoS.AT_LEAST_ONCE)
                one.cut()
        elif sdk.v5:
            with pytest.raises(Refused, match="135"):
                one.subscribe("another/topic")
        else:
            one.connection.subscribe("another/topic", QoS.AT_LEAST_ONCE)
            one.cut()
        one.stop()
    told = {entry.get("action") for entry in local.denials() if entry.get("client_id") in {name, name + "x"}}
    assert told == {"iot:Connect", "iot:Publish", "iot:Subscribe"}
