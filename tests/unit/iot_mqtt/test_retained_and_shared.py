"""Retained messages, and groups that share a subscription."""

from datetime import timedelta

import pytest

from infra.local.iot.message import Message, Principal, Properties
from infra.local.iot.mqtt.limits import Limits
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, document, statement
from tests.unit.iot_mqtt.scenes import BOTH, persistent

# -- retained messages


@BOTH
async def test_retained_messages_go_to_exact_filters_only(v5):
    broker = Broker()
    publisher = await broker.connected("p", v5=v5)
    publisher.send(wire.publish("r/1", b"kept", qos=1, retain=True, v5=v5))
    await publisher.one()
    exact = await broker.subscribed("s", "r/1", v5=v5)
    got = await exact.one()
    assert (got.payload, got.retain) == (b"kept", True)
    for topic_filter in ("r/+", "#", "$share/g/r/1"):
        assert await (await broker.subscribed(topic_filter.replace("$", ""), topic_filter, v5=v5)).nothing()
    publisher.send(wire.publish("r/1", b"live", qos=1, retain=True, v5=v5))
    got = await exact.one()
    assert (got.payload, got.retain) == (b"live", False)


async def test_an_empty_retained_payload_deletes_and_is_forwarded():
    broker = Broker()
    client = await broker.subscribed("c", ("r", 0))
    client.send(wire.publish("r", b"kept", retain=True), wire.publish("r", b"", retain=True))
    assert [got.payload for got in await client.get(2)] == [b"kept", b""]
    assert broker.gateway.retained.get("r") is None
    assert list(broker.gateway.retained.list()) == []


@pytest.mark.parametrize(("handling", "counts"), [(0, [1, 1]), (1, [1, 0]), (2, [0, 0])])
async def test_retain_handling_says_when_retained_messages_are_sent(handling, counts):
    broker = Broker()
    broker.gateway.publish(Message(topic="r", payload=b"kept", retain=True))
    client = await broker.connected(v5=True)
    for count in counts:
        client.send(wire.subscribe(("r", handling << 4), v5=True))
        assert len(await client.get(1 + count)) == 1 + count
        assert await client.nothing()


async def test_retained_messages_are_listed_and_expire():
    broker = Broker()
    limited = Properties(message_expiry_s=60)
    broker.gateway.publish(Message(topic="b", payload=b"1", retain=True, properties=limited))
    broker.gateway.publish(Message(topic="a", payload=b"2", retain=True))
    assert [one.message.topic for one in broker.gateway.retained.list()] == ["a", "b"]
    broker.clock.move(timedelta(seconds=60))
    assert [one.message.topic for one in broker.gateway.retained.list()] == ["a"]
    assert broker.gateway.retained.get("b") is None
    for _ in range(2):
        broker.clock.move(timedelta(days=3 * 365 - 1))
        assert broker.gateway.retained.get("a") is not None
    broker.clock.move(timedelta(days=3 * 365 + 1))
    assert broker.gateway.retained.get("a") is None


# -- shared subscriptions


@BOTH
async def test_a_shared_group_gets_each_message_once(v5):
    broker = Broker(Limits.without_rates())
    members = [await broker.subscribed(f"m{n}", "$share/g/a/+", v5=v5) for n in range(3)]
    plain = await broker.subscribed("plain", "a/+", v5=v5)
    for number in range(60):
        broker.gateway.publish(Message(topic="a/x", payload=b"%d" % number, qos=1))
    assert len(await plain.get(60)) == 60
    counts, seen = [], []
    for member in members:
        found, _ = wire.read(member.link.written, v5=v5)
        counts.append(len(found))
        seen += [got.payload for got in found]
    assert sorted(map(int, seen)) == list(range(60))
    assert min(counts) > 0


async def test_a_group_whose_persistent_member_is_away_queues_and_hands_out_twenty_a_second():
    broker = Broker(Limits(queued_messages=30))
    client = await persistent(broker)
    client.send(wire.subscribe("$share/g/a"), wire.disconnect())
    await client.end()
    for number in range(33):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
    assert broker.gateway.counters["shared_queue_full"] == 3
    client = await persistent(broker)
    assert [got.payload for got in await client.get(20)] == [b"%d" % n for n in range(20)]
    assert await client.nothing()
    assert [got.payload for got in await client.get(10)] == [b"%d" % n for n in range(20, 30)]


async def test_what_waits_for_a_group_is_bounded_in_bytes_and_expires():
    broker = Broker(Limits(queued_bytes=250))
    client = await persistent(broker, v5=True)
    client.send(wire.subscribe("$share/g/a", v5=True), wire.disconnect())
    await client.end()
    for seconds in (10, 60, 60):
        soon = Properties(message_expiry_s=seconds)
        broker.gateway.publish(Message(topic="a", payload=b"%d" % seconds + b"." * 98, qos=1, properties=soon))
    assert broker.gateway.counters == {"shared_queue_full": 1}
    broker.clock.move(timedelta(seconds=20))
    client = await persistent(broker, v5=True)
    assert (await client.one()).props[2] == 40
    assert await client.nothing()
    assert broker.gateway.counters["expired"] == 1


