"""Lifecycle events, and how connections end: by the API, by silence, by their term."""

import asyncio
import json
from datetime import timedelta

import pytest

from infra.local.iot.message import Principal, Thing
from infra.local.iot.mqtt.identity import Term
from infra.local.iot.mqtt.limits import Behaviour, Limits
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, document, statement
from tests.unit.iot_mqtt.scenes import events, moved, persistent


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


async def test_events_name_the_thing_that_it_was_when_it_connected_after_its_certificate_is_taken_from_it():
    broker = Broker()
    broker.principals.things["c"] = Thing(name="lamp", exclusive=True)
    client = await broker.connected("c")
    client.send(wire.subscribe("a"))
    await client.get()
    del broker.principals.things["c"]  # what a registry says of a certificate that is no longer ACTIVE
    client.send(wire.unsubscribe("a"), wire.disconnect())
    await client.end()
    for kind in ("connected", "subscribed", "unsubscribed", "disconnected"):
        assert [one.get("thingName") for one in events(broker, kind)] == ["lamp"]


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
