"""The engine: which rules run, what their actions get, and what happens when one fails."""

import asyncio
import base64
import json
from datetime import timedelta

import pytest

from infra.local.iot.message import Properties
from infra.local.iot.rules.aws_calls import Call, CallError
from infra.local.iot.rules.engine import BACKOFF_S
from tests.unit.iot_rules.fakes import FUNCTION, ROLE, FakeAws, Room, lambda_action, message, republish, sqs

TELEMETRY = (
    "SELECT encode(*, 'base64') AS body, clientid() AS thing, principal() AS principal, timestamp() AS received_ms "
    "FROM 'dt/dev/+/telemetry' WHERE clientid() = topic(3)"
)


def only(service: str, error: CallError):
    return lambda call: error if call.service == service else None


async def test_a_function_gets_the_result_of_the_select_and_nothing_else():
    room = Room()
    await room.rule("dev_telemetry", TELEMETRY, lambda_action())

    await room.publish("dt/dev/thing/telemetry", b"\xff not json")

    (call,) = room.aws.sent
    assert json.loads(call.body) == {
        "body": base64.b64encode(b"\xff not json").decode(),
        "thing": "thing",
        "principal": "c" * 64,
        "received_ms": 1767225600000,
    }
    assert call.headers["x-amz-invocation-type"] == "Event"
    assert call.role_arn is None
    assert room.aws.source_arns == {"arn:aws:iot:us-east-1:123456789012:rule/dev_telemetry"}


async def test_where_that_is_not_true_runs_no_action():
    room = Room()
    await room.rule("dev_telemetry", TELEMETRY, lambda_action())

    await room.publish("dt/dev/another/telemetry")
    await room.publish("dt/dev/thing/urgent")

    assert room.aws.sent == []


async def test_basic_ingest_runs_the_named_rule_alone_and_hides_the_prefix():
    room = Room()
    await room.rule("named", "SELECT topic() AS t, topic(1) AS first", lambda_action())
    await room.rule("other", "SELECT * FROM 'a/b'", lambda_action())

    assert room.engine.accepts("$aws/rules/named/a/b")
    await room.publish("$aws/rules/named/a/b")

    assert room.aws.bodies("lambda") == [{"t": "a/b", "first": "a"}]


async def test_basic_ingest_on_an_unknown_or_disabled_rule_is_counted_and_takes_no_harm():
    room = Room()
    await room.rule("off", "SELECT 1 AS one", lambda_action(), ruleDisabled=True)

    await room.publish("$aws/rules/nosuch/a")
    await room.publish("$aws/rules/off/a")

    assert room.engine.metrics["RuleNotFound"] == 2
    assert room.aws.sent == []


async def test_a_rule_runs_from_enabling_to_disabling():
    room = Room()
    await room.rule("r", "SELECT * FROM 'a'", lambda_action(), ruleDisabled=True)
    await room.publish("a")
    await room.call("POST", "/rules/r/enable")
    await room.publish("a")
    await room.call("POST", "/rules/r/disable")
    await room.publish("a")

    assert len(room.aws.sent) == 1


async def test_lifecycle_events_are_messages_like_any_other():
    room = Room()
    await room.rule("presence", "SELECT clientId FROM '$aws/events/presence/+/#'", lambda_action())

    await room.publish("$aws/events/presence/connected/d1", {"clientId": "d1"}, client_id=None)

    assert room.aws.bodies("lambda") == [{"clientId": "d1"}]


async def test_all_actions_run_side_by_side_and_the_failed_one_alone_is_told():
    room = Room(FakeAws(only("lambda", CallError("AccessDeniedException no", status=403))))
    await room.rule("r", "SELECT * FROM 'a'", lambda_action(), sqs("good"), error=sqs("errors"))

    await room.publish("a", {"x": 1})

    good, told = room.aws.bodies("sqs")
    assert good["MessageBody"] == '{"x": 1}'
    document = json.loads(told["MessageBody"])
    assert [failure["failedAction"] for failure in document["failures"]] == ["LambdaAction"]


