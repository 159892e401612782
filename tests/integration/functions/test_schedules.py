"""Rules and schedules by the movable clock, and S3's events; each with its refusal, retry and dead letters."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from infra.local.clock import ManualClock
from tests.integration.functions.stage import NOW, ROLE, FakeAws, Stage, until

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:f"
RULE = "arn:aws:events:us-east-1:123456789012:rule/r"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:q"


def stage_at(tmp_path, at: datetime = NOW, **options) -> Stage:
    return Stage(tmp_path, clock=ManualClock(at), **options)


async def settle() -> None:
    for _ in range(5):
        await asyncio.sleep(0.02)


async def until_sent(stage: Stage, count: int) -> None:
    await until(lambda: len(stage.aws.messages()) >= count)


async def allow(stage: Stage, principal: str, source_arn: str) -> None:
    permission: dict[str, Any] = {"Action": "lambda:InvokeFunction", "Principal": principal, "SourceArn": source_arn}
    await stage.call("add_permission", FunctionName="f", StatementId=principal.partition(".")[0], **permission)


async def test_a_rule_fires_at_its_rate_in_the_documented_shape(tmp_path):
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        await allow(stage, "events.amazonaws.com", RULE)
        made = await stage.call("put_rule", service="events", Name="r", ScheduleExpression="rate(5 minutes)")
        assert made["RuleArn"] == RULE
        await stage.call("put_targets", service="events", Rule="r", Targets=[{"Id": "1", "Arn": FUNCTION}])

        stage.clock.move(timedelta(minutes=4, seconds=59))
        await settle()
        assert stage.runs() == []
        stage.clock.move(timedelta(seconds=1))
        await until(stage.runs)

        event = stage.runs()[0]["event"]
        assert event | {"id": ""} == {
            "version": "0",
            "id": "",
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": "123456789012",
            "time": "2026-11-23T12:05:00Z",
            "region": "us-east-1",
            "resources": [RULE],
            "detail": {},
        }
        stage.clock.move(timedelta(minutes=15))
        await until(lambda: len(stage.runs()) == 4)


async def test_a_rule_without_permission_is_refused_at_the_function_and_dead_lettered(tmp_path):
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        await stage.call("put_rule", service="events", Name="r", ScheduleExpression="cron(0 13 * * ? *)")
        target = {"Id": "1", "Arn": FUNCTION, "DeadLetterConfig": {"Arn": QUEUE}, "Input": '{"own": 1}'}
        await stage.call("put_targets", service="events", Rule="r", Targets=[target])

        stage.clock.move(timedelta(hours=1))
        await until(stage.aws.messages)

        assert stage.runs() == []
        (dead,) = stage.aws.messages()
        assert json.loads(dead["MessageBody"]) == {"own": 1}
        assert "not authorized" in dead["MessageAttributes"]["ERROR_MESSAGE"]["StringValue"]


async def test_rules_are_described_disabled_and_deleted(tmp_path):
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        await allow(stage, "events.amazonaws.com", RULE)
        await stage.call("put_rule", service="events", Name="r", ScheduleExpression="rate(1 minute)")
        await stage.call("put_targets", service="events", Rule="r", Targets=[{"Id": "1", "Arn": FUNCTION}])
        await stage.call("disable_rule", service="events", Name="r")
        stage.clock.move(timedelta(minutes=3))
        await settle()
        assert stage.runs() == []
        assert (await stage.call("describe_rule", service="events", Name="r"))["State"] == "DISABLED"

        with pytest.raises(ClientError, match="has targets"):
            await stage.call("delete_rule", service="events", Name="r")
        await stage.call("remove_targets", service="events", Rule="r", Ids=["1"])
        await stage.call("delete_rule", service="events", Name="r")
        assert (await stage.call("list_rules", service="events"))["Rules"] == []
        for wrong in ({"ScheduleExpression": "at(2026-12-01T00:00:00)"}, {"EventPattern": '{"source": ["x"]}'}):
            with pytest.raises(ClientError):
                await stage.call("put_rule", service="events", Name="r", **wrong)


async def schedule(stage: Stage, expression: str, **settings) -> Any:
    target = {"Arn": FUNCTION, "RoleArn": ROLE, **settings.pop("target", {})}
    window = {"Mode": "OFF"}
    given = {"Name": "s", "ScheduleExpression": expression, "FlexibleTimeWindow": window, "Target": target, **settings}
    return await stage.call("create_schedule", service="scheduler", **given)


async def test_a_schedule_follows_its_time_zone_over_daylight_saving(tmp_path):
    async with stage_at(tmp_path, datetime(2026, 10, 24, 0, tzinfo=UTC)) as stage:
        await stage.create("f")
        body = '{"at": "<aws.scheduler.scheduled-time>"}'
        await schedule(stage, "cron(0 8 * * ? *)", ScheduleExpressionTimezone="Europe/Berlin", target={"Input": body})
        stage.clock.move(timedelta(days=3))
        await until(lambda: len(stage.runs()) == 3)
        assert sorted(run["event"]["at"] for run in stage.runs()) == [
            "2026-10-24T06:00:00Z",
            "2026-10-25T07:00:00Z",
            "2026-10-26T07:00:00Z",
        ]


async def test_a_single_run_happens_once_and_may_delete_itself(tmp_path):
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        await schedule(stage, "at(2026-11-23T13:00:00)", ActionAfterCompletion="DELETE")
        stage.clock.move(timedelta(hours=1))
        await until(stage.runs)
        stage.clock.move(timedelta(days=400))
        await settle()
        assert len(stage.runs()) == 1
        with pytest.raises(ClientError) as caught:
            await stage.call("get_schedule", service="scheduler", Name="s")
        assert caught.value.response["Error"]["Code"] == "ResourceNotFoundException"


async def test_a_rate_without_a_start_begins_at_once_and_an_end_ends_it(tmp_path):
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        await schedule(stage, "rate(10 minutes)", EndDate=NOW + timedelta(minutes=25))
        await until(stage.runs)
        stage.clock.move(timedelta(hours=2))
        await until(lambda: len(stage.runs()) == 3)
        await settle()
        assert len(stage.runs()) == 3


async def test_schedules_live_in_groups_and_change(tmp_path):
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        await stage.call("create_schedule_group", service="scheduler", Name="g")
        made = await schedule(stage, "rate(1 day)", GroupName="g", StartDate=NOW + timedelta(days=1))
        assert made["ScheduleArn"].endswith(":schedule/g/s")
        given = {"Name": "s", "GroupName": "g", "FlexibleTimeWindow": {"Mode": "OFF"}}
        target = {"Arn": FUNCTION, "RoleArn": ROLE}
        await stage.call(
            "update_schedule", service="scheduler", ScheduleExpression="rate(2 days)", Target=target, **given
        )
        shown = await stage.call("get_schedule", service="scheduler", Name="s", GroupName="g")
        assert (shown["ScheduleExpression"], shown["Target"]["Arn"]) == ("rate(2 days)", FUNCTION)
        listed = await stage.call("list_schedules", service="scheduler", GroupName="g")
        assert [each["Name"] for each in listed["Schedules"]] == ["s"]
        await stage.call("delete_schedule", service="scheduler", Name="s", GroupName="g")
        await stage.call("delete_schedule_group", service="scheduler", Name="g")


async def test_a_schedule_whose_role_may_not_invoke_is_refused(tmp_path):
    async def nothing(_role: str, _action: str, _resource: str) -> bool:
        return False

    async with stage_at(tmp_path, allows=nothing) as stage:
        await stage.create("f")
        await schedule(stage, "rate(10 minutes)", target={"DeadLetterConfig": {"Arn": QUEUE}})
        await until(stage.aws.messages)
        assert stage.runs() == []


async def test_a_target_that_fails_is_tried_again(tmp_path):
    class Flaky(FakeAws):
        async def call(self, service, operation, **params):
            answer = await super().call(service, operation, **params)
            if operation == "send_message" and len(self.messages()) < 3:
                raise ConnectionError("not now")
            return answer

    async with stage_at(tmp_path, aws=Flaky()) as stage:
        await schedule(stage, "at(2026-11-23T12:01:00)", target={"Arn": QUEUE, "Input": "{}"})
        for wanted in (1, 2, 3):
            stage.clock.move(timedelta(minutes=1))
            await until_sent(stage, wanted)
        stage.clock.move(timedelta(hours=1))
        await settle()
        assert len(stage.aws.messages()) == 3


async def test_an_event_of_s3_reaches_its_function_where_a_policy_lets_it(tmp_path):
    event = {
        "Records": [{"eventSource": "aws:s3", "s3": {"bucket": {"arn": "arn:aws:s3:::b"}, "object": {"key": "a+b"}}}]
    }
    async with stage_at(tmp_path) as stage:
        await stage.create("f")
        stage.functions.on_s3_event(FUNCTION, event)
        await settle()
        assert stage.runs() == []

        await allow(stage, "s3.amazonaws.com", "arn:aws:s3:::b")
        stage.functions.on_s3_event(FUNCTION, event)

        await until(stage.runs)
        assert stage.runs()[0]["event"] == event
