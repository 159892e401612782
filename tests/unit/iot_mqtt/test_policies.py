"""Policies at work on connections, and reserved topics."""

import asyncio

import pytest

from infra.local.iot.message import Message
from infra.local.iot.mqtt.limits import Behaviour
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import ALLOW_ALL, Broker, FakeReserved, document, statement
from tests.unit.iot_mqtt.scenes import BOTH


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
    async with asyncio.timeout(60):
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
    ("topic", "why"),
    [
        ("$aws/events/presence/connected/x", "no service takes"),
        ("$other", "no service takes"),
        ("$aws/things/x/shadow/update/accepted", "no service takes"),
        ("$aws/things/x/defender/metrics/json", "not emulated"),
    ],
)
async def test_publishing_where_no_service_listens_cuts_the_client_and_says_whether_aws_would(topic, why):
    broker = Broker(reserved=[FakeReserved("$aws/things/c/shadow/get")])
    client = await broker.connected()
    client.send(wire.publish(topic, qos=1))
    await client.end()
    assert topic not in broker.tap.topics()
    assert why in broker.denials.entries()[-1]["refused"]


async def test_retain_on_a_reserved_topic_cuts_the_client():
    broker = Broker(reserved=[FakeReserved("$aws/things/")])
    client = await broker.connected()
    client.send(wire.publish("$aws/things/c/shadow/update", qos=1, retain=True))
    await client.end()


async def test_an_answer_goes_straight_to_a_connection_that_never_subscribed():

    broker = Broker()
    client = await broker.connected("c")
    message = Message(topic="$aws/things/c/jobs/get/accepted", payload=b"{}", qos=1)
    assert broker.gateway.send("c", message)
    assert (await client.one()).topic == message.topic
    assert not broker.gateway.send("nobody", message)
