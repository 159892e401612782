"""Actions: what is sent for each type, and what is refused when a rule is deployed."""

import base64
import json

import pytest

from infra.local.iot.rules import aws_calls
from infra.local.iot.rules.actions import KINDS, REFUSED, ActionError, build_action
from infra.local.iot.rules.parser import SqlError
from tests.unit.iot_rules.fakes import FUNCTION, ROLE, Room, lambda_action, republish

S3 = {"s3": {"bucketName": "raw", "key": "${topic()}/${timestamp()}", "roleArn": ROLE, "cannedAcl": "private"}}
SNS = {"sns": {"targetArn": "arn:aws:sns:us-east-1:123456789012:alerts", "roleArn": ROLE, "messageFormat": "JSON"}}
DYNAMODB = {"dynamoDBv2": {"roleArn": ROLE, "putItem": {"tableName": "${topic(1)}"}}}


async def sent(action, payload, sql="SELECT * FROM 'some/topic'"):
    room = Room()
    await room.rule("r", sql, action)
    await room.publish("some/topic", payload)
    return room.aws.sent[0] if room.aws.sent else None


async def test_s3_puts_the_bytes_under_the_filled_key():
    call = await sent(S3, b"\x00\xff")

    assert (call.method, call.service, call.path) == ("PUT", "s3", "/raw/some/topic/1767225600000")
    assert (call.body, call.headers["x-amz-acl"], call.role_arn) == (b"\x00\xff", "private", ROLE)


async def test_s3_never_takes_an_empty_key_for_a_bucket():
    assert await sent({"s3": {"bucketName": "raw", "key": "${nosuch}", "roleArn": ROLE}}, b"{}") is None


async def test_sns_publishes_text_with_its_structure():
    call = await sent(SNS, {"default": "hot"})

    assert call.body.decode().startswith("Action=Publish&Version=2010-03-31&TargetArn=arn%3Aaws%3Asns")
    assert "MessageStructure=json" in call.body.decode()


async def test_sqs_sends_text_or_base64():
    queue = {"queueUrl": "http://127.0.0.1:4566/123456789012/${topic(2)}", "roleArn": ROLE}
    plain = await sent({"sqs": queue}, {"x": 1})
    encoded = await sent({"sqs": {**queue, "useBase64": True}}, b"\xff")

    assert json.loads(plain.body) == {"QueueUrl": "http://127.0.0.1:4566/123456789012/topic", "MessageBody": '{"x": 1}'}
    assert json.loads(encoded.body)["MessageBody"] == base64.b64encode(b"\xff").decode()
    assert await sent({"sqs": queue}, b"\xff") is None


async def test_dynamodb_v2_writes_each_root_key_as_an_attribute_with_all_digits():
    digits = "1.234567890123456789012345678901234"
    payload = f'{{"id": "d", "n": {digits}, "i": 5, "b": true, "z": null, "l": [1, "a"], "m": {{"k": 2}}}}'
    call = await sent(DYNAMODB, payload.encode())

    assert call.headers["x-amz-target"] == "DynamoDB_20120810.PutItem"
    assert json.loads(call.body) == {
        "TableName": "some",
        "Item": {
            "id": {"S": "d"}, "n": {"N": digits}, "i": {"N": "5"}, "b": {"BOOL": True}, "z": {"NULL": True},
            "l": {"L": [{"N": "1"}, {"S": "a"}]}, "m": {"M": {"k": {"N": "2"}}},
        },
    }  # fmt: skip
    assert await sent(DYNAMODB, [1]) is None


