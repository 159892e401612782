# ruff: noqa: E501 - a table
"""What requests ask of IAM: by real clients' requests, against policy_sentry's copy of AWS's own reference."""

import re
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from policy_sentry.querying.actions import get_action_data

from infra.local.cognito.idp import CognitoIdp
from infra.local.iam import Unmapped
from infra.local.iam_actions import _RESOURCES, KEYS, asks
from infra.local.wire import Request

REGION = "us-east-1"
DDB = "arn:aws:dynamodb:us-east-1:123456789012:table"
IOT = "arn:aws:iot:us-east-1:123456789012"
S3 = "arn:aws:s3:::bucket"
KEYS_OF = {("readings", None): "thing", ("readings", "by_owner"): "owner"}


def hash_key(region, table, index):
    assert region == REGION
    return KEYS_OF.get((table, index))


CLIENTS: dict[str, Any] = {}


def client_for(service):
    """Return a client that keeps what it would send instead of sending it."""
    if service not in CLIENTS:
        client = boto3.client(
            service,
            region_name=REGION,
            endpoint_url="http://127.0.0.1:4566",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )
        caught = []

        def keep(request, **_):
            caught.append(request)
            return AWSResponse(
                request.url, 400, HTTPHeaders(), type("Raw", (), {"stream": lambda self, **_: iter([b""])})()
            )

        client.meta.events.register("before-send", keep)
        CLIENTS[service] = client, caught
    return CLIENTS[service]


def request_of(service, operation, **params):
    """Return the request that boto3 would send."""
    client, caught = client_for(service)
    caught.clear()
    with pytest.raises(Exception):  # noqa: B017 - whatever botocore makes of no answer
        getattr(client, operation)(**params)
    request = caught[0]
    path, _, query = request.url.removeprefix("http://127.0.0.1:4566").partition("?")
    body = request.body.read() if hasattr(request.body, "read") else request.body or b""
    return Request(
        service=client.meta.service_model.signing_name,
        method=request.method,
        path=path or "/",
        query=query,
        headers={
            name.lower(): value.decode() if isinstance(value, bytes) else value
            for name, value in request.headers.items()
        },
        body=body.encode() if isinstance(body, str) else body,
        region=REGION,
    )


def asked(service, operation, **params):
    return [(ask.action, ask.resource, ask.context) for ask in asks(request_of(service, operation, **params), hash_key)]


