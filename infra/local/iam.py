"""AWS IAM policies: parsed once, then judged. Pure.

Follows "IAM JSON policy elements reference" and "Policy evaluation logic" (IAM User Guide) for identity-based policies
and permissions boundaries within one account. An operator or element that is not known is an error when the policy is
parsed, never a condition that quietly holds or fails.
"""

import ipaddress
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

from infra.local.config import ACCOUNT_ID

Values = dict[str, str | list[str]]
Context = Mapping[str, str | Sequence[str]]
"""Condition keys, in lower case, to their value or values."""

_ELEMENTS = frozenset(
    ("Sid", "Effect", "Action", "NotAction", "Resource", "NotResource", "Condition", "Principal", "NotPrincipal")
)


class PolicyError(ValueError):
    """A policy is not one: what is wrong, for whoever wrote it."""


class Unmapped(Exception):  # noqa: N818 - a fact about us, not a failure
    """A call for which no action is known here: it is refused, by its name."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One permission that a request needs."""

    action: str
    resource: str
    context: Values = field(default_factory=dict)
    """Condition keys of this action, in lower case."""


def build_arn(service: str, region: str, rest: str) -> str:
    """Return the ARN of something of the account's own."""
    return f"arn:aws:{service}:{region}:{ACCOUNT_ID}:{rest}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison: an operator, a key and the values of which one must match (or none, where ``negated``)."""

    operator: str
    key: str
    values: tuple[str, ...]
    matches: Callable[[str, str], bool]
    """(value of the policy, value of the request)"""
    negated: bool = False
    if_exists: bool = False
    qualifier: str = ""

    def holds(self, context: Context) -> bool:
        """Say whether the request fulfils it."""
        found = context.get(self.key)
        if self.operator == "Null":
            return (found is None) == (self.values[0].lower() == "true")
        if found is None:
            return self.if_exists or self.qualifier == "ForAllValues" or (self.negated and not self.qualifier)
        given = (found,) if isinstance(found, str) else found
        wanted = [text for value in self.values if (text := resolve(value, context)) is not None]
        each = (any(self.matches(value, one) for value in wanted) != self.negated for one in given)
        # Without a qualifier several values of a key are no AWS request; a negation must then hold for all of them.
        every = self.qualifier == "ForAllValues" or (self.negated and not self.qualifier)
        return all(each) if every else any(each)


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """One statement of a policy."""

    origin: str
    """Where it stands: ``{policy}#{number}``, counted from 1, and its Sid if it has one."""
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    conditions: tuple[Condition, ...]
    not_actions: bool = False
    not_resources: bool = False
    principals: Mapping[str, tuple[str, ...]] | None = None
    """Of resource-based and trust policies: ``Service``, ``Federated``, ``AWS`` or ``*`` to names."""

    @property
    def depends_on_context(self) -> bool:
        """Say whether more than action and resource matters."""
        return bool(self.conditions) or any("${" in resource for resource in self.resources)

    def covers(self, action: str, resource: str, context: Context) -> bool:
        """Say whether the statement is about this request."""
        if any(_action(pattern)(action) is not None for pattern in self.actions) == self.not_actions:
            return False
        if any(arn_matches(pattern, resource, context) for pattern in self.resources) == self.not_resources:
            return False
        return all(condition.holds(context) for condition in self.conditions)


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """Whether a request is allowed, and why not."""

    allowed: bool
    reason: str = ""
    """The end of AWS's sentence: ``because no identity-based policy allows the s3:GetObject action``."""
    statement: Statement | None = None
    """The one that allowed or denied it."""


def parse(document: Mapping[str, Any], name: str = "policy") -> tuple[Statement, ...]:
    """Return a policy's statements, which remember the policy's name as their origin.

    Raises:
        PolicyError: an element, effect or operator that IAM does not have.
    """
    listed = document.get("Statement", [])
    variables = document.get("Version") == "2012-10-17"
    many = listed if isinstance(listed, list) else [listed]
    return tuple(_statement(one, f"{name}#{number}", variables=variables) for number, one in enumerate(many, 1))


def evaluate(
    identity: Iterable[Statement],
    boundary: Iterable[Statement] | None,
    action: str,
    resource: str,
    context: Context,
) -> Decision:
    """Return the decision on one action: an explicit deny first, then the boundary, then a statement that allows."""
    allowed = _judge(identity, action, resource, context)
    if allowed is not None and not allowed.allows:
        return _denied("identity-based policy", allowed)
    if boundary is not None:
        bounded = _judge(boundary, action, resource, context)
        if bounded is None:
            return Decision(allowed=False, reason=f"because no permissions boundary allows the {action} action")
        if not bounded.allows:
            return _denied("permissions boundary", bounded)
    if allowed is None:
        return Decision(allowed=False, reason=f"because no identity-based policy allows the {action} action")
    return Decision(allowed=True, statement=allowed)


