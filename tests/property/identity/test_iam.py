"""IAM's decisions: equal to a second evaluator's on random policies, and right on the guide's own examples."""

import random
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.iam import PolicyError, evaluate, parse
from tests.property.identity.second_evaluator import decide

ACTIONS = ["dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:Query", "s3:GetObject", "iot:Publish"]
ARNS = [
    "arn:aws:dynamodb:us-east-1:123456789012:table/a",
    "arn:aws:dynamodb:us-east-1:123456789012:table/a/index/i",
    "arn:aws:dynamodb:eu-west-1:123456789012:table/ab",
    "arn:aws:s3:::bucket/key*",
    "arn:aws:s3:::bucket/u1/key",
    "arn:aws:iot:us-east-1:123456789012:topic/a:b/c",
    "*",
]
RESOURCES = [
    *ARNS,
    "arn:aws:dynamodb:*:*:table/a",
    "arn:aws:dynamodb:us-east-?:123456789012:table/*",
    "arn:aws:s3:::bucket/${cognito-identity.amazonaws.com:sub}/*",
    "arn:aws:s3:::bucket/key${*}",
    "arn:aws:*:*:*:*",
    "arn:aws:iot:us-east-1:*:topic/*/c",
    "arn:aws:s3:::${unknown:key}",
]
KEYS = ["dynamodb:leadingkeys", "aws:securetransport", "aws:sourcearn", "n", "cognito-identity.amazonaws.com:sub"]
VALUES = ["u1", "u2", "true", "false", "3", "10", "u*", ARNS[0], "", "${cognito-identity.amazonaws.com:sub}", "a?c"]
OPERATORS = [
    prefix + base + suffix
    for prefix in ("", "ForAllValues:", "ForAnyValue:")
    for base in (
        "StringEquals",
        "StringNotEquals",
        "StringLike",
        "StringNotLike",
        "ArnLike",
        "ArnNotLike",
        "Bool",
        "NumericLessThan",
    )
    for suffix in ("", "IfExists")
] + ["Null"]

one_or_more = lambda items: st.sampled_from(items) | st.lists(st.sampled_from(items), min_size=1, max_size=3)  # noqa: E731


@st.composite
def conditions(draw):
    block = {}
    for operator in draw(st.lists(st.sampled_from(OPERATORS), max_size=2)):
        values = ["true", "false"] if operator == "Null" else VALUES
        wanted = st.sampled_from(values) if operator == "Null" else one_or_more(values)
        block[operator] = draw(st.dictionaries(st.sampled_from(KEYS), wanted, min_size=1, max_size=2))
    return block


@st.composite
def statements(draw):
    statement = {"Effect": draw(st.sampled_from(["Allow", "Allow", "Deny"]))}
    patterns = [*ACTIONS, "dynamodb:*", "*", "DynamoDB:get*", "s3:?etObject"]
    statement[draw(st.sampled_from(["Action", "Action", "NotAction"]))] = draw(one_or_more(patterns))
    statement[draw(st.sampled_from(["Resource", "Resource", "NotResource"]))] = draw(one_or_more(RESOURCES))
    if block := draw(conditions()):
        statement["Condition"] = block
    return statement


policies = st.builds(
    lambda listed: {"Version": "2012-10-17", "Statement": listed}, st.lists(statements(), min_size=1, max_size=4)
)
contexts = st.dictionaries(
    st.sampled_from(KEYS),
    st.sampled_from(["u1", "u2", "true", "3", "10", "u*", "key*", ARNS[0], "", "abc"])
    | st.lists(st.sampled_from(["u1", "u2", "u*", "3"]), min_size=1, max_size=3),
    max_size=4,
)


def agree(identity, boundary, action, resource, context):
    ours = evaluate(parse(identity), None if boundary is None else parse(boundary), action, resource, context)
    kind = "allow" if ours.allowed else "deny" if "explicit" in ours.reason else "nothing"
    assert kind == decide(identity, boundary, action, resource, context)
    return kind


@settings(max_examples=100, deadline=None)
@given(policies, st.none() | policies, st.sampled_from(ACTIONS), st.sampled_from(ARNS), contexts)
def test_a_second_evaluator_decides_the_same(identity, boundary, action, resource, context):
    agree(identity, boundary, action, resource, context)


