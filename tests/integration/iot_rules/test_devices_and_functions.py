"""Rules between real devices and real functions: Basic Ingest, lifecycle events, loops, who may invoke what."""

import base64
import json

import pytest

pytestmark = pytest.mark.e2e
RULE = "arn:aws:iot:us-east-1:123456789012:rule"


@pytest.fixture
def device(cloud, tmp_path, request):
    device = cloud.device(request.node.name[:60], tmp_path)
    yield device
    device.close()


def test_basic_ingest_runs_the_named_rule_and_nobody_else_hears_of_it(cloud, device):
    out, errors = cloud.queue("ingested"), cloud.queue("ingested_errors")
    to_queue = {"sqs": {"queueUrl": out, "roleArn": cloud.roles["good"]}}
    cloud.rule("ingest", "SELECT *, topic() AS t, topic(2) AS s", to_queue, error=errors)
    cloud.rule("bystander", "SELECT 'bystander' AS who FROM 'plant/#'", to_queue, error=errors)
    device.subscribe("#")

    device.publish("$aws/rules/ingest/plant/7/a/b/c/d/e/f", b'{"n": 1}')
    device.publish("last", b"")
    device.wait_for("last")

    assert cloud.receive(out, 1) == ['{"n":1,"t":"plant/7/a/b/c/d/e/f","s":"7"}']
    assert [topic for topic, _ in device.heard] == ["connected", "subscribed", "last"]


def test_basic_ingest_on_an_unknown_or_disabled_rule_is_acknowledged_and_counted(cloud, device):
    out = cloud.queue("disabled")
    cloud.rule("off", "SELECT *", {"sqs": {"queueUrl": out, "roleArn": cloud.roles["good"]}}, error=out)
    cloud.client("iot").disable_topic_rule(ruleName="off")

    device.publish("$aws/rules/off/a", b"{}")
    device.publish("$aws/rules/nosuch/a", b"{}")
    cloud.client("iot").enable_topic_rule(ruleName="off")
    device.publish("$aws/rules/off/a", b'{"n": 2}')

    assert cloud.receive(out, 1) == ['{"n": 2}']


def test_a_rule_sees_who_connects_and_who_leaves(cloud, tmp_path):
    out = cloud.queue("presence")
    sql = "SELECT clientId, eventType, topic(4) AS how FROM '$aws/events/presence/+/watched-device'"
    cloud.rule("presence", sql, {"sqs": {"queueUrl": out, "roleArn": cloud.roles["good"]}}, error=out)

    device = cloud.device("watched-device", tmp_path)
    device.subscribe("a")
    device.close()

    seen = [json.loads(body) for body in cloud.receive(out, 2)]
    assert sorted(one["eventType"] for one in seen) == ["connected", "disconnected"]
    assert {one["how"] for one in seen} == {"connected", "disconnected"}


def test_a_rule_that_feeds_itself_ends_in_its_error_action(cloud, device):
    errors = cloud.queue("loop_errors")
    again = {"republish": {"topic": "loop", "roleArn": cloud.roles["good"], "qos": 1}}
    cloud.rule("loop", "SELECT * FROM 'loop'", again, error=errors)

    device.publish("loop", b'{"x": 1}')

    (told,) = cloud.receive(errors, 1)
    (failure,) = json.loads(told)["failures"]
    assert failure["failedAction"] == "RepublishAction"
    assert "Endless loop" in failure["errorMessage"]


def test_a_function_is_invoked_only_if_its_policy_lets_this_rule(cloud, device, tmp_path):
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "echo.py").write_text("def handle(event, context):\n    return event\n")
    functions, errors = cloud.client("lambda"), cloud.queue("function_errors")
    code = {"S3Bucket": "local-directory", "S3Key": str(tmp_path / "code")}
    arn = functions.create_function(FunctionName="echo", Role=cloud.roles["good"], Runtime="python3.13",
                                    Handler="echo.handle", Code=code)["FunctionArn"]  # fmt: skip
    cloud.rule("invoke", "SELECT * FROM 'invoke'", {"lambda": {"functionArn": arn}}, error=errors)

    def allow(statement: str, rule: str) -> None:
        functions.add_permission(FunctionName="echo", StatementId=statement, Action="lambda:InvokeFunction",
                                 Principal="iot.amazonaws.com", SourceArn=f"{RULE}/{rule}")  # fmt: skip

    device.publish("invoke", b'{"n": 1}')
    without = cloud.receive(errors, 1)
    allow("another", "another")
    device.publish("invoke", b'{"n": 2}')
    of_another = cloud.receive(errors, 1)
    allow("this", "invoke")
    device.publish("invoke", b'{"n": 3}')

    told = [json.loads(body) for body in (*without, *of_another)]
    assert [base64.b64decode(one["base64OriginalPayload"]) for one in told] == [b'{"n": 1}', b'{"n": 2}']
    assert all("AccessDenied" in one["failures"][0]["errorMessage"] for one in told)
    assert cloud.receive(errors, 1, wait_s=2) == []
