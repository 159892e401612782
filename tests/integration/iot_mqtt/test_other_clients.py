"""A second and a third opinion: paho's and mosquitto's clients."""

import queue
import shutil
import ssl
import subprocess

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.iot_mqtt.test_doors import presigned

WAIT_S = 8
MOSQUITTO = pytest.mark.skipif(
    shutil.which("mosquitto_sub") is None,
    reason="mosquitto's clients are not installed (apt install mosquitto-clients)",
)


class Paho:
    """paho-mqtt in its own thread."""

    def __init__(self, local, client_id, protocol, *, identity=None, websocket=False):
        transport = "websockets" if websocket else "tcp"
        self.client = paho.Client(paho.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, transport=transport)
        context = ssl.create_default_context(cafile=local.ca)
        if identity:
            context.load_cert_chain(identity.certificate, identity.key)
        self.client.tls_set_context(context)
        self.port = local.ports["https" if websocket else "mqtt"]
        if websocket:
            _, _, query = presigned(local).partition("?")
            # paho puts the path into the request as it stands.
            self.client.ws_set_options(path=f"/mqtt?{query}")
        self.told: queue.Queue = queue.Queue()
        self.messages: queue.Queue = queue.Queue()
        self.client.on_connect = lambda *a: self.told.put(("connect", a[3]))
        self.client.on_disconnect = lambda *a: self.told.put(("disconnect", a[3]))
        self.client.on_subscribe = lambda *a: self.told.put(("subscribe", a[3][0]))
        self.client.on_publish = lambda *a: self.told.put(("publish", a[3]))
        self.client.on_message = lambda _, __, message: self.messages.put(message)

    def __enter__(self):
        self.client.connect("localhost", self.port, keepalive=60)
        self.client.loop_start()
        return self

    def __exit__(self, *_):
        self.client.disconnect()
        self.client.loop_stop()

    def next(self, kind):
        found, value = self.told.get(timeout=WAIT_S)
        assert found == kind, (found, value)
        return value


@pytest.fixture(scope="module")
def device(local):
    return local.identity(local.name("third"))


@pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5], ids=["mqtt3", "mqtt5"])
@pytest.mark.parametrize("websocket", [False, True], ids=["mtls", "websocket"])
def test_paho_connects_publishes_and_subscribes(local, device, protocol, websocket):
    name = local.name("paho")
    with Paho(local, name, protocol, identity=device, websocket=websocket) as one:
        assert one.next("connect") == 0
        one.client.subscribe(f"{name}/#", 1)
        assert one.next("subscribe") == 1
        properties = None
        if protocol == paho.MQTTv5:
            properties = Properties(PacketTypes.PUBLISH)
            properties.UserProperty = ("k", "v")
            properties.ContentType = "text/plain"
            properties.MessageExpiryInterval = 60
        one.client.publish(f"{name}/a", b"hello", 1, properties=properties)
        message = one.messages.get(timeout=WAIT_S)
        assert (message.payload, message.qos) == (b"hello", 1)
        if protocol == paho.MQTTv5:
            assert message.properties.UserProperty == [("k", "v")]
            assert message.properties.ContentType == "text/plain"
            assert 58 <= message.properties.MessageExpiryInterval <= 60


def test_paho_sees_what_aws_can_do(local, device):
    with Paho(local, local.name("paho"), paho.MQTTv5, identity=device) as one:
        seen: queue.Queue = queue.Queue()
        one.client.on_connect = lambda *a: seen.put(a[4])
        one.client.reconnect()
        found = seen.get(timeout=WAIT_S)
        assert (found.MaximumQoS, found.RetainAvailable, found.SubscriptionIdentifierAvailable) == (1, 1, 0)


def test_paho_takes_the_clients_place(local, device):
    name = local.name("paho")
    with Paho(local, name, paho.MQTTv5, identity=device) as old:
        assert old.next("connect") == 0
        old.client.reconnect_delay_set(60, 60)
        with Paho(local, name, paho.MQTTv5, identity=device) as new:
            assert new.next("connect") == 0
            assert old.next("disconnect").value == 0x8E


@MOSQUITTO
@pytest.mark.parametrize("version", ["311", "5"])
def test_mosquittos_clients_publish_and_subscribe(local, device, version):
    name = local.name("mosquitto")
    common = ["-h", "localhost", "-p", str(local.ports["mqtt"]), "--cafile", str(local.ca), "-V", version]
    common += ["--cert", str(device.certificate), "--key", str(device.key), "-q", "1"]
    kept = ["mosquitto_pub", *common, "-t", f"{name}/a", "-m", "kept", "-r"]
    subprocess.run(kept, check=True, timeout=WAIT_S, capture_output=True)
    heard = ["mosquitto_sub", *common, "-t", f"{name}/a", "-C", "1", "-W", "5", "-F", "%p %q %r"]
    done = subprocess.run(heard, check=True, timeout=WAIT_S, capture_output=True, text=True)
    assert done.stdout.strip() == "kept 1 1"


@MOSQUITTO
def test_mosquitto_is_told_when_it_may_not_connect(local):
    from tests.unit.iot_mqtt.harness import document, statement

    name = local.name("mosquitto")
    identity = local.identity(name, document(statement("iot:Connect", "client/another")))
    command = ["mosquitto_pub", "-h", "localhost", "-p", str(local.ports["mqtt"]), "--cafile", str(local.ca), "-V", "5"]
    command += [
        "--cert",
        str(identity.certificate),
        "--key",
        str(identity.key),
        "-i",
        name,
        "-t",
        "a",
        "-m",
        "b",
        "-q",
        "1",
    ]
    done = subprocess.run(command, timeout=WAIT_S, capture_output=True, text=True, check=False)
    assert done.returncode == 135 or "Not authorized" in done.stderr