async def test_a_member_that_may_not_receive_gets_nothing_and_another_does():
    broker = Broker()
    no = document(statement(["iot:Connect", "iot:Subscribe"], "*"))

    poor = Principal(kind="certificate", id="0" * 64)
    broker.principals.policies[poor.id] = [no]
    await broker.subscribed("poor", "$share/g/a", principal=poor)
    rich = await broker.subscribed("rich", "$share/g/a")
    for _ in range(5):
        broker.gateway.publish(Message(topic="a", payload=b"x", qos=1))
    assert len(await rich.get(5)) == 5


async def test_no_local_on_a_shared_subscription_is_an_error():
    client = await Broker().connected(v5=True)
    client.send(wire.subscribe(("$share/g/a", 4), v5=True))
    assert (await client.one()).codes == [0x82]


# -- what a member leaves unacknowledged


@BOTH
async def test_what_a_member_did_not_acknowledge_goes_to_another_when_it_is_gone(v5):
    broker = Broker(choose=lambda members: members[0])
    gone = await broker.subscribed("gone", "$share/g/a", "b", v5=v5, **({"props": b"\x21\0\2"} if v5 else {}))
    left = await broker.subscribed("left", "$share/g/a", v5=v5)
    for number in range(3):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
    broker.gateway.publish(Message(topic="b", payload=b"its own", qos=1))
    [first] = await gone.get(1)
    assert await left.nothing()
    gone.send(wire.puback(first.pid))
    gone.connection.lost()
    assert [got.payload for got in await left.get(2)] == [b"1", b"2"]
    assert await left.nothing()


async def test_what_has_expired_when_its_member_goes_goes_to_nobody():
    broker = Broker(choose=lambda members: members[0])
    gone = await broker.subscribed("gone", "$share/g/a", v5=True)
    left = await broker.subscribed("left", "$share/g/a", v5=True)
    for expiry_s in (5, 60):
        properties = Properties(message_expiry_s=expiry_s)
        broker.gateway.publish(Message(topic="a", payload=b"%d" % expiry_s, qos=1, properties=properties))
    await gone.get(2)
    broker.clock.move(timedelta(seconds=10))
    gone.connection.lost()
    assert (await left.one()).payload == b"60"
    assert await left.nothing()


async def test_what_the_only_persistent_member_did_not_acknowledge_waits_for_it():
    broker = Broker()
    client = await persistent(broker)
    client.send(wire.subscribe("$share/g/a"))
    await client.one()
    for number in range(3):
        broker.gateway.publish(Message(topic="a", payload=b"%d" % number, qos=1))
    await client.get(3)
    client.connection.lost()
    assert not broker.gateway.sessions.find("c").stored
    client = await persistent(broker)
    assert [got.payload for got in await client.get(3)] == [b"0", b"1", b"2"]
    assert await client.nothing()


async def test_what_nobody_of_the_group_can_keep_is_dropped_with_its_last_member():
    broker = Broker()
    client = await broker.subscribed("c", "$share/g/a")
    broker.gateway.publish(Message(topic="a", payload=b"x", qos=1))
    await client.one()
    client.connection.lost()
    again = await broker.subscribed("c", "$share/g/a")
    assert await again.nothing()


@pytest.mark.parametrize(
    ("action", "filters", "deny", "allowed"),
    [
        ("iot:Subscribe", ["topicfilter/$share/g/a"], [], True),
        ("iot:Subscribe", ["topicfilter/$share/*/a"], [], True),
        ("iot:Subscribe", ["topicfilter/a"], [], True),
        ("iot:Subscribe", ["topicfilter/$share/h/a", "topicfilter/b"], [], False),
        ("iot:Subscribe", ["topicfilter/*"], ["topicfilter/a"], False),
        ("iot:Subscribe", ["topicfilter/*"], ["topicfilter/$share/*"], False),
        ("iot:Receive", ["topic/$share/g/a"], [], True),
        ("iot:Receive", ["topic/a"], [], True),
        ("iot:Receive", ["topic/b"], [], False),
        ("iot:Receive", ["topic/$share/g/a"], ["topic/a"], False),
    ],
)
async def test_a_policy_may_name_a_shared_subscription_with_its_group_or_without(action, filters, deny, allowed):
    broker = Broker()
    other = "iot:Receive" if action == "iot:Subscribe" else "iot:Subscribe"
    statements = [statement(["iot:Connect", other], "*"), statement(action, filters)]
    statements += [statement(action, deny, effect="Deny")] if deny else []
    broker.principals.default = [document(*statements)]
    client = await broker.connected(v5=True)
    client.send(wire.subscribe("$share/g/a", v5=True))
    got = await client.one()
    assert got.codes == ([1] if allowed or action == "iot:Receive" else [0x87])
    broker.gateway.publish(Message(topic="a", payload=b"x", qos=1))
    assert await client.nothing() is not allowed
    assert bool(broker.denials.entries()) is not allowed


async def test_a_denied_group_stays_denied_though_the_topic_was_allowed_without_it():
    broker = Broker()
    denied = statement("iot:Receive", "topic/$share/g/a", effect="Deny")
    broker.principals.default = [document(statement("iot:*", "*"), denied)]
    client = await broker.subscribed("c", "a")
    broker.gateway.publish(Message(topic="a", payload=b"plain", qos=1))
    await client.one()
    client.send(wire.unsubscribe("a"), wire.subscribe("$share/g/a"))
    await client.get(2)
    broker.gateway.publish(Message(topic="a", payload=b"shared", qos=1))
    assert await client.nothing()
