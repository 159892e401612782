"""moto behind its door: each correction holds, and moto is still the one they were written for."""

import asyncio
import gc
import json
from datetime import timedelta
from importlib.metadata import version

import pytest
from botocore.exceptions import ClientError

from infra.local import aws
from infra.local.aws import MOTO_VERSION, SERVICES, Moto
from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.wire import Request
from tests.unit.dynamodb.local import START

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:thumbnails"


@pytest.fixture
async def clock():
    return ManualClock(START)


@pytest.fixture
async def moto(clock, tmp_path):
    made = Moto(Settings(state_dir=tmp_path), clock)
    await made.start()
    yield made
    await made.stop()


def test_moto_is_the_one_that_the_corrections_were_written_for():
    assert version("moto") == MOTO_VERSION


async def test_s3_tells_functions_in_aws_own_shape_and_does_not_wait_for_them(moto):
    events = asyncio.Queue()
    moto.on_s3_event(lambda arn, event: events.put_nowait((arn, event)), lambda _function, _bucket: True)
    await moto.start()
    await moto.call("s3", "create_bucket", Bucket="pictures")
    rule = {
        "LambdaFunctionArn": FUNCTION,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "in/"}]}},
    }
    configuration = {"LambdaFunctionConfigurations": [rule]}
    await moto.call(
        "s3", "put_bucket_notification_configuration", Bucket="pictures", NotificationConfiguration=configuration
    )
    for key in ("out/1", "in/a b+é.png"):
        await moto.call("s3", "put_object", Bucket="pictures", Key=key, Body=b"12345")
    await moto.call("s3", "delete_object", Bucket="pictures", Key="in/a b+é.png")
    (arn, created), (_, removed) = [await asyncio.wait_for(events.get(), 5) for _ in range(2)]
    (record,) = created["Records"]
    assert (arn, record["eventName"], removed["Records"][0]["eventName"]) == (
        FUNCTION,
        "ObjectCreated:Put",
        "ObjectRemoved:Delete",
    )
    assert record["s3"]["bucket"]["arn"] == "arn:aws:s3:::pictures"
    assert record["s3"]["object"]["key"] == "in/a+b%2B%C3%A9.png"
    assert record["s3"]["object"]["size"] == 5
    assert record["eventTime"].startswith("2026-03-01T12:00:00")
    expected = {"userIdentity", "requestParameters", "responseElements", "eventSource", "awsRegion", "eventVersion"}
    assert expected <= record.keys()
    assert events.empty()


async def test_s3_tells_of_an_upload_in_parts_once_and_of_versions(moto):
    events = asyncio.Queue()
    moto.on_s3_event(lambda _arn, event: events.put_nowait(event["Records"][0]), lambda _function, _bucket: True)
    await moto.start()
    bucket = {"Bucket": "parts"}
    await moto.call("s3", "create_bucket", **bucket)
    versioned = {"VersioningConfiguration": {"Status": "Enabled"}}
    await moto.call("s3", "put_bucket_versioning", **bucket, **versioned)
    rule = {"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"]}
    configuration = {"NotificationConfiguration": {"LambdaFunctionConfigurations": [rule]}}
    await moto.call("s3", "put_bucket_notification_configuration", **bucket, **configuration)
    key = {**bucket, "Key": "a"}
    upload = {**key, "UploadId": (await moto.call("s3", "create_multipart_upload", **key))["UploadId"]}
    part = await moto.call("s3", "upload_part", **upload, PartNumber=1, Body=b"12345")
    parts = {"MultipartUpload": {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}}
    await moto.call("s3", "complete_multipart_upload", **upload, **parts)
    marker = await moto.call("s3", "delete_object", **key)
    await moto.call("s3", "delete_object", **key, VersionId=marker["VersionId"])

    told = [await asyncio.wait_for(events.get(), 5) for _ in range(3)]

    assert events.empty()
    assert [record["eventName"] for record in told] == [
        "ObjectCreated:CompleteMultipartUpload", "ObjectRemoved:DeleteMarkerCreated", "ObjectRemoved:Delete",
    ]  # fmt: skip
    created, marked, deleted = (record["s3"]["object"] for record in told)
    assert created.keys() == {"key", "size", "eTag", "versionId", "sequencer"}
    assert marked.keys() == {"key", "eTag", "versionId", "sequencer"}
    assert deleted.keys() == {"key", "versionId", "sequencer"}
    assert marked["versionId"] == deleted["versionId"] == marker["VersionId"]


async def test_s3_refuses_a_function_whose_policy_does_not_let_it_in(moto):
    asked = []
    moto.on_s3_event(lambda _arn, _event: None, lambda *arns: bool(asked.append(arns)))
    await moto.start()
    await moto.call("s3", "create_bucket", Bucket="closed")
    rule = {"LambdaFunctionArn": FUNCTION, "Events": ["s3:ObjectCreated:*"]}
    configuration = {"LambdaFunctionConfigurations": [rule]}
    with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
        await moto.call(
            "s3", "put_bucket_notification_configuration", Bucket="closed", NotificationConfiguration=configuration
        )
    assert asked == [(FUNCTION, "arn:aws:s3:::closed")]
    kept = await moto.call("s3", "get_bucket_notification_configuration", Bucket="closed")
    assert "LambdaFunctionConfigurations" not in kept


