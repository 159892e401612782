"""Connecting, publishing, subscribing: what AWS accepts and what it cuts."""

import asyncio

import pytest

from infra.local.iot.mqtt.limits import Behaviour, Limits
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import ALLOW_ALL, Broker, FakeReserved, document, statement

BOTH = pytest.mark.parametrize("v5", [False, True])


def prop(name: int, value: int, size: int) -> bytes:
    return bytes([name]) + value.to_bytes(size, "big")


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
        from infra.local.iot.message import Message

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
        (wire.packet(0x10, wire.text("MQIsdp") + b"\x03\x02\x00\x3c" + wire.text("c")), False, 1),
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


# -- limits on topics, filters and sizes

DEEP = "a/" * 7 + "a"


@pytest.mark.parametrize(
    ("topic", "fine"),
    [
        (DEEP, True),
        (DEEP + "/a", False),
        ("x" * 256, True),
        ("x" * 257, False),
        ("a/+", False),
        ("a/#/b", False),
    ],
)
@BOTH
async def test_topics_keep_awss_limits(topic, fine, v5):
    client = await Broker().connected(v5=v5)
    client.send(wire.publish(topic, qos=1, pid=1, v5=v5))
    if fine:
        assert (await client.one()).kind == 4
        return
    if v5:
        assert (await client.one()).codes == [0x90]
    await client.end()


async def test_basic_ingest_prefix_counts_neither_slashes_nor_length():
    rules = FakeReserved("$aws/rules/")
    broker = Broker(reserved=[rules])
    subscriber = await broker.subscribed("s", ("#", 0))
    client = await broker.connected()
    client.send(wire.publish(f"$aws/rules/my_rule/{DEEP}", qos=1, pid=1))
    assert (await client.one()).kind == 4
    assert rules.received[0].topic == f"$aws/rules/my_rule/{DEEP}"
    assert not [topic for topic in broker.tap.topics() if topic.startswith("$aws/rules")]
    assert await subscriber.nothing()
    client.send(wire.publish(f"$aws/rules/my_rule/{DEEP}/a"))
    await client.end()


@BOTH
async def test_a_payload_over_128_kib_cuts_the_client(v5):
    client = await Broker(Limits.without_rates()).connected(v5=v5)
    client.send(wire.publish("t", b"x" * 131_072, qos=1, v5=v5))
    assert (await client.one()).kind == 4
    client.send(wire.publish("t", b"x" * 131_073, qos=1, v5=v5))
    if v5:
        assert (await client.one()).codes == [0x97]
    await client.end()


@pytest.mark.parametrize(
    ("topic_filter", "fine"),
    [
        (DEEP, True),
        (DEEP + "/a", False),
        ("a/#/b", False),
        ("a#", False),
        ("a+/b", False),
        ("", False),
        ("$share/g/" + DEEP, True),
        ("$share/g/" + DEEP + "/a", False),
        ("$share/g", False),
        ("$share/g/", False),
        ("$share/+/a", False),
        ("$share/" + "g" * 129 + "/a", False),
        ("$SYS/#", False),
        ("$aws/rules/x/y", False),
        ("$aws/things/+/shadow/#", True),
    ],
)
@BOTH
async def test_filters_keep_awss_limits(topic_filter, fine, v5):
    client = await Broker().connected(v5=v5)
    client.send(wire.subscribe(topic_filter, v5=v5))
    if v5 or fine:
        assert (await client.one()).codes == ([1] if fine else [0x8F])
    else:
        await client.end()


@BOTH
async def test_nine_filters_in_one_subscribe_cut_the_client(v5):
    client = await Broker().connected(v5=v5)
    client.send(wire.subscribe(*[f"f/{n}" for n in range(8)], v5=v5))
    assert (await client.one()).codes == [1] * 8
    client.send(wire.subscribe(*[f"g/{n}" for n in range(9)], v5=v5))
    if v5:
        assert (await client.one()).codes == [0x97]
    await client.end()


@BOTH
async def test_the_fifty_first_subscription_cuts_the_client(v5):
    client = await Broker().connected(v5=v5)
    for start in range(0, 50, 5):
        client.send(wire.subscribe(*[f"f/{n}" for n in range(start, start + 5)], v5=v5))
        await client.one()
    client.send(wire.subscribe("f/0", v5=v5))
    assert (await client.one()).codes == [1]
    client.send(wire.subscribe("f/50", v5=v5))
    if v5:
        assert (await client.one()).codes == [0x97]
    await client.end()


