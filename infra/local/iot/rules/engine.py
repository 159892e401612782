"""The rules engine: every message to the rules it concerns, their results to actions, failures to error actions."""

import asyncio
import base64
import json
import logging
import random
import uuid
from collections import Counter
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import Any, TypeVar
from urllib.parse import quote

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.iot.message import NO_PROPERTIES, Message, Properties
from infra.local.iot.rules.actions import Action, ActionError
from infra.local.iot.rules.aws_calls import Aws, Call, CallError
from infra.local.iot.rules.compiler import Outcome, Query
from infra.local.iot.rules.context import BASIC_INGEST, BEYOND, V2, Context
from infra.local.iot.rules.filters import FilterIndex
from infra.local.iot.rules.templates import unescape_topic
from infra.local.iot.rules.trail import MAX_HOPS, Trail
from infra.local.iot.rules.values import UNDEFINED, Value, load

logger = logging.getLogger(__name__)
BACKOFF_S = (0.2, 0.5, 1.0, 2.0, 4.0)
"""Waits before an action that was throttled, or whose service failed, is tried again; each with jitter."""
MAX_PENDING = 10_000
"""Messages whose actions are under way; one more goes to its error action at once, beyond twice as many it is lost."""
MAX_SHADOW_ROUNDS = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """A deployed rule."""

    name: str
    arn: str
    created_at: float
    definition: Mapping[str, Any]
    """As it was given: what GetTopicRule answers."""
    query: Query
    actions: Sequence[Action]
    error_action: Action | None
    enabled: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one rule made of one message, for those who watch."""

    rule: Rule | None
    """None: no rule was concerned."""
    message: Message
    context: Context
    outcome: Outcome | None = None
    actions: Sequence[Mapping[str, Any]] = ()


class RulesEngine:
    """Implements ``ports.Tap`` for what reaches the broker, and ``ports.Reserved`` for Basic Ingest.

    Counts by name in ``metrics``: ``TopicMatch``, ``RuleNotFound``, ``{action}.Success``, ``{action}.Failure``,
    ``ErrorAction.Success``, ``ErrorAction.Failure``, as the rule metrics of AWS IoT are called.
    """

    def __init__(
        self,
        clock: Clock,
        aws: Aws,
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._clock = clock
        self._aws = aws
        self._sleep = sleep
        self._rules: dict[str, Rule] = {}
        self._index: FilterIndex[Rule] = FilterIndex()
        self._tasks: set[asyncio.Task[None]] = set()
        self._trail = Trail(clock)
        self.metrics: Counter[str] = Counter()
        self.watchers: list[Callable[[Run], None]] = []

    # The rules themselves.

    def get(self, name: str) -> Rule | None:
        """Return a rule by its name."""
        return self._rules.get(name)

    def rules(self) -> list[Rule]:
        """Return all rules, by name."""
        return [self._rules[name] for name in sorted(self._rules)]

    def put(self, rule: Rule) -> None:
        """Deploy a rule in place of any of the same name; it is in force at once."""
        self._rules[rule.name] = rule
        self._reindex()

    def remove(self, name: str) -> None:
        """Withdraw a rule; nothing happens if there is none."""
        self._rules.pop(name, None)
        self._reindex()

    def enable(self, name: str, *, enabled: bool) -> None:
        """Put a rule in force, or out of it."""
        self.put(replace(self._rules[name], enabled=enabled))

    def _reindex(self) -> None:
        self._index = FilterIndex()
        for rule in self.rules():
            if rule.enabled and rule.query.topic_filter is not None:
                self._index.add(rule.query.topic_filter, rule)

    # Messages.

    def accepts(self, topic: str) -> bool:
        """Say whether this is a Basic Ingest topic: any rule name will do, for AWS acknowledges unknown ones too."""
        return topic.startswith(BASIC_INGEST) and len(topic) > len(BASIC_INGEST)

    def receive(self, message: Message) -> None:
        """Run the rules whose filter matches, or the one that a Basic Ingest topic names; actions follow later."""
        if message.topic.startswith(BASIC_INGEST):
            self._ingest(message)
            return
        concerned = list(self._index.find(message.topic))
        if concerned:
            hops = self._trail.hops(message)
            for rule in concerned:
                self._start(rule, message, message.topic, hops)
        else:
            self._tell_of_none(message)

    def _ingest(self, message: Message) -> None:
        """Run one rule ("Basic Ingest"): its FROM is not asked, its functions do not see the prefix."""
        name, _, topic = message.topic.removeprefix(BASIC_INGEST).partition("/")
        rule = self._rules.get(name)
        if rule is None or not rule.enabled:
            self.metrics["RuleNotFound"] += 1
            logger.error("RuleNotFound: Basic Ingest on %s names no enabled rule", message.topic)
            self._tell_of_none(message)
            return
        self._start(rule, message, topic, 0)

    def _context(self, message: Message, topic: str, version: str = V2) -> Context:
        return Context(
            topic=topic,
            payload=message.payload,
            now_ms=int(self._clock.time() * 1000),
            version=version,
            client_id=message.client_id,
            principal=message.principal.id if message.principal else None,
            trace_id=None if message.client_id is None else str(uuid.uuid4()),
            source_ip=message.source_ip,
            account_id=ACCOUNT_ID,
            mqtt={} if message.properties is NO_PROPERTIES else _mqtt_properties(message.properties),
            user_properties=message.properties.user_properties,
            new_uuid=lambda: str(uuid.uuid4()),
            random=random.random,
        )

    def _start(self, rule: Rule, message: Message, topic: str, hops: int) -> None:
        self.metrics["TopicMatch"] += 1
        context = self._context(message, topic, rule.query.version)
        outcome = self._evaluate(rule, context)
        if not (outcome.fires or context.wanted or outcome.error):
            self._tell(Run(rule=rule, message=message, context=context, outcome=outcome))
            return
        if len(self._tasks) >= MAX_PENDING:
            outcome = Outcome(fires=False, error=f"Throttled: {MAX_PENDING} messages are under way")
        if len(self._tasks) >= 2 * MAX_PENDING:
            self._lose(rule, message, "neither its actions nor its error action can be run any more")
            return
        task = asyncio.get_running_loop().create_task(self._carry_out(rule, message, context, outcome, hops))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def _evaluate(self, rule: Rule, context: Context) -> Outcome:
        """Return what the rule makes of the message: the edge at which a defect of ours becomes a failed rule."""
        try:
            return rule.query.evaluate(context)
        except Exception as error:
            logger.exception("Rule %s: a defect in evaluating the message on %s", rule.name, context.topic)
            return Outcome(fires=False, error=f"Internal error: {error!r}")

    async def _carry_out(self, rule: Rule, message: Message, context: Context, outcome: Outcome, hops: int) -> None:
        """Run the actions of one rule for one message, side by side, then its error action if any of them failed."""
        try:
            failures: Sequence[Mapping[str, str] | None] = []
            try:
                if context.wanted:
                    outcome = await self._with_shadows(rule, context, lambda: self._evaluate(rule, context))
            except CallError as error:
                failures = [_failure("get_thing_shadow", "shadow", f"{error}")]
            if outcome.error:
                failures = [_failure("RuleExecution", rule.name, outcome.error)]
            if outcome.fires and not failures:
                failures = await asyncio.gather(*[self._act(rule, one, context, outcome, hops) for one in rule.actions])
            told = [
                {"action": action.name, **(failure or {})}
                for action, failure in zip(rule.actions, failures, strict=False)
            ]
            self._tell(Run(rule=rule, message=message, context=context, outcome=outcome, actions=told))
            failed = [failure for failure in failures if failure is not None]
            if failed:
                await self._act_on_error(rule, message, context, failed, hops)
        except Exception:
            self.metrics["Defect"] += 1
            logger.exception("Rule %s: the message on %s is lost to a defect", rule.name, message.topic)

    async def _with_shadows(self, rule: Rule, context: Context, compute: Callable[[], T]) -> T:
        """Return what ``compute`` returns once the context has every shadow that it asks for.

        Raises:
            CallError: a shadow cannot be had.
        """
        result = compute()
        for _ in range(MAX_SHADOW_ROUNDS):
            if not context.wanted:
                break
            wanted, context.wanted = context.wanted, {}
            for (thing, name), role_arn in wanted.items():
                document = await self._fetch_shadow(rule, thing, name, role_arn)
                context.shadows = {**context.shadows, (thing, name): document}
            result = compute()
        return result

    async def _fetch_shadow(self, rule: Rule, thing: str, name: str | None, role_arn: str) -> Value:
        call = Call(
            service="iotdata",
            method="GET",
            path=f"/things/{quote(thing, safe='')}/shadow",
            query="" if name is None else f"name={quote(name, safe='')}",
            headers={},
            body=b"",
            role_arn=role_arn,
        )
        try:
            return load((await self._aws.send(call, rule.arn)).decode())
        except ValueError:
            return UNDEFINED
        except CallError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return UNDEFINED
            raise

    async def _act(
        self, rule: Rule, action: Action, context: Context, outcome: Outcome, hops: int
    ) -> Mapping[str, str] | None:
        """Carry out one action, again where that may help; return its failure, or None."""
        resource = ""
        try:
            parameters = await self._with_shadows(rule, context, lambda: action.fill(context))
            resource = action.kind.resource(parameters)
            call = action.kind.build(parameters, outcome, context)
            if action.name == "republish":
                self._guard(unescape_topic(resource), call.body, hops + 1)
            await self._send(call, rule.arn)
        except (ActionError, CallError, *BEYOND) as error:
            self.metrics[f"{action.name}.Failure"] += 1
            message = f"{error}. Message arrived on: {context.topic}, Action: {action.name}, Resource: {resource}"
            logger.warning("Rule %s: %s", rule.name, message)
            return _failure(action.kind.failed_action, resource, message)
        self.metrics[f"{action.name}.Success"] += 1
        return None

    def _guard(self, topic: str, payload: bytes, hops: int) -> None:
        if hops > MAX_HOPS:
            raise ActionError(f"Endless loop: this message came through {MAX_HOPS} rules that republished it")
        self._trail.sent(topic, payload, hops)

    async def _send(self, call: Call, source_arn: str) -> None:
        for wait_s in BACKOFF_S:
            try:
                await self._aws.send(call, source_arn)
            except CallError as error:
                if not error.retryable:
                    raise
                await self._sleep(wait_s * random.uniform(0.5, 1.0))  # noqa: S311 - jitter
            else:
                return
        await self._aws.send(call, source_arn)

    async def _act_on_error(
        self, rule: Rule, message: Message, context: Context, failures: Sequence[Mapping[str, str]], hops: int
    ) -> None:
        """Run the error action, once per rule and message, with all failures ("Error action message format")."""
        if rule.error_action is None:
            self._lose(rule, message, "it has no error action")
            return
        document = {
            "ruleName": rule.name,
            "topic": message.topic,
            "cloudwatchTraceId": context.trace_id or context.new_uuid(),
            "clientId": context.client_id or "N/A",
            "base64OriginalPayload": base64.b64encode(message.payload).decode(),
            "failures": failures,
        }
        payload = json.dumps(document, separators=(",", ":")).encode()
        about = Outcome(fires=True, value=load(payload.decode()), payload=payload)
        failure = await self._act(rule, rule.error_action, context, about, hops)
        self.metrics["ErrorAction.Success" if failure is None else "ErrorAction.Failure"] += 1
        if failure is not None:
            logger.error("Rule %s: its error action failed too; lost: %s", rule.name, payload.decode())

    def _lose(self, rule: Rule, message: Message, why: str) -> None:
        self.metrics["Lost"] += 1
        logger.error("Rule %s: the message on %s is lost, for %s", rule.name, message.topic, why)

    def _tell(self, run: Run) -> None:
        for watcher in self.watchers:
            watcher(run)

    def _tell_of_none(self, message: Message) -> None:
        if self.watchers:
            self._tell(Run(rule=None, message=message, context=self._context(message, message.topic)))

    async def drain(self, timeout_s: float) -> int:
        """Wait for the actions under way; return how many messages were not done in time."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=timeout_s)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        if left:
            logger.error("%d messages are lost: their actions were not done when the gateway stopped", len(left))
        return len(left)


def _failure(action: str, resource: str, message: str) -> dict[str, str]:
    return {"failedAction": action, "failedResource": resource, "errorMessage": message}


def _mqtt_properties(properties: Properties) -> dict[str, str]:
    """Return what ``get_mqtt_property`` may be asked for."""
    correlation = properties.correlation_data
    given = {
        "content_type": properties.content_type,
        "response_topic": properties.response_topic,
        "correlation_data": None if correlation is None else base64.b64encode(correlation).decode(),
        "format_indicator": "UTF8_DATA" if properties.payload_format_indicator else None,
    }
    return {name: value for name, value in given.items() if value is not None}