ITEM = {"thing": {"S": "t1"}, "n": {"N": "1"}}
LEADING = {"dynamodb:leadingkeys": ["t1"]}
QUERY = {
    "TableName": "readings",
    "KeyConditionExpression": "#t = :t AND n > :n",
    "ExpressionAttributeNames": {"#t": "thing"},
    "ExpressionAttributeValues": {":t": {"S": "t1"}, ":n": {"N": "1"}},
}
OF = "us-east-1:123456789012"
IN_TRANSACTION = {"dynamodb:enclosingoperation": "TransactWriteItems", **LEADING}
CASES: list[tuple[str, str, Any, Any]] = [
    ("dynamodb", "put_item", {"TableName": "readings", "Item": ITEM}, [("dynamodb:PutItem", f"{DDB}/readings", LEADING)]),
    ("dynamodb", "get_item", {"TableName": f"{DDB}/readings", "Key": ITEM}, [("dynamodb:GetItem", f"{DDB}/readings", LEADING)]),
    ("dynamodb", "query", QUERY, [("dynamodb:Query", f"{DDB}/readings", LEADING)]),
    ("dynamodb", "query",
     {**QUERY, "IndexName": "by_owner", "KeyConditionExpression": "owner = :t", "ExpressionAttributeNames": {}},
     [("dynamodb:Query", f"{DDB}/readings/index/by_owner", LEADING)]),
    ("dynamodb", "scan", {"TableName": "readings"}, [("dynamodb:Scan", f"{DDB}/readings", {})]),
    ("dynamodb", "batch_write_item",
     {"RequestItems": {"readings": [{"PutRequest": {"Item": ITEM}}, {"DeleteRequest": {"Key": {"thing": {"S": "t2"}}}}]}},
     [("dynamodb:BatchWriteItem", f"{DDB}/readings", {"dynamodb:leadingkeys": ["t1", "t2"]})]),
    ("dynamodb", "batch_get_item", {"RequestItems": {"readings": {"Keys": [ITEM]}, "other": {"Keys": [ITEM]}}},
     [("dynamodb:BatchGetItem", f"{DDB}/readings", LEADING), ("dynamodb:BatchGetItem", f"{DDB}/other", {})]),
    ("dynamodb", "transact_write_items",
     {"TransactItems": [
         {"Put": {"TableName": "readings", "Item": ITEM}},
         {"ConditionCheck": {"TableName": "readings", "Key": ITEM, "ConditionExpression": "x"}},
         {"Update": {"TableName": "readings", "Key": ITEM, "UpdateExpression": "x"}},
         {"Delete": {"TableName": "readings", "Key": ITEM}},
     ]},
     [("dynamodb:PutItem", f"{DDB}/readings", IN_TRANSACTION)]
     + [("dynamodb:ConditionCheckItem", f"{DDB}/readings", LEADING)]
     + [(f"dynamodb:{action}", f"{DDB}/readings", IN_TRANSACTION) for action in ("UpdateItem", "DeleteItem")]),
    ("dynamodbstreams", "describe_stream", {"StreamArn": f"{DDB}/readings/stream/2030"},
     [("dynamodb:DescribeStream", f"{DDB}/readings/stream/2030", {})]),
    ("sqs", "send_message_batch", {"QueueUrl": "http://127.0.0.1:4566/123456789012/q", "Entries": [{"Id": "1", "MessageBody": "x"}]},
     [("sqs:SendMessage", f"arn:aws:sqs:{OF}:q", {})]),
    ("sqs", "get_queue_url", {"QueueName": "q"}, [("sqs:GetQueueUrl", f"arn:aws:sqs:{OF}:q", {})]),
    ("sns", "publish", {"TopicArn": "arn:aws:sns:us-east-1:123456789012:t", "Message": "m"},
     [("sns:Publish", "arn:aws:sns:us-east-1:123456789012:t", {})]),
    ("sns", "publish", {"PhoneNumber": "+4912345", "Message": "m"}, [("sns:Publish", "*", {})]),
    ("lambda", "invoke", {"FunctionName": "f"}, [("lambda:InvokeFunction", f"arn:aws:lambda:{OF}:function:f", {})]),
    ("lambda", "invoke", {"FunctionName": f"arn:aws:lambda:{OF}:function:f", "Qualifier": "live"},
     [("lambda:InvokeFunction", f"arn:aws:lambda:{OF}:function:f:live", {})]),
    ("lambda", "invoke", {"FunctionName": "123456789012:function:f"},
     [("lambda:InvokeFunction", f"arn:aws:lambda:{OF}:function:f", {})]),
    ("iot-data", "publish", {"topic": "cmd/dev/a b/x", "payload": b"\xff", "qos": 1, "retain": True},
     [("iot:Publish", f"{IOT}:topic/cmd/dev/a b/x", {}), ("iot:RetainPublish", f"{IOT}:topic/cmd/dev/a b/x", {})]),
    ("iot-data", "get_thing_shadow", {"thingName": "t1"}, [("iot:GetThingShadow", f"{IOT}:thing/t1", {})]),
    ("iot-data", "update_thing_shadow", {"thingName": "t1", "shadowName": "config", "payload": b"{}"},
     [("iot:UpdateThingShadow", f"{IOT}:thing/t1/config", {})]),
    ("iot-data", "delete_connection", {"clientId": "c1"}, [("iot:DeleteConnection", f"{IOT}:client/c1", {})]),
    ("iot", "attach_policy", {"policyName": "p", "target": f"{IOT}:cert/abc"}, [("iot:AttachPolicy", f"{IOT}:cert/abc", {})]),
    ("iot", "attach_policy", {"policyName": "p", "target": "us-east-1:identity"}, [("iot:AttachPolicy", "*", {})]),
    ("iot", "attach_thing_principal", {"thingName": "t1", "principal": f"{IOT}:cert/abc"},
     [("iot:AttachThingPrincipal", f"{IOT}:cert/abc", {"iot:thingarn": f"{IOT}:thing/t1"})]),
    ("iot", "add_thing_to_thing_group", {"thingName": "t1", "thingGroupName": "g"},
     [("iot:AddThingToThingGroup", f"{IOT}:thing/t1", {}), ("iot:AddThingToThingGroup", f"{IOT}:thinggroup/g", {})]),
    ("iot", "describe_endpoint", {}, [("iot:DescribeEndpoint", "*", {})]),
    ("iot", "update_certificate", {"certificateId": "a" * 64, "newStatus": "INACTIVE"},
     [("iot:UpdateCertificate", f"{IOT}:cert/{'a' * 64}", {})]),
    ("iot", "create_job", {"jobId": "j", "targets": [f"{IOT}:thing/t1"], "document": "{}"},
     [("iot:CreateJob", f"{IOT}:job/j", {}), ("iot:CreateJob", f"{IOT}:thing/t1", {})]),
    ("s3", "get_object", {"Bucket": "bucket", "Key": "a b/ü+c"}, [("s3:GetObject", f"{S3}/a b/ü+c", {})]),
    ("s3", "put_object", {"Bucket": "bucket", "Key": "k", "Body": b"x"}, [("s3:PutObject", f"{S3}/k", {})]),
    ("s3", "copy_object", {"Bucket": "bucket", "Key": "k", "CopySource": {"Bucket": "from", "Key": "a b"}},
     [("s3:PutObject", f"{S3}/k", {}), ("s3:GetObject", "arn:aws:s3:::from/a b", {})]),
    ("s3", "delete_objects", {"Bucket": "bucket", "Delete": {"Objects": [{"Key": "a"}, {"Key": "b", "VersionId": "1"}]}},
     [("s3:DeleteObject", f"{S3}/a", {}), ("s3:DeleteObjectVersion", f"{S3}/b", {})]),
    ("s3", "list_objects_v2", {"Bucket": "bucket", "Prefix": "u1/"}, [("s3:ListBucket", S3, {"s3:prefix": "u1/"})]),
    ("s3", "create_multipart_upload", {"Bucket": "bucket", "Key": "k"}, [("s3:PutObject", f"{S3}/k", {})]),
    ("s3", "abort_multipart_upload", {"Bucket": "bucket", "Key": "k", "UploadId": "1"}, [("s3:AbortMultipartUpload", f"{S3}/k", {})]),
    ("s3", "head_object", {"Bucket": "bucket", "Key": "k", "VersionId": "1"}, [("s3:GetObjectVersion", f"{S3}/k", {})]),
    ("s3", "put_object_tagging", {"Bucket": "bucket", "Key": "k", "Tagging": {"TagSet": []}}, [("s3:PutObjectTagging", f"{S3}/k", {})]),
    ("s3", "list_buckets", {}, [("s3:ListAllMyBuckets", "*", {})]),
    ("cognito-idp", "admin_get_user", {"UserPoolId": "us-east-1_p", "Username": "u"},
     [("cognito-idp:AdminGetUser", "arn:aws:cognito-idp:us-east-1:123456789012:userpool/us-east-1_p", {})]),
    ("events", "put_events", {"Entries": [{"Source": "s", "DetailType": "d", "Detail": "{}"}]},
     [("events:PutEvents", f"arn:aws:events:{OF}:event-bus/default", {"events:source": "s", "events:detail-type": "d"})]),
    ("scheduler", "delete_schedule", {"Name": "n"}, [("scheduler:DeleteSchedule", f"arn:aws:scheduler:{OF}:schedule/default/n", {})]),
    ("logs", "put_log_events", {"logGroupName": "/g", "logStreamName": "s", "logEvents": [{"timestamp": 1, "message": "m"}]},
     [("logs:PutLogEvents", f"arn:aws:logs:{OF}:log-group:/g:log-stream:s", {})]),
    ("sesv2", "send_email", {"FromEmailAddress": "a@b.c", "Content": {}},
     [("ses:SendEmail", "arn:aws:ses:us-east-1:123456789012:identity/a@b.c", {"ses:fromaddress": "a@b.c"})]),
    ("ses", "send_email", {"Source": "a@b.c", "Destination": {}, "Message": {"Subject": {"Data": ""}, "Body": {}}},
     [("ses:SendEmail", "arn:aws:ses:us-east-1:123456789012:identity/a@b.c", {"ses:fromaddress": "a@b.c"})]),
    ("cloudwatch", "put_metric_data", {"Namespace": "n", "MetricData": [{"MetricName": "m", "Value": 1.0}]},
     [("cloudwatch:PutMetricData", "*", {"cloudwatch:namespace": "n"})]),
    ("sts", "assume_role", {"RoleArn": "arn:aws:iam::123456789012:role/r", "RoleSessionName": "session"},
     [("sts:AssumeRole", "arn:aws:iam::123456789012:role/r", {"sts:rolesessionname": "session"})]),
    ("sts", "get_caller_identity", {}, []),
]  # fmt: skip


