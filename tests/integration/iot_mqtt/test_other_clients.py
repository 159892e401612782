"""A second and a third opinion: paho's and mosquitto's clients."""

import queue
import shutil
import socket
import ssl
import subprocess

import paho.mqtt.client as paho
import pytest
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from tests.integration.iot_mqtt.test_doors import presigned
from tests.unit.iot_mqtt.harness import document, statement

WAIT_S = 60.0
PROTOCOLS = pytest.mark.parametrize("protocol", [paho.MQTTv311, paho.MQTTv5], ids=["mqtt3", "mqtt5"])
MOSQUITTO = pytest.mark.skipif(
    shutil.which("mosquitto_sub") is None,
    reason="mosquitto's clients are not installed (apt install mosquitto-clients)",
)


class Paho:
    """paho-mqtt in its own thread."""

    def __init__(self, local, client_id, protocol, *, identity=None, websocket=False, will=None, persistent=False):
        transport = "websockets" if websocket else "tcp"
        older = {} if protocol == paho.MQTTv5 else {"clean_session": not persistent}
        self.client = paho.Client(
            paho.CallbackAPIVersion.VERSION2, client_id, protocol=protocol, transport=transport, **older
        )
        self.options = {}
        if protocol == paho.MQTTv5 and persistent:
            properties = Properties(PacketTypes.CONNECT)
            properties.SessionExpiryInterval = 300
            self.options = {"clean_start": False, "properties": properties}
        if will:
            self.client.will_set(will, b"gone", 1)
        self.client.reconnect_delay_set(60, 60)
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
        self.client.on_connect = self._connected
        self.client.on_disconnect = lambda *a: self.told.put(("disconnect", a[3]))
        self.client.on_subscribe = lambda *a: self.told.put(("subscribe", a[3][0]))
        self.client.on_publish = lambda *a: self.told.put(("publish", a[3]))
        self.client.on_message = lambda _, __, message: self.messages.put(message)

    def __enter__(self):
        self.client.connect("localhost", self.port, keepalive=60, **self.options)
        self.client.loop_start()
        return self

    def _connected(self, _client, _userdata, flags, reason, properties):
        self.resumed, self.capabilities = flags.session_present, properties
        self.told.put(("connect", reason))

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


@PROTOCOLS
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


@PROTOCOLS
def test_paho_finds_its_session_again_and_what_was_kept_for_it(local, device, protocol):
    name = local.name("paho")
    with Paho(local, name, protocol, identity=device, persistent=True) as first:
        assert first.next("connect") == 0
        assert not first.resumed
        first.client.subscribe(f"{name}/+", 1)
        first.next("subscribe")
    with Paho(local, name + "p", protocol, identity=device) as publisher:
        publisher.next("connect")
        for number in range(3):
            publisher.client.publish(f"{name}/a", b"%d" % number, 1)
            publisher.next("publish")
        publisher.client.publish(f"{name}/kept", b"kept", 1, retain=True)
        publisher.next("publish")
    with Paho(local, name, protocol, identity=device, persistent=True) as again:
        assert again.next("connect") == 0
        assert again.resumed
        got = [again.messages.get(timeout=WAIT_S) for _ in range(4)]
        assert [(one.payload, one.retain) for one in got] == [
            (b"0", False), (b"1", False), (b"2", False), (b"kept", False),
        ]  # fmt: skip
        again.client.subscribe(f"{name}/kept", 1)
        again.next("subscribe")
        message = again.messages.get(timeout=WAIT_S)
        assert (message.payload, message.retain) == (b"kept", True)


@PROTOCOLS
def test_pahos_will_is_sent_when_its_socket_breaks_and_not_when_it_leaves(local, device, protocol):
    name = local.name("paho")
    with Paho(local, name + "w", protocol, identity=device) as watcher:
        watcher.next("connect")
        watcher.client.subscribe(f"{name}/#", 1)
        watcher.next("subscribe")
        with Paho(local, name, protocol, identity=device, will=f"{name}/left") as orderly:
            orderly.next("connect")
        with Paho(local, name, protocol, identity=device, will=f"{name}/broken") as broken:
            broken.next("connect")
            broken.client.socket().shutdown(socket.SHUT_RDWR)
            assert watcher.messages.get(timeout=WAIT_S).topic == f"{name}/broken"


@PROTOCOLS
def test_paho_shares_a_subscription(local, device, protocol):
    name = local.name("paho")
    with (
        Paho(local, name + "1", protocol, identity=device) as one,
        Paho(local, name + "2", protocol, identity=device) as two,
    ):
        two.messages = one.messages
        for each in (one, two):
            each.next("connect")
            each.client.subscribe(f"$share/g/{name}", 1)
            assert each.next("subscribe") == 1
        for number in range(12):
            one.client.publish(name, b"%d" % number, 1)
        got = [int(one.messages.get(timeout=WAIT_S).payload) for _ in range(12)]
        assert sorted(got) == list(range(12))
        assert one.messages.empty()


@PROTOCOLS
@pytest.mark.parametrize("forbidden", ["connect", "publish", "subscribe"])
def test_paho_is_refused_what_the_policy_does_not_allow(local, protocol, forbidden):
    name = local.name("paho")
    only = document(
        statement("iot:Connect", f"client/{name}"),
        statement("iot:Publish", "topic/mine"),
        statement("iot:Subscribe", "topicfilter/mine"),
    )
    identity, newer = local.identity(name, only), protocol == paho.MQTTv5
    with Paho(local, f"{name}x" if forbidden == "connect" else name, protocol, identity=identity) as one:
        if forbidden == "connect":
            assert one.next("connect").value == 0x87
            return
        assert one.next("connect") == 0
        one.client.publish("mine", b"fine", 1)
        assert one.next("publish") == 0
        if forbidden == "subscribe":
            one.client.subscribe("theirs", 1)
            assert one.next("subscribe" if newer else "disconnect").value == (0x87 if newer else 0x80)
        else:
            one.client.publish("theirs", b"x", 1)
            if newer:
                assert one.next("publish").value == 0x87
            assert one.next("disconnect").value == (0x87 if newer else 0x80)


def test_paho_sees_what_aws_can_do(local, device):
    with Paho(local, local.name("paho"), paho.MQTTv5, identity=device) as one:
        assert one.next("connect") == 0
        found = one.capabilities
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
