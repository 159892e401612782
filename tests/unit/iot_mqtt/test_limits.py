"""The limits of AWS, each with its effect, and what AWS does not serve."""

import pytest

from infra.local.iot.mqtt.limits import Limits
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, FakeReserved
from tests.unit.iot_mqtt.scenes import BOTH

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


@pytest.mark.parametrize("reserved", ["$SYS/#", "$aws/rules/x/y", "$share/g/$other/a"])
@BOTH
async def test_a_subscription_to_a_reserved_topic_that_is_not_listed_ends_the_connection(reserved, v5):
    client = await Broker().connected(v5=v5)
    client.send(wire.subscribe("fine", reserved, v5=v5))
    got = await client.get(2)
    assert [(one.kind, one.codes) for one in got] == ([(14, [0x8F])] if v5 else [])
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


@pytest.mark.parametrize(
    "packet",
    [b"\x80\x00", b"\xa0\x00", b"\xc1\x00", b"\xc0\x01a", b"\xe1\x00", b"\x41\x02\x00\x01", b"\x00\x00"],
    ids=["SUBSCRIBE", "UNSUBSCRIBE", "PINGREQ", "PINGREQ with a body", "DISCONNECT", "PUBACK", "of no type"],
)
async def test_a_packet_with_wrong_flags_is_malformed(packet):
    client = await Broker().connected(v5=True)
    client.send(packet)
    assert (await client.one()).codes == [0x81]
    await client.end()


@pytest.mark.parametrize("packet", [b"\x40\x05\x00\x01\x00\x00\xff", b"\xe0\x03\x00\x00\xff"])
async def test_bytes_after_the_end_of_a_packet_are_malformed(packet):
    client = await Broker().connected(v5=True)
    client.send(packet)
    assert (await client.one()).codes == [0x81]
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
