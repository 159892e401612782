"""Table streams as an event source: order, retries, bisecting, checkpoints, destinations."""

import asyncio
import json
from datetime import timedelta
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.integration.functions.stage import Stage, until

TABLE = "arn:aws:dynamodb:us-east-1:123456789012:table/t"
STREAM = TABLE + "/stream/2026-11-23T00:00:00.000"
QUEUE = "arn:aws:sqs:us-east-1:123456789012:failed"

HANDLER = """
import json
from pathlib import Path
RECORD = Path(__file__).parent / ".record"
def act(event, context):
    numbers = [int(r["dynamodb"]["NewImage"]["n"]["N"]) for r in event["Records"]]
    with RECORD.open("a") as file:
        file.write(json.dumps({"event": event, "numbers": numbers}) + "\\n")
    poison = set(json.loads((RECORD.parent / "poison").read_text()))
    if (RECORD.parent / "partial").exists():
        bad = [
            r["dynamodb"]["SequenceNumber"]
            for r in event["Records"]
            if int(r["dynamodb"]["NewImage"]["n"]["N"]) in poison
        ]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in bad[:1]]}
    if poison & set(numbers):
        raise ValueError("poison")
"""


class StreamStage(Stage):
    """A stage whose handler fails on the numbers in ``poison``."""

    async def prepare(self, *poison: int, partial: bool = False, **mapping) -> Any:
        self.rewrite(HANDLER)
        self.poison(*poison)
        if partial:
            (self.code / "partial").touch()
        await self.create("f")
        settings = {"StartingPosition": "TRIM_HORIZON", "BatchSize": 4, **mapping}
        return await self.call("create_event_source_mapping", EventSourceArn=STREAM, FunctionName="f", **settings)

    def poison(self, *numbers: int) -> None:
        (self.code / "poison").write_text(json.dumps(numbers))

    def put(self, *numbers: int, key: str = "k") -> None:
        self.functions.on_records(TABLE, STREAM, [self.made(number, key) for number in numbers])

    def made(self, number: int, key: str) -> Any:
        return {
            "eventID": f"{number:032x}",
            "eventName": "INSERT",
            "eventVersion": "1.1",
            "eventSource": "aws:dynamodb",
            "awsRegion": "us-east-1",
            "dynamodb": {
                "ApproximateCreationDateTime": int(self.clock.time()),
                "Keys": {"id": {"S": key}},
                "NewImage": {"id": {"S": key}, "n": {"N": str(number)}},
                "SequenceNumber": str(10**20 + number),
                "SizeBytes": 26,
                "StreamViewType": "NEW_AND_OLD_IMAGES",
            },
        }

    def batches(self) -> list[list[int]]:
        return [run["numbers"] for run in self.runs()]

    async def until_more_than(self, count: int) -> None:
        await self.pass_time_until(lambda: len(self.batches()) > count)

    async def pass_time_until(self, condition) -> None:
        """Move the clock past every pause until the condition holds."""
        for _ in range(400):
            if condition():
                return
            self.clock.move(timedelta(seconds=10))
            await asyncio.sleep(0.02)
        assert condition()


async def test_records_arrive_in_the_documented_shape_in_order_and_in_batches(tmp_path):
    async with StreamStage(tmp_path) as stage:
        stage.put(0, 1)
        made = await stage.prepare()
        assert (made["StartingPosition"], made["BatchSize"], made["State"]) == ("TRIM_HORIZON", 4, "Enabled")
        stage.put(*range(2, 10))

        await until(lambda: sum(map(len, stage.batches())) == 10)

        assert [number for batch in stage.batches() for number in batch] == list(range(10))
        assert max(map(len, stage.batches())) <= 4
        record = stage.runs()[0]["event"]["Records"][0]
        assert set(record) == {
            "eventID", "eventName", "eventVersion", "eventSource", "awsRegion", "dynamodb", "eventSourceARN",
        }  # fmt: skip
        assert record["eventSourceARN"] == STREAM


async def test_what_a_full_batch_leaves_is_read_without_waiting_for_more(tmp_path):
    async with StreamStage(tmp_path) as stage:
        await stage.prepare(BatchSize=100, MaximumBatchingWindowInSeconds=1)
        records = [stage.made(number, "k") for number in range(20)]
        for record in records:
            record["dynamodb"]["SizeBytes"] = 409_600
        stage.functions.on_records(TABLE, STREAM, records)
        await until(lambda: sum(map(len, stage.batches())) == 20)
        assert [number for batch in stage.batches() for number in batch] == list(range(20))


async def test_latest_begins_with_what_comes_after_it(tmp_path):
    async with StreamStage(tmp_path) as stage:
        stage.put(1)
        await stage.prepare(StartingPosition="LATEST")
        stage.put(2)
        await until(stage.batches)
        assert stage.batches() == [[2]]


async def test_a_failing_batch_blocks_until_its_retries_are_used_up_and_is_then_told(tmp_path):
    async with StreamStage(tmp_path) as stage:
        destination = {"OnFailure": {"Destination": QUEUE}}
        await stage.prepare(2, MaximumRetryAttempts=2, DestinationConfig=destination)
        stage.put(1, 2, 3, 4)
        stage.put(5)

        await stage.pass_time_until(lambda: [5] in stage.batches())

        assert stage.batches() == [[1, 2, 3, 4]] * 3 + [[5]]
        told = json.loads(stage.aws.messages()[0]["MessageBody"])
        assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
        assert told["requestContext"]["approximateInvokeCount"] == 3
        info = told["DDBStreamBatchInfo"]
        assert (info["batchSize"], info["streamArn"]) == (4, STREAM)
        assert (info["startSequenceNumber"], info["endSequenceNumber"]) == (str(10**20 + 1), str(10**20 + 4))


