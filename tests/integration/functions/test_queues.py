"""SQS as an event source, on moto's queues: shapes, batches, partial failures, visibility, maxReceiveCount."""

import asyncio
import json
from datetime import UTC, datetime, timedelta

import pytest
from botocore.exceptions import ClientError

from infra.local.aws import Moto
from infra.local.clock import ManualClock
from infra.local.config import Settings
from tests.integration.functions.stage import HANDLERS, Stage, until, until_runs


class QueueStage(Stage):
    """A stage with a queue of 60 s visibility, moved to a dead-letter queue after three receives."""

    def __init__(self, tmp_path, **options) -> None:
        clock = ManualClock(datetime.now(UTC))
        moto = Moto(Settings(state_dir=tmp_path), clock)
        super().__init__(tmp_path, clock=clock, aws=moto, **options)

    async def __aenter__(self):
        dead = await self.aws.call("sqs", "create_queue", QueueName="dead")
        redrive = {"deadLetterTargetArn": "arn:aws:sqs:us-east-1:123456789012:dead", "maxReceiveCount": 3}
        attributes = {"VisibilityTimeout": "60", "RedrivePolicy": json.dumps(redrive)}
        made = await self.aws.call("sqs", "create_queue", QueueName="q", Attributes=attributes)
        self.url, self.dead_url = made["QueueUrl"], dead["QueueUrl"]
        self.arn = "arn:aws:sqs:us-east-1:123456789012:q"
        return await super().__aenter__()

    async def __aexit__(self, *error):
        await super().__aexit__(*error)
        await self.aws.call("sqs", "delete_queue", QueueUrl=self.url)
        await self.aws.call("sqs", "delete_queue", QueueUrl=self.dead_url)
        await self.aws.stop()

    async def send(self, *bodies: object, **options) -> None:
        for body in bodies:
            await self.aws.call("sqs", "send_message", QueueUrl=self.url, MessageBody=json.dumps(body), **options)

    async def left(self, url: str | None = None) -> int:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        answer = await self.aws.call("sqs", "get_queue_attributes", QueueUrl=url or self.url, AttributeNames=names)
        return sum(map(int, answer["Attributes"].values()))

    def handled(self) -> list[object]:
        return [json.loads(record["body"]) for run in self.runs() for record in run["event"]["Records"]]


async def until_left(stage: QueueStage, count: int, url: str | None = None) -> None:
    for _ in range(500):
        if await stage.left(url) == count:
            return
        await asyncio.sleep(0.02)
    assert await stage.left(url) == count


async def test_a_message_arrives_in_the_documented_shape_and_is_deleted(tmp_path):
    async with QueueStage(tmp_path) as stage:
        await stage.create("f")
        made = await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f")
        assert (made["State"], made["BatchSize"]) == ("Enabled", 10)
        attribute = {"a": {"DataType": "String", "StringValue": "s"}, "b": {"DataType": "Binary", "BinaryValue": b"\0"}}

        await stage.send({"n": 1}, MessageAttributes=attribute)

        await until(stage.runs)
        await until_left(stage, 0)
        (record,) = stage.runs()[0]["event"]["Records"]
        assert set(record) == {
            "messageId", "receiptHandle", "body", "attributes", "messageAttributes", "md5OfBody",
            "md5OfMessageAttributes",
            "eventSource", "eventSourceARN", "awsRegion",
        }  # fmt: skip
        assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == (
            "aws:sqs",
            stage.arn,
            "us-east-1",
        )
        assert record["attributes"]["ApproximateReceiveCount"] == "1"
        assert {"SentTimestamp", "SenderId", "ApproximateFirstReceiveTimestamp"} <= set(record["attributes"])
        assert record["messageAttributes"] == {
            "a": {"stringValue": "s", "stringListValues": [], "binaryListValues": [], "dataType": "String"},
            "b": {"binaryValue": "AA==", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
        }


async def test_a_batch_fills_within_its_window(tmp_path):
    async with QueueStage(tmp_path) as stage:
        await stage.create("f")
        mapping = {"BatchSize": 20, "MaximumBatchingWindowInSeconds": 1}
        await stage.send(*range(15))
        await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f", **mapping)

        await until_left(stage, 0)

        assert sorted(stage.handled()) == list(range(15))
        assert len(stage.runs()) == 1


@pytest.mark.parametrize("failure", [{"raise": "no"}, {"exit": 1}, {"kill": True}, {"sleep": 30}])
async def test_a_failing_batch_comes_again_after_its_visibility_and_then_dies(tmp_path, failure):
    async with QueueStage(tmp_path) as stage:
        stage.rewrite(
            f"""
            import json, os, signal, sys, time
            sys.path.append({str(tmp_path)!r})
            import inner
            def act(event, context):
                return inner.act(event | {failure!r}, context)
            """
        )
        (tmp_path / "inner.py").write_text(HANDLERS)
        stage.record = tmp_path / ".record"
        await stage.create("f", Timeout=1)
        await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f")
        await stage.send({"n": 1})

        for received in (1, 2, 3):
            await until_runs(stage, received)
            await until(lambda: not stage.functions._running["f"])
            stage.clock.move(timedelta(seconds=61))
        await until_left(stage, 1, stage.dead_url)

        assert [run["event"]["Records"][0]["attributes"]["ApproximateReceiveCount"] for run in stage.runs()] == [
            "1",
            "2",
            "3",
        ]


async def test_only_the_items_named_as_failed_come_again(tmp_path):
    async with QueueStage(tmp_path) as stage:
        stage.rewrite("""
            import json
            from pathlib import Path
            RECORD = Path(__file__).parent / ".record"
            def act(event, context):
                with RECORD.open("a") as file:
                    file.write(json.dumps({"event": event}) + "\\n")
                bad = [r["messageId"] for r in event["Records"] if json.loads(r["body"]) % 2]
                return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}
        """)
        await stage.create("f")
        mapping = {"FunctionResponseTypes": ["ReportBatchItemFailures"]}
        await stage.send(*range(6))
        await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f", **mapping)
        await until_left(stage, 3)

        seen = len(stage.runs())
        stage.clock.move(timedelta(seconds=61))
        await until(lambda: len(stage.handled()) == 9)

        again = [json.loads(r["body"]) for run in stage.runs()[seen:] for r in run["event"]["Records"]]
        assert sorted(again) == [1, 3, 5]


async def test_a_throttled_batch_is_tried_again_while_its_messages_are_invisible(tmp_path):
    async with QueueStage(tmp_path) as stage:
        await stage.create("f")
        await stage.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0)
        await stage.send({"n": 1})
        await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f")
        await until(lambda: stage.functions.timers.waiting)  # it was received, and refused
        await stage.call("delete_function_concurrency", FunctionName="f")
        stage.clock.move(timedelta(seconds=2))
        await until_left(stage, 0)
        (run,) = stage.runs()
        assert run["event"]["Records"][0]["attributes"]["ApproximateReceiveCount"] == "1"