@BOTH
async def test_publishes_beyond_the_rate_are_discarded_and_the_connection_stays(v5):
    broker = Broker(Limits(publishes_per_s=10))
    client = await broker.connected(v5=v5)
    client.send(*[wire.publish("t", qos=1, pid=pid, v5=v5) for pid in range(1, 13)])
    acks = await client.get(12 if v5 else 10)
    assert [ack.codes[0] for ack in acks] == [0] * 10 + ([0x97] * 2 if v5 else [])
    client.send(wire.PINGREQ)
    assert (await client.one()).kind == 13
    assert broker.tap.topics().count("t") == 10
    assert broker.gateway.counters["publish_rate"] == 2


async def test_more_than_receive_maximum_in_one_go_is_an_error_of_mqtt5():
    client = await Broker(Limits.without_rates()).connected(v5=True)
    client.send(*[wire.publish("t", qos=1, pid=pid, v5=True) for pid in range(1, 102)])
    assert (await client.get(101))[-1].codes == [0x93]
    await client.end()


async def test_input_beyond_the_throughput_is_delayed():
    client = await Broker(Limits(bytes_per_s=1_000)).connected()
    client.send(wire.publish("t", b"x" * 1_100))
    assert not client.link.reading


# -- QoS 2 and what AWS does not serve


@pytest.mark.parametrize(
    "packet",
    [b"\x50\x02\x00\x01", b"\x62\x02\x00\x01", b"\x70\x02\x00\x01", b"\xf0\x00", b"\x20\x02\x00\x00", b"\xd0\x00"],
)
@BOTH
async def test_packets_aws_does_not_serve_end_the_connection(packet, v5):
    client = await Broker().connected(v5=v5)
    client.send(packet)
    if v5:
        assert (await client.one()).codes == [0x82]
    await client.end()


@BOTH
async def test_qos_2_gets_no_acknowledgement(v5):
    for packet in (wire.publish("t", qos=2, v5=v5), wire.subscribe(("t", 2), v5=v5)):
        client = await Broker().connected(v5=v5)
        client.send(packet)
        if v5:
            assert (await client.one()).codes == [0x9B]
        await client.end()
        assert not client.link.written


async def test_subscription_identifiers_are_refused():
    client = await Broker().connected(v5=True)
    client.send(wire.subscribe("a", v5=True, props=b"\x0b\x01"))
    assert (await client.one()).codes == [0xA1]


# -- policies


@BOTH
async def test_a_refused_connect_has_its_code_and_an_event(v5):
    broker = Broker()
    broker.principals.default = [document(statement("iot:Connect", "client/other"))]
    client = broker.client(v5=v5)
    client.send(wire.connect("c", v5=v5))
    assert (await client.one()).codes == [0x87 if v5 else 5]
    await client.end()
    assert broker.tap.topics() == ["$aws/events/presence/connect_failed/c"]
    [entry] = broker.denials.entries()
    assert entry["action"] == "iot:Connect"
    assert entry["resource"].endswith(":client/c")
    assert entry["considered"][0]["mismatch"] == "resource"


async def test_the_refusal_code_of_311_is_a_switch():
    broker = Broker(behaviour=Behaviour(refused_connack=7))
    broker.principals.default = []
    client = broker.client()
    client.send(wire.connect("c"))
    assert (await client.one()).codes == [7]


@pytest.mark.parametrize(("qos", "v5"), [(0, False), (1, False), (0, True), (1, True)])
async def test_a_refused_publish_is_cut_off_and_nothing_arrives(qos, v5):
    broker = Broker()
    broker.principals.default = [document(statement(["iot:Connect"], "*"), statement("iot:Publish", "topic/mine"))]
    client = await broker.connected(v5=v5)
    client.send(wire.publish("theirs", qos=qos, pid=9, v5=v5))
    got = await client.get(1 + qos) if v5 else []
    await client.end()
    assert [one.codes[0] for one in got] == ([0x87] * (1 + qos) if v5 else [])
    assert not client.link.written
    assert "theirs" not in broker.tap.topics()
    [event] = [m for m in broker.tap.received if "disconnected" in m.topic]
    assert b'"AUTH_ERROR"' in event.payload


async def test_a_refused_subscribe_is_0x87_in_mqtt5_and_the_end_in_311():
    broker = Broker()
    broker.principals.default = [
        document(statement("iot:Connect", "*"), statement("iot:Subscribe", "topicfilter/mine/*"))
    ]
    client = await broker.connected("a", v5=True)
    client.send(wire.subscribe("theirs/x", "mine/x", v5=True))
    assert (await client.one()).codes == [0x87, 1]
    older = await broker.connected("b")
    older.send(wire.subscribe("theirs/x"))
    await older.end()
    assert not older.link.written


async def test_the_refused_subscribe_of_311_is_a_switch():
    broker = Broker(behaviour=Behaviour(refused_subscribe_cuts=False))
    broker.principals.default = [document(statement("iot:Connect", "*"))]
    client = await broker.connected()
    client.send(wire.subscribe("theirs/x"))
    assert (await client.one()).codes == [0x80]


