"""What a session keeps, who takes it over, and the will a client leaves."""

import asyncio

import pytest

from infra.local.iot.message import Message
from infra.local.iot.mqtt.limits import Limits
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, document, statement
from tests.unit.iot_mqtt.scenes import BOTH, WEEK, events, expiry, moved, persistent, prop


@BOTH
async def test_a_session_resumes_with_its_subscriptions_and_what_came_meanwhile(v5):
    broker = Broker()
    client = await persistent(broker, v5=v5)
    assert client.connack.body[0] == 0
    client.send(wire.subscribe("a/1", v5=v5))
    await client.one()
    client.send(wire.disconnect())
    await client.end()
    broker.gateway.publish(Message(topic="a/1", payload=b"kept", qos=1))
    broker.gateway.publish(Message(topic="a/1", payload=b"lost", qos=0))
    client = await persistent(broker, v5=v5)
    assert client.connack.body[0] == 1
    got = await client.one()
    assert (got.payload, got.qos) == (b"kept", 1)
    assert await client.nothing()


@BOTH
async def test_a_clean_start_forgets_the_session(v5):
    broker = Broker()
    client = await persistent(broker, v5=v5)
    client.send(wire.subscribe("a/1", v5=v5), wire.disconnect())
    await client.end()
    clean = await broker.connected(v5=v5)
    assert clean.connack.body[0] == 0
    assert not broker.gateway.subscriptions.route("a/1")[0]
    client = await persistent(broker, v5=v5)
    assert client.connack.body[0] == 0
    assert not broker.gateway.subscriptions.route("a/1")[0]


@pytest.mark.parametrize(("v5", "seconds"), [(False, 3600), (True, 60), (True, WEEK)])
async def test_a_session_ends_when_its_time_is_up_and_not_before(v5, seconds):
    broker = Broker()
    client = await persistent(broker, v5=v5, seconds=seconds)
    client.send(wire.subscribe("a", v5=v5), wire.disconnect())
    await client.end()
    await moved(broker, seconds - 1)
    assert broker.gateway.subscriptions.route("a")[0]
    await moved(broker, 2)
    assert not broker.gateway.subscriptions.route("a")[0]


async def test_session_expiry_is_at_most_seven_days_and_the_change_is_told():
    client = await persistent(Broker(), v5=True, seconds=0xFFFFFFFF)
    assert client.connack.props[17] == WEEK
    client = await persistent(Broker(), v5=True, seconds=600)
    assert 17 not in client.connack.props


async def test_disconnect_may_change_the_expiry_but_not_from_nothing():
    broker = Broker()
    client = await persistent(broker, v5=True, seconds=600)
    client.send(wire.subscribe("a", v5=True), wire.disconnect(0, expiry(0)))
    await client.end()
    assert not broker.gateway.subscriptions.route("a")[0]
    client = await broker.connected("d", v5=True)
    client.send(wire.disconnect(0, expiry(10)))
    assert (await client.one()).codes == [0x82]


async def test_stored_messages_come_ten_a_second_beside_live_ones():
    broker = Broker()
    client = await persistent(broker)
    client.send(wire.subscribe("a/#"), wire.disconnect())
    await client.end()
    for number in range(15):
        broker.gateway.publish(Message(topic="a/old", payload=b"%d" % number, qos=1))
    client = await persistent(broker)
    assert [got.payload for got in await client.get(10)] == [b"%d" % n for n in range(10)]
    broker.gateway.publish(Message(topic="a/new", payload=b"live", qos=1))
    assert (await client.one()).payload == b"live"
    assert await client.nothing()
    started = asyncio.get_running_loop().time()
    assert [got.payload for got in await client.get(5)] == [b"%d" % n for n in range(10, 15)]
    assert asyncio.get_running_loop().time() - started > 0.5


async def test_what_was_not_acknowledged_comes_again_without_dup():
    broker = Broker()
    client = await persistent(broker)
    client.send(wire.subscribe("a"))
    await client.one()
    for number in range(3):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
    first = await client.get(3)
    client.send(wire.puback(first[1].pid))
    client.connection.lost()
    client = await persistent(broker)
    again = await client.get(2)
    assert [got.payload for got in again] == [b"0", b"2"]
    assert not any(got.flags & 8 for got in again)


async def test_receive_maximum_of_the_client_bounds_what_is_under_way():
    broker = Broker()
    client = await broker.connected("c", v5=True, props=prop(33, 2, 2))
    client.send(wire.subscribe("a", v5=True))
    await client.one()
    for number in range(4):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
    got = await client.get(2)
    assert await client.nothing()
    client.send(wire.puback(got[0].pid))
    assert (await client.one()).payload == b"2"
    assert await client.nothing()


