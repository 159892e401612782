"""AWS's own device SDK against the gateway process: shadows and fleet provisioning, MQTT 3.1.1 and 5."""

import contextlib
import json
import threading
import time
from concurrent.futures import Future
from typing import Any

import awscrt.mqtt
import pytest
from awscrt import mqtt5
from awscrt.mqtt_request_response import ClientOptions
from awsiot import (
    ServiceStreamOptions,
    V2ServiceException,
    iotidentity,
    iotshadow,
    mqtt5_client_builder,
    mqtt_connection_builder,
)
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from tests.integration.iot_mqtt.conftest import running
from tests.unit.iot_mqtt.harness import document
from tests.unit.iot_mqtt.test_iam_roles import ROLE, details

WAIT_S = 60.0
OPTIONS = ClientOptions(
    max_request_response_subscriptions=6, max_streaming_subscriptions=6, operation_timeout_in_seconds=60
)
PREFIX = "arn:aws:iot:us-east-1:123456789012"


def statement(action, *resources):
    return {"Effect": "Allow", "Action": action, "Resource": [f"{PREFIX}:{one}" for one in resources]}


CLAIM = {
    "Version": "2012-10-17",
    "Statement": [
        statement("iot:Connect", "client/*"),
        statement(
            ["iot:Publish", "iot:Receive"],
            "topic/$aws/certificates/create*",
            "topic/$aws/provisioning-templates/fleet/provision/*",
        ),
        statement(
            "iot:Subscribe",
            "topicfilter/$aws/certificates/create*",
            "topicfilter/$aws/provisioning-templates/fleet/provision/*",
        ),
    ],
}
DEVICE = {
    "Version": "2012-10-17",
    "Statement": [
        statement("iot:Connect", "client/${iot:Connection.Thing.ThingName}"),
        statement("iot:Publish", "topic/dt/${iot:Connection.Thing.ThingName}/*"),
    ],
}
TEMPLATE = {
    "Parameters": {"SerialNumber": {"Type": "String"}, "AWS::IoT::Certificate::Id": {"Type": "String"}},
    "Resources": {
        "thing": {
            "Type": "AWS::IoT::Thing",
            "Properties": {"ThingName": {"Fn::Sub": "device-${SerialNumber}"}},
        },
        "certificate": {
            "Type": "AWS::IoT::Certificate",
            "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "ACTIVE"},
        },
        "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "device"}},
    },
    "DeviceConfiguration": {"interval": "10"},
}
HOOK = "arn:aws:lambda:us-east-1:123456789012:function:allow-list"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    with running(tmp_path_factory.mktemp("devices")) as local:
        local.aws.iam = details(document(statement("iot:*", "*")))
        local.iot.create_policy(policyName="device", policyDocument=json.dumps(DEVICE))
        local.iot.create_provisioning_template(
            templateName="fleet",
            templateBody=json.dumps(TEMPLATE),
            enabled=True,
            provisioningRoleArn=ROLE,
            preProvisioningHook={"targetArn": HOOK},
        )
        yield local
        local.iot.close()
        local.data.close()


def connected(local, version, client_id, certificate, key):
    """A connected protocol client, and a way to publish at QoS 1 that waits for the PUBACK."""
    asked = {
        "endpoint": "localhost",
        "port": local.ports["mqtt"],
        "ca_filepath": str(local.ca),
        "client_id": client_id,
        "cert_filepath": str(certificate),
        "pri_key_filepath": str(key),
    }
    return connected_5(asked) if version == 5 else connected_3(asked)


@contextlib.contextmanager
def connected_5(asked):
    up: Future[Any] = Future()
    down = threading.Event()

    def succeeded(data):
        if not up.done():
            up.set_result(data)

    def failed(data):
        if not up.done():
            up.set_exception(ConnectionError(str(data.exception)))

    client = mqtt5_client_builder.mtls_from_path(
        on_lifecycle_connection_success=succeeded,
        on_lifecycle_connection_failure=failed,
        on_lifecycle_stopped=lambda _: down.set(),
        **asked,
    )

    def publish(topic, payload):
        packet = mqtt5.PublishPacket(topic=topic, payload=payload, qos=mqtt5.QoS.AT_LEAST_ONCE)
        answer = client.publish(packet).result(WAIT_S).puback
        if answer.reason_code != mqtt5.PubackReasonCode.SUCCESS:
            raise PermissionError(str(answer.reason_code))

    client.start()
    try:
        up.result(WAIT_S)
        yield client, publish
    finally:
        client.stop()
        assert down.wait(WAIT_S)