@pytest.mark.parametrize(
    "error",
    [
        CallError("ProvisionedThroughputExceededException too fast", status=400),
        CallError("AccessDenied", status=403),
        CallError("AWS.SimpleQueueService.NonExistentQueue", status=400),
        CallError("could not be reached"),
    ],
    ids=["throttled table", "missing permission", "missing queue", "no answer"],
)
async def test_an_action_that_fails_runs_the_error_action_once_with_the_original_in_base64(error):
    room = Room(FakeAws(lambda call: error if b'"bad"' in call.body or call.service == "lambda" else None))
    table = {"dynamoDBv2": {"roleArn": ROLE, "putItem": {"tableName": "bad"}}}
    await room.rule("r", "SELECT x FROM 'a/b'", table, lambda_action(), error=sqs())

    await room.publish("a/b", b'{"x": 1, "y": 2}')

    (told,) = room.aws.bodies("sqs")
    document = json.loads(told["MessageBody"])
    trace = document.pop("cloudwatchTraceId")
    failures = document.pop("failures")
    assert document == {
        "ruleName": "r",
        "topic": "a/b",
        "clientId": "thing",
        "base64OriginalPayload": base64.b64encode(b'{"x": 1, "y": 2}').decode(),
    }
    assert len(trace) == 36
    assert [(one["failedAction"], one["failedResource"]) for one in failures] == [
        ("DynamoDBv2Action", "bad"),
        ("LambdaAction", FUNCTION),
    ]
    assert all(str(error) in one["errorMessage"] for one in failures)
    assert room.engine.metrics["ErrorAction.Success"] == 1


async def test_what_may_pass_is_tried_again_with_growing_waits_and_then_done():
    answers = [CallError("TooManyRequestsException", status=429), CallError("oops", status=500), None]
    room = Room(FakeAws(lambda _: answers.pop(0)))
    await room.rule("r", "SELECT * FROM 'a'", lambda_action())

    await room.publish("a")

    assert len(room.aws.sent) == 1
    assert len(room.waits) == 2
    assert all(wait <= longest for wait, longest in zip(room.waits, BACKOFF_S, strict=False))


async def test_what_cannot_pass_is_not_tried_again():
    room = Room(FakeAws(lambda _: CallError("AccessDenied", status=403)))
    await room.rule("r", "SELECT * FROM 'a'", lambda_action())

    await room.publish("a")

    assert (room.aws.tried, room.waits, room.engine.metrics["Lost"]) == (1, [], 1)


async def test_a_poison_message_stops_nobody():
    room = Room()
    await room.rule("r", "SELECT * FROM 'a'", lambda_action(), error=sqs())

    await room.publish("a", b"\xff")
    await room.publish("a", b"[" * 5_000 + b"]" * 5_000)
    await room.publish("a", {"fine": True})

    assert room.aws.bodies("lambda") == [{"fine": True}]
    assert len(room.aws.bodies("sqs")) == 2


@pytest.mark.parametrize(
    ("sql", "payload", "why"),
    [
        ("SELECT 1 AS one FROM 'a'", b'{"x":' * 800 + b"1" + b"}" * 800, "recursion"),
        (
            "SELECT (SELECT (SELECT 1 AS one FROM b) AS i FROM b) AS o, 1 AS x FROM 'a'",
            {"b": [{"b": [1] * 500}] * 500},
            "rows",
        ),
        (
            "SET @s = s SELECT (SELECT *, @s AS s FROM b) AS o, 1 AS x FROM 'a'",
            {"s": "s" * 60_000, "b": [{}] * 20_000},
            "more than a message can carry",
        ),
    ],
)
async def test_what_would_take_too_long_or_too_deep_goes_to_the_error_action(sql, payload, why):
    room = Room()
    await room.rule("r", sql, {"lambda": {"functionArn": FUNCTION + "${x}"}}, error=sqs())

    await room.publish("a", payload)

    (told,) = room.aws.bodies("sqs")
    assert why in told["MessageBody"]
    assert room.aws.bodies("lambda") == []


