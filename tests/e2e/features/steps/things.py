"""Devices at the level of MQTT over mutual TLS, and phones that listen: paho and AWS's own SDK."""

import contextlib
import json
import queue
import secrets
import threading
import time
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

import boto3
import paho.mqtt.client as paho
from awscrt import auth, mqtt5
from awsiot import mqtt5_client_builder
from paho.mqtt.enums import CallbackAPIVersion

from tests.e2e.features.steps.configuration import Configuration
from tests.e2e.features.steps.people import Person

WAIT_S = 60.0
PAUSE_S = 0.1
CONNECT_EVERY_S = 1.0
"""AWS IoT takes one CONNECT a second of one client id. (General Reference: AWS IoT Core quotas, message broker)."""


def wait_for(what: str, look: Callable[[], Any], within_s: float = WAIT_S) -> Any:
    """Return what ``look`` finds as soon as it finds something."""
    deadline = time.monotonic() + within_s
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited {within_s:g} s in vain: {what}"
        time.sleep(PAUSE_S)
    return found


class Operator:
    """The factory and the operator, with credentials of the account."""

    def __init__(self, configuration: Configuration, folder: Path) -> None:
        self.configuration = configuration
        self.folder = folder
        options: dict[str, Any] = {"region_name": configuration.region, **configuration.operator}
        self._session: Any = boto3.Session(**options)

    def client(self, service: str) -> Any:
        return self._session.client(service, endpoint_url=self.configuration.endpoint)

    def credentials(self) -> dict[str, str]:
        """Return what to sign MQTT over WebSocket with."""
        found = self._session.get_credentials()
        assert found is not None
        return {"key": found.access_key, "secret": found.secret_key, **({"token": found.token} if found.token else {})}

    def registry(self, **document: Any) -> Any:
        """Invoke the registry function, as the README says."""
        name = self.configuration.outputs["RegistryFunctionName"]
        answer = self.client("lambda").invoke(FunctionName=name, Payload=json.dumps(document))
        return json.loads(answer["Payload"].read())

    def make(self, *, secret_lifetime_s: int | None = None) -> "Thermostat":
        """Register a device with a claim secret; it gets its identity when it first connects."""
        thing = f"feature-{secrets.token_hex(6)}"
        more = {} if secret_lifetime_s is None else {"secret_lifetime_s": secret_lifetime_s}
        wanted = [{"thing": thing, "type": "thermostat", **more}]
        registered = self.registry(operation="register", devices=wanted)["devices"][0]
        return Thermostat(self, thing, registered)

    def certify(self, thing: str) -> tuple[Path, Path]:
        """Make a thing with a certificate of its own; return the certificate and its key."""
        outputs, iot = self.configuration.outputs, self.client("iot")
        iot.create_thing(thingName=thing, thingTypeName=outputs["ThermostatTypeName"])
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.attach_policy(policyName=outputs["DevicePolicyName"], target=made["certificateArn"])
        iot.attach_thing_principal(thingName=thing, principal=made["certificateArn"])
        certificate, key = self.folder / f"{thing}.pem", self.folder / f"{thing}.key"
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        return certificate, key


