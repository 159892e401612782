"""Service ``scheduler``: EventBridge Scheduler with its groups, time zones, windows of validity and single runs."""

import logging
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs, unquote

from infra.local.config import ACCOUNT_ID
from infra.local.functions.model import SEND_ACTIONS
from infra.local.functions.schedules.clockwork import Clockwork
from infra.local.functions.schedules.expressions import At, ExpressionError, parse
from infra.local.functions.schedules.targets import Delivery, Targets, dumps
from infra.local.functions.timers import Timers
from infra.local.wire import MALFORMED, Caller, Request, Response, error_response, json_response

_log = logging.getLogger(__name__)

_SCHEDULE = {"Name", "GroupName", "Description", "EndDate", "FlexibleTimeWindow", "ScheduleExpression",
    "ScheduleExpressionTimezone", "StartDate", "State", "Target", "ActionAfterCompletion", "ClientToken"}  # fmt: skip
_TARGET = {"Arn", "RoleArn", "Input", "RetryPolicy", "DeadLetterConfig", "SqsParameters"}


class SchedulerError(Exception):
    """What AWS answers: code, message and status."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


@dataclass(slots=True, kw_only=True)
class Schedule:
    """One schedule as it was given, and what fires it."""

    given: dict[str, Any]
    group: str
    arn: str
    created_at: float
    modified_at: float
    clockwork: Clockwork | None = None


@dataclass(slots=True, kw_only=True)
class Group:
    """A schedule group."""

    name: str
    arn: str
    created_at: float
    schedules: dict[str, Schedule] = field(default_factory=dict)


class Scheduler:
    """EventBridge Scheduler. ("EventBridge Scheduler API"). A flexible time window is taken and its start used."""

    def __init__(self, region: str, timers: Timers, targets: Targets) -> None:
        self._region = region
        self._timers = timers
        self._targets = targets
        self._groups = {
            "default": Group(name="default", arn=self._arn("schedule-group/default"), created_at=timers.now())
        }
        self._routes: list[tuple[str, str, Callable[[str, dict[str, Any]], Any]]] = [
            ("POST", "/schedules/{}", self._create),
            ("PUT", "/schedules/{}", self._update),
            ("GET", "/schedules/{}", lambda name, given: _shown(self._get(name, given))),
            ("DELETE", "/schedules/{}", self._delete),
            ("GET", "/schedules", self._list),
            ("POST", "/schedule-groups/{}", self._create_group),
            ("GET", "/schedule-groups/{}", lambda name, _given: _shown_group(self._group(name))),
            ("DELETE", "/schedule-groups/{}", self._delete_group),
            (
                "GET",
                "/schedule-groups",
                lambda _n, _g: {"ScheduleGroups": [_shown_group(g) for g in self._groups.values()]},
            ),
        ]

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        try:
            return self._answer(request)
        except SchedulerError as error:
            return error_response(error.code, str(error), error.status, "rest-json")
        except MALFORMED as error:
            _log.warning("%s %s was not understood", request.method, request.path, exc_info=True)
            return error_response("ValidationException", f"Bad or missing parameter: {error!r}", 400, "rest-json")

    def _answer(self, request: Request) -> Response:
        given = {name: values[0] for name, values in parse_qs(request.query).items()} | request.json()
        if "groupName" in given:
            given["GroupName"] = given.pop("groupName")
        for method, path, operation in self._routes:
            match = re.fullmatch(path.replace("{}", "([^/]+)"), request.path) if method == request.method else None
            if match:
                name = unquote(match[1]) if match.groups() else ""
                return json_response(operation(name, given) or {})
        return error_response(
            "NotEmulated", f"not emulated: scheduler {request.method} {request.path}", 501, "rest-json"
        )

    def stop(self) -> None:
        """Fire no more."""
        for group in self._groups.values():
            for schedule in group.schedules.values():
                _stop(schedule)

    def _create(self, name: str, given: dict[str, Any]) -> dict[str, str]:
        group = self._group(given.get("GroupName", "default"))
        if name in group.schedules:
            raise SchedulerError("ConflictException", f"Schedule {name} already exists.", 409)
        return self._put(name, group, given, self._timers.now())

    def _update(self, name: str, given: dict[str, Any]) -> dict[str, str]:
        before = self._get(name, given)
        answer = self._put(name, self._group(before.group), given, before.created_at)
        _stop(before)
        return answer

    def _put(self, name: str, group: Group, given: dict[str, Any], created_at: float) -> dict[str, str]:
        _check(given)
        arn = self._arn(f"schedule/{group.name}/{name}")
        kept = {**given, "Name": name, "GroupName": group.name}
        schedule = Schedule(
            given=kept, group=group.name, arn=arn, created_at=created_at, modified_at=self._timers.now()
        )
        self._start(schedule)
        group.schedules[name] = schedule
        return {"ScheduleArn": arn}

    def _start(self, schedule: Schedule) -> None:
        given, now = schedule.given, datetime.fromtimestamp(self._timers.now(), UTC)
        start = _instant(given.get("StartDate"))
        try:
            # A rate without a start begins at once. ("Schedule types": rate-based schedules).
            zone = given.get("ScheduleExpressionTimezone", "UTC")
            expression = parse(given["ScheduleExpression"], now=now, zone=zone, start=start or now, any_unit=True)
        except ExpressionError as error:
            raise SchedulerError(
                "ValidationException", f"Invalid Schedule Expression {given['ScheduleExpression']}."
            ) from error
        if given.get("State", "ENABLED") != "ENABLED":
            return
        single = isinstance(expression, At)
        end = None if single else _instant(given.get("EndDate"))
        schedule.clockwork = Clockwork(
            expression, self._timers, lambda due: self._fire(schedule, due, single=single), end
        )
        moment = datetime.resolution
        schedule.clockwork.start(max(now, start or now) - moment)

    def _fire(self, schedule: Schedule, due: datetime, *, single: bool) -> None:
        target = schedule.given["Target"]
        retry = target.get("RetryPolicy", {})
        self._targets.deliver(
            Delivery(
                arn=target["Arn"],
                body=self._body(schedule, target, due),
                caller=Caller(arn=target["RoleArn"], kind="role"),
                role_arn=target["RoleArn"],
                accepted_at=self._timers.now(),
                sqs_parameters=target.get("SqsParameters", {}),
                retries=retry.get("MaximumRetryAttempts", 185),
                max_age_s=retry.get("MaximumEventAgeInSeconds", 86_400),
                dead_letter_arn=target.get("DeadLetterConfig", {}).get("Arn"),
            )
        )
        if single and schedule.given.get("ActionAfterCompletion") == "DELETE":
            self._groups[schedule.group].schedules.pop(schedule.given["Name"], None)

    def _body(self, schedule: Schedule, target: Mapping[str, Any], due: datetime) -> bytes:
        """("Adding context attributes": keywords in the input; without an input, a default event)."""
        when = due.strftime("%Y-%m-%dT%H:%M:%SZ")
        text = target.get("Input")
        if text is None:
            return dumps(
                {
                    "version": "0",
                    "id": str(uuid.uuid4()),
                    "detail-type": "Scheduled Event",
                    "source": "aws.scheduler",
                    "account": ACCOUNT_ID,
                    "time": when,
                    "region": self._region,
                    "resources": [schedule.arn],
                    "detail": "{}",
                }
            )
        for keyword, value in {
            "schedule-arn": schedule.arn,
            "scheduled-time": when,
            "execution-id": str(uuid.uuid4()),
            "attempt-number": "1",
        }.items():
            text = text.replace(f"<aws.scheduler.{keyword}>", value)
        return str(text).encode()

    def _delete(self, name: str, given: dict[str, Any]) -> None:
        schedule = self._get(name, given)
        _stop(schedule)
        del self._groups[schedule.group].schedules[name]

    def _list(self, _name: str, given: dict[str, Any]) -> dict[str, Any]:
        groups = [self._group(given["ScheduleGroup"])] if given.get("ScheduleGroup") else self._groups.values()
        prefix = given.get("NamePrefix", "")
        found = [each for group in groups for name, each in group.schedules.items() if name.startswith(prefix)]
        return {"Schedules": [_summary(each) for each in found]}

    def _create_group(self, name: str, _given: dict[str, Any]) -> dict[str, str]:
        if name in self._groups:
            raise SchedulerError("ConflictException", f"Schedule group {name} already exists.", 409)
        arn = self._arn(f"schedule-group/{name}")
        self._groups[name] = Group(name=name, arn=arn, created_at=self._timers.now())
        return {"ScheduleGroupArn": arn}

    def _delete_group(self, name: str, _given: dict[str, Any]) -> None:
        group = self._group(name)
        if name == "default":
            raise SchedulerError("ValidationException", "The default schedule group cannot be deleted.")
        for schedule in group.schedules.values():
            _stop(schedule)
        del self._groups[name]

    def _group(self, name: str) -> Group:
        if name not in self._groups:
            raise SchedulerError("ResourceNotFoundException", f"Schedule group {name} does not exist.", 404)
        return self._groups[name]

    def _get(self, name: str, given: Mapping[str, Any]) -> Schedule:
        group = self._group(given.get("GroupName", "default"))
        if name not in group.schedules:
            raise SchedulerError("ResourceNotFoundException", f"Schedule {name} does not exist.", 404)
        return group.schedules[name]

    def _arn(self, resource: str) -> str:
        return f"arn:aws:scheduler:{self._region}:{ACCOUNT_ID}:{resource}"


def _check(given: Mapping[str, Any]) -> None:
    unknown = set(given) - _SCHEDULE | {f"Target.{name}" for name in set(given["Target"]) - _TARGET}
    if unknown:
        raise SchedulerError("ValidationException", f"{', '.join(sorted(unknown))} is not carried by the local cloud")
    arn = given["Target"]["Arn"]
    if arn.split(":")[2] not in SEND_ACTIONS or not given["Target"].get("RoleArn"):
        raise SchedulerError(
            "ValidationException", f"Target {arn} is not carried by the local cloud, or has no RoleArn"
        )


def _stop(schedule: Schedule) -> None:
    if schedule.clockwork:
        schedule.clockwork.stop()


def _instant(given: float | str | None) -> datetime | None:
    if given is None:
        return None
    if isinstance(given, str):
        at = datetime.fromisoformat(given)
        return at if at.tzinfo else at.replace(tzinfo=UTC)
    return datetime.fromtimestamp(given, UTC)


def _summary(schedule: Schedule) -> dict[str, Any]:
    return {
        "Arn": schedule.arn,
        "Name": schedule.given["Name"],
        "GroupName": schedule.group,
        "State": schedule.given.get("State", "ENABLED"),
        "CreationDate": schedule.created_at,
        "LastModificationDate": schedule.modified_at,
        "Target": {"Arn": schedule.given["Target"]["Arn"]},
    }


def _shown(schedule: Schedule) -> dict[str, Any]:
    given = {name: value for name, value in schedule.given.items() if name != "ClientToken"}
    return {"ScheduleExpressionTimezone": "UTC", **given, **_summary(schedule), "Target": schedule.given["Target"]}


def _shown_group(group: Group) -> dict[str, Any]:
    return {"Name": group.name, "Arn": group.arn, "State": "ACTIVE", "CreationDate": group.created_at}