def _judge(statements: Iterable[Statement], action: str, resource: str, context: Context) -> Statement | None:
    """Return the first statement that denies, else the first that allows, else None."""
    found = None
    for statement in statements:
        if (found is None or not statement.allows) and statement.covers(action, resource, context):
            if not statement.allows:
                return statement
            found = statement
    return found


def _denied(kind: str, statement: Statement) -> Decision:
    article = "an" if kind[0] in "aeiou" else "a"
    return Decision(allowed=False, reason=f"with an explicit deny in {article} {kind}", statement=statement)


def trusts(
    statements: Iterable[Statement], action: str, kind: str, names: Sequence[str], context: Context
) -> Statement | None:
    """Return the statement of a trust policy that lets ``names`` (principals of one kind) act; None if none does."""
    found = None
    for statement in statements:
        principals = statement.principals or {}
        trusted = (*principals.get(kind, ()), *principals.get("*", ()))
        if any(name in trusted for name in (*names, "*")) and statement.covers(action, "*", context):
            if not statement.allows:
                return None
            found = found or statement
    return found


# ---- patterns

_VARIABLE = re.compile(r"\$\{([^},]*)(?:,\s*'([^']*)')?\}")


def resolve(text: str, context: Context) -> str | None:
    """Return a value with its policy variables filled in; None where one has no (single) value in the request.

    ``${*}``, ``${?}`` and ``${$}`` stand for themselves ("IAM policy elements: Variables and tags"). Wildcards that a
    variable brings in are no wildcards.
    """
    if "${" not in text:
        return text

    def fill(found: re.Match[str]) -> str:
        name, default = found[1].strip(), found[2]
        value = name if name in ("*", "?", "$") else context.get(name.lower(), default)
        if not isinstance(value, str):
            raise LookupError(name)  # noqa: TRY004 - no value to put in, or several
        return value.translate(_LITERAL)

    try:
        return _VARIABLE.sub(fill, text)
    except LookupError:
        return None


_LITERAL = {ord("*"): "\ue000", ord("?"): "\ue001"}
"""Private characters that stand for a literal asterisk or question mark inside a pattern."""
_REVERSE = {0xE000: "*", 0xE001: "?"}


def _source(pattern: str, many: str = ".*", one: str = ".") -> str:
    parts = {"*": many, "?": one, "\ue000": r"\*", "\ue001": r"\?"}
    return "".join(parts.get(letter) or re.escape(letter) for letter in pattern)


@lru_cache(8192)
def _glob(pattern: str) -> Callable[[str], object]:
    """Return what matches a pattern of ``*`` and ``?``; it gives None where it does not."""
    return re.compile(_source(pattern), re.DOTALL).fullmatch


@lru_cache(8192)
def _action(pattern: str) -> Callable[[str], object]:
    """Return the same for an action, whose case does not matter."""
    return re.compile(_source(pattern), re.IGNORECASE).fullmatch


@lru_cache(8192)
def _arn(pattern: str) -> Callable[[str], object]:
    """Return the same for an ARN: a wildcard before the resource part does not reach over a colon."""
    parts = pattern.split(":", 5)
    if len(parts) < 6:
        return lambda _text: None
    heads = [_source(part, "[^:]*", "[^:]") for part in parts[:5]]
    return re.compile(":".join([*heads, _source(parts[5])]), re.DOTALL).fullmatch


def arn_matches(pattern: str, arn: str, context: Context) -> bool:
    """Say whether a statement's resource is this one."""
    if pattern == "*":
        return True
    resolved = resolve(pattern, context)
    return resolved is not None and _arn(resolved)(arn) is not None


# ---- conditions


def _equal(wanted: str, given: str) -> bool:
    return wanted.translate(_REVERSE) == given


def _equal_any_case(wanted: str, given: str) -> bool:
    return wanted.translate(_REVERSE).casefold() == given.casefold()


def _like(wanted: str, given: str) -> bool:
    return _glob(wanted)(given) is not None


def _arn_like(wanted: str, given: str) -> bool:
    return len(given.split(":", 5)) == 6 and _arn(wanted)(given) is not None


def _within(wanted: str, given: str) -> bool:
    try:
        return ipaddress.ip_address(given) in ipaddress.ip_network(wanted, strict=False)
    except ValueError:
        return False


