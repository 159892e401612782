"""What MQTT 5 adds: properties, expiry, aliases, limits of the client."""

from datetime import timedelta

import pytest

from infra.local.iot.message import Message, Properties
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker
from tests.unit.iot_mqtt.scenes import BOTH, events, persistent, prop


async def test_no_local_spares_the_publisher_its_own_message():
    broker = Broker()
    client = await broker.subscribed("c", ("a", 4), v5=True)
    other = await broker.subscribed("o", ("a", 0), v5=True)
    client.send(wire.publish("a", v5=True))
    assert (await other.one()).topic == "a"
    assert await client.nothing()


async def test_no_local_spares_nothing_that_another_filter_asks_for():
    client = await Broker().subscribed("c", ("a/#", 5), ("a/b", 0), v5=True)
    client.send(wire.publish("a/b", v5=True), wire.publish("a/c", v5=True))
    assert (await client.one()).topic == "a/b"
    assert await client.nothing()


async def test_properties_are_forwarded_and_the_expiry_counts_down():
    broker = Broker()
    client = await persistent(broker, v5=True)
    client.send(wire.subscribe("a", v5=True), wire.disconnect())
    await client.end()
    props = prop(1, 1, 1) + prop(2, 100, 4) + b"\x03" + wire.text("text/plain") + b"\x08" + wire.text("re/ply")
    props += (
        b"\x09"
        + wire.text(b"\x00\x01")
        + b"\x26"
        + wire.text("k")
        + wire.text("v1")
        + b"\x26"
        + wire.text("k")
        + wire.text("v2")
    )
    publisher = await broker.connected("p", v5=True)
    publisher.send(wire.publish("a", qos=1, v5=True, props=props))
    await publisher.one()
    broker.clock.move(timedelta(seconds=40))
    client = await persistent(broker, v5=True)
    got = await client.one()
    assert got.props == {
        1: 1, 2: 60, 3: b"text/plain", 8: b"re/ply", 9: b"\x00\x01", 38: [("k", "v1"), ("k", "v2")],
    }  # fmt: skip
    assert broker.tap.received[-2].properties.response_topic == "re/ply"


@pytest.mark.parametrize(("asked", "held"), [(0, 1), (1, 1), (604_800, 604_800), (604_801, 604_800)])
async def test_message_expiry_is_held_within_aws_bounds(asked, held):
    broker = Broker()
    client = await broker.subscribed("c", ("a", 0), v5=True)
    client.send(wire.publish("a", v5=True, props=prop(2, asked, 4)))
    assert (await client.one()).props[2] == held


@pytest.mark.parametrize(("away_s", "shown"), [(0.001, 2), (0.9, 1), (1.8, 0)])
async def test_the_seconds_left_to_a_message_are_rounded_and_may_read_0(away_s, shown):
    broker = Broker()
    client = await persistent(broker, v5=True)
    client.send(wire.subscribe("a", v5=True), wire.disconnect())
    await client.end()
    broker.gateway.publish(Message(topic="a", payload=b"x", qos=1, properties=Properties(message_expiry_s=2)))
    broker.clock.move(timedelta(seconds=away_s))
    assert (await (await persistent(broker, v5=True)).one()).props[2] == shown


async def test_an_expired_message_is_not_delivered():
    broker = Broker()
    client = await persistent(broker)
    client.send(wire.subscribe("a"), wire.disconnect())
    await client.end()
    broker.gateway.publish(Message(topic="a", payload=b"x", qos=1, properties=Properties(message_expiry_s=10)))
    broker.clock.move(timedelta(seconds=10))
    client = await persistent(broker)
    assert await client.nothing()
    assert broker.gateway.counters["expired"] == 1


async def test_topic_aliases_work_inwards_up_to_eight():
    broker = Broker()
    client = await broker.connected(v5=True)
    client.send(
        wire.publish("long/topic", b"1", v5=True, props=prop(35, 8, 2)),
        wire.publish("", b"2", v5=True, props=prop(35, 8, 2)),
    )
    assert await client.nothing()
    assert broker.tap.topics()[-2:] == ["long/topic", "long/topic"]
    client.send(wire.publish("t", v5=True, props=prop(35, 9, 2)))
    assert (await client.one()).codes == [0x94]


@pytest.mark.parametrize("props", [b"", prop(35, 3, 2)])
async def test_an_empty_topic_without_known_alias_is_an_error(props):
    client = await Broker().connected(v5=True)
    client.send(wire.publish("", v5=True, props=props))
    assert (await client.one()).codes == [0x82]


async def test_topic_aliases_work_outwards_as_many_as_the_client_takes():
    broker = Broker()
    client = await broker.connected("c", v5=True, props=prop(34, 1, 2))
    client.send(wire.subscribe("a", "b", v5=True))
    await client.one()
    for topic in ("a", "a", "b"):
        broker.gateway.publish(Message(topic=topic, payload=b"x"))
    got = await client.get(3)
    assert [(one.topic, one.props.get(35)) for one in got] == [("a", 1), ("", 1), ("b", None)]


async def test_a_message_larger_than_the_client_takes_is_not_sent():
    broker = Broker()
    client = await broker.connected("c", v5=True, props=prop(39, 50, 4))
    client.send(wire.subscribe("a", v5=True))
    await client.one()
    broker.gateway.publish(Message(topic="a", payload=b"x" * 60, qos=1))
    broker.gateway.publish(Message(topic="a", payload=b"x" * 10, qos=1))
    assert len((await client.one()).payload) == 10
    assert broker.gateway.counters["packet_limit_of_client"] == 1


async def test_versions_talk_to_each_other():
    broker = Broker()
    old, new = await broker.subscribed("o", ("a", 1)), await broker.subscribed("n", ("a", 1), v5=True)
    new.send(wire.publish("a", b"5", v5=True, props=b"\x26" + wire.text("k") + wire.text("v")))
    old.send(wire.publish("a", b"3"))
    assert [got.payload for got in await old.get(2)] == [b"5", b"3"]
    assert [(got.payload, got.props.get(38)) for got in await new.get(2)] == [(b"5", [("k", "v")]), (b"3", None)]


@BOTH
async def test_unsubscribing_ends_delivery(v5):
    broker = Broker()
    client = await broker.subscribed("c", "a", "$share/g/b", v5=v5)
    client.send(wire.unsubscribe("a", "$share/g/b", "never", v5=v5))
    assert (await client.one()).codes == ([0, 0, 0] if v5 else [])
    for topic in ("a", "b"):
        broker.gateway.publish(Message(topic=topic, payload=b"x"))
    assert await client.nothing()
    assert events(broker, "unsubscribed")[0]["topics"] == ["a", "$share/g/b"]
