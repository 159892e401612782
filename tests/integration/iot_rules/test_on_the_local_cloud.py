"""Rules on a local cloud of their own: real roles, queues, buckets and tables behind real doors."""

import json
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.iot_rules.conftest import Cloud

pytestmark = pytest.mark.e2e


def test_every_action_arrives_under_the_rules_role(cloud):
    good, out, errors = cloud.roles["good"], cloud.queue("out"), cloud.queue("errors")
    cloud.client("s3").create_bucket(Bucket="raw")
    cloud.client("dynamodb").create_table(
        TableName="readings",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    queue = {"sqs": {"queueUrl": out, "roleArn": good}}
    bucket = {"s3": {"bucketName": "raw", "key": "${topic()}/a b", "roleArn": good}}
    table = {"dynamoDBv2": {"putItem": {"tableName": "readings"}, "roleArn": good}}
    headers = {
        "contentType": "application/json",
        "correlationData": "Y2lk",
        "payloadFormatIndicator": "UTF8_DATA",
        "userProperties": [{"key": "who", "value": "${id}"}],
    }
    again = {"republish": {"topic": "again/${topic(2)}", "roleArn": good, "qos": 1, "headers": headers}}
    seen = (
        "SELECT *, topic() AS t, get_user_properties('who') AS who, get_mqtt_property('content_type') AS c, "
        "get_mqtt_property('correlation_data') AS d, get_mqtt_property('format_indicator') AS f FROM 'again/+'"
    )
    cloud.rule("all_of_them", "SELECT * FROM 'in/#'", queue, bucket, table, again, error=errors)
    cloud.rule("again", seen, queue, error=errors)

    cloud.publish("in/d1", b'{"id": "d1", "n": 1.50}')

    first, second = sorted(cloud.receive(out, 2))
    assert first == '{"id": "d1", "n": 1.50}'
    assert second == (
        '{"id":"d1","n":1.50,"t":"again/d1","who":["d1"],"c":"application/json","d":"Y2lk","f":"UTF8_DATA"}'
    )
    assert cloud.client("s3").get_object(Bucket="raw", Key="in/d1/a b")["Body"].read() == b'{"id": "d1", "n": 1.50}'
    item = cloud.client("dynamodb").get_item(TableName="readings", Key={"id": {"S": "d1"}})["Item"]
    assert item == {"id": {"S": "d1"}, "n": {"N": "1.5"}}


FAILING: dict[str, Callable[[Cloud], dict[str, Any]]] = {
    "missing permission": lambda c: {"sqs": {"queueUrl": c.queue("secret"), "roleArn": c.roles["poor"]}},
    "missing permission to publish": lambda c: {"republish": {"topic": "x", "roleArn": c.roles["poor"]}},
    "missing permission to put": lambda c: {"s3": {"bucketName": "b", "key": "k", "roleArn": c.roles["poor"]}},
    "missing permission to write": lambda c: {
        "dynamoDBv2": {"putItem": {"tableName": "t"}, "roleArn": c.roles["poor"]}
    },
    "missing permission to notify": lambda c: {
        "sns": {"targetArn": "arn:aws:sns:us-east-1:123456789012:t", "roleArn": c.roles["poor"]}
    },
    "missing queue": lambda c: {"sqs": {"queueUrl": c.queue("q") + "gone", "roleArn": c.roles["good"]}},
    "missing table": lambda c: {"dynamoDBv2": {"putItem": {"tableName": "gone"}, "roleArn": c.roles["good"]}},
    "missing bucket": lambda c: {"s3": {"bucketName": "gone", "key": "k", "roleArn": c.roles["good"]}},
    "missing function": lambda _: {"lambda": {"functionArn": "arn:aws:lambda:us-east-1:123456789012:function:gone"}},
}


@pytest.mark.parametrize("why", FAILING)
def test_an_action_that_fails_runs_the_error_action_once(cloud, why):
    name = why.replace(" ", "_")
    errors = cloud.queue(f"errors_{name}")
    cloud.rule(name, f"SELECT * FROM '{name}'", FAILING[why](cloud), error=errors)

    cloud.publish(name, b'{"x": 1}')

    (told,) = cloud.receive(errors, 1)
    document = json.loads(told)
    assert (document["ruleName"], document["base64OriginalPayload"]) == (name, "eyJ4IjogMX0=")
    (failure,) = document["failures"]
    assert not why.startswith("missing permission") or re.search(
        "AccessDenied|Forbidden|AuthorizationError", failure["errorMessage"]
    )


def test_a_rule_whose_role_cannot_be_assumed_is_not_made(cloud):
    action = {"sqs": {"queueUrl": cloud.queue("q"), "roleArn": "arn:aws:iam::123456789012:role/nobody"}}

    with pytest.raises(ClientError, match=r"sts:AssumeRole on resource: .*nobody"):
        cloud.rule("never", "SELECT * FROM 'a'", action, error=cloud.queue("q"))


def test_live_messages_are_recorded_with_what_rules_made_of_them_and_replayed(cloud, tmp_path):
    cloud.rule("watched", "SELECT t FROM 'watched' WHERE t > 10", error=cloud.queue("q"))
    recording = tmp_path / "recording"
    tool = [sys.executable, "-m", "infra.local.cli", "sql"]
    more = {"env": {**os.environ, "FIELDLINE_STATE_DIR": str(cloud.state_dir)}, "text": True}
    watcher = subprocess.Popen([*tool, "--record", "--rule", "watched", "--to", str(recording)],
                               stdout=subprocess.PIPE, **more)  # fmt: skip
    assert watcher.stdout is not None
    shown: list[str] = []
    reader = threading.Thread(target=lambda: shown.extend(watcher.stdout), daemon=True)
    reader.start()
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and len(shown) < 2:  # until the watcher has begun to ask
        cloud.publish("watched", b'{"t": 20}')
        cloud.publish("watched", b'{"t": 5}')
        time.sleep(0.2)
    watcher.send_signal(signal.SIGINT)
    assert watcher.wait(timeout=60) == 0
    reader.join(timeout=60)
    watcher.stdout.close()
    changed = [*tool, "--replay", str(recording), "--sql", "SELECT t FROM 'watched' WHERE t > 1"]
    replayed = subprocess.run(changed, capture_output=True, check=False, **more)

    assert {line.strip() for line in shown} == {'watched  watched: {"t":20}', "watched  watched: WHERE false"}
    assert replayed.returncode == 1
    assert '  - {"fires":false}\n  + {"fires":true,"result":{"t":5}}' in replayed.stdout
