"""AWS IoT Core's policy language, evaluated the slow and obvious way, from the words of its documentation alone.

Written without sight of the engine it judges: it shares with it only the plain values of a request (``Context``, read
by field, never by method) and knows no compiled form. Sources: AWS IoT developer guide, "AWS IoT Core policies", "Thing
policy variables", "X.509 certificate policy variables", "Connect policy examples"; IAM user guide, "Condition
operators", "Conditions with multiple context keys or values", "Variables and tags" (AWS IoT policies follow the
conventions of IAM).
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from ipaddress import ip_address, ip_network
from itertools import product
from typing import Any

from infra.local.iot.policy import Context

Token = str | None
"""One character to be met as it is, or a wildcard: ``None`` for a run, the empty string for any one character."""

ANY_RUN, ANY_ONE = None, ""
WILDCARDS = {"*": ANY_RUN, "?": ANY_ONE}
UNSAFE_IN_CERTIFICATES = "*$+?#"
ESCAPED = ',"\\+=<>;'
MAX_CERTIFICATE_VALUES = 5
MAX_CERTIFICATE_CHARACTERS = 1024


def is_allowed(statements: Sequence[Mapping[str, Any]], *, action: str, resource: str, context: Context) -> bool:
    """Return the decision: by default no, one Allow says yes, any Deny says no for good."""
    effects = {s["Effect"] for s in statements if applies(s, action, resource, context)}
    return effects == {"Allow"}


def applies(statement: Mapping[str, Any], action: str, resource: str, context: Context) -> bool:
    """Return whether action, resource and every condition of a statement fit the request."""
    if "Action" in statement:
        named = any(names(a, action) for a in listed(statement["Action"]))
    else:
        named = not any(names(a, action) for a in listed(statement["NotAction"]))
    if "Resource" in statement:
        aimed = any(is_like(r, resource, context) for r in listed(statement["Resource"]))
    else:
        aimed = not any(is_like(r, resource, context) for r in listed(statement["NotResource"]))
    conditions = statement.get("Condition", {})
    return (
        named
        and aimed
        and all(
            holds(operator, key, listed(wanted), resource, context)
            for operator, block in conditions.items()
            for key, wanted in block.items()
        )
    )


def listed(value: Any) -> list[str]:
    """Return one value or many as a list of texts; JSON's true and numbers are written as texts."""
    many = value if isinstance(value, list) else [value]
    return [str(v).lower() if isinstance(v, bool) else str(v) for v in many]


# Patterns and variables


def plain_tokens(text: str) -> list[Token]:
    """Return a pattern without variables, character by character."""
    return [WILDCARDS.get(c, c) for c in text]


def readings(text: str, context: Context) -> list[list[Token]]:
    """Return all that a policy's text can mean for this request: one reading for each value its variables take.

    A variable without a value has no reading: its text stays, and nothing is meant to match it.
    """
    parts: list[list[list[Token]]] = []
    rest = text
    while rest:
        end = rest.find("}") if rest.startswith("${") else -1
        if end < 0:
            parts.append([plain_tokens(rest[0])])
            rest = rest[1:]
            continue
        name, rest = rest[2:end], rest[end + 1 :]
        if name in {"*", "?", "$"}:
            parts.append([[name]])
        else:
            parts.append([list(value) for value in substitutes(name, context)])
    return [[token for part in reading for token in part] for reading in product(*parts)]


def names(pattern: str, action: str) -> bool:
    """Return whether an Action element covers an action; case does not matter (page "Action")."""
    return meets(plain_tokens(pattern.lower()), action.lower())


def meets(tokens: Sequence[Token], text: str) -> bool:
    """Return whether a pattern covers the whole text, by keeping every place it may have come to."""
    places = {0}
    for token in tokens:
        if token is ANY_RUN:
            places = {later for place in places for later in range(place, len(text) + 1)}
        else:
            places = {place + 1 for place in places if place < len(text) and token in {ANY_ONE, text[place]}}
    return len(text) in places


def is_like(pattern: str, text: str, context: Context) -> bool:
    return any(meets(tokens, text) for tokens in readings(pattern, context))


def is_equal(pattern: str, text: str, context: Context) -> bool:
    """Return whether the texts are the same, wildcards being characters like any other."""
    back = {wildcard: character for character, wildcard in WILDCARDS.items()}
    return any("".join(back.get(t, t or "") for t in tokens) == text for tokens in readings(pattern, context))


def is_equal_ignoring_case(pattern: str, text: str, context: Context) -> bool:
    back = {wildcard: character for character, wildcard in WILDCARDS.items()}
    spelled = ("".join(back.get(t, t or "") for t in tokens) for tokens in readings(pattern, context))
    return any(s.lower() == text.lower() for s in spelled)


def is_arn_like(pattern: str, text: str, context: Context) -> bool:
    """Return whether each of the six parts between colons is like its counterpart."""
    parts = text.split(":", 5)
    for tokens in readings(pattern, context):
        pieces: list[list[Token]] = [[]]
        for token in tokens:
            if token == ":" and len(pieces) < 6:
                pieces.append([])
            else:
                pieces[-1].append(token)
        if len(pieces) == len(parts) == 6 and all(map(meets, pieces, parts)):
            return True
    return False


# What a request holds


