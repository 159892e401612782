"""Statements and the decision over them: default deny, any matching Deny wins, else one matching Allow is enough."""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from infra.local.iot.policy.conditions import Condition, parse_conditions
from infra.local.iot.policy.context import Context
from infra.local.iot.policy.errors import PolicyError
from infra.local.iot.policy.patterns import Pattern, Resolve

VERSION = "2012-10-17"
MAX_DOCUMENT_CHARS = 2048
"""Without white space. (AWS IoT Core endpoints and quotas)."""
_ACTION = re.compile(r"\*|(iot|iotjobsdata|greengrass|iot\*|\*):[A-Za-z*?]+")
_RESOURCE = re.compile(r"\*|arn:[^:]+:.*", re.DOTALL)
_ELEMENTS = {"Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement, compiled."""

    label: str
    """Where it stands, for those who ask why: policy's name, position, Sid."""
    allow: bool
    actions: tuple[Pattern, ...]
    not_actions: bool
    resources: tuple[Pattern, ...]
    not_resources: bool
    conditions: tuple[Condition, ...]

    def mismatch(self, action: str, resource: str, context: Context) -> str | None:
        """Return what keeps the statement from applying (action, resource or a condition); None if it applies."""
        if _any(self.actions, action.lower(), _nothing) == self.not_actions:
            return "action"
        if _any(self.resources, resource, context.variable) == self.not_resources:
            return "resource"
        for condition in self.conditions:
            if not condition.holds(context, resource):
                return f"condition {condition.operator} {condition.key}"
        return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Considered:
    """One statement that was looked at, and why it did not decide."""

    statement: str
    effect: str
    mismatch: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the policies say to one request."""

    allowed: bool
    by: str
    """The deciding statement's label, or ``default`` where no statement applies."""
    considered: tuple[Considered, ...] = ()
    """Every statement, of a refusal only: it is what the developer will ask about."""

    @property
    def denied(self) -> bool:
        """Say whether a Deny decided, and not only the want of an Allow."""
        return any(one.effect == "Deny" and not one.mismatch for one in self.considered)


def evaluate(statements: Iterable[Statement], *, action: str, resource: str, context: Context) -> Decision:
    """Return the decision over all statements pooled from all policies of a principal."""
    statements = tuple(statements)
    allowed_by = None
    for statement in statements:
        if (allowed_by and statement.allow) or statement.mismatch(action, resource, context):
            continue
        if not statement.allow:
            return Decision(
                allowed=False, by=statement.label, considered=_explain(statements, action, resource, context)
            )
        allowed_by = statement.label
    if allowed_by:
        return Decision(allowed=True, by=allowed_by)
    return Decision(allowed=False, by="default", considered=_explain(statements, action, resource, context))


def parse(document: str | Mapping[str, Any], name: str = "policy") -> tuple[Statement, ...]:
    """Return the statements of a policy document; ``name`` is for labels.

    Raises:
        PolicyError: the document is not one AWS IoT would take.
    """
    if isinstance(document, str):
        if len(re.sub(r"\s", "", document)) > MAX_DOCUMENT_CHARS:
            raise PolicyError(f"Policy document exceeds {MAX_DOCUMENT_CHARS} characters.")
        try:
            document = json.loads(document)
        except (ValueError, RecursionError) as error:
            raise PolicyError("Invalid JSON.") from error
    if not isinstance(document, Mapping) or set(document) - {"Version", "Id", "Statement"}:
        raise PolicyError("Invalid policy syntax.")
    if document.get("Version") != VERSION:
        raise PolicyError(f"Version must be {VERSION}.")
    statements = document.get("Statement")
    return parse_statements([statements] if isinstance(statements, Mapping) else statements, name)


def parse_statements(statements: object, name: str = "policy") -> tuple[Statement, ...]:
    """Return a document's Statement list, compiled.

    Raises:
        PolicyError: it is no list of statements, or it is empty.
    """
    if not isinstance(statements, list) or not statements:
        raise PolicyError("Invalid policy syntax.")
    return tuple(_statement(raw, f"{name}[{index}]") for index, raw in enumerate(statements))


def _statement(raw: object, label: str) -> Statement:
    if not isinstance(raw, Mapping) or set(raw) - _ELEMENTS or raw.get("Effect") not in {"Allow", "Deny"}:
        raise PolicyError("Invalid policy syntax.")
    actions, not_actions = _element(raw, "Action")
    resources, not_resources = _element(raw, "Resource")
    _check("actions", [action for action in actions if not _ACTION.fullmatch(action)])
    _check("resources", [resource for resource in resources if not _RESOURCE.fullmatch(resource)])
    sid = raw.get("Sid")
    return Statement(
        label=f"{label} {sid}" if sid else label,
        allow=raw["Effect"] == "Allow",
        # As in IAM, actions are compared without regard to case.
        actions=tuple(Pattern(action.lower()) for action in actions),
        not_actions=not_actions,
        resources=tuple(map(Pattern, resources)),
        not_resources=not_resources,
        conditions=parse_conditions(raw.get("Condition", {})),
    )


def _element(raw: Mapping[str, Any], name: str) -> tuple[list[str], bool]:
    if (name in raw) == (f"Not{name}" in raw):
        raise PolicyError("Invalid policy syntax.")
    negated = name not in raw
    value = raw[f"Not{name}" if negated else name]
    values = value if isinstance(value, list) else [value]
    if not values or not all(isinstance(one, str) for one in values):
        raise PolicyError("Invalid policy syntax.")
    return values, negated


def _check(what: str, invalid: list[str]) -> None:
    if invalid:
        raise PolicyError(f"The following {what} are invalid : {', '.join(invalid)}")


def _any(patterns: tuple[Pattern, ...], value: str, resolve: Resolve) -> bool:
    return any(pattern.matches(value, resolve) for pattern in patterns)


def _nothing(_: str) -> None:
    return None


def _explain(statements: tuple[Statement, ...], action: str, resource: str, context: Context) -> tuple[Considered, ...]:
    return tuple(
        Considered(
            statement=statement.label,
            effect="Allow" if statement.allow else "Deny",
            mismatch=_tell(statement, statement.mismatch(action, resource, context), context),
        )
        for statement in statements
    )


def _tell(statement: Statement, mismatch: str | None, context: Context) -> str | None:
    """Return a mismatch with what is behind it most often: a variable that has no value for this client."""
    names = {name: None for pattern in statement.resources for name in pattern.variables}
    empty = [f"${{{name}}}" for name in names if not context.variable(name)]
    return f"{mismatch} ({', '.join(empty)} has no value here)" if mismatch == "resource" and empty else mismatch