@contextlib.contextmanager
def connected_3(asked):
    interrupted = threading.Event()
    connection = mqtt_connection_builder.mtls_from_path(
        clean_session=True,
        on_connection_interrupted=lambda **_: interrupted.set(),
        reconnect_min_timeout_secs=1,
        reconnect_max_timeout_secs=1,
        **asked,
    )
    connection.connect().result(WAIT_S)

    def publish(topic, payload):
        future, _ = connection.publish(topic, payload, awscrt.mqtt.QoS.AT_LEAST_ONCE)
        deadline = time.monotonic() + WAIT_S
        while not future.done() and time.monotonic() < deadline:
            if interrupted.wait(0.02):
                raise PermissionError("cut")
        future.result(0)

    try:
        yield connection, publish
    finally:
        connection.disconnect().result(WAIT_S)


class Stream:
    """What came by on a stream of events."""

    def __init__(self):
        self._arrived = threading.Condition()
        self._events: list[Any] = []
        self._subscribed = threading.Event()
        self.options = ServiceStreamOptions(
            incoming_event_listener=self._add, subscription_status_listener=lambda _: self._subscribed.set()
        )

    def _add(self, event):
        with self._arrived:
            self._events.append(event)
            self._arrived.notify_all()

    def open(self, operation):
        operation.open()
        assert self._subscribed.wait(WAIT_S)
        return operation

    def next(self):
        with self._arrived:
            assert self._arrived.wait_for(lambda: self._events, WAIT_S)
            return self._events.pop(0)


@pytest.mark.parametrize("version", [3, 5])
def test_the_shadow_client_updates_gets_and_deletes_and_sees_deltas_and_documents(local, version):
    thing = local.name("lamp")
    identity = local.identity(thing)
    with connected(local, version, thing, identity.certificate, identity.key) as (protocol, _):
        client = iotshadow.IotShadowClientV2(protocol, OPTIONS)
        deltas, documents = Stream(), Stream()
        ask_delta = iotshadow.ShadowDeltaUpdatedSubscriptionRequest(thing_name=thing)
        ask_documents = iotshadow.ShadowUpdatedSubscriptionRequest(thing_name=thing)
        streams = [
            deltas.open(client.create_shadow_delta_updated_stream(ask_delta, deltas.options)),
            documents.open(client.create_shadow_updated_stream(ask_documents, documents.options)),
        ]
        with pytest.raises(V2ServiceException) as caught:
            client.get_shadow(iotshadow.GetShadowRequest(thing_name=thing)).result(WAIT_S)
        assert caught.value.modeled_error.code == 404

        def update(version=None, **state):
            asked = iotshadow.UpdateShadowRequest(
                thing_name=thing, state=iotshadow.ShadowState(**state), version=version
            )
            return client.update_shadow(asked).result(WAIT_S)

        assert update(reported={"on": False}).version == 1
        made = update(desired={"on": True}, version=1)
        assert made.state.desired == {"on": True}
        assert made.metadata.desired["on"]["timestamp"] > 0
        delta = deltas.next()
        assert (delta.state, delta.version) == ({"on": True}, 2)
        assert documents.next().current.version == 1
        change = documents.next()
        assert (change.previous.version, change.current.state.desired) == (1, {"on": True})
        with pytest.raises(V2ServiceException) as caught:
            update(desired={"on": False}, version=1)
        assert (caught.value.modeled_error.code, caught.value.modeled_error.message) == (409, "Version conflict")
        got = client.get_shadow(iotshadow.GetShadowRequest(thing_name=thing)).result(WAIT_S)
        assert (got.state.desired, got.state.reported, got.state.delta) == ({"on": True}, {"on": False}, {"on": True})
        gone = client.delete_shadow(iotshadow.DeleteShadowRequest(thing_name=thing)).result(WAIT_S)
        assert gone.version == 2
        del streams


