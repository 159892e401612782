"""Connecting, publishing, subscribing: what AWS accepts and what it cuts."""

import pytest

from infra.local.iot.message import Message
from infra.local.iot.mqtt.limits import Limits
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker
from tests.unit.iot_mqtt.scenes import BOTH


@BOTH
async def test_a_message_reaches_its_subscriber_at_the_lower_of_both_qos(v5):
    broker = Broker()
    subscriber = await broker.subscribed("s", ("a/+", 1), ("b", 0), v5=v5)
    publisher = await broker.connected("p", v5=v5)
    publisher.send(wire.publish("a/x", b"1", qos=1, pid=7, v5=v5), wire.publish("b", b"2", qos=1, pid=8, v5=v5))
    assert [ack.pid for ack in await publisher.get(2)] == [7, 8]
    first, second = await subscriber.get(2)
    assert (first.topic, first.payload, first.qos) == ("a/x", b"1", 1)
    assert (second.topic, second.payload, second.qos) == ("b", b"2", 0)
    assert "a/x" in broker.tap.topics()


@BOTH
async def test_several_frames_of_one_pass_go_out_in_one_write(v5):
    broker = Broker()
    client = await broker.connected(v5=v5)
    before = client.link.writes
    client.send(*[wire.publish("t", qos=1, pid=pid, v5=v5) for pid in range(1, 51)])
    assert len(await client.get(50)) == 50
    assert client.link.writes == before + 1


async def test_packets_split_at_every_byte_are_understood():
    broker = Broker()
    client = broker.client(v5=True)
    for byte in wire.connect("c", v5=True) + wire.subscribe("a", v5=True) + wire.publish("a", b"x" * 200, v5=True):
        client.send(b"")  # an empty WebSocket frame
        client.send(bytes([byte]))
    assert [got.kind for got in await client.get(3)] == [2, 9, 3]


@pytest.mark.parametrize(
    ("topic_filter", "matching", "other"),
    [
        ("sensor/#", ["sensor/", "sensor/a", "sensor/a/b"], ["sensor", "other"]),
        ("#", ["a", "a/b"], ["$aws/events/presence/connected/x"]),
        ("+/b", ["a/b", "/b"], ["a/b/c", "b"]),
        ("a/+/c", ["a//c", "a/b/c"], ["a/c", "a/b/d"]),
        ("+", ["a"], ["a/b", "$x"]),
    ],
)
async def test_filters_match_as_aws_matches_them(topic_filter, matching, other):
    broker = Broker()
    subscriber = await broker.subscribed("s", (topic_filter, 0))
    for topic in [*other, *matching]:
        broker.gateway.subscriptions.route(topic)

        broker.gateway.publish(Message(topic=topic, payload=b"x"))
    assert [got.topic for got in await subscriber.get(len(matching))] == matching
    assert await subscriber.nothing()


async def test_overlapping_subscriptions_deliver_once_with_the_highest_qos():
    broker = Broker()
    client = await broker.subscribed("s", ("a/b", 0), ("a/+", 1), ("#", 0))
    client.send(wire.publish("a/b", qos=1, pid=4))
    got = sorted(await client.get(2), key=lambda one: one.kind)
    assert [(one.kind, one.qos if one.kind == 3 else None) for one in got] == [(3, 1), (4, None)]
    assert await client.nothing()


# -- CONNECT


@pytest.mark.parametrize(
    ("packet", "v5", "code"),
    [
        (wire.connect("$bad"), False, 2),
        (wire.connect("$bad", v5=True), True, 0x85),
        (wire.connect("x" * 129), False, 2),
        (wire.connect("x" * 129, v5=True), True, 0x85),
        (wire.connect("", clean=False), False, 2),
        (wire.connect("c", will=("a/+", b"", 0, False)), False, 5),
        (wire.connect("c", v5=True, will=("a/+", b"", 0, False)), True, 0x90),
        (wire.connect("c", v5=True, will=("a", b"", 2, False)), True, 0x9B),
        (wire.connect("c", v5=True, props=b"\x15\x00\x01x"), True, 0x87),
        (wire.connect("c", v5=True, props=b"\x16\x00\x01x"), True, 0x87),
        (wire.connect("c", v5=True, props=b"\x21\x00\x00"), True, 0x80),
        (wire.connect("c\0", v5=True), True, 0x80),
        (wire.packet(0x10, wire.text("MQIsdp") + b"\x04\x02\x00\x3c" + wire.text("c")), False, 1),
        (wire.packet(0x10, wire.text("MQTT") + b"\x03\x02\x00\x3c" + wire.text("c")), False, 1),
        (wire.packet(0x10, wire.text("MQTT") + b"\x06\x02\x00\x3c" + wire.text("c")), False, 1),
    ],
)
async def test_a_bad_connect_gets_its_code_and_the_socket_closes(packet, v5, code):
    broker = Broker()
    client = broker.client(v5=v5)
    client.send(packet)
    assert (await client.one()).codes == [code]
    await client.end()
    assert broker.denials.total == 1


async def test_amplifys_pubsub_which_speaks_mqtt_3_1_is_served_as_3_1_1():
    client = Broker().client()
    client.send(wire.packet(0x10, wire.text("MQIsdp") + b"\x03\x02\x00\x3c" + wire.text("app-somebody-phone")))
    assert (await client.one()).codes == [0]
    client.send(wire.subscribe("a"))
    assert (await client.one()).codes == [1]


@pytest.mark.parametrize("client_id", ["x" * 128, "a/b c", "+"])
async def test_odd_client_ids_of_up_to_128_bytes_connect(client_id):
    await Broker().connected(client_id)


async def test_an_mqtt5_client_without_id_is_given_one_and_all_of_aws_capabilities():
    broker = Broker()
    client = await broker.connected("", v5=True, keep_alive=5)
    props = client.connack.props
    assert props[18].startswith(b"id")
    assert (props[33], props[34], props[36], props[37], props[39]) == (100, 8, 1, 1, 149_504)
    assert (props[40], props[41], props[42]) == (1, 0, 1)
    assert props[19] == 30


@pytest.mark.parametrize(("asked", "told"), [(0, 1200), (1, 30), (29, 30), (30, None), (1200, None), (1201, 1200)])
async def test_keep_alive_is_clamped_and_told(asked, told):
    client = await Broker().connected("c", v5=True, keep_alive=asked)
    assert client.connack.props.get(19) == told


@BOTH
async def test_anything_before_connect_closes_without_a_word(v5):
    client = Broker().client(v5=v5)
    client.send(wire.PINGREQ)
    await client.end()
    assert not client.link.written


@pytest.mark.parametrize("start", [b"G", b"\x11", b"\xc0", b"\x82\x7f"])
async def test_what_does_not_begin_as_connect_closes_at_its_first_byte(start):
    client = Broker().client()
    client.send(start)
    await client.end()
    assert not client.link.written


async def test_a_second_connect_is_a_protocol_error():
    client = await Broker().connected(v5=True)
    client.send(wire.connect("c", v5=True))
    assert (await client.one()).codes == [0x82]
    await client.end()


async def test_connects_of_one_client_id_are_limited_per_second():
    broker = Broker(Limits(connect_burst=2))
    for _ in range(2):
        await broker.connected("c", v5=True)
    client = broker.client(v5=True)
    client.send(wire.connect("c", v5=True))
    assert (await client.one()).codes == [0x97]