async def test_visibility_follows_the_clock_and_so_do_delays(moto, clock):
    queue = (await moto.call("sqs", "create_queue", QueueName="post", Attributes={"VisibilityTimeout": "30"}))[
        "QueueUrl"
    ]
    await moto.call("sqs", "send_message", QueueUrl=queue, MessageBody="late", DelaySeconds=60)
    assert "Messages" not in await moto.call("sqs", "receive_message", QueueUrl=queue)
    clock.move(timedelta(seconds=61))
    assert "Messages" in await moto.call("sqs", "receive_message", QueueUrl=queue)
    assert "Messages" not in await moto.call("sqs", "receive_message", QueueUrl=queue)
    clock.move(timedelta(seconds=31))
    assert "Messages" in await moto.call("sqs", "receive_message", QueueUrl=queue)


async def test_a_waiting_receive_is_woken_by_a_message_and_others_are_served_meanwhile(moto):
    queue = (await moto.call("sqs", "create_queue", QueueName="doorbell"))["QueueUrl"]
    waiting = asyncio.create_task(moto.call("sqs", "receive_message", QueueUrl=queue, WaitTimeSeconds=20))
    await moto.call("sqs", "list_queues")
    assert not waiting.done()
    await moto.call("sqs", "send_message", QueueUrl=queue, MessageBody="ring")
    assert (await asyncio.wait_for(waiting, 5))["Messages"][0]["Body"] == "ring"


async def test_the_older_protocol_does_not_hold_the_others_up_either(moto):
    queue = (await moto.call("sqs", "create_queue", QueueName="old"))["QueueUrl"]
    form = f"Action=ReceiveMessage&Version=2012-11-05&QueueUrl={queue}&WaitTimeSeconds=20".encode()
    headers = {"content-type": "application/x-www-form-urlencoded"}
    path = "/123456789012/old"
    waiting = asyncio.create_task(
        moto.handle(Request(service="sqs", method="POST", path=path, headers=headers, body=form))
    )
    await moto.call("sqs", "send_message", QueueUrl=queue, MessageBody="ring")
    assert b"ring" in (await asyncio.wait_for(waiting, 5)).body


async def test_no_instance_of_motos_models_is_kept(moto):
    queue = (await moto.call("sqs", "create_queue", QueueName="busy"))["QueueUrl"]
    for _ in range(5):
        await moto.call("sqs", "send_message", QueueUrl=queue, MessageBody="x")
    from moto.sqs.models import Message

    await moto.call("sqs", "purge_queue", QueueUrl=queue)
    gc.collect()
    assert Message.instances_tracked == []


@pytest.mark.parametrize("kind", ["application/x-www-form-urlencoded", "multipart/form-data; boundary=x"])
async def test_an_object_of_a_forms_type_is_stored_whole_and_comes_back_as_what_it_is(moto, kind):
    await moto.call("s3", "create_bucket", Bucket="forms")
    headers = {"content-type": kind, "x-amz-meta-of": "me"}
    request = Request(service="s3", method="PUT", path="/forms/one", headers=headers, body=b"a=1&b=2")
    assert (await moto.handle(request)).status == 200
    await moto.call("s3", "copy_object", Bucket="forms", Key="two", CopySource="forms/one")
    for key in ("one", "two"):
        found = await moto.call("s3", "get_object", Bucket="forms", Key=key)
        assert (found["Body"].read(), found["ContentType"], found["Metadata"]) == (b"a=1&b=2", kind, {"of": "me"})


async def test_errors_are_botocores_own(moto):
    with pytest.raises(ClientError) as caught:
        await moto.call("sqs", "get_queue_url", QueueName="nowhere")
    assert "NonExistentQueue" in caught.value.response["Error"]["Code"]


@pytest.mark.parametrize("service", ["sqs", "iam", "logs"])
async def test_an_operation_that_moto_has_not_is_refused_by_name(moto, service):
    headers = {"x-amz-target": "Any.Nope", "content-type": "application/x-amz-json-1.0"}
    body = b"{}"
    if service == "iam":
        headers, body = {"content-type": "application/x-www-form-urlencoded"}, b"Action=Nope"
    answer = await moto.handle(Request(service=service, method="POST", path="/", headers=headers, body=body))
    assert (answer.status, f"not emulated: {service}:Nope".encode() in answer.body) == (501, True)


async def test_ses_answers_in_both_versions(moto):
    await moto.call("ses", "verify_email_identity", EmailAddress="me@example.com")
    body = {"Simple": {"Subject": {"Data": "s"}, "Body": {"Text": {"Data": "t"}}}}
    sent = await moto.call(
        "sesv2",
        "send_email",
        FromEmailAddress="me@example.com",
        Destination={"ToAddresses": ["you@example.com"]},
        Content=body,
    )
    assert sent["MessageId"]