async def test_receive_is_judged_at_each_delivery_and_by_the_newest_policy():
    broker = Broker()
    reader = [
        document(
            statement(["iot:Connect", "iot:Subscribe", "iot:Publish"], "*"), statement("iot:Receive", "topic/a/open")
        )
    ]
    broker.principals.default = reader
    client = await broker.subscribed("s", ("a/#", 0))
    client.send(wire.publish("a/secret"), wire.publish("a/open"))
    assert (await client.one()).topic == "a/open"
    assert await client.nothing()
    assert [e["action"] for e in broker.denials.entries()] == ["iot:Receive"]
    broker.principals.default = [ALLOW_ALL]
    client.send(wire.publish("a/secret"))
    assert await client.nothing()
    broker.principals.changed()
    client.send(wire.publish("a/secret"))
    assert (await client.one()).topic == "a/secret"
    broker.principals.default = reader
    broker.principals.changed()
    client.send(wire.publish("a/secret"))
    assert await client.nothing()


async def test_a_policy_change_is_judged_at_the_next_publish_and_cuts_nobody():
    broker = Broker()
    client = await broker.connected()
    client.send(wire.publish("t", qos=1, pid=1))
    assert (await client.one()).pid == 1
    broker.principals.default = []
    broker.principals.changed()
    client.send(wire.PINGREQ)
    assert (await client.one()).kind == 13
    client.send(wire.publish("t", qos=1, pid=2))
    await client.end()


async def test_aws_delay_of_a_policy_change_can_be_switched_on():
    broker = Broker(behaviour=Behaviour(policy_delay_s=0.05))
    client = await broker.connected()
    client.send(wire.publish("t", qos=1))
    await client.one()
    broker.principals.default = []
    broker.principals.changed()
    client.send(wire.publish("t", qos=1))
    assert (await client.one()).kind == 4
    async with asyncio.timeout(3):
        while not client.link.closed.is_set():
            client.send(wire.publish("t"))
            await asyncio.sleep(0.01)


@pytest.mark.parametrize(
    ("more", "allowed"),
    [
        ({}, True),
        ({"clean": False}, False),
        ({"will": ("w", b"", 0, False)}, False),
    ],
)
async def test_persistent_sessions_and_wills_are_conditions_of_connect(more, allowed):
    broker = Broker()
    none = {"ForAllValues:StringEquals": {"iot:ConnectAttributes": []}}
    broker.principals.default = [document(statement("iot:Connect", "*", Condition=none), statement("iot:Publish", "*"))]
    client = broker.client()
    client.send(wire.connect("c", **more))
    assert (await client.one()).codes == [0 if allowed else 5]


async def test_a_retained_publish_needs_retain_publish_in_addition():
    broker = Broker()
    broker.principals.default = [document(statement(["iot:Connect", "iot:Publish"], "*"))]
    client = await broker.connected()
    client.send(wire.publish("t", qos=1, retain=True))
    await client.end()
    assert broker.gateway.retained.get("t") is None


# -- reserved topics


async def test_reserved_topics_reach_their_service_subscribers_and_rules():
    shadows = FakeReserved("$aws/things/")
    broker = Broker(reserved=[shadows])
    watcher = await broker.subscribed("w", ("$aws/things/+/shadow/update", 0))
    client = await broker.connected("c")
    client.send(wire.publish("$aws/things/c/shadow/update", b"{}", qos=1))
    assert (await client.one()).kind == 4
    assert shadows.received[0].client_id == "c"
    assert (await watcher.one()).payload == b"{}"
    assert "$aws/things/c/shadow/update" in broker.tap.topics()


@pytest.mark.parametrize(
    "topic", ["$aws/events/presence/connected/x", "$other", "$aws/things/x/shadow/update/accepted"]
)
async def test_publishing_where_no_service_listens_cuts_the_client(topic):
    broker = Broker(reserved=[FakeReserved("$aws/things/c/shadow/get")])
    client = await broker.connected()
    client.send(wire.publish(topic, qos=1))
    await client.end()
    assert topic not in broker.tap.topics()


async def test_retain_on_a_reserved_topic_cuts_the_client():
    broker = Broker(reserved=[FakeReserved("$aws/things/")])
    client = await broker.connected()
    client.send(wire.publish("$aws/things/c/shadow/update", qos=1, retain=True))
    await client.end()


async def test_an_answer_goes_straight_to_a_connection_that_never_subscribed():
    from infra.local.iot.message import Message

    broker = Broker()
    client = await broker.connected("c")
    message = Message(topic="$aws/things/c/jobs/get/accepted", payload=b"{}", qos=1)
    assert broker.gateway.send("c", message)
    assert (await client.one()).topic == message.topic
    assert not broker.gateway.send("nobody", message)