@pytest.mark.parametrize(("service", "operation", "params", "expected"), CASES, ids=lambda value: str(value)[:40])
def test_a_client_s_request_asks_for(service, operation, params, expected):
    assert asked(service, operation, **params) == expected


def formats_of(action):
    service, _, name = action.partition(":")
    data = get_action_data(service, name)
    assert data, f"AWS has no action {action}"
    return [
        (row["resource_arn_format"], row["condition_keys"])
        for row in data[service]
        if row["action"].lower() == action.lower()
    ]


def fits(arn, template):
    if "*" in (arn, template):
        return template == "*"
    pattern = re.sub(r"\\\$\\\{\w+\\\}", ".+", re.escape(template))
    return re.fullmatch(pattern, arn) is not None


@pytest.mark.parametrize("expected", [one for case in CASES for one in case[3]], ids=str)
def test_every_action_arn_and_condition_key_stands_in_aws_s_reference(expected):
    action, resource, context = expected
    known = formats_of(action)
    if (action, resource) not in {("sns:Publish", "*"), ("iot:AttachPolicy", "*")}:
        # Those two: what AWS asks for a telephone number and for a Cognito identity, neither of which is an ARN.
        assert any(fits(resource, template) for template, _keys in known), known
    keys = {key.lower() for _, listed in known for key in listed}
    assert {key for key in context if not key.startswith("ses:")} <= keys


