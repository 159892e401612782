"""What hangs on a function, as boto3 calls it: reserved concurrency, asynchronous settings, tags."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs

from infra.local.functions import documents
from infra.local.functions.catalog import Function
from infra.local.functions.model import LATEST, MAX_CONCURRENCY, AsyncConfig, LambdaError, invalid, malformed, not_found
from infra.local.wire import Response, json_response

if TYPE_CHECKING:
    from infra.local.functions.api import Call

UNRESERVED = 100
"""Of the account's concurrency, which no function may reserve. ("Configuring reserved concurrency")."""

# Concurrency and asynchronous settings.


async def put_concurrency(call: "Call") -> Response:
    """("PutFunctionConcurrency")."""
    reserved = int(call.body["ReservedConcurrentExecutions"])
    if reserved < 0:
        raise malformed(reserved, "reservedConcurrentExecutions", "Member must have value greater than or equal to 0")
    if reserved > MAX_CONCURRENCY - UNRESERVED:
        raise invalid(
            "Specified ReservedConcurrentExecutions for function decreases account's UnreservedConcurrentExecution "
            f"below its minimum value of [{UNRESERVED}]."
        )
    call.function.reserved_concurrency = reserved
    return json_response({"ReservedConcurrentExecutions": call.function.reserved_concurrency})


async def get_concurrency(call: "Call") -> Response:
    """("GetFunctionConcurrency")."""
    reserved = call.function.reserved_concurrency
    return json_response({} if reserved is None else {"ReservedConcurrentExecutions": reserved})


async def delete_concurrency(call: "Call") -> Response:
    """("DeleteFunctionConcurrency")."""
    call.function.reserved_concurrency = None
    return Response(status=204)


async def put_async_config(call: "Call") -> Response:
    """("PutFunctionEventInvokeConfig", and "UpdateFunctionEventInvokeConfig", which keeps what is not given)."""
    function, given, qualifier = call.function, call.body, call.qualifier or LATEST
    target = call.catalog.resolve(call.names[0], call.qualifier)
    before = function.async_configs.get(qualifier) if call.request.method == "POST" else None
    if call.request.method == "POST" and before is None:
        raise _no_async_config(function, qualifier)
    config = _async_config(before or AsyncConfig(), given, call.functions.timers.now())
    for arn in (config.on_success_arn, config.on_failure_arn):
        if arn:
            await call.functions.check_destination(target.configuration.role, arn)
    function.async_configs[qualifier] = config
    return json_response(documents.async_config(function, qualifier))


def _async_config(before: AsyncConfig, given: Mapping[str, Any], now: float) -> AsyncConfig:
    retries = given.get("MaximumRetryAttempts", before.retries)
    max_age_s = given.get("MaximumEventAgeInSeconds", before.max_age_s)
    if not 0 <= retries <= 2 or not 60 <= max_age_s <= 21_600:
        raise invalid("MaximumRetryAttempts must be 0 to 2, MaximumEventAgeInSeconds 60 to 21600")
    destinations = given.get("DestinationConfig", {})
    arns = {name: destinations.get(name, {}).get("Destination") for name in ("OnSuccess", "OnFailure")}
    return AsyncConfig(
        retries=retries,
        max_age_s=max_age_s,
        on_success_arn=arns["OnSuccess"] if destinations else before.on_success_arn,
        on_failure_arn=arns["OnFailure"] if destinations else before.on_failure_arn,
        last_modified=now,
    )


async def get_async_config(call: "Call") -> Response:
    """("GetFunctionEventInvokeConfig")."""
    qualifier = call.qualifier or LATEST
    if qualifier not in call.function.async_configs:
        raise _no_async_config(call.function, qualifier)
    return json_response(documents.async_config(call.function, qualifier))


async def delete_async_config(call: "Call") -> Response:
    """("DeleteFunctionEventInvokeConfig")."""
    if call.function.async_configs.pop(call.qualifier or LATEST, None) is None:
        raise _no_async_config(call.function, call.qualifier or LATEST)
    return Response(status=204)


async def list_async_configs(call: "Call") -> Response:
    """("ListFunctionEventInvokeConfigs")."""
    function = call.function
    return json_response(
        {"FunctionEventInvokeConfigs": [documents.async_config(function, each) for each in function.async_configs]}
    )


def _no_async_config(function: Function, qualifier: str) -> LambdaError:
    return not_found("The function event invoke config", f"{function.latest.function_arn}:{qualifier}")


# Tags and account.


async def list_tags(call: "Call") -> Response:
    """("ListTags")."""
    return json_response({"Tags": call.function.tags})


async def tag(call: "Call") -> Response:
    """("TagResource")."""
    call.function.tags.update(call.body["Tags"])
    return Response(status=204)


async def untag(call: "Call") -> Response:
    """("UntagResource")."""
    for name in parse_qs(call.request.query).get("tagKeys", []):
        call.function.tags.pop(name, None)
    return Response(status=204)
