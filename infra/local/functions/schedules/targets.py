"""What a rule or schedule hands its event to: functions, queues, topics; retried, then dead-lettered.

("EventBridge: retry policy", "EventBridge Scheduler: retry policy": by default up to 185 tries in 24 hours.)
"""

import json
import logging
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

from infra.local.functions.asynchronous import queue_url
from infra.local.functions.model import SEND_ACTIONS, Allows, Aws, LambdaError
from infra.local.functions.timers import Timers
from infra.local.wire import Caller

MAX_RETRIES = 185
MAX_AGE_S = 86_400
FIRST_PAUSE_S, LONGEST_PAUSE_S = 1.0, 300.0

_log = logging.getLogger(__name__)

Invoke = Callable[[str, bytes, Caller], Awaitable[None]]
"""(function ARN, payload, caller): hand an event to a function's asynchronous queue."""


class RefusedError(Exception):
    """The target may not be called, or is not there; trying again changes nothing."""


@dataclass(slots=True, kw_only=True)
class Delivery:
    """One event on its way to one target."""

    arn: str
    body: bytes
    caller: Caller
    """Of a rule: the service, on behalf of the rule. Of a schedule: its role."""
    role_arn: str | None
    accepted_at: float
    sqs_parameters: Mapping[str, Any] = field(default_factory=dict)
    retries: int = MAX_RETRIES
    max_age_s: int = MAX_AGE_S
    dead_letter_arn: str | None = None
    tries: int = 0


class Targets:
    """Delivers events at least once."""

    def __init__(
        self,
        aws: Aws,
        invoke: Invoke,
        timers: Timers,
        allows: Allows,
        spawn: Callable[[Coroutine[Any, Any, None]], None],
    ) -> None:
        self._aws = aws
        self._invoke = invoke
        self._timers = timers
        self._allows = allows
        self._spawn = spawn

    def deliver(self, delivery: Delivery) -> None:
        """Take an event; returns at once."""
        self._spawn(self._attempt(delivery))

    async def _attempt(self, delivery: Delivery) -> None:
        try:
            await self._send(delivery)
        except Exception as error:  # noqa: BLE001 - the delivery's edge: retried, then dead-lettered
            delivery.tries += 1
            age_s = self._timers.now() - delivery.accepted_at
            final = isinstance(error, RefusedError)
            if final or delivery.tries > delivery.retries or age_s > delivery.max_age_s:
                await self._give_up(delivery, error)
                return
            pause_s = min(FIRST_PAUSE_S * 2 ** (delivery.tries - 1), LONGEST_PAUSE_S)
            self._timers.at(self._timers.now() + pause_s, lambda: self._spawn(self._attempt(delivery)))

    async def _send(self, delivery: Delivery) -> None:
        service = delivery.arn.split(":")[2]
        if delivery.role_arn and not await self._allows(delivery.role_arn, SEND_ACTIONS[service], delivery.arn):
            raise RefusedError(
                f"{delivery.role_arn} is not authorized to perform: {SEND_ACTIONS[service]} on {delivery.arn}"
            )
        if service == "sqs":
            url = await queue_url(self._aws, delivery.arn)
            more = delivery.sqs_parameters
            await self._aws.call("sqs", "send_message", QueueUrl=url, MessageBody=delivery.body.decode(), **more)
        elif service == "sns":
            await self._aws.call("sns", "publish", TopicArn=delivery.arn, Message=delivery.body.decode())
        else:
            try:
                await self._invoke(delivery.arn, delivery.body, delivery.caller)
            except LambdaError as error:
                raise RefusedError(str(error)) from error

    async def _give_up(self, delivery: Delivery, error: Exception) -> None:
        """("Using dead-letter queues": the event itself, with the error in attributes)."""
        _log.warning("an event for %s was given up: %s", delivery.arn, error)
        if not delivery.dead_letter_arn:
            return
        attributes = {
            "ERROR_MESSAGE": str(error)[:1024] or "?",
            "TARGET_ARN": delivery.arn,
            "ERROR_CODE": type(error).__name__,
        }
        try:
            url = await queue_url(self._aws, delivery.dead_letter_arn)
            await self._aws.call(
                "sqs",
                "send_message",
                QueueUrl=url,
                MessageBody=delivery.body.decode(),
                MessageAttributes={k: {"DataType": "String", "StringValue": v} for k, v in attributes.items()},
            )
        except Exception:  # noqa: BLE001 - the delivery's edge: there is nowhere left to tell
            _log.exception("the dead-letter queue %s could not be reached", delivery.dead_letter_arn)


def dumps(document: object) -> bytes:
    """Return a document as targets get it."""
    return json.dumps(document).encode()
