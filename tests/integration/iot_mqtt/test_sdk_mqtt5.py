"""What MQTT 5 adds, as AWS's own client sees it: negotiation, properties, aliases, flow control, DISCONNECT."""

from contextlib import contextmanager

import awscrt.mqtt5 as m5
import pytest

from tests.integration.iot_mqtt.sdk import WAIT_S, Sdk5


@pytest.fixture(scope="module")
def device(local):
    return local.identity(local.name("five"))


@contextmanager
def connected(local, device, name=None, **more):
    one = Sdk5(local, "8883", name or local.name("five"), identity=device, **more)
    one.connect()
    try:
        yield one
    finally:
        if not one.stopped.done():
            one.stop()


def test_what_is_negotiated_is_what_aws_says(local, device):
    with connected(local, device, local.name("five"), clean=False, expiry=2**32 - 1, keep_alive=5) as one:
        settled = one.negotiated
    assert (settled.maximum_qos, settled.receive_maximum_from_server) == (m5.QoS.AT_LEAST_ONCE, 100)
    assert (settled.maximum_packet_size_to_server, settled.topic_alias_maximum_to_server) == (149_504, 8)
    assert (settled.session_expiry_interval_sec, settled.server_keep_alive_sec) == (604_800, 30)
    assert settled.retain_available
    assert settled.wildcard_subscriptions_available
    assert settled.shared_subscriptions_available
    assert not settled.subscription_identifiers_available


def test_every_property_arrives_and_a_message_sent_at_once_has_lost_no_second(local, device):
    sent = m5.PublishPacket(
        topic="five/properties",
        payload=b"{}",
        qos=m5.QoS.AT_LEAST_ONCE,
        payload_format_indicator=m5.PayloadFormatIndicator.AWS_MQTT5_PFI_UTF8,
        message_expiry_interval_sec=60,
        response_topic="five/answer",
        correlation_data_bytes=b"\x00\x01",
        content_type="application/json",
        user_properties=[m5.UserProperty("k", "1"), m5.UserProperty("k", "2")],
    )
    with connected(local, device) as one:
        one.subscribe("five/properties")
        one.client.publish(sent).result(WAIT_S)
        got = one.packets.get(timeout=WAIT_S)
    assert got.message_expiry_interval_sec == 60
    for name in ("payload_format_indicator", "response_topic", "correlation_data_bytes", "content_type"):
        assert getattr(got, name) == getattr(sent, name)
    assert [(one.name, one.value) for one in got.user_properties] == [("k", "1"), ("k", "2")]


def test_topic_aliases_work_both_ways_beyond_what_they_hold(local, device):
    aliases = m5.TopicAliasingOptions(
        outbound_behavior=m5.OutboundTopicAliasBehaviorType.LRU,
        outbound_cache_max_size=8,
        inbound_behavior=m5.InboundTopicAliasBehaviorType.ENABLED,
        inbound_cache_max_size=3,
    )
    topics = [f"five/alias/{number % 12}" for number in range(48)]
    with connected(local, device, topic_aliasing_options=aliases) as one:
        assert (one.negotiated.topic_alias_maximum_to_server, one.negotiated.topic_alias_maximum_to_client) == (8, 3)
        one.subscribe("five/alias/+")
        for number, topic in enumerate(topics):
            one.publish(topic, b"%d" % number)
        got = [one.messages.get(timeout=WAIT_S)[:2] for _ in topics]
    assert sorted(got, key=lambda each: int(each[1])) == [(topic, b"%d" % n) for n, topic in enumerate(topics)]


def test_no_more_is_under_way_than_the_client_takes(local, device):
    with connected(local, device, receive_maximum=2) as one, connected(local, device) as other:
        one.subscribe("five/flow")
        sent = [
            other.client.publish(m5.PublishPacket(topic="five/flow", payload=b"%d" % n, qos=m5.QoS.AT_LEAST_ONCE))
            for n in range(60)
        ]
        for each in sent:
            assert each.result(WAIT_S).puback.reason_code == 0
        assert [int(one.messages.get(timeout=WAIT_S)[1]) for _ in sent] == list(range(60))


def test_a_disconnect_may_keep_the_will_and_end_the_session(local, device):
    name = local.name("five")
    with connected(local, device) as watcher:
        watcher.subscribe(f"{name}/will")
        with connected(local, device, name, clean=False, expiry=300, will=(f"{name}/will", b"gone")) as one:
            one.subscribe(f"{name}/a")
            leave = m5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE
            one.client.stop(m5.DisconnectPacket(reason_code=leave, session_expiry_interval_sec=0))
            one.stopped.result(WAIT_S)
        assert watcher.messages.get(timeout=WAIT_S)[1] == b"gone"
    with connected(local, device, name, clean=False, expiry=300) as again:
        assert not again.negotiated.rejoined_session


def test_a_cut_connection_is_told_and_its_will_prevented(local, device):
    name = local.name("five")
    with connected(local, device) as watcher:
        watcher.subscribe(f"{name}/will")
        with connected(local, device, name, will=(f"{name}/will", b"gone")) as one:
            local.data.delete_connection(clientId=name, cleanSession=True, preventWillMessage=True)
            assert one.cut() == m5.DisconnectReasonCode.ADMINISTRATIVE_ACTION
        watcher.publish(f"{name}/will", b"nothing before this")
        assert watcher.messages.get(timeout=WAIT_S)[1] == b"nothing before this"
