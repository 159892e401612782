"""The topic-rule operations of the AWS IoT API (``CreateTopicRule`` and its kin), for boto3's ``iot``."""

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import parse_qs, parse_qsl, unquote

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID, Settings
from infra.local.iot.rules.actions import MAX_ACTIONS, Action, ActionError, build_action
from infra.local.iot.rules.aws_calls import Aws, CallError
from infra.local.iot.rules.compiler import Query, compile_statement
from infra.local.iot.rules.context import V1, VERSIONS
from infra.local.iot.rules.engine import Rule, RulesEngine
from infra.local.iot.rules.filters import matches_filter
from infra.local.iot.rules.parser import SqlError
from infra.local.iot.rules.records import Recorder
from infra.local.iot.rules.tree import roles_named
from infra.local.iot.rules.values import dump, encode
from infra.local.wire import Request, Response, error_response, json_response

RECORDS_PATH = "/rules-records"
"""Not AWS's: where the tool for people who write rules asks for live messages, on the private port alone."""
JSON = {"content-type": "application/json"}
NAME = re.compile(r"[a-zA-Z0-9_]{1,128}")
PAGE_SIZE = 100
KNOWN = {"sql": str, "description": str, "actions": list, "ruleDisabled": bool, "awsIotSqlVersion": str,
         "errorAction": dict}  # fmt: skip


Tag = Callable[[str, Mapping[str, str]], None]
"""Puts tags on a resource, by its ARN: TagResource."""


