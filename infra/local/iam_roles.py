"""IAM at the door: the policies of the role that calls, the decision on its request, and a record of both.

The policies live where CreateRole put them; here they are read once, parsed, and forgotten when IAM is written to.
"""

import json
import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs

from botocore.exceptions import ClientError

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.credentials import KeyRecord
from infra.local.iam import Ask, Decision, PolicyError, Statement, Unmapped, evaluate, parse
from infra.local.iam_actions import KEYS, asks
from infra.local.iam_dynamodb import HashKey
from infra.local.refusals import refuse
from infra.local.wire import Caller, Request, Response

IamCall = Callable[..., Awaitable[dict[str, Any]]]
"""``await call("iam", "GetRole", RoleName=…)`` as the account's owner; raises botocore's ClientError."""

MAX_RECORDS = 20_000
_STREAM = re.compile(r"log-stream:.+")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Role:
    """A role and everything that limits it."""

    name: str
    arn: str
    id: str
    trust: tuple[Statement, ...]
    identity: tuple[Statement, ...]
    boundary: tuple[Statement, ...] | None
    max_session_s: int = 3600
    known: dict[tuple[str, str], Decision] = field(default_factory=dict, compare=False)
    """Decisions of a role without conditions: they follow from action and resource alone."""

    @property
    def statements(self) -> tuple[Statement, ...]:
        """Return all that a decision may depend on."""
        return self.identity + (self.boundary or ())


class RolePolicies:
    """The roles of the account, as IAM has them now."""

    def __init__(self, call: IamCall) -> None:
        self._call = call
        self._roles: dict[str, Role] = {}

    def forget(self) -> None:
        """Read everything anew: a role or policy was changed."""
        self._roles = {}

    def changed_by(self, request: Request) -> bool:
        """Say whether a call to ``iam`` may have changed what is known here, and forget it if so."""
        action = parse_qs(request.body.decode(errors="replace")).get("Action", [""])[0]
        if request.service != "iam" or action.startswith(("Get", "List")):
            return False
        self.forget()
        return True

    async def get(self, name: str) -> Role:
        """Return a role with its policies.

        Raises:
            botocore.exceptions.ClientError: there is no such role.
            PolicyError: one of its policies cannot be judged here, and why.
        """
        known = self._roles
        if (role := known.get(name)) is None:
            # What is forgotten while we read takes with it what we read.
            role = known[name] = await self._read(name)
        return role

    async def _read(self, name: str) -> Role:
        found = (await self._call("iam", "GetRole", RoleName=name))["Role"]
        inline = (await self._call("iam", "ListRolePolicies", RoleName=name))["PolicyNames"]
        attached = (await self._call("iam", "ListAttachedRolePolicies", RoleName=name))["AttachedPolicies"]
        identity: list[Statement] = []
        for policy in inline:
            document = (await self._call("iam", "GetRolePolicy", RoleName=name, PolicyName=policy))["PolicyDocument"]
            identity += _parse(document, policy)
        for policy in attached:
            identity += await self._managed(policy["PolicyArn"])
        limit = found.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")
        return Role(
            name=name,
            arn=found["Arn"],
            id=found["RoleId"],
            trust=parse(_document(found["AssumeRolePolicyDocument"])),
            identity=tuple(identity),
            boundary=tuple(await self._managed(limit)) if limit else None,
            max_session_s=found.get("MaxSessionDuration", 3600),
        )

    async def _managed(self, arn: str) -> list[Statement]:
        version = (await self._call("iam", "GetPolicy", PolicyArn=arn))["Policy"]["DefaultVersionId"]
        found = await self._call("iam", "GetPolicyVersion", PolicyArn=arn, VersionId=version)
        return list(_parse(found["PolicyVersion"]["Document"], arn))


class Recorder:
    """What each role asked for since the local cloud came up, each combination once, in ``permissions.jsonl``."""

    def __init__(self, state_dir: Path) -> None:
        self._path = state_dir / "permissions.jsonl"
        self._path.unlink(missing_ok=True)
        self._seen: set[tuple[str, str, str, bool]] = set()

    def add(self, role: Role, ask: Ask, decision: Decision, context: Mapping[str, Any]) -> None:
        """Record a decision, with every statement that allows it, so that none is called unused that is needed."""
        resource = _STREAM.sub("log-stream:*", ask.resource)  # a worker's own: one entry for all of them
        key = (role.name, ask.action, resource, decision.allowed)
        if key in self._seen or len(self._seen) >= MAX_RECORDS:
            return
        self._seen.add(key)
        allowing = [one.origin for one in role.identity if one.allows and one.covers(ask.action, ask.resource, context)]
        line = {
            "role": role.name,
            "action": ask.action,
            "resource": resource,
            "allowed": decision.allowed,
            "statements": allowing,
            "reason": decision.reason,
        }
        self._path.parent.mkdir(parents=True, exist_ok=True)
        with self._path.open("a") as file:
            file.write(json.dumps(line) + "\n")


