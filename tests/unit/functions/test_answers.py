"""What a batch's answer means, event patterns, and resource policies: the pure parts."""

import json

import pytest

from infra.local.functions import LambdaError, policy
from infra.local.functions.model import InvokeResult
from infra.local.functions.sources import patterns
from infra.local.functions.sources.mapping import EventSource, failed_items
from infra.local.wire import Caller

SOURCE = EventSource(
    id="1", source_arn="arn:aws:sqs:us-east-1:1:q", function="f", function_arn="a", report_failures=True
)


def answered(payload: object, *, raw: bytes | None = None, error: str | None = None) -> set[str]:
    result = InvokeResult(
        status=200, payload=raw if raw is not None else json.dumps(payload).encode(), function_error=error
    )
    return set(failed_items(SOURCE, result, ["1", "2", "3"]))


@pytest.mark.parametrize("payload", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_an_empty_or_null_answer_is_a_success(payload):
    assert answered(payload) == set()


def test_the_items_named_fail():
    assert answered({"batchItemFailures": [{"itemIdentifier": "2"}]}) == {"2"}


@pytest.mark.parametrize(
    "payload",
    [
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"wrongKey": "2"}]},
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        "text",
        ["list"],
    ],
)
def test_a_bad_answer_fails_the_whole_batch(payload):
    assert answered(payload) == {"1", "2", "3"}


def test_bad_json_and_a_function_error_fail_the_whole_batch():
    assert answered(None, raw=b"{") == {"1", "2", "3"}
    assert answered({}, error="Unhandled") == {"1", "2", "3"}


@pytest.mark.parametrize(
    ("pattern", "event", "expected"),
    [
        ({"eventName": ["INSERT", "MODIFY"]}, {"eventName": "INSERT"}, True),
        ({"eventName": ["INSERT"]}, {"eventName": "REMOVE"}, False),
        ({"a": {"b": [1]}}, {"a": {"b": 1}}, True),
        ({"a": {"b": [1]}}, {"a": {}}, False),
        ({"a": [{"prefix": "th"}]}, {"a": "thing"}, True),
        ({"a": [{"suffix": "ng"}]}, {"a": "thing"}, True),
        ({"a": [{"equals-ignore-case": "THING"}]}, {"a": "thing"}, True),
        ({"a": [{"anything-but": ["x", "y"]}]}, {"a": "z"}, True),
        ({"a": [{"anything-but": {"prefix": "z"}}]}, {"a": "zz"}, False),
        ({"a": [{"exists": True}]}, {"a": None}, True),
        ({"a": [{"exists": False}]}, {}, True),
        ({"a": [{"numeric": [">", 1, "<=", 5]}]}, {"a": 5}, True),
        ({"a": [{"numeric": [">", 1, "<=", 5]}]}, {"a": True}, False),
        ({"a": [True]}, {"a": 1}, False),
        ({"a": ["x"]}, {"a": ["y", "x"]}, True),
        ({"$or": [{"a": ["1"]}, {"b": ["1"]}]}, {"b": "1"}, True),
        ({"a": ["1"], "b": ["2"]}, {"a": "1", "b": "3"}, False),
    ],
)
def test_patterns(pattern, event, expected):
    patterns.check(pattern)
    assert patterns.matches(pattern, event) is expected


@pytest.mark.parametrize(
    "pattern", [{}, {"a": "x"}, {"a": [{"cidr": "10.0.0.0/8"}]}, {"a": [{"numeric": ["~", 1]}]}, []]
)
def test_patterns_that_are_none_or_not_carried_are_refused(pattern):
    with pytest.raises(LambdaError):
        patterns.check(pattern)


@pytest.mark.parametrize(
    ("source_arn", "pattern", "account", "allowed"),
    [
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket", None, True),
        ("arn:aws:s3:::other", "arn:aws:s3:::bucket", None, False),
        ("arn:aws:iot:us-east-1:1:rule/r", "arn:aws:iot:us-east-1:1:rule/*", None, True),
        ("arn:aws:iot:eu-west-1:1:rule/r", "arn:aws:iot:us-east-1:*", None, False),
        ("arn:aws:s3:::bucket", "arn:aws:s3:::bucket", "123456789012", True),
        ("arn:aws:iot:us-east-1:999:rule/r", None, "123456789012", False),
        (None, "arn:aws:s3:::bucket", None, False),
        (None, None, None, True),
    ],
)
def test_a_resource_policy_looks_at_the_source(source_arn, pattern, account, allowed):
    given = {"StatementId": "s", "Action": "lambda:InvokeFunction", "Principal": "s3.amazonaws.com"}
    given |= {"SourceArn": pattern} if pattern else {}
    given |= {"SourceAccount": account} if account else {}
    statement = policy.statement(given, "arn")
    caller = Caller(arn="s3.amazonaws.com", kind="service", source_arn=source_arn)
    if allowed:
        policy.check([statement], caller, "arn", "123456789012")
    else:
        with pytest.raises(LambdaError, match="is not authorized to perform: lambda:InvokeFunction"):
            policy.check([statement], caller, "arn", "123456789012")