async def test_of_a_fifo_queue_a_hanging_group_holds_up_no_other_and_only_what_is_named_comes_again(tmp_path):
    async with QueueStage(tmp_path) as stage:
        stage.rewrite("""
            import json, time
            from pathlib import Path
            RECORD = Path(__file__).parent / ".record"
            def act(event, context):
                with RECORD.open("a") as file:
                    file.write(json.dumps({"event": event}) + "\\n")
                if json.loads(event["Records"][0]["body"]) == "hang": time.sleep(20)
                bad = [r["messageId"] for r in event["Records"] if json.loads(r["body"]) == "bad"]
                return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}
        """)
        await stage.create("f", Timeout=30)
        fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true", "VisibilityTimeout": "60"}
        made = await stage.aws.call("sqs", "create_queue", QueueName="q.fifo", Attributes=fifo)
        plain, stage.url = stage.url, made["QueueUrl"]
        await stage.send("good", "bad", "late", MessageGroupId="a")
        mapping = {"FunctionResponseTypes": ["ReportBatchItemFailures"], "EventSourceArn": f"{stage.arn}.fifo"}
        for refused in ({"BatchSize": 11}, {"MaximumBatchingWindowInSeconds": 1}):
            with pytest.raises(ClientError, match="A FIFO queue has batches of at most 10 and no batching window"):
                await stage.call("create_event_source_mapping", FunctionName="f", **mapping, **refused)
        await stage.call("create_event_source_mapping", FunctionName="f", **mapping)
        await until_left(stage, 1)  # what was named

        await stage.send("hang", MessageGroupId="b")
        await until(lambda: "hang" in stage.handled())
        await stage.send("other", MessageGroupId="c")
        await until(lambda: "other" in stage.handled())

        assert stage.handled() == ["good", "bad", "late", "hang", "other"]
        await until_left(stage, 2)
        await stage.aws.call("sqs", "delete_queue", QueueUrl=stage.url)
        stage.url = plain


async def test_throttled_messages_come_again(tmp_path):
    async with QueueStage(tmp_path) as stage:
        await stage.create("f")
        await stage.call("put_function_concurrency", FunctionName="f", ReservedConcurrentExecutions=0)
        await stage.send({"n": 1})
        await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f")
        await asyncio.sleep(0.2)  # it is received, and refused
        await stage.call("delete_function_concurrency", FunctionName="f")
        stage.clock.move(timedelta(seconds=61))
        await until_left(stage, 0)
        assert stage.handled() == [{"n": 1}]


async def test_filters_drop_what_is_not_wanted(tmp_path):
    async with QueueStage(tmp_path) as stage:
        await stage.create("f")
        criteria = {"Filters": [{"Pattern": json.dumps({"body": {"kind": ["a"]}})}]}
        await stage.send({"kind": "a"}, {"kind": "b"})
        await stage.call(
            "create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f", FilterCriteria=criteria
        )
        await until_left(stage, 0)
        assert stage.handled() == [{"kind": "a"}]


async def test_a_mapping_aws_would_refuse_is_refused(tmp_path):
    async def only_receive(_role: str, action: str, _resource: str) -> bool:
        return action == "sqs:ReceiveMessage"

    async with QueueStage(tmp_path, allows=only_receive) as stage:
        await stage.create("f", Timeout=61)
        with pytest.raises(ClientError, match="does not have permissions to call DeleteMessage on SQS"):
            await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f")
    (tmp_path / "again").mkdir()
    async with QueueStage(tmp_path / "again") as stage:
        await stage.create("f", Timeout=61)
        with pytest.raises(
            ClientError, match="Queue visibility timeout: 60 seconds is less than Function timeout: 61 seconds"
        ):
            await stage.call("create_event_source_mapping", EventSourceArn=stage.arn, FunctionName="f")
