"""Asynchronous invocation: acknowledged, tried up to three times, never dropped unseen; by the movable clock."""

import asyncio
import contextlib
import json
import os
import signal
from datetime import timedelta

import pytest
from botocore.exceptions import ClientError

from tests.integration.functions.stage import OWNER, Stage, until, until_runs

QUEUE = "arn:aws:sqs:us-east-1:123456789012:dead"
EVENT = {"raise": "always"}


async def until_more(stage: Stage, than: int) -> None:
    await until(lambda: len(stage.runs()) > than or not stage.functions.queue.open_events)


async def invoke_async(stage: Stage, name: str, event: object) -> None:
    answer = await stage.call("invoke", FunctionName=name, InvocationType="Event", Payload=json.dumps(event))
    assert answer["StatusCode"] == 202


async def test_an_event_is_acknowledged_and_then_handled(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")

        await invoke_async(stage, "f", {"n": 1})

        await until(lambda: stage.functions.queue.open_events == 0)
        assert [run["event"] for run in stage.runs()] == [{"n": 1}]


async def test_a_failing_event_is_tried_again_after_one_minute_and_after_two_under_one_request_id(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", DeadLetterConfig={"TargetArn": QUEUE})
        await invoke_async(stage, "f", EVENT)
        await until(lambda: len(stage.runs()) == 1)

        for minutes, runs in ((1, 2), (2, 3)):
            await until(lambda: stage.functions.timers.waiting)
            stage.clock.move(timedelta(minutes=minutes, seconds=-1))
            await asyncio.sleep(0.1)
            assert len(stage.runs()) == runs - 1
            stage.clock.move(timedelta(seconds=1))
            await until_runs(stage, runs)
        await until(lambda: stage.functions.queue.open_events == 0)

        assert len({run["id"] for run in stage.runs()}) == 1
        (dead,) = stage.aws.messages()
        assert json.loads(dead["MessageBody"]) == EVENT
        attributes = {name: value["StringValue"] for name, value in dead["MessageAttributes"].items()}
        assert attributes == {"RequestID": stage.runs()[0]["id"], "ErrorCode": "200", "ErrorMessage": "always"}


async def test_destinations_get_the_invocation_record(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        await stage.create("next")
        await stage.call(
            "put_function_event_invoke_config",
            FunctionName="f",
            MaximumRetryAttempts=0,
            DestinationConfig={
                "OnFailure": {"Destination": QUEUE},
                "OnSuccess": {"Destination": "arn:aws:lambda:us-east-1:123456789012:function:next"},
            },
        )
        await invoke_async(stage, "f", EVENT)
        await until(stage.aws.messages)
        await invoke_async(stage, "f", {"answer": {"a": 1}})
        await until(lambda: len(stage.runs()) == 3)

        record = json.loads(stage.aws.messages()[0]["MessageBody"])
        assert record["version"] == "1.0"
        assert record["requestContext"] == {
            "requestId": stage.runs()[0]["id"],
            "functionArn": "arn:aws:lambda:us-east-1:123456789012:function:f:$LATEST",
            "condition": "RetriesExhausted",
            "approximateInvokeCount": 1,
        }
        assert record["requestPayload"] == EVENT
        assert record["responseContext"] == {
            "statusCode": 200,
            "executedVersion": "$LATEST",
            "functionError": "Unhandled",
        }
        assert record["responsePayload"]["errorMessage"] == "always"
        success = stage.runs()[2]["event"]
        assert (success["requestContext"]["condition"], success["responsePayload"]) == ("Success", {"a": 1})


@pytest.mark.parametrize("event", [{"exit": 1}, {"kill": True}, {"sleep": 60}])
async def test_a_worker_that_dies_or_times_out_is_a_failure_like_another(tmp_path, event):
    async with Stage(tmp_path) as stage:
        await stage.create("f", Timeout=1)
        await invoke_async(stage, "f", event)
        for minutes in (1, 2):
            await until(lambda: stage.functions.timers.waiting, 20)
            seen = len(stage.runs())
            stage.clock.move(timedelta(minutes=minutes))
            await until_more(stage, seen)
        await until(lambda: stage.functions.queue.open_events == 0)

        assert len(stage.runs()) == 3


async def test_throttled_events_wait_and_do_not_count_as_tries(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", DeadLetterConfig={"TargetArn": QUEUE})
        await stage.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0)
        await invoke_async(stage, "f", {"n": 1})
        for _ in range(5):
            stage.clock.move(timedelta(minutes=5))
            await asyncio.sleep(0.05)
        assert stage.runs() == []
        assert stage.functions.queue.open_events == 1

        await stage.call("delete_function_concurrency", FunctionName="f")
        stage.clock.move(timedelta(minutes=5))

        await until(lambda: stage.functions.queue.open_events == 0)
        assert len(stage.runs()) == 1
        assert stage.aws.messages() == []


async def test_an_event_too_old_goes_to_the_dead_letter_queue(tmp_path):
    async with Stage(tmp_path) as stage:
        await stage.create("f", DeadLetterConfig={"TargetArn": QUEUE})
        await stage.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0)
        await invoke_async(stage, "f", {"n": 1})
        await until(lambda: stage.functions.timers.waiting)

        stage.clock.move(timedelta(hours=6, seconds=1))

        await until(stage.aws.messages)
        assert json.loads(stage.aws.messages()[0]["MessageBody"]) == {"n": 1}
        assert stage.functions.queue.open_events == 0


async def test_no_acknowledged_event_is_lost_when_workers_are_killed_at_any_moment(tmp_path):
    async with Stage(tmp_path, workers=2) as stage:
        await stage.create("f", DeadLetterConfig={"TargetArn": QUEUE})
        total = 30
        for number in range(total):
            event = {"n": number, "sleep": 0.01, "finish": True}
            stage.functions.enqueue("f", json.dumps(event).encode(), caller=OWNER)

        for _ in range(5):
            await until_more(stage, len(stage.runs()) + 2)
            for worker in list(stage.functions.pool.workers):
                if worker.pid:
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(worker.pid, signal.SIGKILL)
        while stage.functions.queue.open_events:
            await until(lambda: stage.functions.timers.waiting or not stage.functions.queue.open_events)
            stage.clock.move(timedelta(minutes=2))
            await asyncio.sleep(0.05)

        finished = {run["finished"] for run in stage.runs() if "finished" in run}
        dead = {json.loads(message["MessageBody"])["n"] for message in stage.aws.messages()}
        assert finished | dead == set(range(total))
        assert len(dead) < total / 2
        assert stage.functions.pool.most_alive <= 2


async def test_a_role_that_may_not_send_to_the_dead_letter_queue_is_refused_when_the_function_is_made(tmp_path):
    async def nothing(_role: str, _action: str, _resource: str) -> bool:
        return False

    async with Stage(tmp_path, allows=nothing) as stage:
        with pytest.raises(ClientError, match="does not have permissions to call SendMessage on SQS"):
            await stage.create("f", DeadLetterConfig={"TargetArn": QUEUE})


async def test_a_destination_that_the_role_may_not_reach_is_refused_when_it_is_named(tmp_path):
    async def only_topics(_role: str, action: str, _resource: str) -> bool:
        return action != "sqs:SendMessage"

    stream = "arn:aws:dynamodb:us-east-1:123456789012:table/t/stream/1"
    async with Stage(tmp_path, allows=only_topics) as stage:
        await stage.create("f")
        to = {"DestinationConfig": {"OnFailure": {"Destination": QUEUE}}}
        with pytest.raises(
            ClientError, match=f"execution role does not have permissions to call SendMessage on {QUEUE}"
        ):
            await stage.call("put_function_event_invoke_config", FunctionName="f", **to)
        mapping = {"FunctionName": "f", "EventSourceArn": stream, "StartingPosition": "LATEST"}
        with pytest.raises(ClientError, match="execution role does not have permissions to call SendMessage on"):
            await stage.call("create_event_source_mapping", **mapping, **to)
        bucket = {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:s3:::b"}}}
        with pytest.raises(ClientError, match="A destination arn:aws:s3:::b is not carried by the local cloud"):
            await stage.call("create_event_source_mapping", **mapping, **bucket)
