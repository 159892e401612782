"""AWS's own device SDK, both its clients, behind one face for the tests."""

import queue
from concurrent.futures import Future

import awscrt.auth
import awscrt.io
import awscrt.mqtt
import awscrt.mqtt5 as m5
from awsiot import mqtt5_client_builder, mqtt_connection_builder

WAIT_S = 60.0


class Refused(Exception):  # noqa: N818 - what happened, not a defect
    pass


def _ca(local):
    return {"endpoint": "localhost", "ca_filepath": str(local.ca)}


def _credentials(local, issued=None):
    """The owner's credentials, or those that a phone was issued."""
    one = issued or local.settings
    token = [issued.session_token] if issued else []
    return awscrt.auth.AwsCredentialsProvider.new_static(one.access_key_id, one.secret_access_key, *token)


class Sdk5:
    """mqtt5_client_builder."""

    v5 = True

    def __init__(
        self,
        local,
        door,
        client_id,
        *,
        identity=None,
        custom=None,
        issued=None,
        will=None,
        expiry=None,
        clean=True,
        keep_alive=60,
        receive_maximum=None,
        topic_aliasing_options=None,
    ):
        self.messages: queue.Queue = queue.Queue()
        self.packets: queue.Queue = queue.Queue()
        self.connected: Future = Future()
        self.stopped: Future = Future()
        self.disconnected: queue.Queue = queue.Queue()
        session = m5.ClientSessionBehaviorType.CLEAN if clean else m5.ClientSessionBehaviorType.REJOIN_ALWAYS
        packet = m5.ConnectPacket(
            client_id=client_id,
            keep_alive_interval_sec=keep_alive,
            session_expiry_interval_sec=expiry,
            receive_maximum=receive_maximum,
        )
        if will:
            packet.will = m5.PublishPacket(topic=will[0], payload=will[1], qos=m5.QoS.AT_LEAST_ONCE)
        more = {
            **_ca(local),
            "connect_options": packet,
            "session_behavior": session,
            "topic_aliasing_options": topic_aliasing_options,
            "min_reconnect_delay_ms": 60_000,
            "max_reconnect_delay_ms": 60_000,
            "on_publish_received": self._received,
            "on_lifecycle_connection_success": self._connected,
            "on_lifecycle_connection_failure": self._failed,
            "on_lifecycle_disconnection": lambda data: self.disconnected.put(data.disconnect_packet),
            "on_lifecycle_stopped": lambda _: self.stopped.set_result(None),
        }
        if door in {"8883", "443"}:
            port = local.ports["mqtt" if door == "8883" else "https"]
            self.client = mqtt5_client_builder.mtls_from_path(
                str(identity.certificate), str(identity.key), port=port, **more
            )
        elif door == "sigv4":
            self.client = mqtt5_client_builder.websockets_with_default_aws_signing(
                "us-east-1", _credentials(local, issued), port=local.ports["https"], **more
            )
        else:
            build = {
                "custom": mqtt5_client_builder.direct_with_custom_authorizer,
                "custom websocket": mqtt5_client_builder.websockets_with_custom_authorizer,
            }[door]
            self.client = build(port=local.ports["https"], **custom, **more)

    def _connected(self, data):
        self.negotiated = data.negotiated_settings
        self.connected.set_result(data.connack_packet)

    def _received(self, data):
        packet = data.publish_packet
        self.packets.put(packet)
        self.messages.put((packet.topic, packet.payload, int(packet.qos), bool(packet.retain)))

    def _failed(self, data):
        code = data.connack_packet.reason_code if data.connack_packet else None
        if not self.connected.done():
            self.connected.set_exception(Refused(code))

    def connect(self):
        self.client.start()
        return bool(self.connected.result(WAIT_S).session_present)

    def subscribe(self, topic_filter, qos=1):
        subscription = m5.Subscription(topic_filter=topic_filter, qos=m5.QoS(qos))
        suback = self.client.subscribe(m5.SubscribePacket(subscriptions=[subscription])).result(WAIT_S)
        if suback.reason_codes[0] > 1:
            raise Refused(suback.reason_codes[0])

    def publish(self, topic, payload, qos=1, retain=False):
        packet = m5.PublishPacket(topic=topic, payload=payload, qos=m5.QoS(qos), retain=retain)
        done = self.client.publish(packet).result(WAIT_S)
        if qos and done.puback.reason_code:
            raise Refused(done.puback.reason_code)

    def cut(self):
        """Wait until the server has cut us; its reason."""
        packet = self.disconnected.get(timeout=WAIT_S)
        return packet.reason_code if packet else None

    def stop(self, *, orderly=True):
        self.client.stop(m5.DisconnectPacket() if orderly else None)
        self.stopped.result(WAIT_S)


