"""Sessions, wills, retained messages, shared subscriptions, MQTT 5's features and lifecycle events."""

import asyncio
import json
from datetime import timedelta

import pytest

from infra.local.iot.message import Message, Properties, Thing
from infra.local.iot.mqtt.limits import Behaviour, Limits
from infra.local.iot.mqtt.sessions import SWEEP_S
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, document, statement
from tests.unit.iot_mqtt.test_basics import BOTH, prop

WEEK = 604_800


def expiry(seconds: int) -> bytes:
    return prop(17, seconds, 4)


def events(broker: Broker, kind: str, client_id: str = "c") -> list[dict]:
    """What was told of a client: its connected, disconnected, subscribed ... events."""
    return [json.loads(m.payload) for m in broker.tap.received if m.topic.endswith(f"/{kind}/{client_id}")]


async def moved(broker: Broker, seconds: float) -> None:
    """Move the clock and let the gateway look at it."""
    broker.clock.move(timedelta(seconds=seconds))
    await asyncio.sleep(SWEEP_S * 1.2)


async def persistent(broker, client_id="c", *, v5=False, seconds=3600, **more):
    if v5:
        return await broker.connected(client_id, v5=True, clean=False, props=expiry(seconds), **more)
    return await broker.connected(client_id, clean=False, **more)


# -- persistent sessions


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
    from infra.local.iot.message import Principal

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


# -- MQTT 5


async def test_no_local_spares_the_publisher_its_own_message():
    broker = Broker()
    client = await broker.subscribed("c", ("a", 4), v5=True)
    other = await broker.subscribed("o", ("a", 0), v5=True)
    client.send(wire.publish("a", v5=True))
    assert (await other.one()).topic == "a"
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


# -- lifecycle events


async def test_presence_events_carry_every_documented_field():
    broker = Broker()
    client = await broker.connected("c")
    client.send(wire.subscribe("a", "b"), wire.disconnect())
    await client.end()
    [connected], [subscribed], [gone] = (events(broker, kind) for kind in ("connected", "subscribed", "disconnected"))
    common = {
        "clientId": "c",
        "timestamp": int(broker.clock.time() * 1000),
        "sessionIdentifier": connected["sessionIdentifier"],
        "principalIdentifier": "f" * 64,
    }
    assert connected == {**common, "eventType": "connected", "ipAddress": "192.0.2.7", "versionNumber": 0}
    assert subscribed == {**common, "eventType": "subscribed", "topics": ["a", "b"]}
    assert gone == {
        **common,
        "eventType": "disconnected",
        "clientInitiatedDisconnect": True,
        "disconnectReason": "CLIENT_INITIATED_DISCONNECT",
        "versionNumber": 0,
    }


async def test_events_name_the_thing_of_an_exclusive_attachment_whatever_the_client_id():
    broker = Broker()
    broker.principals.things["c"] = Thing(name="lamp", exclusive=True)
    broker.principals.things["other"] = Thing(name="other")
    own = document(statement("iot:*", "*"), statement("iot:Publish", "topic/no", "Deny"))
    broker.principals.default = [own]
    for client_id in ("c", "other"):
        client = await broker.connected(client_id)
        client.send(wire.subscribe("a"), wire.unsubscribe("a"), wire.disconnect())
        await client.end()
    for kind in ("connected", "subscribed", "unsubscribed", "disconnected"):
        assert [one.get("thingName") for one in events(broker, kind)] == ["lamp"]
        assert [one.get("thingName") for one in events(broker, kind, "other")] == [None]


async def test_version_numbers_rise_and_begin_anew_after_an_hour_away():
    broker = Broker()
    for _ in range(3):
        (await broker.connected("c")).connection.lost()
        broker.clock.move(timedelta(minutes=59))
    broker.clock.move(timedelta(minutes=2))
    (await broker.connected("c")).connection.lost()
    assert [one["versionNumber"] for one in events(broker, "connected")] == [0, 1, 2, 0]
    assert [one["versionNumber"] for one in events(broker, "disconnected")] == [0, 1, 2, 0]
    assert events(broker, "disconnected")[0]["disconnectReason"] == "CONNECTION_LOST"


async def test_client_ids_with_wildcards_have_no_events():
    broker = Broker()
    (await broker.connected("a+b")).connection.lost()
    assert not [topic for topic in broker.tap.topics() if topic.startswith("$aws/events")]