async def test_at_most_100_messages_are_unacknowledged_and_the_rest_wait_bounded_and_counted():
    broker = Broker(Limits(publishes_per_s=1e9, queued_messages=50))
    client = await broker.subscribed("c", "a")
    for number in range(160):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
    got = await client.get(100)
    assert await client.nothing()
    assert broker.gateway.counters["queue_full"] == 10
    for one in got:
        client.send(wire.puback(one.pid))
    assert [one.payload for one in await client.get(50)] == [b"%d" % n for n in range(100, 150)]


async def test_deliveries_beyond_the_rate_wait_at_qos_1_and_are_dropped_at_qos_0():
    broker = Broker(Limits(publishes_per_s=5))
    client = await broker.subscribed("c", ("a", 1))
    for number in range(8):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
        broker.gateway.publish(Message(topic="a", payload=b"zero", qos=0))
    got = await client.get(5)
    early = len([one for one in got if one.qos])
    later = await client.get(8 - early)
    assert [one.payload for one in [*got, *later] if one.qos] == [b"%d" % n for n in range(8)]
    assert broker.gateway.counters["delivery_rate"] > 0


# -- takeover


@BOTH
async def test_the_newer_connection_takes_the_client_id_over(v5):
    broker = Broker()
    old = await broker.connected(v5=v5, will=("will", b"gone", 0, False))
    await broker.connected(v5=v5)
    if v5:
        assert (await old.one()).codes == [0x8E]
    await old.end()
    assert "will" in broker.tap.topics()
    [ended] = events(broker, "disconnected")
    assert ended["disconnectReason"] == "DUPLICATE_CLIENTID"
    assert [one["versionNumber"] for one in events(broker, "connected")] == [0, 1]
    assert ended["versionNumber"] == 0


async def test_a_session_taken_over_keeps_its_messages():
    broker = Broker()
    old = await persistent(broker, v5=True)
    old.send(wire.subscribe("a", v5=True))
    await old.one()
    broker.gateway.publish(Message(topic="a", payload=b"1", qos=1))
    await old.one()
    new = await persistent(broker, v5=True)
    assert new.connack.body[0] == 1
    assert (await new.one()).payload == b"1"


# -- wills


@pytest.mark.parametrize(
    ("ending", "sent"),
    [
        (lambda c: c.connection.lost(), True),
        (lambda c: c.send(wire.disconnect()), False),
        (lambda c: c.send(wire.disconnect(0)), False),
        (lambda c: c.send(wire.disconnect(4)), True),
        (lambda c: c.send(wire.disconnect(0x83)), True),
        (lambda c: c.send(b"\xf0\x00"), True),
        (lambda c: c.connection.left(), False),
    ],
    ids=["lost", "disconnect", "normal", "with will", "by an error of its own", "client error", "websocket close"],
)
async def test_a_will_is_sent_unless_the_client_left_in_order(ending, sent):
    broker = Broker()
    client = await broker.connected(v5=True, will=("w/1", b"bye", 1, False))
    ending(client)
    assert ("w/1" in broker.tap.topics()) == sent
    if sent:
        [will] = [m for m in broker.tap.received if m.topic == "w/1"]
        assert (will.payload, will.qos, will.client_id) == (b"bye", 1, "c")


async def test_a_retained_will_is_retained():
    broker = Broker()
    client = await broker.connected(will=("w", b"bye", 1, True))
    client.connection.lost()
    assert broker.gateway.retained.get("w").message.payload == b"bye"


async def test_a_delayed_will_waits_and_does_not_go_out_when_its_client_is_back():
    broker = Broker()
    delay = {"will": ("w", b"bye", 0, False), "will_properties": prop(24, 30, 4)}
    for _ in range(2):
        client = await persistent(broker, v5=True, seconds=600, **delay)
        client.connection.lost()
        await moved(broker, 20)
        assert "w" not in broker.tap.topics()
    await moved(broker, 15)
    assert broker.tap.topics().count("w") == 1


async def test_a_will_that_the_policy_forbids_refuses_the_connect():
    broker = Broker()
    broker.principals.default = [document(statement("iot:Connect", "*"), statement("iot:Publish", "topic/ok"))]
    client = broker.client()
    client.send(wire.connect("c", will=("no", b"", 0, False)))
    assert (await client.one()).codes == [5]
    await broker.connected("c", will=("ok", b"", 0, False))