async def test_republish_carries_qos_and_mqtt_5_headers_with_their_templates_filled():
    headers = {
        "contentType": "application/${kind}", "messageExpiry": "60", "payloadFormatIndicator": "UTF8_DATA",
        "correlationData": "Y2lk", "userProperties": [{"key": "who", "value": "${clientid()}"}],
    }  # fmt: skip
    call = await sent(republish("$$aws/things/x/shadow/update", qos=1, headers=headers), {"kind": "json"})

    assert call.path == "/topics/%24aws%2Fthings%2Fx%2Fshadow%2Fupdate"
    assert call.query == "qos=1&contentType=application%2Fjson&messageExpiry=60"
    assert call.headers["x-amz-mqtt5-payload-format-indicator"] == "UTF8_DATA"
    assert json.loads(base64.b64decode(call.headers["x-amz-mqtt5-user-properties"])) == [{"who": "thing"}]
    assert await sent(republish("$$aws/things/x/jobs/get"), {}) is None


async def test_lambda_takes_a_version_or_alias_in_its_arn():
    call = await sent({"lambda": {"functionArn": FUNCTION + ":${stage}"}}, {"stage": "live"})

    assert call.path.endswith("function%3Aingest%3Alive/invocations")


@pytest.mark.parametrize("name", REFUSED)
def test_an_action_that_is_not_emulated_is_refused_by_name(name):
    with pytest.raises(ActionError, match=f"{name} is not emulated"):
        build_action({name: {}}, "2016-03-23")


def test_emulated_and_refused_together_are_all_that_aws_has():
    botocore_loaders = pytest.importorskip("botocore.session")
    model = botocore_loaders.get_session().get_service_model("iot")

    assert {*KINDS, *REFUSED} == set(model.shape_for("Action").members)


@pytest.mark.parametrize(
    ("definition", "complaint"),
    [
        ({}, "exactly one"),
        ({**lambda_action(), **republish("a")}, "exactly one"),
        ({"lamda": {}}, "Unknown action type lamda"),
        ({"lambda": {}}, "needs functionArn"),
        ({"lambda": []}, "not an object"),
        ({"lambda": {"functionArn": "x", "timeout": 1}}, "no parameter timeout"),
        ({"lambda": {"functionArn": 5}}, "not of type str"),
        (republish("$aws/things/x"), r"\$\$"),
        (republish("a", qos=2), "0 or 1"),
        (republish("a", headers={"colour": "red"}), "no colour"),
        ({"dynamoDBv2": {"roleArn": ROLE, "putItem": {}}}, "needs tableName"),
        ({"sqs": {"roleArn": ROLE, "queueUrl": "http://x/q.fifo"}}, "FIFO"),
        ({"sns": {"roleArn": ROLE, "targetArn": "a", "messageFormat": "XML"}}, "RAW or JSON"),
    ],
)
def test_wrong_parameters_are_refused(definition, complaint):
    with pytest.raises(ActionError, match=complaint):
        build_action(definition, "2016-03-23")


@pytest.mark.parametrize("template", ["${", "${topic(}", "${nosuch()}", "${@unset}", "${}"])
def test_a_template_that_cannot_be_compiled_is_refused_with_its_place(template):
    with pytest.raises(SqlError) as refused:
        build_action(republish("out/" + template), "2016-03-23")

    assert refused.value.column > 4


@pytest.mark.parametrize(
    ("kind", "body", "told"),
    [
        ("", b'<?xml version="1.0"?>\n<Error><Code>NoSuchBucket</Code><Message>no &quot;b&quot;</Message></Error>',
         'no "b" (Service: x; Status Code: 400; Error Code: NoSuchBucket)'),
        ("", b'{"__type": "com.amazonaws.sqs#QueueDoesNotExist", "message": "no queue"}',
         "no queue (Service: x; Status Code: 400; Error Code: QueueDoesNotExist)"),
        ("ResourceNotFoundException:http://x/", b'{"message": "no function"}',
         "no function (Service: x; Status Code: 400; Error Code: ResourceNotFoundException)"),
        ("", b"oops", "oops (Service: x; Status Code: 400; Error Code: )"),
        ("", b"[1]", "[1] (Service: x; Status Code: 400; Error Code: )"),
    ],
)  # fmt: skip
def test_a_refusal_is_told_as_the_error_actions_page_tells_it(kind, body, told):
    assert aws_calls._refusal("x", 400, kind, body) == f"The error received was {told}"