async def test_an_error_action_that_fails_is_logged_with_the_whole_document(caplog):
    room = Room(FakeAws(lambda _: CallError("AccessDenied", status=403)))
    await room.rule("r", "SELECT * FROM 'a'", lambda_action(), error=sqs())

    await room.publish("a", b"precious")

    assert room.engine.metrics["ErrorAction.Failure"] == 1
    assert base64.b64encode(b"precious").decode() in caplog.text


async def test_a_flood_goes_to_the_error_action_instead_of_memory(monkeypatch):
    monkeypatch.setattr("infra.local.iot.rules.engine.MAX_PENDING", 3)
    room = Room()
    await room.rule("r", "SELECT n FROM 'a'", lambda_action(), error=sqs())

    for n in range(8):
        room.engine.receive(message("a", {"n": n}))
    await room.settle()

    assert room.aws.bodies("lambda") == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert len(room.aws.bodies("sqs")) == 3
    assert room.engine.metrics["Lost"] == 2


async def test_republished_messages_run_rules_and_an_endless_loop_ends_by_saying_so():
    room = Room()
    await room.rule("loop", "SELECT *, 1 AS again FROM 'a'", republish("a"), error=sqs())
    await room.publish("a", {"x": 1})

    hops = 0
    while room.aws.sent and (call := room.aws.sent.pop()).service == "iotdata":
        hops += 1
        assert hops < 50, "endless"
        await room.publish("a", call.body, client_id=None)

    assert hops == 10
    assert b"Endless loop" in call.body


async def test_a_message_that_was_republished_long_ago_is_nobodys_echo():
    room = Room()
    await room.rule("once", "SELECT * FROM 'a'", republish("a"))

    for _ in range(20):
        await room.publish("a", {"x": 1}, client_id=None)
        room.clock.move(timedelta(seconds=60))

    assert len(room.aws.sent) == 20


async def test_a_loop_through_a_shadow_is_seen_too():
    room = Room()
    await room.rule("loop", "SELECT state FROM '$aws/things/+/shadow/update/accepted'",
                    republish("$$aws/things/lamp/shadow/update"), error=sqs())  # fmt: skip
    for number in range(20):
        await room.publish("$aws/things/lamp/shadow/update/accepted", {"state": number}, client_id=None)

    assert len([call for call in room.aws.sent if call.service == "iotdata"]) == 10


async def test_a_rule_that_answers_a_shadow_each_time_it_reports_is_no_loop():
    room = Room()
    await room.rule("same", "SELECT state FROM '$aws/things/+/shadow/update/accepted' WHERE state.n < 100",
                    republish("$$aws/things/lamp/shadow/update"), error=sqs())  # fmt: skip
    await room.rule("named", "SELECT state FROM '$aws/things/+/shadow/update/accepted'",
                    republish("$$aws/things/lamp/shadow/name/copy/update"), error=sqs())  # fmt: skip
    for n in range(20):
        await room.publish("$aws/things/lamp/shadow/update/accepted", {"state": {"n": n}}, client_id=None)
        room.clock.move(timedelta(seconds=2))

    assert len([call for call in room.aws.sent if call.service == "iotdata"]) == 40


async def test_templates_see_the_original_payload_and_never_an_alias():
    room = Room()
    await room.rule("r", "SET @s = site SELECT id AS site FROM 'a/#'",
                    republish("out/${topic(2)}/${@s}/${site}/${nosuch}"))  # fmt: skip

    await room.publish("a/b", {"id": "d1", "site": "north"})

    (call,) = room.aws.sent
    assert (call.path, call.query, call.role_arn) == ("/topics/out%2Fb%2Fnorth%2Fnorth%2F", "qos=0", ROLE)
    assert json.loads(call.body) == {"site": "d1"}


