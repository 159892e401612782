"""One port answers real clients as every AWS API: signatures, permissions, protocols, time."""

import json
import time
import urllib.error
import urllib.request

import pytest
import requests
from botocore.exceptions import ClientError

from tests.integration.front.conftest import make_table
from tests.integration.front.process import services

TABLE_ARN = "arn:aws:dynamodb:us-east-1:123456789012:table/"
ROLE_ARN = "arn:aws:iam::123456789012:role/"


def refused(call, **params):
    with pytest.raises(ClientError) as caught:
        call(**params)
    return caught.value.response["Error"]


def assume(cloud, name, *statements):
    """Temporary credentials of a new role under these statements."""
    iam = cloud.client("iam")
    trust = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": {"AWS": "123456789012"}, "Action": "sts:AssumeRole"}],
    }
    iam.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
    document = {"Version": "2012-10-17", "Statement": list(statements)}
    iam.put_role_policy(RoleName=name, PolicyName="only", PolicyDocument=json.dumps(document))
    return cloud.client("sts").assume_role(RoleArn=ROLE_ARN + name, RoleSessionName="test")["Credentials"]


def test_each_service_answers_in_its_own_protocol(cloud):
    s3, sqs, logs = (cloud.client(name) for name in ("s3", "sqs", "logs"))
    s3.create_bucket(Bucket="papers")
    key = "a b/ü+%2F.txt"
    s3.put_object(Bucket="papers", Key=key, Body=b"x" * 300_000, Metadata={"owner": "me"})
    found = s3.get_object(Bucket="papers", Key=key)
    assert (found["Body"].read(), found["Metadata"]) == (b"x" * 300_000, {"owner": "me"})
    assert s3.head_object(Bucket="papers", Key=key)["ContentLength"] == 300_000
    assert [each["Key"] for each in s3.list_objects_v2(Bucket="papers")["Contents"]] == [key]
    queue = sqs.create_queue(QueueName="post")["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="hello")
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "hello"
    topic = cloud.client("sns").create_topic(Name="news")["TopicArn"]
    cloud.client("sns").subscribe(TopicArn=topic, Protocol="sqs", Endpoint="arn:aws:sqs:us-east-1:123456789012:post")
    cloud.client("sns").publish(TopicArn=topic, Message="again")
    assert "again" in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2)["Messages"][0]["Body"]
    logs.create_log_group(logGroupName="/group")
    assert [each["logGroupName"] for each in logs.describe_log_groups()["logGroups"]] == ["/group"]
    cloud.client("cloudwatch").put_metric_data(Namespace="n", MetricData=[{"MetricName": "m", "Value": 1.0}])
    assert cloud.client("cloudwatch").list_metrics(Namespace="n")["Metrics"]
    assert cloud.client("sts").get_caller_identity()["Arn"] == "arn:aws:iam::123456789012:root"


def test_a_presigned_url_works_as_it_is_and_not_when_changed(cloud):
    from botocore.config import Config

    s3 = cloud.client("s3", config=Config(signature_version="s3v4"))
    s3.create_bucket(Bucket="uploads")
    url = s3.generate_presigned_url("put_object", Params={"Bucket": "uploads", "Key": "one"}, ExpiresIn=60)
    with urllib.request.urlopen(urllib.request.Request(url, data=b"body", method="PUT"), timeout=60) as answer:
        assert answer.status == 200
    assert s3.get_object(Bucket="uploads", Key="one")["Body"].read() == b"body"
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(
            urllib.request.Request(url.replace("/one?", "/two?"), data=b"x", method="PUT"), timeout=60
        )
    assert (caught.value.code, b"SignatureDoesNotMatch" in caught.value.read()) == (403, True)
    caught.value.close()


def test_what_aws_no_longer_takes_and_what_is_not_carried_of_s3_is_refused_by_name(cloud):
    s3 = cloud.client("s3")
    s3.create_bucket(Bucket="refusing")
    old = s3.generate_presigned_url("get_object", Params={"Bucket": "refusing", "Key": "one"})
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(old, timeout=60)
    assert (caught.value.code, b"Please use AWS4-HMAC-SHA256" in caught.value.read()) == (400, True)
    caught.value.close()
    form = s3.generate_presigned_post("refusing", "one")
    answer = requests.post(form["url"], data=form["fields"], files={"file": b"body"}, timeout=60)
    assert (answer.status_code, "s3:PostObject" in answer.text) == (501, True)
    kind = "multipart/form-data; boundary=x"
    s3.put_object(Bucket="refusing", Key="form", Body=b"--x--", ContentType=kind)
    assert s3.get_object(Bucket="refusing", Key="form")["Body"].read() == b"--x--"
    assert s3.create_multipart_upload(Bucket="refusing", Key="parts", ContentType=kind)["UploadId"]