class Dice:
    """Random policies, fast: the same ground as the strategies above, without shrinking."""

    def __init__(self, seed):
        self.pick = random.Random(seed)

    def some(self, items):
        return (
            self.pick.choice(items) if self.pick.random() < 0.5 else self.pick.choices(items, k=self.pick.randint(1, 3))
        )

    def condition(self):
        operator = self.pick.choice(OPERATORS)
        wanted = self.pick.choice(["true", "false"]) if operator == "Null" else self.some(VALUES)
        return {operator: {self.pick.choice(KEYS): wanted}}

    def statement(self):
        statement = {"Effect": self.pick.choice(["Allow", "Allow", "Deny"])}
        patterns = [*ACTIONS, "dynamodb:*", "*", "DynamoDB:get*", "s3:?etObject"]
        statement[self.pick.choice(["Action", "Action", "NotAction"])] = self.some(patterns)
        statement[self.pick.choice(["Resource", "Resource", "NotResource"])] = self.some(RESOURCES)
        return {**statement, "Condition": self.condition()} if self.pick.random() < 0.6 else statement

    def policy(self):
        return {"Version": "2012-10-17", "Statement": [self.statement() for _ in range(self.pick.randint(1, 3))]}

    def context(self):
        values = ["u1", "u2", "true", "3", "10", "u*", ARNS[0], "", "abc", ["u1", "u2"], ["u1"], ["u*", "3"]]
        return {key: self.pick.choice(values) for key in self.pick.sample(KEYS, self.pick.randint(0, 4))}


def roll(count, seed):
    dice = Dice(seed)
    found = {"allow": 0, "deny": 0, "nothing": 0}
    for _ in range(count):
        boundary = dice.policy() if dice.pick.random() < 0.2 else None
        found[agree(dice.policy(), boundary, dice.pick.choice(ACTIONS), dice.pick.choice(ARNS), dice.context())] += 1
    return found


def test_random_policies_reach_every_kind_of_decision_and_all_agree():
    assert min(roll(3000, seed=7).values()) > 100


@pytest.mark.long
@pytest.mark.timeout(900)
def test_a_second_evaluator_decides_the_same_a_hundred_thousand_times():
    assert min(roll(100_000, seed=11).values()) > 5000


def one(**statement):
    base = {"Effect": "Allow", "Action": "dynamodb:GetItem", "Resource": "*"}
    return parse({"Version": "2012-10-17", "Statement": [{**base, **statement}]})


def allowed(statements, context=None, action="dynamodb:GetItem", resource=ARNS[0], boundary=None):
    return evaluate(statements, boundary, action, resource, context or {}).allowed


def test_fine_grained_access_by_leading_keys_as_the_dynamodb_guide_has_it():
    # "Using conditions: example policies", DynamoDB Developer Guide.
    own = one(
        Condition={"ForAllValues:StringEquals": {"dynamodb:LeadingKeys": ["${cognito-identity.amazonaws.com:sub}"]}}
    )
    me = {"cognito-identity.amazonaws.com:sub": "us-east-1:me"}
    assert allowed(own, {**me, "dynamodb:leadingkeys": ["us-east-1:me"]})
    assert not allowed(own, {**me, "dynamodb:leadingkeys": ["us-east-1:me", "us-east-1:you"]})
    assert not allowed(own, {"dynamodb:leadingkeys": ["us-east-1:me"]})


def test_an_explicit_deny_wins_and_a_boundary_limits():
    everything, deny = one(Action="*"), one(Effect="Deny")
    assert not allowed(everything + deny)
    decision = evaluate(everything + deny, None, "dynamodb:GetItem", ARNS[0], {})
    assert decision.reason == "with an explicit deny in an identity-based policy"
    assert not allowed(everything, boundary=one(Action="s3:*"))
    decision = evaluate(everything, one(Action="s3:*"), "dynamodb:GetItem", ARNS[0], {})
    assert decision.reason == "because no permissions boundary allows the dynamodb:GetItem action"
    assert evaluate(everything, deny, "dynamodb:GetItem", ARNS[0], {}).reason == (
        "with an explicit deny in a permissions boundary"
    )
    assert evaluate(one(Action="s3:*"), everything, "dynamodb:GetItem", ARNS[0], {}).reason == (
        "because no identity-based policy allows the dynamodb:GetItem action"
    )