class Authorizer:
    """Decides requests signed with a role's credentials: the front's ``authorize`` port."""

    def __init__(self, roles: RolePolicies, clock: Clock, recorder: Recorder, hash_key: HashKey) -> None:
        self._roles = roles
        self._clock = clock
        self._recorder = recorder
        self._hash_key = hash_key

    async def __call__(self, request: Request, record: KeyRecord) -> Response | None:
        """Return the refusal, in the protocol's own shape; None where every permission that is needed is there."""
        try:
            needed = asks(request, self._hash_key)
        except Unmapped as unmapped:
            message = f"The local cloud maps no IAM action to this call, so no policy can allow it: {unmapped}"
            _log.warning("%s refused: %s", record.caller.arn, message)
            return refuse(request, "AccessDenied", message)
        try:
            refusal = await self.decide(needed, record, request.region)
        except PolicyError as error:
            message = f"{record.caller.arn} has a policy that the local cloud cannot judge: {error}"
            return refuse(request, "AccessDenied", message)
        except ClientError:  # the role has been deleted, and its credentials with it
            return refuse(request, "InvalidClientTokenId", "The security token included in the request is invalid.")
        return None if refusal is None else refuse(request, "AccessDenied", refusal)

    async def check(self, role_arn: str, session_name: str, *needed: Ask) -> str | None:
        """Return the sentence by which AWS refuses one of its services to act under a role; None where it may.

        For what Lambda does with a function's role: dead letters, destinations, event sources, logs.
        """
        name = role_arn.rpartition("/")[2]
        caller = Caller(arn=f"arn:aws:sts::{ACCOUNT_ID}:assumed-role/{name}/{session_name}", kind="role")
        return await self.decide(needed, KeyRecord(secret_access_key="", caller=caller, role_arn=role_arn))

    async def decide(self, needed: Sequence[Ask], record: KeyRecord, region: str = "us-east-1") -> str | None:
        """Return AWS's sentence on the first permission that is not given; None if all are."""
        if record.role_arn is None:
            return None
        role = await self._roles.get(record.role_arn.rpartition("/")[2])
        for ask in needed:
            decision = role.known.get((ask.action, ask.resource)) or self._judge(role, ask, record, region)
            if not decision.allowed:
                return (
                    f"User: {record.caller.arn} is not authorized to perform: {ask.action} "
                    f"on resource: {ask.resource} {decision.reason}"
                )
        return None

    def _judge(self, role: Role, ask: Ask, record: KeyRecord, region: str) -> Decision:
        context = {**self._common(record, region), **ask.context}
        decision = evaluate(role.identity, role.boundary, ask.action, ask.resource, context)
        self._recorder.add(role, ask, decision, context)
        if len(role.known) < MAX_RECORDS and not any(statement.depends_on_context for statement in role.statements):
            role.known[ask.action, ask.resource] = decision
        return decision

    def _common(self, record: KeyRecord, region: str) -> dict[str, str]:
        """The keys that every request has ("AWS global condition context keys"); HTTP here stands for AWS's HTTPS."""
        now = self._clock.now()
        context = {
            "aws:currenttime": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "aws:epochtime": str(int(now.timestamp())),
            "aws:principalaccount": ACCOUNT_ID,
            "aws:principalarn": record.role_arn or "",
            "aws:principaltype": "AssumedRole",
            "aws:requestedregion": region,
            "aws:resourceaccount": ACCOUNT_ID,
            "aws:securetransport": "true",
            "aws:sourceip": "127.0.0.1",
            "aws:userid": record.user_id,
        }
        if record.caller.cognito_identity_id:
            context["cognito-identity.amazonaws.com:sub"] = record.caller.cognito_identity_id
            context["cognito-identity.amazonaws.com:aud"] = record.caller.cognito_identity_pool_id or ""
        return context


def _document(document: Any) -> Mapping[str, Any]:
    """Return a policy document, which botocore hands over parsed or as text."""
    parsed: Mapping[str, Any] = json.loads(document) if isinstance(document, str) else document
    return parsed


def _parse(document: Any, origin: str) -> tuple[Statement, ...]:
    statements = parse(_document(document), origin)
    for statement in statements:
        for condition in statement.conditions:
            if condition.key not in KEYS:
                raise PolicyError(f"{statement.origin}: nothing here gives the condition key {condition.key} a value")
    return statements
