"""The data plane as boto3 sees it."""

import base64
import json

import pytest
from botocore.exceptions import ClientError

from infra.local.iot.message import Message, Properties
from infra.local.wire import SOURCE_IP_HEADER, Caller, Request
from tests.integration.iot_devices.test_registry import refused


def test_publish_goes_to_the_broker_with_its_properties(data, served):
    data.publish(
        topic="a/b c/ü",
        qos=1,
        payload=b"\x00\xff",
        contentType="text/plain",
        correlationData="aGk=",
        responseTopic="answers",
        messageExpiry=60,
        payloadFormatIndicator="UTF8_DATA",
        userProperties=json.dumps([{"a": "1"}, {"a": "2"}]),
    )
    properties = Properties(
        payload_format_indicator=1,
        content_type="text/plain",
        response_topic="answers",
        correlation_data=b"hi",
        message_expiry_s=60,
        user_properties=(("a", "1"), ("a", "2")),
    )
    assert served.broker.published == [
        Message(topic="a/b c/ü", payload=b"\x00\xff", qos=1, properties=properties),
    ]
    assert not served.retained.kept


async def test_user_properties_nested_without_end_are_refused(served):
    deep = base64.b64encode(b"[" * 100_000).decode()
    headers = {"x-amz-mqtt5-user-properties": deep}
    request = Request(service="iotdata", method="POST", path="/topics/a", headers=headers)
    assert (await served.handlers()["iotdata"](request)).status == 400


@pytest.mark.parametrize(
    ("caller", "principal"),
    [
        (Caller(arn="f" * 64, kind="certificate"), "f" * 64),
        (Caller(arn="arn:aws:sts::1:assumed-role/r/s", kind="role", user_id="AROA:s"), "AROA:s"),
    ],
)
async def test_rules_are_told_who_published_over_http_and_whence(served, caller, principal):
    headers = {SOURCE_IP_HEADER: "192.0.2.1"}
    request = Request(service="iotdata", method="POST", path="/topics/a", headers=headers, caller=caller)
    assert (await served.handlers()["iotdata"](request)).status == 200
    [message] = served.broker.published
    assert (message.principal.id, message.source_ip) == (principal, "192.0.2.1")


@pytest.mark.parametrize("topic", ["a/+", "a/#", "x" * 257, "/".join("abcdefghi")])
def test_a_topic_that_is_none_is_refused(data, served, topic):
    refused(data.publish, "InvalidRequestException", topic=topic, payload=b"")
    assert not served.broker.published


@pytest.mark.parametrize(
    "wrong",
    [{"responseTopic": "a/#"}, {"responseTopic": ""}, {"correlationData": "no base64!"}, {"messageExpiry": -1}],
    ids=lambda wrong: next(iter(wrong)),
)
def test_a_property_that_mqtt_5_does_not_have_is_refused(data, served, wrong):
    refused(data.publish, "InvalidRequestException", topic="a", payload=b"", **wrong)
    assert not served.broker.published


def test_an_expiry_of_0_becomes_1_as_over_mqtt(data, served):
    data.publish(topic="a", payload=b"", messageExpiry=0)
    assert served.broker.published[0].properties.message_expiry_s == 1


def test_a_payload_over_128_kib_is_refused(data):
    refused(data.publish, "RequestEntityTooLargeException", topic="a", payload=b"x" * (128 * 1024 + 1))
    data.publish(topic="a", payload=b"x" * (128 * 1024))


def test_reserved_topics_take_only_what_a_service_takes(data, served):
    data.publish(topic="$aws/things/lamp/shadow/get", payload=b"")
    refused(data.publish, "ForbiddenException", topic="$aws/things/lamp/shadow/get/accepted", payload=b"")
    refused(data.publish, "ForbiddenException", topic="$aws/things/lamp/shadow/get", payload=b"", retain=True)
    assert [message.topic for message in served.broker.published] == ["$aws/things/lamp/shadow/get"]