class Thermostat:
    """A device: what stands on its flash and on its label, and its connection."""

    def __init__(self, operator: Operator, thing: str, registered: Any) -> None:
        self.operator = operator
        self.configuration = operator.configuration
        self.thing = thing
        self.secret: str = registered["claim_secret"]
        self.qr: str = registered["qr"]
        self.answers: tuple[str, ...] = ()
        """What it says to a command, one after the other."""
        self.commands: list[tuple[str, dict[str, Any]]] = []
        self.shadows: queue.Queue[dict[str, Any]] = queue.Queue()
        self.gone = threading.Event()
        self._client: paho.Client | None = None
        self._connects_from = 0.0
        self._seq = 0

    @cached_property
    def certificate(self) -> tuple[Path, Path]:
        return self.operator.certify(self.thing)

    def connect(self) -> bool:
        """Connect, no more often than AWS allows, and listen to commands; say whether it was let in."""
        time.sleep(max(0.0, self._connects_from - time.monotonic()))
        self._connects_from = time.monotonic() + CONNECT_EVERY_S
        connected, listening, self.gone = threading.Event(), threading.Event(), threading.Event()
        gone = self.gone
        client = paho.Client(
            CallbackAPIVersion.VERSION2, self.thing, protocol=paho.MQTTv311, reconnect_on_failure=False
        )
        context = self.configuration.tls()
        context.load_cert_chain(*self.certificate)
        client.tls_set_context(context)
        client.on_connect = lambda *arguments: None if arguments[3].is_failure else connected.set()
        client.on_disconnect = lambda *_: gone.set()
        client.on_subscribe = lambda *_: listening.set()
        client.on_message = self._hear
        try:
            client.connect(self.configuration.broker, self.configuration.mqtt_port, keepalive=60)
        except OSError:  # refused in the handshake
            return False
        client.loop_start()
        self._client = client
        if not wait_for("CONNACK, or to be cut off", lambda: connected.is_set() or gone.is_set()) or gone.is_set():
            self.disconnect()
            return False
        client.subscribe(f"cmd/{self.configuration.stage}/{self.thing}/+/req", qos=1)
        wait_for("SUBACK, or to be cut off", lambda: listening.is_set() or gone.is_set())
        return not gone.is_set()

    def disconnect(self) -> None:
        if self._client is not None:
            with contextlib.suppress(OSError):
                self._client.disconnect()
            self._client.loop_stop()
            self._client = None

    def publish(self, topic: str, document: Any) -> None:
        assert self._client is not None, "the thermostat is not connected"
        sent = self._client.publish(topic, json.dumps(document), qos=1)
        sent.wait_for_publish(WAIT_S)
        assert sent.is_published(), f"no PUBACK for {topic}"

    def report(self, temperature_c: float, *, urgently: bool = False) -> None:
        """Publish one reading as the topic table of the README says."""
        self._seq += 1
        stage, kind = self.configuration.stage, "urgent" if urgently else "telemetry"
        now_ms = int(time.time() * 1000)
        bucket = {"v": 1, "boot": "feature0", "seq": self._seq, "t0": now_ms, "dt": [0]}
        metrics = {"m": {"temperature_c": [temperature_c]}}
        self.publish(f"$aws/rules/{stage}_{kind}/dt/{stage}/{self.thing}/{kind}", {**bucket, **metrics})

    def listen_to_shadow(self, name: str = "") -> None:
        assert self._client is not None
        shadow = f"shadow/name/{name}" if name else "shadow"
        heard = threading.Event()
        self._client.on_subscribe = lambda *_: heard.set()
        self._client.subscribe(f"$aws/things/{self.thing}/{shadow}/update/delta", qos=1)
        assert heard.wait(WAIT_S)

    def answer(self, command: str, identifier: str, state: str) -> None:
        assert self._client is not None
        topic = f"cmd/{self.configuration.stage}/{self.thing}/{command}/res"
        self._client.publish(topic, json.dumps({"id": identifier, "state": state}), qos=1)

    def _hear(self, _client: Any, _data: Any, message: Any) -> None:
        document = json.loads(message.payload)
        if message.topic.startswith("$aws/"):
            self.shadows.put(document)
            return
        command = message.topic.split("/")[3]
        self.commands.append((command, document))
        for state in self.answers:
            self.answer(command, document["id"], state)


class Listener:
    """A phone that is connected over WebSocket: by its access token as password, or by SigV4."""

    def __init__(self, person: Person) -> None:
        self.person = person
        self.configuration = person.configuration
        self.heard: queue.Queue[tuple[str, dict[str, Any]]] = queue.Queue()
        self.gone = threading.Event()

    def close(self) -> None:
        """Hang up."""

    @property
    def client_id(self) -> str:
        return f"app-{self.person.user}-{secrets.token_hex(3)}"

    @property
    def own_topics(self) -> str:
        return f"live/{self.configuration.stage}/{self.person.user}/#"


