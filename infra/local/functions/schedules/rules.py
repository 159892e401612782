"""Service ``events``: rules of the default bus that a schedule fires. Rules that events fire are refused by name."""

import json
import logging
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from infra.local.config import ACCOUNT_ID
from infra.local.functions.model import SEND_ACTIONS
from infra.local.functions.schedules.clockwork import Clockwork
from infra.local.functions.schedules.expressions import ExpressionError, parse
from infra.local.functions.schedules.targets import Delivery, Targets, dumps
from infra.local.functions.timers import Timers
from infra.local.wire import MALFORMED, Caller, Request, Response, error_response, json_response

_log = logging.getLogger(__name__)

_TARGET = {"Id", "Arn", "RoleArn", "Input", "RetryPolicy", "DeadLetterConfig", "SqsParameters"}


class EventsError(Exception):
    """What AWS answers: code and message."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass(slots=True, kw_only=True)
class Rule:
    """A rule with its targets."""

    name: str
    arn: str
    expression: str
    state: str
    description: str
    role_arn: str | None
    targets: dict[str, dict[str, Any]] = field(default_factory=dict)
    tags: dict[str, str] = field(default_factory=dict)
    clockwork: Clockwork | None = None


class Rules:
    """EventBridge, as far as time makes its events. ("EventBridge API")."""

    def __init__(self, region: str, timers: Timers, targets: Targets) -> None:
        self._region = region
        self._timers = timers
        self._targets = targets
        self._rules: dict[str, Rule] = {}
        self._operations = {
            "PutRule": self._put,
            "DescribeRule": lambda given: _shown(self._get(given)),
            "DeleteRule": self._delete,
            "ListRules": self._list,
            "EnableRule": lambda given: self._switch(given, "ENABLED"),
            "DisableRule": lambda given: self._switch(given, "DISABLED"),
            "PutTargets": self._put_targets,
            "RemoveTargets": self._remove_targets,
            "ListTargetsByRule": lambda given: {"Targets": list(self._get({"Name": given["Rule"]}).targets.values())},
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        operation = self._operations.get(request.operation)
        if operation is None:
            return error_response("NotEmulated", f"not emulated: events:{request.operation}", 501)
        try:
            given = request.json()
            _check_bus(given.get("EventBusName", "default"))
            return json_response(operation(given) or {})
        except EventsError as error:
            return error_response(error.code, str(error))
        except MALFORMED as error:
            _log.warning("%s was not understood", request.operation, exc_info=True)
            return error_response("ValidationException", f"Bad or missing parameter: {error!r}")

    def stop(self) -> None:
        """Fire no more."""
        for rule in self._rules.values():
            if rule.clockwork:
                rule.clockwork.stop()

    def _put(self, given: Mapping[str, Any]) -> dict[str, str]:
        if given.get("EventPattern"):
            raise EventsError(
                "ValidationException", "EventPattern is not carried by the local cloud: only schedules are"
            )
        before = self._rules.get(given["Name"])
        arn = f"arn:aws:events:{self._region}:{ACCOUNT_ID}:rule/{given['Name']}"
        rule = Rule(
            name=given["Name"],
            arn=arn,
            expression=given.get("ScheduleExpression", ""),
            state=given.get("State", "ENABLED"),
            description=given.get("Description", ""),
            role_arn=given.get("RoleArn"),
            targets=before.targets if before else {},
            tags={tag["Key"]: tag["Value"] for tag in given.get("Tags", [])} or (before.tags if before else {}),
        )
        self._start(rule)
        if before and before.clockwork:
            before.clockwork.stop()
        self._rules[rule.name] = rule
        return {"RuleArn": arn}

    def _start(self, rule: Rule) -> None:
        now = datetime.fromtimestamp(self._timers.now(), UTC)
        try:
            # Rules know UTC only, and no single times. ("Creating a rule that runs on a schedule").
            expression = parse("" if rule.expression.startswith("at(") else rule.expression, now=now)
        except ExpressionError as error:
            raise EventsError("ValidationException", "Parameter ScheduleExpression is not valid.") from error
        if rule.state == "ENABLED":
            rule.clockwork = Clockwork(expression, self._timers, lambda due: self._fire(rule.name, due), None)
            rule.clockwork.start(now)

    def _fire(self, name: str, due: datetime) -> None:
        rule = self._rules[name]
        event = {
            "version": "0",
            "id": str(uuid.uuid4()),
            "detail-type": "Scheduled Event",
            "source": "aws.events",
            "account": ACCOUNT_ID,
            "time": due.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "region": self._region,
            "resources": [rule.arn],
            "detail": {},
        }
        for target in rule.targets.values():
            retry = target.get("RetryPolicy", {})
            self._targets.deliver(
                Delivery(
                    arn=target["Arn"],
                    body=target["Input"].encode() if "Input" in target else dumps(event),
                    caller=Caller(arn="events.amazonaws.com", kind="service", source_arn=rule.arn),
                    role_arn=None,
                    accepted_at=self._timers.now(),
                    sqs_parameters=target.get("SqsParameters", {}),
                    retries=retry.get("MaximumRetryAttempts", 185),
                    max_age_s=retry.get("MaximumEventAgeInSeconds", 86_400),
                    dead_letter_arn=target.get("DeadLetterConfig", {}).get("Arn"),
                )
            )

    def _put_targets(self, given: Mapping[str, Any]) -> dict[str, Any]:
        rule = self._get({"Name": given["Rule"]})
        for target in given["Targets"]:
            unknown = set(target) - _TARGET
            if unknown:
                raise EventsError(
                    "ValidationException", f"{', '.join(sorted(unknown))} is not carried by the local cloud"
                )
            if target["Arn"].split(":")[2] not in SEND_ACTIONS:
                raise EventsError("ValidationException", f"Target {target['Arn']} is not carried by the local cloud")
            if "Input" in target:
                _check_json(target["Input"])
        rule.targets.update({target["Id"]: target for target in given["Targets"]})
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def _remove_targets(self, given: Mapping[str, Any]) -> dict[str, Any]:
        rule = self._get({"Name": given["Rule"]})
        for each in given["Ids"]:
            rule.targets.pop(each, None)
        return {"FailedEntryCount": 0, "FailedEntries": []}

    def _delete(self, given: Mapping[str, Any]) -> None:
        rule = self._rules.get(given["Name"])
        if rule and rule.targets:
            raise EventsError("ValidationException", "Rule can't be deleted since it has targets.")
        if rule:
            del self._rules[rule.name]
            if rule.clockwork:
                rule.clockwork.stop()

    def _switch(self, given: Mapping[str, Any], state: str) -> None:
        rule = self._get(given)
        if rule.clockwork:
            rule.clockwork.stop()
            rule.clockwork = None
        rule.state = state
        self._start(rule)

    def _list(self, given: Mapping[str, Any]) -> dict[str, Any]:
        prefix = given.get("NamePrefix", "")
        return {"Rules": [_shown(rule) for rule in self._rules.values() if rule.name.startswith(prefix)]}

    def _tag(self, given: Mapping[str, Any]) -> None:
        self._by_arn(given["ResourceARN"]).tags.update({tag["Key"]: tag["Value"] for tag in given["Tags"]})

    def _untag(self, given: Mapping[str, Any]) -> None:
        for key in given["TagKeys"]:
            self._by_arn(given["ResourceARN"]).tags.pop(key, None)

    def _list_tags(self, given: Mapping[str, Any]) -> dict[str, Any]:
        tags = self._by_arn(given["ResourceARN"]).tags
        return {"Tags": [{"Key": key, "Value": value} for key, value in tags.items()]}

    def _by_arn(self, arn: str) -> Rule:
        return self._get({"Name": arn.rpartition("/")[2]})

    def _get(self, given: Mapping[str, Any]) -> Rule:
        rule = self._rules.get(given["Name"])
        if rule is None:
            raise EventsError("ResourceNotFoundException", f"Rule {given['Name']} does not exist on EventBus default.")
        return rule


def _check_bus(name: str) -> None:
    if name not in {"default", ""} and not name.endswith(":event-bus/default"):
        raise EventsError("ResourceNotFoundException", f"Event bus {name} does not exist.")


def _check_json(text: str) -> None:
    try:
        json.loads(text)
    except ValueError as error:
        raise EventsError("ValidationException", "JSON syntax error in Input for target") from error


def _shown(rule: Rule) -> dict[str, Any]:
    shown = {
        "Name": rule.name,
        "Arn": rule.arn,
        "ScheduleExpression": rule.expression,
        "State": rule.state,
        "Description": rule.description,
        "EventBusName": "default",
    }
    return {**shown, "RoleArn": rule.role_arn} if rule.role_arn else shown