@pytest.mark.parametrize(("prevent_will", "clean_session"), [(False, False), (True, True)])
async def test_delete_connection_cuts_at_once(prevent_will, clean_session):
    broker = Broker()
    client = await persistent(broker, v5=True, will=("w", b"bye", 0, False))
    assert broker.gateway.disconnect("c", clean_session=clean_session, prevent_will=prevent_will)
    assert (await client.one()).codes == [0x98]
    await client.end()
    assert ("w" in broker.tap.topics()) == (not prevent_will)
    assert events(broker, "disconnected")[0]["disconnectReason"] == "API_INITIATED_DISCONNECT"
    assert (broker.gateway.sessions.find("c") is None) == clean_session
    assert not broker.gateway.disconnect("c", clean_session=False, prevent_will=False)


async def test_silence_beyond_one_and_a_half_keep_alives_ends_the_connection():
    broker = Broker(Limits(keep_alive_min_s=0.2))
    client = await broker.connected(v5=True, keep_alive=0)
    client.connection._keep_alive_s = 0.1
    client.connection._check_keep_alive()
    assert (await client.one()).codes == [0x8D]
    assert events(broker, "disconnected")[0]["disconnectReason"] == "MQTT_KEEP_ALIVE_TIMEOUT"


async def test_a_silent_socket_is_closed():
    client = Broker(Limits(connect_timeout_s=0.05)).client()
    await client.end()


# -- custom authentication's terms


async def test_a_term_renews_the_policies_and_ends_the_connection():
    from infra.local.iot.message import Principal
    from infra.local.iot.mqtt.identity import Term

    broker = Broker()
    broker.principals.default = []
    open_, closed = (
        json.dumps(document(statement("iot:*", "*"))),
        json.dumps(document(statement("iot:Connect", "*"))),
    )
    answers = [Principal(kind="custom", id="u", policy_documents=(closed,)), None]

    async def renew():
        return answers.pop(0)

    async def authenticate(connection, connect):
        now = broker.clock.time()
        connection.term = Term(
            ends_at=now + 3600, reason="CUSTOMAUTH_TTL_EXPIRATION", renew=renew, renew_every_s=300, renew_at=now + 300
        )
        return Principal(kind="custom", id="u", policy_documents=(open_,))

    client = broker.client(v5=True, principal=None, authenticate=authenticate)
    client.send(wire.connect("c", v5=True))
    assert (await client.one()).codes == [0]
    client.send(wire.subscribe("a", v5=True))
    assert (await client.one()).codes == [1]
    await moved(broker, 301)
    client.send(wire.subscribe("a", v5=True))
    assert (await client.one()).codes == [0x87]
    await moved(broker, 301)
    assert (await client.one()).codes == [0x87]
    assert events(broker, "disconnected")[0]["disconnectReason"] == "AUTH_ERROR"

    answers += [Principal(kind="custom", id="u", policy_documents=(open_,))] * 20
    client = broker.client(v5=True, principal=None, authenticate=authenticate)
    client.send(wire.connect("c", v5=True))
    assert (await client.one()).codes == [0]
    await moved(broker, 3600)
    assert (await client.one()).codes == [0x98]
    assert events(broker, "disconnected")[1]["disconnectReason"] == "CUSTOMAUTH_TTL_EXPIRATION"


@pytest.mark.parametrize("v5", [False, True])
async def test_a_packet_sent_along_with_connect_cuts_the_client_unless_switched_off(v5):
    broker = Broker()
    client = broker.client(v5=v5)
    client.send(wire.connect("c", v5=v5) + wire.subscribe("a", v5=v5))
    assert [got.kind for got in await client.get(9)] == ([2, 14] if v5 else [2])
    assert events(broker, "disconnected")[0]["disconnectReason"] == "CLIENT_ERROR"
    broker = Broker(behaviour=Behaviour(early_packet_cuts=False))
    client = broker.client(v5=v5)
    client.send(wire.connect("c", v5=v5) + wire.subscribe("a", v5=v5))
    assert [got.kind for got in await client.get(2)] == [2, 9]


@pytest.mark.parametrize("v5", [False, True])
async def test_a_defect_of_the_authentication_refuses_the_client_and_is_logged(caplog, v5):
    async def breaks(connection, connect):
        raise ValueError("broken")

    client = Broker().client(v5=v5, principal=None, authenticate=breaks)
    client.send(wire.connect("c", v5=v5))
    assert (await client.one()).codes == [0x87 if v5 else 5]
    await client.end()
    assert "authentication of c ends by a defect" in caplog.text


async def test_a_client_that_does_not_wait_for_connack_is_cut():
    async def never(connection, connect):
        await asyncio.Event().wait()

    broker = Broker()
    client = broker.client(principal=None, authenticate=never)
    client.send(wire.connect("c"))
    client.send(wire.PINGREQ)
    await client.end()
    assert not client.link.written
    broker.gateway.close()