@pytest.mark.parametrize(
    ("service", "operation", "code"),
    [
        ("dynamodb", "list_tables", "InvalidSignatureException"),
        ("s3", "list_buckets", "SignatureDoesNotMatch"),
        ("sqs", "list_queues", "InvalidSignatureException"),
        ("iam", "list_roles", "SignatureDoesNotMatch"),
        ("lambda", "list_functions", "InvalidSignatureException"),
    ],
)
def test_a_wrong_secret_is_refused_in_the_services_own_shape(cloud, service, operation, code):
    client = cloud.client(service, aws_secret_access_key="wrong")
    assert refused(getattr(client, operation))["Code"].endswith(code)


def test_a_request_without_a_signature_is_refused(cloud):
    request = urllib.request.Request(
        cloud.settings.endpoint_url, data=b"{}", headers={"x-amz-target": "DynamoDB_20120810.ListTables"}
    )
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(request, timeout=60)
    assert b"MissingAuthenticationToken" in caught.value.read()
    caught.value.close()


def test_headers_of_ours_are_worth_nothing_without_the_secret(cloud):
    headers = {
        "x-amz-target": "DynamoDB_20120810.ListTables",
        "x-fieldline-service": "iot.amazonaws.com",
        "x-fieldline-secret": "guess",
    }
    with pytest.raises(urllib.error.HTTPError) as caught:
        urllib.request.urlopen(
            urllib.request.Request(cloud.settings.endpoint_url, data=b"{}", headers=headers), timeout=60
        )
    assert caught.value.code == 400
    caught.value.close()


def test_a_role_may_do_what_it_is_granted_and_nothing_else_in_any_protocol(cloud):
    owner = cloud.client("dynamodb")
    for name in ("mine", "theirs"):
        make_table(owner, name, index="g")
    allow = {"Effect": "Allow", "Action": ["dynamodb:PutItem", "dynamodb:Query"], "Resource": TABLE_ARN + "mine"}
    credentials = assume(cloud, "writer", allow)
    role = cloud.client("dynamodb", credentials)
    item = {"pk": {"S": "a"}, "sk": {"N": "1"}}
    role.put_item(TableName="mine", Item=item)
    error = refused(role.put_item, TableName="theirs", Item=item)
    assert error["Code"] == "AccessDeniedException"
    assert error["Message"] == (
        "User: arn:aws:sts::123456789012:assumed-role/writer/test is not authorized to perform: dynamodb:PutItem "
        f"on resource: {TABLE_ARN}theirs because no identity-based policy allows the dynamodb:PutItem action"
    )
    query = {"KeyConditionExpression": "g = :g", "ExpressionAttributeValues": {":g": {"S": "x"}}}
    assert "index/by_index" in refused(role.query, TableName="mine", IndexName="by_index", **query)["Message"]
    for service, operation, params, code in [
        ("sqs", "list_queues", {}, "AccessDenied"),
        ("s3", "list_buckets", {}, "AccessDenied"),
        ("sns", "list_topics", {}, "AuthorizationError"),
        ("logs", "describe_log_groups", {}, "AccessDeniedException"),
        ("lambda", "invoke", {"FunctionName": "any"}, "AccessDeniedException"),
    ]:
        error = refused(getattr(cloud.client(service, credentials), operation), **params)
        assert error["Code"].endswith(code), (service, error)
        assert "is not authorized to perform" in error["Message"], (service, error)


def test_a_grant_ends_as_soon_as_its_policy_is_gone(cloud):
    make_table(cloud.client("dynamodb"), "leased")
    allow = {"Effect": "Allow", "Action": "dynamodb:DescribeTable", "Resource": TABLE_ARN + "leased"}
    role = cloud.client("dynamodb", assume(cloud, "tenant", allow))
    role.describe_table(TableName="leased")
    cloud.client("iam").delete_role_policy(RoleName="tenant", PolicyName="only")
    assert refused(role.describe_table, TableName="leased")["Code"] == "AccessDeniedException"


