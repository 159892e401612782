"""The engine against an evaluator written from AWS's words by someone who had not seen the engine."""

from collections import Counter
from collections.abc import Iterator

import pytest

from infra.local.iot.policy import evaluate, parse_statements
from tests.property.iot_policy_independent.cases import Case, cases
from tests.property.iot_policy_independent.reference import TESTS, is_allowed
from tests.property.iot_policy_independent.words import NAMES, generic, variable

SEED = 20_261_123
ALLOW_SHARE = (0.2, 0.6)
LEAST_SHARE = 0.01
"""How often the rarest feature must occur, as a share of all cases."""
VARIABLES = {variable(generic(name)) for name in NAMES} - {"${iot:Connection.Thing.IsAttached}"}
OPERATORS = {
    "Null",
    "NotIpAddress",
    "StringNotEquals",
    "StringNotLike",
    "StringNotEqualsIgnoreCase",
    "ArnNotEquals",
} | {*TESTS}
FEATURES = VARIABLES | OPERATORS | {
    "ARN with a part too few", "equal to one of a list",
    "Deny", "NotAction", "NotResource", "*", "?", "literal ${*}", "literal ${?}", "literal ${$}", "stray variable",
    "ForAllValues in a condition", "ForAnyValue in a condition", "IfExists", "several conditions", "no value wanted",
    "variable in a condition", "literal in a condition", "thing of another name", "thing not attached", "no thing",
    "connect without attributes", "last will", "cognito identity", "more values than count", "value with a wildcard",
    "value to be escaped", "value too long", "condition on iot:ConnectAttributes", "condition on iot:LastWillTopic",
    "condition on certificate.AvailableKeys", "condition on certificate.List", "condition on certificate by index",
}  # fmt: skip


def judged(case: Case) -> tuple[bool, bool]:
    """Return what the engine decides, and what the words of AWS decide."""
    statements = parse_statements(case.statements)
    decision = evaluate(statements, action=case.action, resource=case.resource, context=case.context)
    expected = is_allowed(case.statements, action=case.action, resource=case.resource, context=case.context)
    return decision.allowed, expected


def compare(some: Iterator[Case]) -> tuple[int, Counter[str], Counter[bool]]:
    """Return how many cases there were, how often each feature occurred, and how often each decision fell."""
    features: Counter[str] = Counter()
    decisions: Counter[bool] = Counter()
    for case in some:
        decided, expected = judged(case)
        assert decided == expected, f"the engine says {decided}, AWS's words say {expected}: {case}"
        features.update(case.features)
        decisions[decided] += 1
    return decisions.total(), features, decisions


def assert_rich(total: int, features: Counter[str], decisions: Counter[bool]) -> None:
    share = decisions[True] / total
    print(f"{total} cases, allowed: {share:.1%}")
    print("\n".join(f"{count:>8} {feature}" for feature, count in features.most_common()))
    assert ALLOW_SHARE[0] <= share <= ALLOW_SHARE[1]
    assert {f: features[f] for f in FEATURES if features[f] < LEAST_SHARE * total} == {}


def test_the_engine_decides_as_the_words_of_aws_do() -> None:
    assert_rich(*compare(cases(SEED, 3_000)))


@pytest.mark.long
@pytest.mark.timeout(1_800)
def test_the_engine_decides_as_the_words_of_aws_do_a_hundred_thousand_times() -> None:
    assert_rich(*compare(cases(SEED + 1, 100_000)))