def _number(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def matches(wanted: str, given: str) -> bool:
        try:
            return compare(float(given), float(wanted))
        except ValueError:
            return False

    return matches


def _instant(text: str) -> float:
    """Return epoch seconds of an ISO 8601 date or of epoch seconds."""
    if re.fullmatch(r"-?\d+(\.\d+)?", text):
        return float(text)
    at = datetime.fromisoformat(text)
    return (at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp()


def _date(compare: Callable[[float, float], bool]) -> Callable[[str, str], bool]:
    def matches(wanted: str, given: str) -> bool:
        try:
            return compare(_instant(given), _instant(wanted))
        except ValueError:
            return False

    return matches


_COMPARISONS: Mapping[str, Callable[[float, float], bool]] = {
    "Equals": lambda given, wanted: given == wanted,
    "LessThan": lambda given, wanted: given < wanted,
    "LessThanEquals": lambda given, wanted: given <= wanted,
    "GreaterThan": lambda given, wanted: given > wanted,
    "GreaterThanEquals": lambda given, wanted: given >= wanted,
}
_OPERATORS: Mapping[str, tuple[Callable[[str, str], bool], bool]] = {
    "StringEquals": (_equal, False),
    "StringNotEquals": (_equal, True),
    "StringEqualsIgnoreCase": (_equal_any_case, False),
    "StringNotEqualsIgnoreCase": (_equal_any_case, True),
    "StringLike": (_like, False),
    "StringNotLike": (_like, True),
    "Bool": (_equal_any_case, False),
    "BinaryEquals": (_equal, False),
    "IpAddress": (_within, False),
    "NotIpAddress": (_within, True),
    "ArnEquals": (_arn_like, False),
    "ArnLike": (_arn_like, False),
    "ArnNotEquals": (_arn_like, True),
    "ArnNotLike": (_arn_like, True),
    "Null": (_equal, False),
    **{f"Numeric{name}": (_number(compare), False) for name, compare in _COMPARISONS.items()},
    "NumericNotEquals": (_number(_COMPARISONS["Equals"]), True),
    **{f"Date{name}": (_date(compare), False) for name, compare in _COMPARISONS.items()},
    "DateNotEquals": (_date(_COMPARISONS["Equals"]), True),
}


# ---- parsing


def _statement(given: Mapping[str, Any], origin: str, *, variables: bool) -> Statement:
    if unknown := set(given) - _ELEMENTS:
        raise PolicyError(f"a statement has no element {', '.join(sorted(unknown))}")
    if given.get("Effect") not in ("Allow", "Deny"):
        raise PolicyError(f"Effect is Allow or Deny, not {given.get('Effect')}")
    if ("Action" in given) == ("NotAction" in given):
        raise PolicyError("a statement has either Action or NotAction")
    if "NotPrincipal" in given:
        raise PolicyError("NotPrincipal is not carried by the local cloud")
    trust = "Principal" in given
    resources = _texts(given.get("Resource", given.get("NotResource", "*" if trust else None)))
    if not resources:
        raise PolicyError("a statement has either Resource or NotResource")
    for resource in resources:
        if resource != "*" and (not resource.startswith("arn:") or resource.count(":") < 5):
            raise PolicyError(f'Resource {resource} must be in ARN format or "*".')
    # A policy of an older version has no variables: what looks like one is text.
    dollar = "${" if variables else "${$}{"
    conditions = [
        _condition(operator, key, [value.replace("${", dollar) for value in _texts(values)])
        for operator, keys in given.get("Condition", {}).items()
        for key, values in keys.items()
    ]
    return Statement(
        origin=f"{origin} {given.get('Sid', '')}".strip(),
        allows=given["Effect"] == "Allow",
        actions=tuple(_texts(given.get("Action", given.get("NotAction")))),
        not_actions="NotAction" in given,
        resources=tuple(resource.replace("${", dollar) for resource in resources),
        not_resources="NotResource" in given,
        conditions=tuple(conditions),
        principals=_principals(given["Principal"]) if trust else None,
    )


def _condition(operator: str, key: str, values: list[str]) -> Condition:
    qualifier, _, plain = operator.rpartition(":")
    if_exists = plain.endswith("IfExists")
    plain = plain.removesuffix("IfExists")
    if plain not in _OPERATORS or qualifier not in ("", "ForAllValues", "ForAnyValue"):
        raise PolicyError(f"there is no condition operator {operator}")
    matches, negated = _OPERATORS[plain]
    return Condition(
        operator=plain,
        key=key.lower(),
        values=tuple(values),
        matches=matches,
        negated=negated,
        if_exists=if_exists,
        qualifier=qualifier,
    )


def _principals(given: Any) -> dict[str, tuple[str, ...]]:
    return {"*": ("*",)} if given == "*" else {kind: tuple(_texts(names)) for kind, names in given.items()}


def _texts(given: Any) -> list[str]:
    """Return one value or many as texts; JSON's own booleans and numbers as policies write them."""
    many = given if isinstance(given, list) else [] if given is None else [given]
    return [str(one).lower() if isinstance(one, bool) else str(one) for one in many]