def substitutes(name: str, context: Context) -> list[str]:
    """Return what may stand for ``${name}``: nothing, if a certificate's value has wildcards or is too long."""
    values = values_of(name, "", context) or []
    if name.startswith("iot:Certificate."):
        held = certificate_values(name.removeprefix("iot:Certificate."), context.certificate) or []
        if any(set(v) & set(UNSAFE_IN_CERTIFICATES) or len(v) > MAX_CERTIFICATE_CHARACTERS for v in held):
            return []
    return values


def values_of(key: str, resource: str, context: Context) -> list[str] | None:
    """Return the values of a condition key or variable, None if the request has no such thing."""
    if key.startswith("iot:Connection.Thing."):
        return thing_values(key.removeprefix("iot:Connection.Thing."), context)
    if key.startswith("iot:Certificate."):
        held = certificate_values(key.removeprefix("iot:Certificate."), context.certificate)
        return None if held is None else ["".join("\\" + c if c in ESCAPED else c for c in v) for v in held]
    if key == "iot:ConnectAttributes":
        return None if context.connect_attributes is None else list(context.connect_attributes)
    if key == "iot:LastWillTopic":
        _, _, _, region, account, *_ = (*resource.split(":"), *[""] * 6)
        topic = context.last_will_topic
        return None if topic is None else [f"arn:aws:iot:{region}:{account}:topic/{topic}"]
    known = {
        "iot:ClientId": context.client_id,
        "aws:SourceIp": context.source_ip,
        "iot:CertificateId": context.certificate_id,
        "cognito-identity.amazonaws.com:sub": context.cognito_sub,
    }
    if known.get(key) is not None:
        return [str(known[key])]
    return list(context.more[key]) if key in context.more else None


def thing_values(name: str, context: Context) -> list[str] | None:
    """Return a fact of the thing that is connected: named like the client id, the certificate attached to it."""
    thing = context.thing
    if thing is not None and context.client_id not in {None, thing.name}:
        thing = None
    attached = thing is not None if context.attached is None else context.attached
    if name == "IsAttached":
        return ["true" if attached else "false"]
    if thing is None or not attached:
        return None
    facts: dict[str, str | None] = {"ThingName": thing.name, "ThingTypeName": thing.type_name}
    facts |= {f"Attributes[{attribute}]": value for attribute, value in thing.attributes.items()}
    value = facts.get(name)
    return None if value is None else [value]


def certificate_values(name: str, fields: Mapping[str, Sequence[str]]) -> list[str] | None:
    """Return values of a certificate's field: the first, the one of an index from zero, or all with ``.List``."""
    if name == "AvailableKeys":
        return [f"iot:Certificate.{field}" for field in fields if fields[field]] or None
    if name in fields:
        chosen = list(fields[name][:1])
    else:
        field, _, suffix = name.rpartition(".")
        values = list(fields.get(field, ()))[:MAX_CERTIFICATE_VALUES]
        if suffix == "List":
            chosen = values
        elif suffix.isdecimal():
            chosen = values[int(suffix) : int(suffix) + 1]
        else:
            return None
    return chosen or None


# Conditions


def holds(operator: str, key: str, wanted: list[str], resource: str, context: Context) -> bool:
    """Return whether one line of a Condition block is true."""
    given = values_of(key, resource, context)
    if operator == "Null":
        return ("false" if given else "true") in [w.lower() for w in wanted]
    set_operator, _, base = operator.rpartition(":")
    if given is None and base.endswith("IfExists"):
        return True
    base = base.removesuffix("IfExists")
    is_negated = "Not" in base
    test = TESTS[base.replace("Not", "")]
    verdicts = [any(test(w, value, context) for w in wanted) != is_negated for value in given or ()]
    if set_operator == "ForAllValues":
        return all(verdicts)
    if set_operator == "ForAnyValue":
        return any(verdicts)
    # A key that is missing does not match, which is what a negated operator asks for. Several values without a set
    # operator are undefined by AWS; "one of them matches", and its negation, is what is held here.
    return all(verdicts) if is_negated else any(verdicts)


def is_bool(wanted: str, value: str, _context: Context) -> bool:
    return wanted.lower() == value.lower()


def is_in_network(wanted: str, value: str, _context: Context) -> bool:
    address, network = ip_address(value), ip_network(wanted, strict=False)
    return address.version == network.version and address in network


def comparison(read: Callable[[str], Any], compare: Callable[[Any, Any], bool]) -> Callable[[str, str, Context], bool]:
    return lambda wanted, value, _context: compare(read(value), read(wanted))


def instant(text: str) -> datetime:
    """Return the instant that ISO 8601 in UTC or seconds since 1970 name."""
    if text.isdecimal():
        return datetime.fromtimestamp(int(text), UTC)
    return datetime.fromisoformat(text)


COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "Equals": lambda value, wanted: value == wanted,
    "LessThan": lambda value, wanted: value < wanted,
    "LessThanEquals": lambda value, wanted: value <= wanted,
    "GreaterThan": lambda value, wanted: value > wanted,
    "GreaterThanEquals": lambda value, wanted: value >= wanted,
}
TESTS: dict[str, Callable[[str, str, Context], bool]] = {
    "StringEquals": is_equal,
    "StringEqualsIgnoreCase": is_equal_ignoring_case,
    "StringLike": is_like,
    "ArnEquals": is_arn_like,
    "ArnLike": is_arn_like,
    "Bool": is_bool,
    "IpAddress": is_in_network,
    **{f"Numeric{name}": comparison(Decimal, compare) for name, compare in COMPARISONS.items()},
    **{f"Date{name}": comparison(instant, compare) for name, compare in COMPARISONS.items()},
}