async def test_a_topic_does_not_take_a_function_and_says_so(moto):
    body = b"Action=Subscribe&TopicArn=t&Protocol=lambda&Endpoint=f"
    headers = {"content-type": "application/x-www-form-urlencoded"}
    answer = await moto.handle(Request(service="sns", method="POST", path="/", headers=headers, body=body))
    assert b"not emulated: sns subscriptions of functions" in answer.body


def test_every_service_is_one_that_moto_has():
    for packages in SERVICES.values():
        for package in packages:
            assert aws.importlib.util.find_spec(f"moto.{package}.urls")


async def test_a_bucket_policy_that_wants_tls_lets_in_who_comes_by_loopback_and_other_conditions_are_refused(moto):
    await moto.call("s3", "create_bucket", Bucket="private")
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::private/*"}
    tls_only = {**deny, "Condition": {"Bool": {"aws:SecureTransport": "false"}}}

    async def put(*statements):
        policy = json.dumps({"Version": "2012-10-17", "Statement": statements})
        await moto.call("s3", "put_bucket_policy", Bucket="private", Policy=policy)
        await moto.call("s3", "put_object", Bucket="private", Key="a", Body=b"1")

    for value in ("false", False, ["false"], [False]):
        await put({**deny, "Condition": {"Bool": {"aws:SecureTransport": value}}})
    alone = json.dumps({"Version": "2012-10-17", "Statement": tls_only})
    await moto.call("s3", "put_bucket_policy", Bucket="private", Policy=alone)
    await moto.call("s3", "put_object", Bucket="private", Key="a", Body=b"1")
    with pytest.raises(ClientError, match="Forbidden"):
        await put(tls_only, deny)


async def test_a_bucket_policy_whose_condition_is_not_carried_is_refused_when_it_is_put_and_changes_nothing(moto):
    """Keys of conditions are of any case, operators are not. (IAM user guide, "Condition keys", "Operators".)"""
    bucket = {"Bucket": "private"}
    await moto.call("s3", "create_bucket", **bucket)
    deny = {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::private/*"}

    async def put(condition):
        policy = {"Version": "2012-10-17", "Statement": [{**deny, "Condition": condition}]}
        await moto.call("s3", "put_bucket_policy", **bucket, Policy=json.dumps(policy))

    for key in ("aws:SecureTransport", "aws:securetransport", "AWS:SECURETRANSPORT"):
        await put({"Bool": {key: "false"}})
        await moto.call("s3", "put_object", **bucket, Key="a", Body=b"1")
    stored = (await moto.call("s3", "get_bucket_policy", **bucket))["Policy"]
    for condition in (
        {"IpAddress": {"aws:SourceIp": "192.0.2.0/24"}},
        {"bool": {"aws:SecureTransport": "false"}},
        {"Bool": {"aws:SecureTransport": "true"}},
        {"Bool": {"aws:SecureTransport": "false", "aws:ViaAWSService": "false"}},
        {"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalTag/a": "b"}},
    ):
        with pytest.raises(ClientError, match=r"NotEmulated.*not emulated: the condition"):
            await put(condition)
    for malformed in ("{", "[]", '{"Version": "2012-10-17"}'):
        with pytest.raises(ClientError, match="MalformedPolicy"):
            await moto.call("s3", "put_bucket_policy", **bucket, Policy=malformed)
    assert (await moto.call("s3", "get_bucket_policy", **bucket))["Policy"] == stored
    await moto.call("s3", "put_object", **bucket, Key="a", Body=b"2")


async def test_an_inline_policy_may_be_of_an_older_version_or_of_none_and_a_managed_one_not(moto):
    await moto.start()
    trust = {"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}]}  # fmt: skip
    await moto.call("iam", "create_role", RoleName="r", AssumeRolePolicyDocument=json.dumps(trust))
    allow = {"Statement": [{"Effect": "Allow", "Action": "sqs:SendMessage", "Resource": "*"}]}
    for document in (allow, {"Version": "2008-10-17", **allow}):
        policy = {"RoleName": "r", "PolicyName": "p"}
        await moto.call("iam", "put_role_policy", **policy, PolicyDocument=json.dumps(document))
        assert (await moto.call("iam", "get_role_policy", **policy))["PolicyDocument"] == document
    for document in ("{", json.dumps({"Version": "2013-01-01", **allow})):
        with pytest.raises(ClientError, match="MalformedPolicyDocument"):
            await moto.call("iam", "put_role_policy", RoleName="r", PolicyName="p", PolicyDocument=document)
    with pytest.raises(ClientError, match="must be version 2012-10-17 or greater"):
        await moto.call("iam", "create_policy", PolicyName="m", PolicyDocument=json.dumps(allow))
