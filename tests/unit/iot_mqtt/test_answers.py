"""Answers of device services: job answers go straight to who asked, provisioning answers as its subscription says."""

import pytest

from infra.local.iot.message import Message
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import Broker, document, statement

ASKED = "$aws/certificates/create/json"
ANSWER = Message(topic=f"{ASKED}/accepted", payload=b'{"privateKey": "secret"}', qos=1)


async def test_an_answer_reaches_the_client_that_asked_and_no_other_subscriber():
    broker = Broker()
    asking = await broker.subscribed("asking", f"{ASKED}/+")
    other = await broker.subscribed("other", ANSWER.topic)
    assert broker.gateway.answer("asking", ANSWER)
    got = await asking.one()
    assert (got.topic, got.payload) == (ANSWER.topic, ANSWER.payload)
    assert await other.nothing()
    assert ANSWER.topic not in broker.tap.topics()


async def test_who_did_not_subscribe_gets_no_answer_and_is_told_why():
    broker = Broker()
    client = await broker.subscribed("c", f"{ASKED}/rejected")
    assert not broker.gateway.answer("c", ANSWER)
    assert await client.nothing()
    assert "did not subscribe" in str(broker.denials.entries()[-1])
    client.send(wire.subscribe(ANSWER.topic))
    assert (await client.one()).codes == [1]
    assert broker.gateway.answer("c", ANSWER)


async def test_who_may_not_receive_gets_no_answer():
    broker = Broker()
    broker.principals.default = [document(statement(["iot:Connect", "iot:Publish", "iot:Subscribe"], "*"))]
    client = await broker.subscribed("c", ANSWER.topic)
    assert not broker.gateway.answer("c", ANSWER)
    assert await client.nothing()
    assert "iot:Receive" in str(broker.denials.entries()[-1])
    broker.principals.default = [document(statement("iot:*", "*"))]
    broker.principals.changed()
    assert broker.gateway.answer("c", ANSWER)
    assert not broker.gateway.answer("nobody", ANSWER)


@pytest.mark.parametrize("qos", [0, 1])
async def test_an_answer_has_the_lower_of_both_qos(qos):
    broker = Broker()
    client = await broker.subscribed("c", (ANSWER.topic, qos))
    assert broker.gateway.answer("c", ANSWER)
    assert (await client.one()).qos == qos