@pytest.mark.parametrize("version", [3, 5])
def test_the_shadow_client_serves_named_shadows(local, version):
    thing = local.name("lamp")
    identity = local.identity(thing)
    with connected(local, version, thing, identity.certificate, identity.key) as (protocol, _):
        client = iotshadow.IotShadowClientV2(protocol, OPTIONS)
        deltas = Stream()
        asked = iotshadow.NamedShadowDeltaUpdatedSubscriptionRequest(thing_name=thing, shadow_name="config")
        stream = deltas.open(client.create_named_shadow_delta_updated_stream(asked, deltas.options))
        state = iotshadow.ShadowState(desired={"interval": 5})
        update = iotshadow.UpdateNamedShadowRequest(thing_name=thing, shadow_name="config", state=state)
        assert client.update_named_shadow(update).result(WAIT_S).version == 1
        assert deltas.next().state == {"interval": 5}
        assert local.data.list_named_shadows_for_thing(thingName=thing)["results"] == ["config"]
        payload = json.dumps({"state": {"reported": {"interval": 5}}})
        local.data.update_thing_shadow(thingName=thing, shadowName="config", payload=payload)["payload"].read()
        get = iotshadow.GetNamedShadowRequest(thing_name=thing, shadow_name="config")
        got = client.get_named_shadow(get).result(WAIT_S)
        assert (got.version, got.state.delta) == (2, None)
        delete = iotshadow.DeleteNamedShadowRequest(thing_name=thing, shadow_name="config")
        assert client.delete_named_shadow(delete).result(WAIT_S).version == 2
        with pytest.raises(V2ServiceException) as caught:
            client.get_named_shadow(get).result(WAIT_S)
        assert caught.value.modeled_error.message == "No shadow exists with name: 'config'"
        del stream


def save(directory, name, certificate_pem, key_pem):
    certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
    certificate.write_text(certificate_pem)
    key.write_text(key_pem)
    return certificate, key


def make_csr():
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "device")])
    csr = x509.CertificateSigningRequestBuilder().subject_name(name).sign(key, hashes.SHA256())
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return (
        key.private_bytes(encoding, form, serialization.NoEncryption()).decode(),
        csr.public_bytes(encoding).decode(),
    )


@pytest.mark.parametrize("way", ["keys", "csr"])
@pytest.mark.parametrize("version", [3, 5])
def test_a_claim_provisions_a_device_that_comes_back_with_its_own_certificate(local, version, way, tmp_path):
    local.aws.answer = lambda event: {"allowProvisioning": event["parameters"]["SerialNumber"].startswith("ok")}
    claim = local.identity(local.name("claim"), CLAIM)
    serial = f"ok-{version}-{way}"
    with connected(local, version, local.name("new"), claim.certificate, claim.key) as (protocol, _):
        client = iotidentity.IotIdentityClientV2(protocol, OPTIONS)
        if way == "keys":
            made = client.create_keys_and_certificate(iotidentity.CreateKeysAndCertificateRequest()).result(WAIT_S)
            key = made.private_key
        else:
            key, csr = make_csr()
            request = iotidentity.CreateCertificateFromCsrRequest(certificate_signing_request=csr)
            made = client.create_certificate_from_csr(request).result(WAIT_S)
        registered = client.register_thing(
            iotidentity.RegisterThingRequest(
                template_name="fleet",
                certificate_ownership_token=made.certificate_ownership_token,
                parameters={"SerialNumber": serial},
            )
        ).result(WAIT_S)
    assert registered.thing_name == f"device-{serial}"
    assert registered.device_configuration == {"interval": "10"}
    headers, event = local.aws.calls[-1]
    assert event["claimCertificateId"] == claim.id
    assert event["certificateId"] == made.certificate_id
    assert headers["path"] == f"/2015-03-31/functions/{HOOK}/invocations"
    assert headers["x-fieldline-source-arn"] == f"{PREFIX}:provisioningtemplate/fleet"
    certificate, key_path = save(tmp_path, "device", made.certificate_pem, key)
    with connected(local, version, registered.thing_name, certificate, key_path) as (_, publish):
        publish(f"dt/{registered.thing_name}/telemetry", b"21.5")