class TokenListener(Listener):
    """Any MQTT library, here paho, with the token as MQTT password."""

    _client: paho.Client

    def connect(self, password: str | None) -> bool:
        """Connect; say whether the token was taken."""
        connected, gone = threading.Event(), self.gone
        client = paho.Client(
            CallbackAPIVersion.VERSION2, self.client_id, transport="websockets", reconnect_on_failure=False
        )
        client.ws_set_options(path="/mqtt")
        client.tls_set_context(self.configuration.tls())
        authorizer = self.configuration.app["custom"]["live_authorizer"]
        client.username_pw_set(f"phone?x-amz-customauthorizer-name={authorizer}", password)
        client.on_message = lambda _client, _data, message: self.heard.put((message.topic, json.loads(message.payload)))
        client.on_connect = lambda *arguments: gone.set() if arguments[3].is_failure else connected.set()
        client.on_disconnect = lambda *_: gone.set()
        try:
            client.connect(self.configuration.broker, self.configuration.live_port)
        except (OSError, paho.WebsocketConnectionError):
            return False
        client.loop_start()
        self._client = client
        wait_for("CONNACK, or to be cut off", lambda: connected.is_set() or gone.is_set())
        return not gone.is_set()

    def subscribe(self, topic_filter: str) -> bool:
        """Subscribe; say whether it was granted."""
        codes: queue.Queue[Any] = queue.Queue()
        self._client.on_subscribe = lambda *arguments: codes.put(arguments[3])
        self._client.subscribe(topic_filter, qos=1)
        wait_for("SUBACK, or to be cut off", lambda: not codes.empty() or self.gone.is_set())
        return not codes.empty() and not any(code.is_failure for code in codes.get())

    def publish(self, topic: str) -> bool:
        """Publish; say whether it was taken."""
        taken = threading.Event()
        self._client.on_publish = lambda *_: taken.set()
        self._client.publish(topic, b"{}", qos=1)
        wait_for("PUBACK, or to be cut off", lambda: taken.is_set() or self.gone.is_set())
        return taken.is_set()

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self._client.disconnect()
        self._client.loop_stop()


class CredentialsListener(Listener):
    """AWS's own SDK, signing with credentials: a phone's from the identity pool, or an operator's."""

    def connect(self, credentials: dict[str, str], client_id: str = "") -> bool:
        connected: queue.Queue[bool] = queue.Queue()
        self._stopped = threading.Event()
        provider = auth.AwsCredentialsProvider.new_static(*credentials.values())
        self._client = mqtt5_client_builder.websockets_with_default_aws_signing(
            self.configuration.region,
            provider,
            endpoint="localhost" if self.configuration.broker == "127.0.0.1" else self.configuration.broker,
            port=self.configuration.live_port,
            ca_filepath=self.configuration.ca,
            connect_options=mqtt5.ConnectPacket(client_id=client_id or self.client_id, keep_alive_interval_sec=60),
            min_reconnect_delay_ms=60_000,
            max_reconnect_delay_ms=60_000,
            on_publish_received=self._hear,
            on_lifecycle_connection_success=lambda _: connected.put(True),
            on_lifecycle_connection_failure=lambda _: connected.put(False),
            on_lifecycle_disconnection=lambda _: self.gone.set(),
            on_lifecycle_stopped=lambda _: self._stopped.set(),
        )
        self._client.start()
        return connected.get(timeout=WAIT_S)

    def _hear(self, data: Any) -> None:
        self.heard.put((data.publish_packet.topic, json.loads(data.publish_packet.payload)))

    def subscribe(self, topic_filter: str) -> bool:
        packet = mqtt5.SubscribePacket([mqtt5.Subscription(topic_filter, mqtt5.QoS.AT_LEAST_ONCE)])
        try:
            codes = self._client.subscribe(packet).result(WAIT_S).reason_codes
        except Exception:  # noqa: BLE001 - the SDK's own kinds: cut off before the SUBACK
            return False
        return all(code <= mqtt5.SubackReasonCode.GRANTED_QOS_2 for code in codes)

    def publish(self, topic: str) -> bool:
        """Publish; say whether it was taken."""
        packet = mqtt5.PublishPacket(topic=topic, payload=b"{}", qos=mqtt5.QoS.AT_LEAST_ONCE)
        try:
            answer = self._client.publish(packet).result(WAIT_S).puback
        except Exception:  # noqa: BLE001 - the SDK's own kinds: cut off before the PUBACK
            return False
        return bool(answer.reason_code == mqtt5.PubackReasonCode.SUCCESS)

    def close(self) -> None:
        self._client.stop()
        self._stopped.wait(WAIT_S)
