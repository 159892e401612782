"""Requests of a shape that no SDK sends: an error of the caller's, and everything goes on."""

import json

import pytest

from infra.local.wire import Request
from tests.integration.functions.stage import OWNER, Stage

BODIES = (b"{", b"[]", b"null", b"5", b'"x"', b"{}")
NONSENSE = (None, True, -1, 10**12, "", "x", [], [{}], {"x": None}, "rate(99999999999 days)")
LAMBDA = (
    ("POST", "/2015-03-31/functions", ("FunctionName", "Role", "Code", "Environment", "DeadLetterConfig", "Tags")),
    ("PUT", "/2015-03-31/functions/f/configuration", ("Environment", "DeadLetterConfig", "Timeout", "LoggingConfig")),
    ("POST", "/2015-03-31/functions/f/aliases", ("Name", "FunctionVersion", "RoutingConfig")),
    ("POST", "/2015-03-31/functions/f/policy", ("StatementId", "Action", "Principal", "SourceArn")),
    ("PUT", "/2017-10-31/functions/f/concurrency", ("ReservedConcurrentExecutions",)),
    ("PUT", "/2019-09-25/functions/f/event-invoke-config", ("MaximumRetryAttempts", "DestinationConfig")),
    ("POST", "/2015-03-31/event-source-mappings", ("EventSourceArn", "FunctionName", "BatchSize", "FilterCriteria")),
)
SCHEDULES = ("ScheduleExpression", "Target", "StartDate", "FlexibleTimeWindow", "ScheduleExpressionTimezone")


def named(operation: str) -> dict[str, str]:
    return {"x-amz-target": f"AWSEvents.{operation}"}


@pytest.mark.parametrize("nonsense", NONSENSE, ids=repr)
async def test_nonsense_is_the_callers_error_at_every_door(tmp_path, nonsense):
    async with Stage(tmp_path) as stage:
        await stage.create("f")
        functions = stage.functions
        requests = [
            (functions.handle, Request(service="lambda", method=method, path=path, body=body, caller=OWNER))
            for method, path, names in LAMBDA
            for body in (*BODIES, *(json.dumps({name: nonsense}).encode() for name in names))
        ]
        requests += [
            (functions.scheduler.handle, Request(service="scheduler", method="POST", path="/schedules/s", body=body))
            for body in (*BODIES, *(json.dumps({name: nonsense}).encode() for name in SCHEDULES))
        ]
        requests += [
            (functions.rules.handle, Request(service="events", method="POST", path="/", headers=named(name), body=body))
            for name in ("PutRule", "PutTargets", "RemoveTargets", "DescribeRule", "TagResource")
            for body in (*BODIES, json.dumps({"Name": nonsense, "Rule": nonsense, "Targets": nonsense}).encode())
        ]  # fmt: skip
        for handle, request in requests:
            answer = await handle(request)
            assert answer.status < 500, (request.path, request.body, answer.body)
        assert (await stage.invoke("f"))[1].function_error is None
