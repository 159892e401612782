"""Reads a table's stream for a function.

In order, retried until it succeeds or is given up, then told to a destination.

("Using Lambda with DynamoDB": a batch that fails blocks its shard and is retried; MaximumRetryAttempts,
MaximumRecordAge and BisectBatchOnFunctionError bound that; with ReportBatchItemFailures the lowest sequence number is
the checkpoint.) With a ParallelizationFactor, records of one key keep their order and others overtake.
"""

import asyncio
import contextlib
import json
import logging
import zlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from infra.local.clock import Clock
from infra.local.functions.model import InvokeResult, LambdaError
from infra.local.functions.sources.mapping import MAX_BATCH_BYTES, EventSource, failed_items
from infra.local.functions.timers import Timers

RETENTION_S = 24 * 3600
"""For which a stream keeps its records."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
"""Between two tries; AWS documents that it backs off and not how long."""
SHARD_ID = "shardId-00000001541626099285-f35f62ef"

_log = logging.getLogger(__name__)

Record = Mapping[str, Any]
Run = Callable[[str, bytes], Awaitable[InvokeResult]]
Send = Callable[[str, str, str], Awaitable[None]]
"""(function, ARN of a queue or topic, body): send under the function's role."""


class StreamReader:
    """One mapping's reader: a lane for each concurrent batch."""

    def __init__(self, source: EventSource, run: Run, send: Send, clock: Clock, timers: Timers) -> None:
        self._source = source
        self._lanes = [_Lane(source, run, send, clock, timers) for _ in range(source.parallelization)]

    def receive(self, records: Sequence[Record]) -> None:
        """Take records in the order of the stream."""
        for record in records:
            made = {**record, "eventSourceARN": self._source.source_arn}
            if self._source.wants(made):
                self._lanes[_lane_of(record, len(self._lanes))].add(made)

    def unread(self) -> list[Record]:
        """Return what has not been done or given up yet, in the order of the stream."""
        waiting = [record for lane in self._lanes for record in lane.unread()]
        return sorted(waiting, key=lambda record: int(record["dynamodb"]["SequenceNumber"]))

    async def read(self) -> None:
        """Read for ever."""
        await asyncio.gather(*(lane.read() for lane in self._lanes))


def _lane_of(record: Record, lanes: int) -> int:
    if lanes == 1:
        return 0
    return zlib.crc32(json.dumps(record["dynamodb"]["Keys"], sort_keys=True, default=str).encode()) % lanes


class _Lane:
    def __init__(self, source: EventSource, run: Run, send: Send, clock: Clock, timers: Timers) -> None:
        self._source = source
        self._run = run
        self._send = send
        self._clock = clock
        self._timers = timers
        self._records: deque[Record] = deque()
        self._some = asyncio.Event()
        self._current: list[Record] = []

    def unread(self) -> list[Record]:
        return [*self._current, *self._records]

    def add(self, record: Record) -> None:
        self._records.append(record)
        self._some.set()

    async def read(self) -> None:
        while True:
            if not self._records:
                await self._some.wait()
            await self._fill_window()
            self._current = self._take()
            try:
                await self._process(self._current)
            except Exception:  # noqa: BLE001 - the reader's loop: the next batch is another matter
                _log.exception("a batch of %s was given up", self._source.source_arn)
            self._current = []
            if not self._records:
                self._some.clear()

    async def _fill_window(self) -> None:
        """Wait for a full batch, for as long as the window lasts."""
        loop = asyncio.get_running_loop()
        until = loop.time() + self._source.window_s
        while len(self._records) < self._source.batch_size and (left_s := until - loop.time()) > 0:
            self._some.clear()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._some.wait(), left_s)

    def _take(self) -> list[Record]:
        batch: list[Record] = []
        size_bytes = 0
        while self._records and len(batch) < self._source.batch_size:
            size_bytes += 2 * int(self._records[0]["dynamodb"].get("SizeBytes", 0)) + 512
            if batch and size_bytes > MAX_BATCH_BYTES:
                break
            batch.append(self._records.popleft())
        return batch

    async def _process(self, batch: list[Record]) -> None:
        """Run the function on a batch until every record is done or given up."""
        tries, pause_s = 0, FIRST_PAUSE_S
        while batch := await self._drop_expired(batch, tries):
            result = await self._try(batch)
            if result is not None:
                left = _from_checkpoint(self._source, result, batch)
                if not left:
                    return
                progressed, batch = len(left) < len(batch), left
                if self._source.bisect and len(batch) > 1 and not progressed:
                    # Splitting does not count as a retry; where a checkpoint was reported, it has split the batch.
                    half = len(batch) // 2
                    await self._process(batch[:half])
                    await self._process(batch[half:])
                    return
                tries = 0 if progressed else tries + 1
                if 0 <= self._source.retries < tries:
                    await self._give_up(batch, "RetryAttemptsExhausted", tries, result)
                    return
            await self._timers.sleep_until(self._clock.time() + pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def _try(self, batch: list[Record]) -> InvokeResult | None:
        """Return how one try ended; None where it could not be made (throttled), which does not count."""
        try:
            return await self._run(self._source.function, json.dumps({"Records": batch}, default=str).encode())
        except LambdaError:
            return None

    async def _drop_expired(self, batch: list[Record], tries: int) -> list[Record]:
        limit_s = self._source.max_age_s if self._source.max_age_s >= 0 else RETENTION_S
        oldest = self._clock.time() - limit_s
        expired = [each for each in batch if each["dynamodb"]["ApproximateCreationDateTime"] < oldest]
        if expired:
            await self._give_up(expired, "RecordAgeExceeded", tries, None)
        return batch[len(expired) :]

    async def _give_up(self, batch: list[Record], condition: str, tries: int, result: InvokeResult | None) -> None:
        """Tell the on-failure destination which records were given up. ("Adding an on-failure destination")."""
        if not self._source.on_failure_arn:
            _log.warning("%d records of %s were given up: %s", len(batch), self._source.source_arn, condition)
            return
        body: dict[str, Any] = {
            "requestContext": {
                "requestId": result.request_id if result else "",
                "functionArn": self._source.function_arn,
                "condition": condition,
                "approximateInvokeCount": tries,
            },
            "version": "1.0",
            "timestamp": _shown(self._clock.time()),
            "DDBStreamBatchInfo": {
                "shardId": SHARD_ID,
                "startSequenceNumber": batch[0]["dynamodb"]["SequenceNumber"],
                "endSequenceNumber": batch[-1]["dynamodb"]["SequenceNumber"],
                "approximateArrivalOfFirstRecord": _shown(batch[0]["dynamodb"]["ApproximateCreationDateTime"]),
                "approximateArrivalOfLastRecord": _shown(batch[-1]["dynamodb"]["ApproximateCreationDateTime"]),
                "batchSize": len(batch),
                "streamArn": self._source.source_arn,
            },
        }
        if result:
            body["responseContext"] = {
                "statusCode": 200,
                "executedVersion": result.version,
                "functionError": result.function_error,
            }
        try:
            await self._send(self._source.function, self._source.on_failure_arn, json.dumps(body))
        except Exception:  # noqa: BLE001 - the reader's loop: the stream goes on
            _log.exception("destination %s could not be reached", self._source.on_failure_arn)


def _from_checkpoint(source: EventSource, result: InvokeResult, batch: list[Record]) -> list[Record]:
    """Return the records from the lowest that failed on."""
    ids = [each["dynamodb"]["SequenceNumber"] for each in batch]
    failed = failed_items(source, result, ids)
    return batch[min(ids.index(each) for each in failed) :] if failed else []


def _shown(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