def test_retained_messages_can_be_read(data):
    refused(data.get_retained_message, "ResourceNotFoundException", topic="a/b")
    for topic in ("a/b", "c"):
        properties = json.dumps([{"k": "v"}])
        data.publish(topic=topic, payload=b"\xff1", retain=True, qos=1, userProperties=properties)
    got = data.get_retained_message(topic="a/b")
    assert (got["payload"], got["qos"], got["lastModifiedTime"]) == (b"\xff1", 1, 1_700_000_000_500)
    assert json.loads(got["userProperties"]) == [{"k": "v"}]
    first = data.list_retained_messages(maxResults=1)
    assert first["retainedTopics"] == [
        {"topic": "a/b", "payloadSize": 2, "qos": 1, "lastModifiedTime": 1_700_000_000_500}
    ]
    assert len(first["nextToken"]) < 100
    rest = data.list_retained_messages(nextToken=first["nextToken"])
    assert [one["topic"] for one in rest["retainedTopics"]] == ["c"]


def test_delete_connection_cuts_by_client_id(data, served):
    served.broker.connected.add("dev/1 +")
    data.delete_connection(clientId="dev/1 +", cleanSession=True, preventWillMessage=True)
    assert served.broker.cut == [("dev/1 +", True, True)]
    refused(data.delete_connection, "ResourceNotFoundException", clientId="gone")
    refused(data.delete_connection, "InvalidRequestException", clientId="$aws")


def test_shadows_over_rest(data, served):
    message = refused(data.get_thing_shadow, "ResourceNotFoundException", thingName="lamp")
    assert message == "No shadow exists with name: 'lamp'"
    payload = json.dumps({"state": {"desired": {"on": True}}, "clientToken": "t"})
    made = json.loads(data.update_thing_shadow(thingName="lamp", payload=payload)["payload"].read())
    assert (made["version"], made["clientToken"]) == (1, "t")
    topics = [topic for topic, _ in served.broker.take()]
    assert topics == ["$aws/things/lamp/shadow/update/delta", "$aws/things/lamp/shadow/update/documents"]
    for bad, code in (
        (b"rubbish", "InvalidRequestException"),
        (b'{"state":{"desired":{"a":1}},"version":7}', "ConflictException"),
        (json.dumps({"state": {"desired": {"a": "x" * 9000}}}).encode(), "RequestEntityTooLargeException"),
        (b"\xff", "UnsupportedDocumentEncodingException"),
    ):
        refused(data.update_thing_shadow, code, thingName="lamp", payload=bad)
    assert not served.broker.published
    got = json.loads(data.get_thing_shadow(thingName="lamp")["payload"].read())
    assert got["state"] == {"desired": {"on": True}, "delta": {"on": True}}
    for name in ("b", "a"):
        data.update_thing_shadow(thingName="lamp", shadowName=name, payload=payload)["payload"].read()
    listed = data.list_named_shadows_for_thing(thingName="lamp", pageSize=1)
    assert listed["results"] == ["a"]
    assert listed["timestamp"] == int(served.clock.time())
    assert data.list_named_shadows_for_thing(thingName="lamp", nextToken=listed["nextToken"])["results"] == ["b"]
    assert data.list_named_shadows_for_thing(thingName="unknown")["results"] == []
    gone = json.loads(data.delete_thing_shadow(thingName="lamp", shadowName="a")["payload"].read())
    assert gone["version"] == 1
    refused(data.delete_thing_shadow, "ResourceNotFoundException", thingName="lamp", shadowName="a")
    refused(data.get_thing_shadow, "InvalidRequestException", thingName="lamp", shadowName="x" * 65)


def test_what_is_not_there_says_so_by_name(served, data):
    refused_by_name(data.get_connection, "GetConnection", clientId="c")
    jobs = served.client("iot-jobs-data", "iot-jobs-data")
    refused_by_name(jobs.get_pending_job_executions, "GetPendingJobExecutions", thingName="lamp")
    jobs.close()
    other = served.client("iot-data", "iotwireless")
    refused_by_name(other.get_connection, "service iotwireless", clientId="c")
    other.close()


def refused_by_name(call, name, **arguments):
    with pytest.raises(ClientError, match=f"not emulated: {name}"):
        call(**arguments)