class Sdk3:
    """mqtt_connection_builder."""

    v5 = False
    was_cut = False

    def __init__(
        self, local, door, client_id, *, identity=None, custom=None, issued=None, will=None, expiry=None, clean=True
    ):
        self.messages: queue.Queue = queue.Queue()
        self.interrupted: queue.Queue = queue.Queue()
        more = {
            **_ca(local),
            "client_id": client_id,
            "clean_session": clean,
            "keep_alive_secs": 60,
            "reconnect_min_timeout_secs": 60,
            "reconnect_max_timeout_secs": 60,
            "on_connection_interrupted": lambda connection, error, **_: self.interrupted.put(error),
        }
        if will:
            more["will"] = awscrt.mqtt.Will(will[0], awscrt.mqtt.QoS.AT_LEAST_ONCE, will[1], False)
        port = local.ports["mqtt" if door == "8883" else "https"]
        if door in {"8883", "443"}:
            self.connection = mqtt_connection_builder.mtls_from_path(
                str(identity.certificate), str(identity.key), port=port, **more
            )
        elif door == "sigv4":
            self.connection = mqtt_connection_builder.websockets_with_default_aws_signing(
                "us-east-1", _credentials(local, issued), port=port, **more
            )
        elif door == "custom websocket":
            self.connection = mqtt_connection_builder.websockets_with_custom_authorizer(
                region="us-east-1", credentials_provider=None, port=port, **custom, **more
            )
        else:  # the builder insists on port 443 here
            options = awscrt.io.TlsContextOptions()
            options.override_default_trust_store_from_path(None, str(local.ca))
            options.alpn_list = ["mqtt"]
            client = awscrt.mqtt.Client(None, awscrt.io.ClientTlsContext(options))
            more = {name: value for name, value in more.items() if name not in {"endpoint", "ca_filepath"}}
            from urllib.parse import quote

            username = (
                f"?x-amz-customauthorizer-name={custom['auth_authorizer_name']}"
                f"&x-amz-customauthorizer-signature={quote(custom['auth_authorizer_signature'])}"
                f"&{custom['auth_token_key_name']}={custom['auth_token_value']}"
            )
            self.connection = awscrt.mqtt.Connection(
                client, "localhost", port, username=username, password="secret", **more
            )
        self.connection.on_message(self._received)

    def _received(self, topic, payload, dup, qos, retain, **_):
        self.messages.put((topic, payload, int(qos), bool(retain)))

    def connect(self):
        try:
            return bool(self.connection.connect().result(WAIT_S)["session_present"])
        except awscrt.exceptions.AwsCrtError as error:
            raise Refused(error.name) from error

    def subscribe(self, topic_filter, qos=1):
        future, _ = self.connection.subscribe(topic_filter, awscrt.mqtt.QoS(qos))
        granted = future.result(WAIT_S)
        if granted["qos"] is None:
            raise Refused("suback")

    def publish(self, topic, payload, qos=1, retain=False):
        self.connection.publish(topic, payload, awscrt.mqtt.QoS(qos), retain)[0].result(WAIT_S)

    def cut(self):
        self.was_cut = True
        return self.interrupted.get(timeout=WAIT_S)

    def stop(self, *, orderly=True):
        done = self.connection.disconnect()
        if not self.was_cut:  # while it waits to reconnect, its disconnect waits as well
            done.result(WAIT_S)