def test_every_operation_of_the_tables_is_an_action_of_aws_s_with_that_resource():
    names = {"iotdata": "iot", "monitoring": "cloudwatch"}
    wrong = []
    for service, table in _RESOURCES.items():
        for resource, operations in table.items():
            for operation in operations.split():
                templates = [template for template, _keys in formats_of(f"{names.get(service, service)}:{operation}")]
                if resource in ("", "*"):
                    fitting = True
                elif resource.startswith("{"):
                    fitting = any(template != "*" for template in templates)
                else:
                    kind = re.split(r"[/:{]", resource)[0]
                    fitting = any(template.split(":", 5)[-1].startswith(kind) for template in templates)
                if not fitting:
                    wrong.append((service, operation, resource, templates))
    assert not wrong


def test_every_administrator_s_operation_of_user_pools_is_mapped(tmp_path):
    from datetime import UTC, datetime

    from infra.local.clock import ManualClock
    from infra.local.front_identity import UNSIGNED

    idp = CognitoIdp(ManualClock(datetime(2030, 1, 1, tzinfo=UTC)), REGION, tmp_path, None)  # type: ignore[arg-type]  # none is invoked
    mapped = {name for names in _RESOURCES["cognito-idp"].values() for name in names.split()}
    assert idp.operations - UNSIGNED["cognito-idp"] == mapped


@pytest.mark.parametrize(
    ("service", "operation", "params"),
    [
        ("dynamodb", "execute_statement", {"Statement": "SELECT * FROM t"}),
        ("s3", "create_bucket", {"Bucket": "b"}),
        ("s3", "get_bucket_acl", {"Bucket": "b"}),
        ("s3", "get_object_acl", {"Bucket": "b", "Key": "k"}),
        ("lambda", "list_functions", {}),
        ("iot", "create_topic_rule", {"ruleName": "r", "topicRulePayload": {"sql": "x", "actions": []}}),
        ("iam", "list_roles", {}),
        ("kms", "list_keys", {}),
        ("sqs", "create_queue", {"QueueName": "q"}),
    ],
)
def test_what_is_not_mapped_is_said_to_be(service, operation, params):
    with pytest.raises(Unmapped):
        asked(service, operation, **params)


@pytest.mark.parametrize("service", ["dynamodb", "sqs", "sns", "s3", "lambda", "iot", "iotdata", "nonsense", "ses"])
@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[]", b'{"TableName": 1}', b"Action"])
def test_nonsense_asks_for_nothing_and_breaks_nothing(service, body):
    for headers in ({}, {"x-amz-target": "X.PutItem"}, {"content-type": "application/x-www-form-urlencoded"}):
        with pytest.raises(Unmapped):
            asks(Request(service=service, method="PATCH", path="/x/y", headers=headers, body=body), hash_key)


def test_the_condition_keys_that_are_given_are_the_ones_that_are_known():
    given = {key for case in CASES for one in case[3] for key in one[2]}
    assert given <= KEYS
