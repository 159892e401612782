"""Who may connect, and what a connected device may say and hear."""

import asyncio
import contextlib
import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from pathlib import Path

import paho.mqtt.client as paho
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from paho.mqtt.enums import CallbackAPIVersion

from device_client.config import DeviceSettings
from scripts.main_job.factory import Device
from tests.e2e.conftest import World

_WAIT_S = 60.0


class Peer:
    """A device at the level of MQTT, with paho: a client nobody here wrote."""

    def __init__(
        self, settings: DeviceSettings, *, certificate: tuple[Path, Path] | None, client_id: str | None = None
    ):
        self.answered = threading.Event()
        self.connack = threading.Event()
        self.gone = threading.Event()
        self.acknowledged = threading.Event()
        self.messages: list[str] = []
        self.client = paho.Client(CallbackAPIVersion.VERSION2, client_id or settings.thing, protocol=paho.MQTTv311)
        context = ssl.create_default_context(cafile=settings.ca)
        if certificate:
            context.load_cert_chain(*certificate)
        self.client.tls_set_context(context)
        self.client.on_connect = self._on_connect
        self.client.on_disconnect = self._on_disconnect
        self.client.on_publish = lambda *_: self.acknowledged.set()
        self.client.on_message = lambda _client, _data, message: self.messages.append(message.topic)
        self._settings = settings

    def _on_connect(self, _client, _data, _flags, reason_code, _properties):
        if not reason_code.is_failure:
            self.connack.set()
        self.answered.set()

    def _on_disconnect(self, *_):
        self.gone.set()
        self.answered.set()

    def connect(self) -> bool:
        """Connect; say whether a CONNACK of success came."""
        with contextlib.suppress(OSError):  # ssl.SSLError among them: refused in the handshake
            self.client.connect(self._settings.endpoint, self._settings.port, keepalive=60)
            self.client.loop_start()
            assert self.answered.wait(_WAIT_S), "neither let in nor refused"
            return self.connack.is_set() and not self.gone.is_set()
        return False

    def close(self) -> None:
        self.client.loop_stop()
        self.client.disconnect()


@contextlib.contextmanager
def connected(device: Device) -> Iterator[Peer]:
    peer = Peer(device.settings, certificate=(device.settings.certificate, device.settings.private_key))
    try:
        assert peer.connect(), "a device in good order must connect"
        yield peer
    finally:
        peer.close()


def _foreign_certificate(folder: Path, name: str) -> tuple[Path, Path]:
    """Return a certificate for ``name`` of a CA that nobody here knows."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    pem, key_pem = folder / "foreign.pem", folder / "foreign.key"
    pem.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_pem.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, key_pem


def _stored(world: World, device: Device) -> int:
    return len(
        world.operator.client("dynamodb").query(
            TableName=world.outputs["ReadingsTableName"],
            KeyConditionExpression="thing = :t",
            ExpressionAttributeValues={":t": {"S": device.settings.thing}},
        )["Items"]
    )


def _telemetry_topic(device: Device) -> str:
    stage, thing = device.settings.stage, device.settings.thing
    return f"$aws/rules/{stage}_telemetry/dt/{stage}/{thing}/telemetry"


def test_a_certificate_of_another_ca_does_not_connect(world: World, tmp_path: Path):
    device = world.device()
    peer = Peer(device.settings, certificate=_foreign_certificate(tmp_path, device.settings.thing))
    assert not peer.connect()
    peer.close()


def test_no_certificate_does_not_connect(world: World):
    peer = Peer(world.device().settings, certificate=None)
    assert not peer.connect()
    peer.close()


def test_an_inactive_certificate_does_not_connect_and_does_again_once_active(world: World):
    device = world.device()
    iot = world.operator.client("iot")
    arn = iot.list_thing_principals(thingName=device.settings.thing)["principals"][0]
    certificate_id = arn.rpartition("/")[2]
    iot.update_certificate(certificateId=certificate_id, newStatus="INACTIVE")
    peer = Peer(device.settings, certificate=(device.settings.certificate, device.settings.private_key))
    assert not peer.connect()
    peer.close()
    iot.update_certificate(certificateId=certificate_id, newStatus="ACTIVE")
    with connected(device):
        pass


def test_a_device_under_another_devices_name_does_not_connect(world: World):
    device, other = world.device(), world.device()
    certificate = (device.settings.certificate, device.settings.private_key)
    peer = Peer(device.settings, certificate=certificate, client_id=other.settings.thing)
    assert not peer.connect()
    peer.close()


def test_publishing_to_another_devices_topic_is_cut_off_and_stores_nothing(world: World):
    device, other = world.device(), world.device()
    with connected(device) as peer:
        peer.client.publish(_telemetry_topic(other), b'{"v":1}', qos=1)
        assert peer.gone.wait(_WAIT_S), "the connection must be cut"
        assert not peer.acknowledged.is_set()
    assert _stored(world, other) == _stored(world, device) == 0


@pytest.mark.parametrize("topic_filter", ["cmd/dev/{other}/+/req", "#", "dt/dev/+/telemetry", "$aws/things/{other}/#"])
def test_subscribing_to_what_is_not_ones_own_is_cut_off(world: World, topic_filter: str):
    device, other = world.device(), world.device()
    with connected(device) as peer:
        peer.client.subscribe(topic_filter.format(other=other.settings.thing), qos=1)
        assert peer.gone.wait(_WAIT_S), "the connection must be cut"


async def test_a_device_in_good_order_connects_by_the_reference_client(world: World):
    from device_client.connection.mqtt import MqttConnection

    connection = MqttConnection(world.device().settings)
    await asyncio.wait_for(connection.start(), _WAIT_S)
    await connection.stop()