@pytest.mark.parametrize(
    ("pattern", "arn", "expected"),
    [
        ("arn:aws:dynamodb:*:*:table/a", ARNS[0], True),
        ("arn:aws:dynamodb:us-east-1:123456789012:table/*", ARNS[1], True),
        ("arn:aws:dynamodb:us-east-1:123456789012:table/a", ARNS[1], False),
        ("arn:aws:dynamodb:us-east-1:123456789012:table/A", ARNS[0], False),
        ("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a/b:c", True),
        ("arn:aws:s3:::bucket/key${*}", "arn:aws:s3:::bucket/keys", False),
        ("arn:aws:s3:::bucket/key${*}", "arn:aws:s3:::bucket/key*", True),
    ],
)
def test_resources(pattern, arn, expected):
    assert allowed(one(Resource=pattern), resource=arn) is expected


@pytest.mark.parametrize(
    ("operator", "wanted", "given_value", "expected"),
    [
        ("IpAddress", "10.0.0.0/8", "10.1.2.3", True),
        ("IpAddress", "10.0.0.0/8", "11.1.2.3", False),
        ("NotIpAddress", "10.0.0.0/8", "11.1.2.3", True),
        ("NotIpAddress", "10.0.0.0/8", None, True),
        ("IpAddress", "10.0.0.0/8", None, False),
        ("NumericGreaterThanEquals", "3", "3", True),
        ("NumericNotEquals", "3", "4", True),
        ("NumericEquals", "3", "three", False),
        ("DateLessThan", "2030-01-01T00:00:00Z", "2029-12-31T23:59:59Z", True),
        ("DateGreaterThan", "2030-01-01T00:00:00Z", "1893456001", True),
        ("StringEqualsIgnoreCase", "ABC", "abc", True),
        ("StringNotEqualsIgnoreCase", "ABC", "abc", False),
        ("BoolIfExists", "false", None, True),
        ("Bool", "false", None, False),
        ("Bool", False, "false", True),
        ("Null", "true", None, True),
        ("Null", "true", "x", False),
        ("ArnEquals", "arn:aws:iot:*:*:rule/*", "arn:aws:iot:us-east-1:1:rule/r", True),
        ("ArnNotEquals", "arn:aws:iot:*:*:rule/*", "arn:aws:s3:::b", True),
        ("StringNotLike", "a*", "abc", False),
    ],
)
def test_operators(operator, wanted, given_value, expected):
    context = {} if given_value is None else {"aws:key": given_value}
    assert allowed(one(Condition={operator: {"aws:Key": wanted}}), context) is expected


@pytest.mark.parametrize(
    "statement",
    [
        {"Effect": "allow", "Action": "*", "Resource": "*"},
        {"Effect": "Allow", "Resource": "*"},
        {"Effect": "Allow", "Action": "*", "NotAction": "*", "Resource": "*"},
        {"Effect": "Allow", "Action": "*"},
        {"Effect": "Allow", "Action": "*", "Resource": "table/a"},
        {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:dynamodb:*:table/a"},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"StringEqual": {"a": "b"}}},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Condition": {"ForSomeValues:Bool": {"a": "b"}}},
        {"Effect": "Allow", "Action": "*", "Resource": "*", "Extra": 1},
    ],
)
def test_what_is_no_policy_is_an_error(statement):
    with pytest.raises(PolicyError):
        parse({"Version": "2012-10-17", "Statement": statement})


def test_an_older_version_knows_no_variables():
    document = {"Statement": {"Effect": "Allow", "Action": "*", "Resource": "arn:aws:s3:::b/${aws:userid}"}}
    assert not allowed(parse(document), {"aws:userid": "u"}, resource="arn:aws:s3:::b/u")
    assert allowed(parse(document), {"aws:userid": "u"}, resource="arn:aws:s3:::b/${aws:userid}")
    assert allowed(parse({**document, "Version": "2012-10-17"}), {"aws:userid": "u"}, resource="arn:aws:s3:::b/u")


def test_a_decision_costs_little():
    role = (
        one(Action=["logs:CreateLogStream", "logs:PutLogEvents"])
        + one(Resource=ARNS[:2])
        + one(Action="dynamodb:PutItem")
    )
    evaluate(role, None, "dynamodb:GetItem", ARNS[0], {})
    started = time.process_time()
    for _ in range(2000):
        evaluate(role, None, "dynamodb:GetItem", ARNS[0], {})
    assert (time.process_time() - started) / 2000 < 200e-6  # about 6 us on an idle core