async def test_bisecting_leaves_only_the_poison_behind(tmp_path):
    async with StreamStage(tmp_path) as stage:
        destination = {"OnFailure": {"Destination": QUEUE}}
        await stage.prepare(3, MaximumRetryAttempts=1, BisectBatchOnFunctionError=True, DestinationConfig=destination)
        stage.put(1, 2, 3, 4)

        await stage.pass_time_until(lambda: [4] in stage.batches())

        assert stage.batches() == [[1, 2, 3, 4], [1, 2], [3, 4], [3], [3], [4]]
        assert json.loads(stage.aws.messages()[0]["MessageBody"])["DDBStreamBatchInfo"]["batchSize"] == 1


async def test_the_lowest_failed_record_is_the_checkpoint(tmp_path):
    async with StreamStage(tmp_path) as stage:
        await stage.prepare(3, partial=True, FunctionResponseTypes=["ReportBatchItemFailures"])
        stage.put(1, 2, 3, 4)
        await stage.pass_time_until(lambda: len(stage.batches()) >= 3)
        assert stage.batches()[:3] == [[1, 2, 3, 4], [3, 4], [3, 4]]

        stage.poison()
        seen = len(stage.batches())
        stage.put(5)
        await stage.pass_time_until(lambda: [5] in stage.batches())

        assert stage.batches()[-2:] == [[3, 4], [5]]
        assert len(stage.batches()) >= seen


async def test_records_too_old_are_given_up(tmp_path):
    async with StreamStage(tmp_path) as stage:
        await stage.prepare(1, MaximumRecordAgeInSeconds=60, DestinationConfig={"OnFailure": {"Destination": QUEUE}})
        stage.put(1)
        await until(stage.batches)
        await stage.pass_time_until(stage.aws.messages)
        stage.put(2)
        await until(lambda: stage.batches()[-1] == [2])


async def test_keys_keep_their_order_while_lanes_overtake(tmp_path):
    async with StreamStage(tmp_path, workers=4) as stage:
        await stage.prepare(ParallelizationFactor=4, BatchSize=3)
        for number in range(36):
            stage.put(number, key=f"k{number % 6}")
        await until(lambda: sum(map(len, stage.batches())) == 36)
        for rest in range(6):
            seen = [number for batch in stage.batches() for number in batch if number % 6 == rest]
            assert seen == sorted(seen)


async def test_a_killed_worker_loses_no_record(tmp_path):
    async with StreamStage(tmp_path) as stage:
        await stage.prepare(BatchSize=1)
        stage.put(*range(20))
        for _ in range(3):
            seen = len(stage.batches())
            await stage.until_more_than(min(seen, 19))
            for worker in stage.functions.pool.workers:
                worker.kill()
        await stage.pass_time_until(lambda: {19} <= {number for batch in stage.batches() for number in batch})
        assert {number for batch in stage.batches() for number in batch} == set(range(20))


async def test_a_disabled_mapping_keeps_its_place_and_filters_drop(tmp_path):
    async with StreamStage(tmp_path) as stage:
        made = await stage.prepare(
            FilterCriteria={"Filters": [{"Pattern": json.dumps({"eventName": ["INSERT"]})}]}, Enabled=False
        )
        stage.put(1, 2)
        remove = stage.made(3, "k") | {"eventName": "REMOVE"}
        stage.functions.on_records(TABLE, STREAM, [remove])
        assert stage.batches() == []

        await stage.call("update_event_source_mapping", UUID=made["UUID"], Enabled=True)

        await until(stage.batches)
        assert stage.batches() == [[1, 2]]
        await stage.call("delete_event_source_mapping", UUID=made["UUID"])
        assert (await stage.call("list_event_source_mappings"))["EventSourceMappings"] == []


@pytest.mark.parametrize("meanwhile", ["delete", "update"])
async def test_an_update_that_waited_for_iam_does_not_undo_what_came_meanwhile(tmp_path, meanwhile):
    asked, may_go_on = asyncio.Event(), asyncio.Event()
    may_go_on.set()

    async def allows(*_question) -> bool:
        waits = not may_go_on.is_set() and not asked.is_set()  # the first question alone
        asked.set()
        if waits:
            await may_go_on.wait()
        return True

    async with StreamStage(tmp_path, allows=allows) as stage:
        source_id = (await stage.prepare())["UUID"]
        asked.clear()
        may_go_on.clear()
        late = asyncio.create_task(stage.call("update_event_source_mapping", UUID=source_id, BatchSize=7))
        await asked.wait()
        if meanwhile == "delete":
            await stage.call("delete_event_source_mapping", UUID=source_id)
        else:
            await stage.call("update_event_source_mapping", UUID=source_id, BatchSize=9)
        may_go_on.set()
        error = "ResourceNotFoundException" if meanwhile == "delete" else "ResourceInUseException"
        with pytest.raises(ClientError, match=error):
            await late
        left = (await stage.call("list_event_source_mappings"))["EventSourceMappings"]
        assert [each["BatchSize"] for each in left] == ([] if meanwhile == "delete" else [9])
