"""The event source mappings of the account: their API, and the readers behind them."""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from infra.local.clock import Clock
from infra.local.functions.asynchronous import queue_url
from infra.local.functions.catalog import Catalog
from infra.local.functions.model import LATEST, Allows, Aws, InvokeResult, LambdaError, Target, invalid, not_found
from infra.local.functions.sources.mapping import EventSource, changed
from infra.local.functions.sources.sqs import QueueReader
from infra.local.functions.sources.streams import Send, StreamReader
from infra.local.functions.timers import Timers

MAX_BACKLOG = 10_000
"""Records of a stream kept for a mapping made later with TRIM_HORIZON; a bound of ours."""
_NEEDS = {
    "sqs": ("sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"),
    "dynamodb": ("dynamodb:GetRecords", "dynamodb:GetShardIterator", "dynamodb:DescribeStream"),
}


class Readers:
    """All mappings, each with a reader while it is enabled."""

    def __init__(
        self,
        catalog: Catalog,
        timers: Timers,
        clock: Clock,
        aws: Aws,
        *,
        run: Callable[[str, bytes], Awaitable[InvokeResult]],
        send: Send,
        new_id: Callable[[], str],
        allows: Allows,
        check_destination: Callable[[str, str], Awaitable[None]],
    ) -> None:
        self._catalog = catalog
        self._aws = aws
        self._run = run
        self._send = send
        self._clock = clock
        self._timers = timers
        self._new_id = new_id
        self._allows = allows
        self._check_destination = check_destination
        self._sources: dict[str, EventSource] = {}
        self._readers: dict[str, StreamReader] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending: set[asyncio.Task[None]] = set()
        self._backlogs: dict[str, deque[Mapping[str, Any]]] = {}

    async def stop(self) -> None:
        """Stop all readers."""
        for source_id in list(self._tasks):
            self._end(source_id)
        await asyncio.gather(*self._ending)

    def receive(self, _table_arn: str, stream_arn: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the records of a table's stream, in its order."""
        self._backlogs.setdefault(stream_arn, deque(maxlen=MAX_BACKLOG)).extend(records)
        for source_id, reader in self._readers.items():
            if self._sources[source_id].source_arn == stream_arn:
                reader.receive(records)

    def list(self, source_arn: str | None, function: str | None) -> list[EventSource]:
        """Return the mappings of a source, of a function, or all."""
        wanted = self._catalog.get(function).latest.function_arn if function else ""
        return [
            source
            for source in self._sources.values()
            if source_arn in (None, source.source_arn) and source.function_arn.startswith(wanted)
        ]

    def get(self, source_id: str) -> EventSource:
        """Return a mapping.

        Raises:
            LambdaError: there is none.
        """
        if source_id not in self._sources:
            raise not_found("The resource you requested does not exist. Event source mapping", source_id)
        return self._sources[source_id]

    async def create(self, given: Mapping[str, Any]) -> EventSource:
        """Make a mapping as CreateEventSourceMapping describes it, and begin to read."""
        source_arn = given.get("EventSourceArn", "")
        if source_arn.count(":") < 5 or source_arn.split(":")[2] not in _NEEDS:
            raise invalid(f"Event source {source_arn} is not carried by the local cloud")
        target = self._catalog.resolve(given.get("FunctionName", ""))
        empty = EventSource(
            id=self._new_id(),
            source_arn=source_arn,
            function=f"{target.configuration.name}:{target.qualifier or LATEST}",
            function_arn=target.invoked_arn,
            last_modified=self._clock.time(),
            batch_size=10 if source_arn.split(":")[2] == "sqs" else 100,
        )
        source = changed(empty, given)
        await self._check(source, target)
        if any(
            each.source_arn == source_arn and each.function_arn == target.invoked_arn for each in self._sources.values()
        ):
            raise LambdaError("ResourceConflictException", "An event source mapping with these already exists", 409)
        self._sources[source.id] = source
        from_start = source.starting_position == "TRIM_HORIZON"
        self._begin(source, list(self._backlogs.get(source_arn, ())) if from_start else [])
        return source

    async def update(self, source_id: str, given: Mapping[str, Any]) -> EventSource:
        """Change a mapping. A stream's records that wait unread are read by the new reader.

        Raises:
            LambdaError: there is none, it may not be so, or it was changed or deleted while this was looked at.
        """
        before = source = self.get(source_id)
        if given.get("FunctionName"):
            target = self._catalog.resolve(given["FunctionName"])
            name = f"{target.configuration.name}:{target.qualifier or LATEST}"
            source = replace(source, function=name, function_arn=target.invoked_arn)
        source = changed(replace(source, last_modified=self._clock.time()), given)
        await self._check(source, self._catalog.resolve(source.function))
        if self.get(source_id) is not before:  # somebody changed it meanwhile; one who deleted it made get raise
            raise LambdaError("ResourceInUseException", "The event source mapping was being updated; try again", 400)
        reader = self._readers.get(source_id)
        self._end(source_id)
        self._sources[source_id] = source
        self._begin(source, reader.unread() if reader else [])
        return source

    def delete(self, source_id: str) -> EventSource:
        """Remove a mapping."""
        source = self.get(source_id)
        self._end(source_id)
        del self._sources[source_id]
        return source

    def _begin(self, source: EventSource, records: Sequence[Mapping[str, Any]]) -> None:
        """Start a mapping's reader; a disabled one of a stream takes records and waits."""
        reader: QueueReader | StreamReader
        if source.service == "sqs":
            reader = QueueReader(source, self._aws, self._run, self._timers)
        else:
            reader = self._readers[source.id] = StreamReader(source, self._run, self._send, self._clock, self._timers)
            reader.receive(records)
        if source.enabled:
            self._tasks[source.id] = asyncio.create_task(reader.read(), name=f"event source {source.source_arn}")

    def _end(self, source_id: str) -> None:
        self._readers.pop(source_id, None)
        if task := self._tasks.pop(source_id, None):
            ending = asyncio.create_task(_cancel(task))
            self._ending.add(ending)
            ending.add_done_callback(self._ending.discard)

    async def _check(self, source: EventSource, target: Target) -> None:
        """Refuse what AWS refuses when a mapping is made: a role that may not read, a visibility too short."""
        role = target.configuration.role
        if source.on_failure_arn:
            await self._check_destination(role, source.on_failure_arn)
        for action in _NEEDS[source.service]:
            if not await self._allows(role, action, source.source_arn):
                raise invalid(
                    f"The provided execution role does not have permissions to call {action.partition(':')[2]} on SQS"
                    if source.service == "sqs"
                    else f"Cannot access stream {source.source_arn}. Please ensure the role can perform the "
                    "GetRecords, GetShardIterator, DescribeStream, "
                    "ListShards, and ListStreams Actions on your stream in IAM."
                )
        if source.service == "sqs":
            url = await queue_url(self._aws, source.source_arn)
            answer = await self._aws.call(
                "sqs", "get_queue_attributes", QueueUrl=url, AttributeNames=["VisibilityTimeout"]
            )
            visibility_s = int(answer["Attributes"]["VisibilityTimeout"])
            if visibility_s < target.configuration.timeout_s:
                raise invalid(
                    f"Queue visibility timeout: {visibility_s} seconds is less than Function timeout: "
                    f"{target.configuration.timeout_s} seconds"
                )


async def _cancel(task: asyncio.Task[None]) -> None:
    """Cancel until it is so: ``wait_for`` of Python 3.11 may swallow a cancellation that comes as it returns."""
    while not task.done():
        task.cancel()
        await asyncio.wait([task], timeout=0.2)