class Refusal(Exception):  # noqa: N818 - what the API answers
    """An error of the API, by the name its model gives it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class TopicRules:
    """Serves the operations on the engine's rules."""

    def __init__(self, engine: RulesEngine, aws: Aws, clock: Clock, settings: Settings, tag: Tag) -> None:
        self._engine = engine
        self._aws = aws
        self._clock = clock
        self._tag = tag
        self._recorder = Recorder(engine, clock)
        self._arn = f"arn:aws:iot:{settings.region}:{ACCOUNT_ID}:rule/"

    async def handle(self, request: Request) -> Response:
        """Answer a request whose path begins with ``/rules``."""
        try:
            return await self._serve(request)
        except Refusal as refusal:
            return error_response(refusal.code, str(refusal), refusal.status, "rest-json")
        except SqlError as error:
            return error_response("SqlParseException", f"{error}\n{error.caret()}", 400, "rest-json")
        except ActionError as error:
            return error_response("InvalidRequestException", str(error), 400, "rest-json")

    async def _serve(self, request: Request) -> Response:
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        query = {name: values[0] for name, values in parse_qs(request.query).items()}
        if request.path == RECORDS_PATH:
            return Response(
                headers=JSON, body=encode(dump(self._recorder.after(int(query["after"])), whole_as_int=False))
            )
        if len(parts) == 1 and request.method == "GET":
            return json_response(self._list(query))
        verb = (request.method, *parts[2:])
        if len(parts) == 1 or verb not in _OPERATIONS:
            raise Refusal("InvalidRequestException", f"{request.method} {request.path} is no operation on topic rules")
        return await getattr(self, _OPERATIONS[verb])(parts[1], request)  # type: ignore[no-any-return]  # see the table

    async def _create(self, name: str, request: Request) -> Response:
        if self._engine.get(name) is not None:
            raise Refusal("ResourceAlreadyExistsException", f"Rule already exists: {name}", 409)
        rule = await self._build(name, _payload(request))
        self._engine.put(rule)
        self._tag(rule.arn, dict(parse_qsl(request.headers.get("x-amz-tagging", ""))))
        return json_response({})

    async def _replace(self, name: str, request: Request) -> Response:
        previous = self._find(name)
        self._engine.put(await self._build(name, _payload(request), created_at=previous.created_at))
        return json_response({})

    async def _get(self, name: str, _: Request) -> Response:
        rule = self._find(name)
        described = {
            **rule.definition,
            "ruleName": name,
            "createdAt": rule.created_at,
            "ruleDisabled": not rule.enabled,
        }
        return json_response({"ruleArn": rule.arn, "rule": described})

    async def _delete(self, name: str, _: Request) -> Response:
        self._engine.remove(name)  # of a rule that is not there: no error, as CloudFormation's own handler expects
        return json_response({})

    async def _enable(self, name: str, _: Request) -> Response:
        self._engine.enable(self._find(name).name, enabled=True)
        return json_response({})

    async def _disable(self, name: str, _: Request) -> Response:
        self._engine.enable(self._find(name).name, enabled=False)
        return json_response({})

    def _find(self, name: str) -> Rule:
        """Return a rule; AWS IoT does not tell one that is not there from one that the caller may not see."""
        rule = self._engine.get(name)
        if rule is None:
            raise Refusal("UnauthorizedException", f"Access to topic rule '{name}' was denied", 401)
        return rule

    def _list(self, query: Mapping[str, str]) -> dict[str, Any]:
        rules = [
            rule
            for rule in self._engine.rules()
            if query.get("ruleDisabled") in (None, str(not rule.enabled).lower())
            and ("topic" not in query or matches_filter(rule.query.topic_filter or "", query["topic"]))
        ]
        try:
            start, size = int(query.get("nextToken", 0)), int(query.get("maxResults", PAGE_SIZE))
        except ValueError:
            raise Refusal("InvalidRequestException", "nextToken and maxResults are numbers") from None
        page = [
            {
                "ruleArn": rule.arn,
                "ruleName": rule.name,
                "topicPattern": rule.query.topic_filter,
                "createdAt": rule.created_at,
                "ruleDisabled": not rule.enabled,
            }
            for rule in rules[start : start + size]
        ]
        more = {"nextToken": str(start + size)} if start + size < len(rules) else {}
        return {"rules": page, **more}

    async def _build(self, name: str, given: Mapping[str, Any], created_at: float | None = None) -> Rule:
        """Return the rule, all of it checked and compiled, its roles tried.

        Raises:
            Refusal: something in it is wrong.
            SqlError: its SQL or a template is.
            ActionError: an action is.
        """
        if not NAME.fullmatch(name):
            raise Refusal("InvalidRequestException", "A rule's name has 1 to 128 letters, digits and underscores")
        query = _compile(given)
        variables = tuple(variable for variable, _ in query.tree.variables)
        actions = [build_action(action, query.version, variables) for action in given["actions"]]
        error_action = None
        if "errorAction" in given:
            error_action = build_action(given["errorAction"], query.version, variables, external=False)
        arn = self._arn + name
        await self._try_roles(arn, query, [*actions, *([error_action] if error_action else [])])
        return Rule(
            name=name,
            arn=arn,
            created_at=self._clock.time() if created_at is None else created_at,
            definition={"awsIotSqlVersion": query.version, **given},
            query=query,
            actions=actions,
            error_action=error_action,
            enabled=not given.get("ruleDisabled", False),
        )

    async def _try_roles(self, arn: str, query: Query, actions: list[Action]) -> None:
        """Assume every role that the rule names, as AWS IoT does while a rule is created, disabled or not."""
        roles = {action.role_arn for action in actions if action.role_arn} | roles_named(query.tree)
        for role in sorted(roles):
            try:
                await self._aws.check_role(role, arn)
            except CallError:
                message = f"iot.amazonaws.com is unable to perform: sts:AssumeRole on resource: {role}"
                raise Refusal("InvalidRequestException", message) from None


_OPERATIONS = {
    ("POST",): "_create",
    ("PATCH",): "_replace",
    ("GET",): "_get",
    ("DELETE",): "_delete",
    ("POST", "enable"): "_enable",
    ("POST", "disable"): "_disable",
}


def _payload(request: Request) -> dict[str, Any]:
    try:
        given = request.json()
    except ValueError:
        given = None
    if not isinstance(given, dict):
        raise Refusal("InvalidRequestException", "The body is not a JSON object")
    for name, value in given.items():
        if name not in KNOWN:
            raise Refusal("InvalidRequestException", f"A topic rule has no member {name}")
        if not isinstance(value, KNOWN[name]):
            raise Refusal("InvalidRequestException", f"{name} is not of type {KNOWN[name].__name__}")
    if not given.get("sql") or "actions" not in given:
        raise Refusal("InvalidRequestException", "A topic rule needs sql and actions")
    if len(given["actions"]) > MAX_ACTIONS:
        raise Refusal("InvalidRequestException", f"A topic rule has at most {MAX_ACTIONS} actions")
    return given


def _compile(given: Mapping[str, Any]) -> Query:
    version = given.get("awsIotSqlVersion", V1)
    if version not in VERSIONS:
        raise Refusal("InvalidRequestException", f"awsIotSqlVersion is one of {', '.join(VERSIONS)}")
    return compile_statement(given["sql"], version)