async def test_a_shadow_is_fetched_under_its_role_before_the_statement_is_decided():
    room = Room()
    room.aws.answers["/things/lamp/shadow"] = b'{"state": {"reported": {"on": true}}}'
    sql = f"SELECT get_thing_shadow(topic(2), '{ROLE}').state.reported.on AS on FROM 'a/+' WHERE on = true"
    await room.rule("r", sql.replace("WHERE on", f"WHERE get_thing_shadow(topic(2), '{ROLE}').state.reported.on"),
                    lambda_action())  # fmt: skip

    await room.publish("a/lamp")

    shadow, invoke = room.aws.sent
    assert (shadow.method, shadow.service, shadow.role_arn) == ("GET", "iotdata", ROLE)
    assert json.loads(invoke.body) == {"on": True}


async def test_a_shadow_that_the_role_may_not_read_goes_to_the_error_action_and_a_missing_one_is_undefined():
    sql = f"SELECT get_thing_shadow('lamp', 'cfg', '{ROLE}') AS s, 1 AS one FROM 'a'"
    forbidden = Room(FakeAws(only("iotdata", CallError("ForbiddenException", status=403))))
    await forbidden.rule("r", sql, lambda_action(), error=sqs())
    missing = Room(FakeAws(only("iotdata", CallError("ResourceNotFoundException", status=404))))
    await missing.rule("r", sql, lambda_action(), error=sqs())

    await forbidden.publish("a")
    await missing.publish("a")

    assert [call.service for call in forbidden.aws.sent] == ["sqs"]
    assert missing.aws.bodies("lambda") == [{"one": 1}]


async def test_mqtt_5_properties_reach_the_statement():
    room = Room()
    await room.rule("r", "SELECT get_mqtt_property('correlation_data') AS c, get_user_properties('k') AS k, "
                    "get_mqtt_property('response_topic') AS r FROM 'a'", lambda_action())  # fmt: skip
    properties = Properties(correlation_data=b"cid", user_properties=(("k", "v"), ("k", "w")))

    room.engine.receive(message("a", properties=properties))
    await room.settle()

    assert room.aws.bodies("lambda") == [{"c": "Y2lk", "k": ["v", "w"]}]


async def test_receiving_returns_at_once_and_actions_follow():
    gate = asyncio.Event()

    class Slow(FakeAws):
        async def send(self, call: Call, source_arn: str) -> bytes:
            await gate.wait()
            return await super().send(call, source_arn)

    room = Room(Slow())
    await room.rule("r", "SELECT * FROM 'a'", lambda_action())
    for _ in range(100):
        room.engine.receive(message("a"))
    assert room.aws.sent == []
    gate.set()
    await room.settle()

    assert len(room.aws.sent) == 100


async def test_a_template_may_ask_for_a_shadow_too():
    room = Room()
    room.aws.answers["/things/lamp/shadow"] = b'{"state": {"reported": {"room": "north"}}}'
    template = f"out/${{get_thing_shadow(topic(2), '{ROLE}').state.reported.room}}"
    await room.rule("r", "SELECT * FROM 'a/+'", republish(template))

    await room.publish("a/lamp")

    assert [call.path for call in room.aws.sent] == ["/things/lamp/shadow", "/topics/out%2Fnorth"]


async def test_what_is_under_way_when_the_gateway_stops_is_said_to_be_lost(caplog):
    class Stuck(FakeAws):
        async def send(self, call: Call, source_arn: str) -> bytes:
            await asyncio.Event().wait()
            raise AssertionError

    room = Room(Stuck())
    await room.rule("r", "SELECT * FROM 'a'", lambda_action())
    room.engine.receive(message("a"))

    assert await room.engine.drain(0.01) == 1
    assert "1 messages are lost" in caplog.text


async def test_a_defect_of_ours_is_a_failed_rule_and_not_a_lost_message(monkeypatch):
    def broken(*_, **__):
        raise ZeroDivisionError("ours")

    room = Room()
    await room.rule("r", "SELECT upper(x) AS y FROM 'a'", lambda_action(), error=sqs())
    monkeypatch.setattr("infra.local.iot.rules.context.to_text", broken)
    room.engine.receive(message("a", {"x": 1}))
    monkeypatch.undo()
    await room.settle()

    (told,) = room.aws.bodies("sqs")
    assert "Internal error: ZeroDivisionError" in told["MessageBody"]