def test_leading_keys_and_deny_are_honoured(cloud):
    make_table(cloud.client("dynamodb"), "shared")
    condition = {"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["me"]}}
    allow = {"Effect": "Allow", "Action": "dynamodb:*", "Resource": TABLE_ARN + "shared", "Condition": condition}
    deny = {"Effect": "Deny", "Action": "dynamodb:DeleteItem", "Resource": "*"}
    role = cloud.client("dynamodb", assume(cloud, "scoped", allow, deny))
    role.put_item(TableName="shared", Item={"pk": {"S": "me"}, "sk": {"N": "1"}})
    assert (
        refused(role.put_item, TableName="shared", Item={"pk": {"S": "you"}, "sk": {"N": "1"}})["Code"]
        == "AccessDeniedException"
    )
    error = refused(role.delete_item, TableName="shared", Key={"pk": {"S": "me"}, "sk": {"N": "1"}})
    assert "explicit deny" in error["Message"]


def test_what_is_not_emulated_is_refused_by_name(cloud):
    for service, operation, params, name in [
        ("kinesis", "list_streams", {}, "kinesis"),
        ("ec2", "describe_instances", {}, "ec2"),
        ("dynamodb", "list_backups", {}, "dynamodb:ListBackups"),
    ]:
        error = refused(getattr(cloud.client(service), operation), **params)
        assert f"not emulated: {name}" in error["Message"]


def test_without_the_gateway_iot_says_that_it_does_not_answer(cloud):
    assert "gateway does not answer" in refused(cloud.client("iot").list_things)["Message"]


def test_a_browser_may_ask_from_anywhere(cloud):
    request = urllib.request.Request(
        cloud.settings.endpoint_url,
        method="OPTIONS",
        headers={
            "origin": "http://localhost:3000",
            "access-control-request-method": "POST",
            "access-control-request-headers": "content-type,x-amz-target",
        },
    )
    with urllib.request.urlopen(request, timeout=60) as answer:
        assert (answer.status, answer.headers["access-control-allow-origin"]) == (200, "*")
        assert answer.headers["access-control-allow-headers"].startswith("*")
        assert answer.read() == b""  # nobody has signed: nothing is told


def test_a_waiting_receive_is_woken_and_holds_nobody_up(cloud):
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="waiting", Attributes={"ReceiveMessageWaitTimeSeconds": "1"})["QueueUrl"]
    started = time.perf_counter()
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    assert time.perf_counter() - started > 0.9
    assert refused(sqs.receive_message, QueueUrl=queue, WaitTimeSeconds=21)["Code"] == "InvalidParameterValue"


def test_visibility_follows_the_movable_clock(cloud):
    sqs = cloud.client("sqs")
    queue = sqs.create_queue(QueueName="hidden", Attributes={"VisibilityTimeout": "600"})["QueueUrl"]
    sqs.send_message(QueueUrl=queue, MessageBody="once")
    assert sqs.receive_message(QueueUrl=queue)["Messages"]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    cloud.move_clock(601)
    assert sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"] == "once"


def test_items_expire_by_the_movable_clock(cloud):
    dynamo = cloud.client("dynamodb")
    make_table(dynamo, "fading")
    dynamo.update_time_to_live(TableName="fading", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"})
    soon = str(int(time.time()) + 100_000)
    dynamo.put_item(TableName="fading", Item={"pk": {"S": "a"}, "sk": {"N": "1"}, "ttl": {"N": soon}})
    cloud.move_clock(100_001)
    deadline = time.monotonic() + 60
    while dynamo.scan(TableName="fading")["Count"] and time.monotonic() < deadline:
        time.sleep(0.1)
    assert dynamo.scan(TableName="fading")["Count"] == 0


def test_temporary_credentials_expire_by_the_movable_clock(cloud):
    credentials = assume(cloud, "guest", {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"})
    sqs = cloud.client("sqs", credentials)
    sqs.list_queues()
    cloud.move_clock(3_601)
    assert "ExpiredToken" in refused(sqs.list_queues)["Code"]


def test_without_iam_everything_signed_is_allowed_and_that_is_said(tmp_path):
    with services(tmp_path, block=41, iam=False) as running:
        role = running.client(
            "dynamodb", assume(running, "anyone", {"Effect": "Allow", "Action": "sqs:*", "Resource": "*"})
        )
        assert role.list_tables()["TableNames"] == []
        wrong = running.client("dynamodb", aws_secret_access_key="wrong")
        assert refused(wrong.list_tables)["Code"] == "InvalidSignatureException"
    assert "permissions are NOT" in (tmp_path / "services.log").read_text()