def test_a_trusted_users_claim_provisions_and_can_do_nothing_else(local, tmp_path):
    local.aws.answer = lambda _: {"allowProvisioning": True}
    made = local.iot.create_provisioning_claim(templateName="fleet")
    claim = save(tmp_path, "claim", made["certificatePem"], made["keyPair"]["PrivateKey"])
    with connected(local, 5, local.name("new"), *claim) as (protocol, publish):
        client = iotidentity.IotIdentityClientV2(protocol, OPTIONS)
        own = client.create_keys_and_certificate(iotidentity.CreateKeysAndCertificateRequest()).result(WAIT_S)
        asked = iotidentity.RegisterThingRequest(
            template_name="fleet",
            certificate_ownership_token=own.certificate_ownership_token,
            parameters={"SerialNumber": "trusted"},
        )
        assert client.register_thing(asked).result(WAIT_S).thing_name == "device-trusted"
        with pytest.raises(PermissionError):
            publish("dt/device-trusted/telemetry", b"21.5")
    certificate, key = save(tmp_path, "device", own.certificate_pem, own.private_key)
    with connected(local, 5, "device-trusted", certificate, key) as (_, publish):
        publish("dt/device-trusted/telemetry", b"21.5")


@pytest.mark.parametrize("version", [3, 5])
def test_a_device_the_hook_refuses_gets_no_thing(local, version):
    local.aws.answer = lambda _: {"allowProvisioning": False}
    claim = local.identity(local.name("claim"), CLAIM)
    with connected(local, version, local.name("new"), claim.certificate, claim.key) as (protocol, _):
        client = iotidentity.IotIdentityClientV2(protocol, OPTIONS)
        made = client.create_keys_and_certificate(iotidentity.CreateKeysAndCertificateRequest()).result(WAIT_S)
        asked = iotidentity.RegisterThingRequest(
            template_name="fleet",
            certificate_ownership_token=made.certificate_ownership_token,
            parameters={"SerialNumber": f"bad-{version}"},
        )
        with pytest.raises(V2ServiceException) as caught:
            client.register_thing(asked).result(WAIT_S)
    error = caught.value.modeled_error
    assert (error.status_code, error.error_code) == (403, "ACCESS_DENIED")
    described = local.iot.describe_certificate(certificateId=made.certificate_id)["certificateDescription"]
    assert described["status"] == "PENDING_ACTIVATION"
    names = [thing["thingName"] for thing in local.iot.list_things()["things"]]
    assert f"device-bad-{version}" not in names


@pytest.mark.parametrize("version", [3, 5])
@pytest.mark.parametrize("topic", ["dt/anything/telemetry", "$aws/things/anything/shadow/update"])
def test_a_claim_can_do_nothing_but_provision(local, version, topic):
    claim, client_id = local.identity(local.name("claim"), CLAIM), local.name("new")
    with (
        connected(local, version, client_id, claim.certificate, claim.key) as (_, publish),
        pytest.raises(PermissionError),
    ):
        publish(topic, b"{}")
    refused = [denial for denial in local.denials() if topic in json.dumps(denial)]
    assert refused


def test_a_device_that_sends_rubbish_to_its_shadow_is_answered_and_stays(local):
    thing = local.name("lamp")
    identity = local.identity(thing)
    with connected(local, 5, thing, identity.certificate, identity.key) as (protocol, publish):
        topic = f"$aws/things/{thing}/shadow/update"
        for payload in (
            b"rubbish",
            b"\xff",
            b"[" * 50_000,
            json.dumps({"state": {"reported": {"a": "x" * 9000}}}).encode(),
        ):
            publish(topic, payload)
        client = iotshadow.IotShadowClientV2(protocol, OPTIONS)
        state = iotshadow.ShadowState(reported={"a": 1})
        asked = iotshadow.UpdateShadowRequest(thing_name=thing, state=state)
        assert client.update_shadow(asked).result(WAIT_S).version == 1
