"""Asynchronous invocation: events are acknowledged, queued, tried up to three times, and never dropped unseen.

("Lambda: asynchronous invocation": a function error is tried again after one minute and after two; throttles and
service errors return to the queue with a pause growing from 1 s to 5 min until the event is too old; what fails for
good goes to the dead-letter queue and the on-failure destination.) The queue is in memory: it survives any worker,
not the end of the local cloud itself.
"""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from infra.local.clock import Clock
from infra.local.functions.model import (
    LATEST,
    SEND_ACTIONS,
    Allows,
    Aws,
    Configuration,
    InvokeResult,
    LambdaError,
    Target,
    ThrottledError,
)
from infra.local.functions.timers import Timers

RETRY_AFTER_S = (60.0, 120.0)
FIRST_PAUSE_S = 1.0
LONGEST_PAUSE_S = 300.0

_log = logging.getLogger(__name__)

Resolve = Callable[[str], Target]
Run = Callable[[Target, bytes, str], Awaitable[InvokeResult]]
"""(target, payload, request id).

One attempt, in the background lane; raises ThrottledError where no concurrency is left.
"""


@dataclass(slots=True, kw_only=True)
class Event:
    """One acknowledged event."""

    request_id: str
    reference: str
    """Function and qualifier; what it stands for is looked up at each attempt."""
    payload: bytes
    accepted_at: float
    """Epoch seconds of the movable clock."""
    failures: int = 0
    pause_s: float = FIRST_PAUSE_S


