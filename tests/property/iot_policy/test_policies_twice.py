"""Random policies and requests, judged by the engine and by a second evaluator: no difference."""

import random

import pytest

from infra.local.iot.policy.cli import judge
from tests.property.iot_policy.second_opinion import decide

ARN = "arn:aws:iot:us-east-1:123456789012:"
NAMES = ["a", "b", "+", "#", "a+b", "A"]
ACTIONS = ["iot:Connect", "iot:Publish", "iot:Subscribe", "iot:Receive", "iot:RetainPublish"]
PATTERNS = [*ACTIONS, "iot:*", "*", "iot:Pub*", "iot:?ublish", "iot:publish"]
KINDS = ["topic/", "topicfilter/", "client/"]
FIELDS = ["Subject.CommonName", "Subject.Organization", "Issuer.Country", "SerialNumber"]
VARIABLES = [
    "iot:ClientId",
    "aws:SourceIp",
    "iot:Connection.Thing.ThingName",
    "iot:Connection.Thing.ThingTypeName",
    "iot:Connection.Thing.Attributes[k]",
    "iot:Connection.Thing.Attributes[none]",
    "iot:Certificate.Subject.CommonName",
    "iot:Certificate.Subject.CommonName.0",
    "iot:Certificate.Subject.CommonName.1",
    "iot:Certificate.Subject.CommonName.List",
    "iot:Certificate.Subject.Organization.5",
    "iot:Certificate.SerialNumber",
    "iot:Unknown",
    "*",
    "?",
    "$",
]
KEYS = [
    *VARIABLES[:-4],
    "iot:Connection.Thing.IsAttached",
    "iot:ConnectAttributes",
    "iot:LastWillTopic",
    "iot:Certificate.Subject.Organization.List",
    "iot:Certificate.Issuer.Country",
]
OPERATORS = ["StringEquals", "StringNotEquals", "StringEqualsIgnoreCase", "StringLike", "StringNotLike"]
NETWORKS = ["10.0.0.0/8", "10.1.2.3/32", "0.0.0.0/0", "192.168.0.0/16"]


def pick_pattern(rng):
    parts = []
    for _ in range(rng.randint(1, 3)):
        kind = rng.random()
        if kind < 0.45:
            parts.append(rng.choice(NAMES))
        elif kind < 0.7:
            parts.append(rng.choice(["*", "?", "a*", "*b", "??"]))
        else:
            parts.append("${" + rng.choice(VARIABLES) + "}")
    return rng.choice(KINDS) + "/".join(parts)


def pick_resources(rng):
    if rng.random() < 0.2:
        return "*"
    return [ARN + pick_pattern(rng) for _ in range(rng.randint(1, 2))]


def pick_value(rng):
    choices = [*NAMES, "a*", "?", "${iot:ClientId}", "${iot:Connection.Thing.ThingName}", "x,y", "x\\,y", "true"]
    return rng.choice([*choices, "PersistentConnect", "LastWill", "${iot:Certificate.Subject.CommonName}"])


def pick_condition(rng):
    kind = rng.random()
    if kind < 0.1:
        return {"Null": {rng.choice(KEYS): rng.choice(["true", "false"])}}
    if kind < 0.2:
        return {rng.choice(["IpAddress", "NotIpAddress"]): {"aws:SourceIp": rng.sample(NETWORKS, rng.randint(1, 2))}}
    if kind < 0.3:
        return {rng.choice(["ArnLike", "ArnEquals"]): {"iot:LastWillTopic": ARN + pick_pattern(rng)}}
    if kind < 0.4:
        return {"Bool": {"iot:Connection.Thing.IsAttached": [rng.choice(["true", "false"])]}}
    if kind < 0.6:
        attributes = rng.sample(["PersistentConnect", "LastWill"], rng.randint(0, 2))
        return {rng.choice(["ForAllValues:", "ForAnyValue:"]) + "StringEquals": {"iot:ConnectAttributes": attributes}}
    name = rng.choice(["", "", "ForAllValues:", "ForAnyValue:"]) + rng.choice(OPERATORS) + rng.choice(["", "IfExists"])
    return {name: {rng.choice(KEYS): [pick_value(rng) for _ in range(rng.randint(1, 2))]}}


def pick_statement(rng):
    actions = rng.sample(PATTERNS, rng.randint(1, 2))
    statement = {
        "Effect": rng.choice(["Allow", "Allow", "Deny"]),
        rng.choice(["Action"] * 5 + ["NotAction"]): actions,
        rng.choice(["Resource"] * 5 + ["NotResource"]): pick_resources(rng),
    }
    if rng.random() < 0.5:
        statement["Condition"] = pick_condition(rng)
    return statement


def pick_context(rng):
    context = {}
    if rng.random() < 0.8:
        context["client_id"] = rng.choice(NAMES)
    if rng.random() < 0.7:
        name = context.get("client_id", "a") if rng.random() < 0.8 else rng.choice(NAMES)
        attributes = {"k": rng.choice(NAMES)} if rng.random() < 0.7 else {}
        context["thing"] = {"name": name, "type": rng.choice([None, *NAMES]), "attributes": attributes}
    if rng.random() < 0.7:
        context["source_ip"] = rng.choice(["10.1.2.3", "192.168.1.1"])
    if rng.random() < 0.6:
        context["cert"] = {
            field: [rng.choice([*NAMES, "x,y", "a*"]) for _ in range(rng.randint(0, 6))] for field in FIELDS
        }
    if rng.random() < 0.7:
        context["connect_attributes"] = rng.sample(["PersistentConnect", "LastWill"], rng.randint(0, 2))
    if rng.random() < 0.5:
        context["last_will_topic"] = "/".join(rng.choices(NAMES, k=rng.randint(1, 2)))
    return context


def pick_case(rng):
    resource = ARN + rng.choice(KINDS) + "/".join(rng.choices([*NAMES, "x,y", "10.1.2.3"], k=rng.randint(1, 3)))
    return {
        "statements": [pick_statement(rng) for _ in range(rng.randint(1, 4))],
        "action": rng.choice(ACTIONS),
        "resource": resource,
        "context": pick_context(rng),
    }


def agree(seed, count):
    rng = random.Random(seed)
    decisions = {"allow": 0, "deny": 0}
    for _ in range(count):
        case = pick_case(rng)
        mine = "allow" if judge(case).allowed else "deny"
        assert mine == decide(case["statements"], case["action"], case["resource"], case["context"]), case
        decisions[mine] += 1
    return decisions


def test_both_evaluators_decide_alike():
    decisions = agree(1, 4000)
    assert min(decisions.values()) > 400


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_both_evaluators_decide_alike_a_hundred_thousand_times():
    print(agree(2, 100_000))
