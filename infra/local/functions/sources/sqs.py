"""Reads a queue for a function: batches, window, partial failures. Retries and dead letters are the queue's own doing.

("Using Lambda with Amazon SQS": what fails stays invisible until its visibility time-out ends and then comes again,
until maxReceiveCount moves it to the dead-letter queue; what succeeds is deleted.)
"""

import asyncio
import base64
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from infra.local.functions.asynchronous import queue_url
from infra.local.functions.model import Aws, InvokeResult, LambdaError, ThrottledError
from infra.local.functions.sources.mapping import EventSource, failed_items
from infra.local.functions.timers import Timers

WAIT_S = 20
"""Of one long poll."""
FIRST_CONCURRENCY = 5
"""Batches in flight at once, as Lambda begins with; the bound on workers limits it further.

A FIFO queue itself gives out nothing of a message group while something of it is in flight.
"""
_MOST_PER_RECEIVE = 10
_PAUSE_AFTER_ERROR_S = 1.0
FIRST_PAUSE_S = 1.0
"""Before a throttled batch is tried again; then twice as long each time."""

_log = logging.getLogger(__name__)

Run = Callable[[str, bytes], Awaitable[InvokeResult]]
"""(function, payload): one synchronous invocation; raises LambdaError where it is throttled or gone."""


class QueueReader:
    """One mapping's reader; ends when its task is cancelled."""

    def __init__(self, source: EventSource, aws: Aws, run: Run, timers: Timers) -> None:
        self._source = source
        self._aws = aws
        self._run = run
        self._timers = timers
        self._batches: set[asyncio.Task[None]] = set()

    async def read(self) -> None:
        """Read for ever."""
        limit = asyncio.Semaphore(min(FIRST_CONCURRENCY, self._source.maximum_concurrency or FIRST_CONCURRENCY))
        try:
            while True:
                await limit.acquire()
                try:
                    messages = await self._gather()
                except Exception:  # noqa: BLE001 - the reader's loop: the queue may be gone for a while
                    _log.exception("queue %s could not be read", self._source.source_arn)
                    await asyncio.sleep(_PAUSE_AFTER_ERROR_S)
                    messages = []
                if not messages:
                    limit.release()
                    continue
                batch = asyncio.create_task(self._handle(messages))
                self._batches.add(batch)
                batch.add_done_callback(self._batches.discard)
                batch.add_done_callback(lambda _batch: limit.release())
        finally:
            for batch in self._batches:
                batch.cancel()

    async def _gather(self) -> list[dict[str, Any]]:
        """Return the next batch: what is there, or what comes within the window once there is something."""
        url = await queue_url(self._aws, self._source.source_arn)
        size, messages = self._source.batch_size, await self._receive(url, self._source.batch_size, WAIT_S)
        loop = asyncio.get_running_loop()
        until = loop.time() + self._source.window_s
        while messages and len(messages) < size and (left_s := until - loop.time()) > 0:
            more = await self._receive(url, size - len(messages), max(1, int(left_s)))
            messages += more
        return messages

    async def _receive(self, url: str, most: int, wait_s: float) -> list[dict[str, Any]]:
        answer = await self._aws.call(
            "sqs",
            "receive_message",
            QueueUrl=url,
            MaxNumberOfMessages=min(most, _MOST_PER_RECEIVE),
            WaitTimeSeconds=int(wait_s),
            MessageSystemAttributeNames=["All"],
            MessageAttributeNames=["All"],
        )
        return list(answer.get("Messages", []))

    async def _handle(self, messages: list[dict[str, Any]]) -> None:
        """Run the function on a batch and delete what it has done."""
        records = [record(message, self._source.source_arn) for message in messages]
        wanted = [each for each in records if self._source.wants(_filterable(each))]
        try:
            failed = await self._invoke(wanted) if wanted else frozenset[str]()
            # Messages that the filter drops are deleted as well.
            done = [message for message in messages if message["MessageId"] not in failed]
            await self._delete(done)
        except Exception:  # noqa: BLE001 - the reader's loop: the messages come again
            _log.exception("a batch of %s could not be handled", self._source.source_arn)

    async def _invoke(self, records: list[dict[str, Any]]) -> frozenset[str]:
        """Return the ids of the messages that are not done.

        Of a FIFO queue too, what the answer does not name is done: stopping at the first failure and naming all that
        come after it is the function's own part. ("Implementing partial batch responses").
        """
        ids = [each["messageId"] for each in records]
        payload = json.dumps({"Records": records}).encode()
        began, pause_s = self._timers.now(), FIRST_PAUSE_S
        while True:
            try:
                return failed_items(self._source, await self._run(self._source.function, payload), ids)
            except ThrottledError:
                # ("Backoff strategy for failed invocations": retried until the visibility time-out is over.)
                visible_at = began + await self._visibility_s()
                await self._timers.sleep_until(min(self._timers.now() + pause_s, visible_at))
                if self._timers.now() >= visible_at:
                    return frozenset(ids)
                pause_s *= 2
            except LambdaError:  # the function is gone: they come again
                return frozenset(ids)

    async def _visibility_s(self) -> int:
        url = await queue_url(self._aws, self._source.source_arn)
        answer = await self._aws.call("sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["VisibilityTimeout"])
        return int(answer["Attributes"]["VisibilityTimeout"])

    async def _delete(self, messages: list[dict[str, Any]]) -> None:
        if not messages:
            return
        url = await queue_url(self._aws, self._source.source_arn)
        for start in range(0, len(messages), _MOST_PER_RECEIVE):
            entries = [
                {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
                for index, message in enumerate(messages[start : start + _MOST_PER_RECEIVE])
            ]
            await self._aws.call("sqs", "delete_message_batch", QueueUrl=url, Entries=entries)


def record(message: Mapping[str, Any], queue_arn: str) -> dict[str, Any]:
    """Return a message as the event has it. ("Using Lambda with Amazon SQS": example event)."""
    made: dict[str, Any] = {
        "messageId": message["MessageId"],
        "receiptHandle": message["ReceiptHandle"],
        "body": message["Body"],
        "attributes": dict(message.get("Attributes", {})),
        "messageAttributes": {name: _attribute(value) for name, value in message.get("MessageAttributes", {}).items()},
        "md5OfBody": message["MD5OfBody"],
        "eventSource": "aws:sqs",
        "eventSourceARN": queue_arn,
        "awsRegion": queue_arn.split(":")[3],
    }
    if "MD5OfMessageAttributes" in message:
        made["md5OfMessageAttributes"] = message["MD5OfMessageAttributes"]
    return made


def _attribute(given: Mapping[str, Any]) -> dict[str, Any]:
    made: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": given["DataType"]}
    if "StringValue" in given:
        made["stringValue"] = given["StringValue"]
    if "BinaryValue" in given:
        made["binaryValue"] = base64.b64encode(given["BinaryValue"]).decode()
    return made


def _filterable(made: Mapping[str, Any]) -> dict[str, Any]:
    """Return a record as filters see it: a body that is JSON is seen into."""
    try:
        body = json.loads(made["body"])
    except ValueError:
        body = made["body"]
    return {**made, "body": body}