class AsyncQueue:
    """Every event of every function that is acknowledged and not yet done."""

    def __init__(  # noqa: PLR0917 - the ports of a room
        self, clock: Clock, timers: Timers, aws: Aws, resolve: Resolve, run: Run, allows: Allows
    ) -> None:
        self._clock = clock
        self._timers = timers
        self._aws = aws
        self._resolve = resolve
        self._run = run
        self._allows = allows
        self._open = 0
        self._tasks: set[asyncio.Task[None]] = set()
        self.invoke: Callable[[str, bytes], Awaitable[object]] | None = None
        """How a Lambda destination is invoked; set by the composition."""

    @property
    def open_events(self) -> int:
        """Return how many events are acknowledged and not yet done."""
        return self._open

    async def stop(self) -> None:
        """Give up what is running."""
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def add(self, event: Event) -> None:
        """Take an event; from here on it is acknowledged."""
        self._open += 1
        self._spawn(event)

    def _spawn(self, event: Event) -> None:
        task = asyncio.create_task(self._attempt(event))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _attempt(self, event: Event) -> None:
        try:
            target = self._resolve(event.reference)
        except LambdaError:  # deleted meanwhile: nobody is left to tell
            _log.warning("an event of %s has no function any more", event.reference)
            self._open -= 1
            return
        if self._clock.time() - event.accepted_at > target.async_config.max_age_s:
            await self._settle(event, target, "EventAgeExceeded", None)
            return
        try:
            result = await self._run(target, event.payload, event.request_id)
        except ThrottledError:
            self._again(event, target, event.pause_s)
            event.pause_s = min(event.pause_s * 2, LONGEST_PAUSE_S)
        except asyncio.CancelledError:
            raise
        except Exception:  # noqa: BLE001 - the worker loop's edge: AWS's "service error" returns to the queue
            _log.exception("an event of %s could not be run", event.reference)
            self._again(event, target, event.pause_s)
            event.pause_s = min(event.pause_s * 2, LONGEST_PAUSE_S)
        else:
            await self._judge(event, target, result)

    async def _judge(self, event: Event, target: Target, result: InvokeResult) -> None:
        if result.function_error is None:
            await self._settle(event, target, "Success", result)
            return
        event.failures += 1
        if event.failures > target.async_config.retries:
            await self._settle(event, target, "RetriesExhausted", result)
        else:
            self._again(event, target, RETRY_AFTER_S[event.failures - 1])

    def _again(self, event: Event, target: Target, pause_s: float) -> None:
        due = self._clock.time() + pause_s
        # An event that would be too old by then is given up when it becomes so.
        oldest = event.accepted_at + target.async_config.max_age_s
        self._timers.at(min(due, oldest + 0.001), lambda: self._spawn(event))

    async def _settle(self, event: Event, target: Target, condition: str, result: InvokeResult | None) -> None:
        """Tell destination and dead-letter queue how an event ended, and forget it."""
        config = target.async_config
        failed = condition != "Success"
        destination = config.on_failure_arn if failed else config.on_success_arn
        try:
            if destination:
                record = json.dumps(self._record(event, target, condition, result), default=str)
                await self.send(target.configuration.role, destination, record)
            if failed and target.configuration.dead_letter_arn:
                await self._dead_letter(target.configuration, event, result)
        except Exception:  # noqa: BLE001 - the worker loop's edge: AWS counts DestinationDeliveryFailures
            _log.exception(
                "event %s of %s could not be delivered to its destination", event.request_id, event.reference
            )
        finally:
            self._open -= 1

    def _record(self, event: Event, target: Target, condition: str, result: InvokeResult | None) -> dict[str, Any]:
        """Return the invocation record. ("Capturing records of asynchronous invocations")."""
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": datetime.fromtimestamp(self._clock.time(), UTC)
            .isoformat(timespec="milliseconds")
            .replace("+00:00", "Z"),
            "requestContext": {
                "requestId": event.request_id,
                "functionArn": f"{target.configuration.function_arn}:{target.qualifier or LATEST}",
                "condition": condition,
                "approximateInvokeCount": event.failures + (condition == "Success"),
            },
            "requestPayload": _json(event.payload),
        }
        if result:
            context = {"statusCode": 200, "executedVersion": result.version}
            if result.function_error:
                context["functionError"] = result.function_error
            record["responseContext"] = context
            record["responsePayload"] = _json(result.payload)
        return record

    async def send(self, role_arn: str, arn: str, body: str, attributes: Mapping[str, Any] | None = None) -> None:
        """Deliver to a queue, a topic or a function, as far as the function's role may.

        Raises:
            LambdaError: it may not.
        """
        service = arn.split(":")[2]
        if not await self._allows(role_arn, SEND_ACTIONS[service], arn):
            message = f"{role_arn} is not authorized to perform: {SEND_ACTIONS[service]} on resource: {arn}"
            raise LambdaError("AccessDeniedException", message, 403)
        more = {"MessageAttributes": attributes} if attributes else {}
        if service == "sqs":
            url = await queue_url(self._aws, arn)
            await self._aws.call("sqs", "send_message", QueueUrl=url, MessageBody=body, **more)
        elif service == "sns":
            await self._aws.call("sns", "publish", TopicArn=arn, Message=body, **more)
        elif self.invoke:
            await self.invoke(arn, body.encode())

    async def _dead_letter(self, configuration: Configuration, event: Event, result: InvokeResult | None) -> None:
        """Send the event itself, with the error in attributes. ("Adding a dead-letter queue")."""
        error = _json(result.payload) if result else {}
        message = str(error.get("errorMessage", "")) if isinstance(error, dict) else ""
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": event.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": "200"},
            "ErrorMessage": {"DataType": "String", "StringValue": message[:1024] or "Event age exceeded"},
        }
        arn = configuration.dead_letter_arn or ""
        await self.send(configuration.role, arn, event.payload.decode(), attributes)


async def queue_url(aws: Aws, arn: str) -> str:
    """Return the URL of a queue."""
    answer = await aws.call("sqs", "get_queue_url", QueueName=arn.rpartition(":")[2])
    return str(answer["QueueUrl"])


def _json(payload: bytes) -> Any:
    try:
        return json.loads(payload or b"null")
    except ValueError:
        return payload.decode("utf-8", "replace")
