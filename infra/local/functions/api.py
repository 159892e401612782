"""The Lambda API as boto3 calls it: paths to operations, configurations to documents.

What is not here is refused by name.
"""

import base64
import json
import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote

from infra.local.functions import api_extras as extras
from infra.local.functions import code, documents, policy
from infra.local.functions.catalog import Function
from infra.local.functions.model import (
    MAX_SYNC_PAYLOAD_BYTES,
    LambdaError,
    invalid,
    malformed,
    split_reference,
)
from infra.local.functions.sources import api as sources
from infra.local.wire import MALFORMED, Request, Response, error_response, json_response

if TYPE_CHECKING:
    from infra.local.functions.service import Functions

_MAX_CLIENT_CONTEXT_BYTES = 3583
_log = logging.getLogger(__name__)


class Call:
    """One call: the service, the request, and what its path and query name."""

    def __init__(self, functions: "Functions", request: Request, names: list[str]) -> None:
        self.functions = functions
        self.catalog = functions.catalog
        self.request = request
        self.names = names
        self.query = {name: values[0] for name, values in parse_qs(request.query).items()}

    @property
    def body(self) -> dict[str, Any]:
        """Return the parameters in the body."""
        document = self.request.json()
        if not isinstance(document, dict):
            raise LambdaError("SerializationException", "Expected a JSON object")
        return document

    @property
    def function(self) -> Function:
        """Return the function that the path names."""
        return self.catalog.get(self.names[0])

    @property
    def qualifier(self) -> str | None:
        """Return the qualifier in the query or in the name."""
        return self.query.get("Qualifier") or split_reference(self.names[0])[1]

    def page(self, name: str, items: list[dict[str, Any]]) -> Response:
        """Return a page of a listing; the marker is the index of the next."""
        start, size = int(self.query.get("Marker") or 0), int(self.query.get("MaxItems") or 50)
        document: dict[str, Any] = {name: items[start : start + size]}
        if start + size < len(items):
            document["NextMarker"] = str(start + size)
        return json_response(document)


async def handle(functions: "Functions", request: Request) -> Response:
    """Answer one call of the Lambda API, errors included."""
    try:
        for method, path, operation in _ROUTES:
            match = path.fullmatch(request.path) if method == request.method else None
            if match:
                answer: Response = await operation(Call(functions, request, [unquote(name) for name in match.groups()]))
                return answer
        return error_response("NotEmulated", f"not emulated: lambda {request.method} {request.path}", 501, "rest-json")
    except LambdaError as error:
        document = {"Type": "User", "message": error.message, "Message": error.message}
        if error.reason:
            document["Reason"] = error.reason
        return json_response(document, error.status, x_amzn_errortype=error.code)
    except MALFORMED as error:
        _log.warning("%s %s was not understood", request.method, request.path, exc_info=True)
        return error_response("ValidationException", f"Bad or missing parameter: {error!r}", 400, "rest-json")


async def invoke(call: Call) -> Response:
    """("Invoke")."""
    headers = call.request.headers
    kind = headers.get("x-amz-invocation-type", "RequestResponse")
    payload, caller, functions = call.request.body, call.request.caller, call.functions
    if kind == "DryRun":
        functions.admit(call.names[0], payload, caller, call.query.get("Qualifier"), MAX_SYNC_PAYLOAD_BYTES)
        return Response(status=204)
    if kind == "Event":
        queued = await functions.invoke_async(
            call.names[0], payload, caller=caller, qualifier=call.query.get("Qualifier")
        )
        return Response(status=202, headers={"x-amzn-requestid": queued.request_id})
    _check_enum(kind, "invocationType", "Event", "RequestResponse", "DryRun")
    _check_enum(headers.get("x-amz-log-type", "None"), "logType", "None", "Tail")
    result = await functions.invoke(
        call.names[0],
        payload,
        caller=caller,
        qualifier=call.query.get("Qualifier"),
        client_context=_client_context(headers.get("x-amz-client-context")),
        log_tail=headers.get("x-amz-log-type") == "Tail",
    )
    answer = {
        "content-type": "application/json",
        "x-amz-executed-version": result.version,
        "x-amzn-requestid": result.request_id,
    }
    if result.function_error:
        answer["x-amz-function-error"] = result.function_error
    if headers.get("x-amz-log-type") == "Tail":
        answer["x-amz-log-result"] = base64.b64encode(result.log_tail).decode()
    return Response(status=200, headers=answer, body=result.payload)


def _check_enum(value: str, parameter: str, *allowed: str) -> None:
    if value not in allowed:
        raise malformed(value, parameter, f"Member must satisfy enum value set: [{', '.join(allowed)}]")


def _client_context(header: str | None) -> str | None:
    """Return the JSON text. ("Invoke": up to 3,583 bytes of base64-encoded data about the invoking client)."""
    if not header:
        return None
    if len(header) > _MAX_CLIENT_CONTEXT_BYTES:
        raise LambdaError(
            "RequestTooLargeException", "Client context must be no more than 3583 bytes when base64-encoded", 413
        )
    try:
        return base64.b64decode(header, validate=True).decode()
    except ValueError as error:
        raise LambdaError(
            "InvalidRequestContentException", "Client context must be a valid Base64-encoded JSON object"
        ) from error


# Functions.


async def create_function(call: Call) -> Response:
    """("CreateFunction")."""
    given = call.body
    loaded = await code.load(
        given.get("Code", {}), call.functions.unpack_into / given.get("FunctionName", ""), call.functions.aws
    )
    dead_letter_arn = given.get("DeadLetterConfig", {}).get("TargetArn")
    await call.functions.check_role(given.get("FunctionName", ""), given.get("Role", ""), dead_letter_arn)
    function = call.catalog.create(given, loaded)
    shown = function.versions["1"] if given.get("Publish") else function.latest
    return json_response(documents.configuration(shown), 201)


async def get_function(call: Call) -> Response:
    """("GetFunction")."""
    target = call.catalog.resolve(call.names[0], call.qualifier)
    document = {
        "Configuration": documents.configuration(target.configuration, target.invoked_arn),
        "Code": {"RepositoryType": "local", "Location": str(target.configuration.task_root)},
        "Tags": call.function.tags,
    }
    if call.function.reserved_concurrency is not None:
        document["Concurrency"] = {"ReservedConcurrentExecutions": call.function.reserved_concurrency}
    return json_response(document)


async def get_function_configuration(call: Call) -> Response:
    """("GetFunctionConfiguration")."""
    target = call.catalog.resolve(call.names[0], call.qualifier)
    return json_response(documents.configuration(target.configuration, target.invoked_arn))


async def update_function_configuration(call: Call) -> Response:
    """("UpdateFunctionConfiguration")."""
    function, given = call.function, call.body
    dead_letter_arn = given.get("DeadLetterConfig", {}).get("TargetArn", function.latest.dead_letter_arn)
    await call.functions.check_role(function.latest.name, given.get("Role", function.latest.role), dead_letter_arn)
    call.catalog.configure(function, given)
    return json_response(documents.configuration(function.latest))


async def update_function_code(call: Call) -> Response:
    """("UpdateFunctionCode")."""
    function, given = call.function, call.body
    loaded = await code.load(given, call.functions.unpack_into / function.latest.name, call.functions.aws)
    if not given.get("DryRun"):
        call.catalog.replace_code(function, loaded, tuple(given.get("Architectures", ())) or None)
    shown = call.catalog.publish(function, "") if given.get("Publish") else function.latest
    return json_response(documents.configuration(shown))


async def delete_function(call: Call) -> Response:
    """("DeleteFunction")."""
    call.catalog.delete(call.function, call.qualifier)
    return Response(status=204)


async def list_functions(call: Call) -> Response:
    """("ListFunctions")."""
    if call.query.get("FunctionVersion") == "ALL":
        return call.page("Functions", [each for function in call.catalog for each in documents.versions(function)])
    return call.page("Functions", [documents.configuration(function.latest) for function in call.catalog])


async def publish_version(call: Call) -> Response:
    """("PublishVersion")."""
    function, given = call.function, call.body
    if given.get("CodeSha256") and given["CodeSha256"] != function.latest.code_sha256:
        raise invalid(f"CodeSHA256 ({given['CodeSha256']}) is different from current CodeSHA256 in $LATEST")
    return json_response(documents.configuration(call.catalog.publish(function, given.get("Description", ""))), 201)


async def list_versions(call: Call) -> Response:
    """("ListVersionsByFunction")."""
    return call.page("Versions", documents.versions(call.function))


# Aliases.


async def create_alias(call: Call) -> Response:
    """("CreateAlias")."""
    return json_response(
        documents.alias(call.function, call.catalog.put_alias(call.function, call.body, create=True)), 201
    )


async def update_alias(call: Call) -> Response:
    """("UpdateAlias")."""
    given = {**call.body, "Name": call.names[1]}
    return json_response(documents.alias(call.function, call.catalog.put_alias(call.function, given, create=False)))


async def get_alias(call: Call) -> Response:
    """("GetAlias")."""
    return json_response(documents.alias(call.function, call.catalog.alias(call.function, call.names[1])))


async def delete_alias(call: Call) -> Response:
    """("DeleteAlias")."""
    call.function.aliases.pop(call.names[1], None)
    return Response(status=204)


async def list_aliases(call: Call) -> Response:
    """("ListAliases")."""
    function = call.function
    return call.page("Aliases", [documents.alias(function, each) for each in function.aliases.values()])


# Permissions.


async def add_permission(call: Call) -> Response:
    """("AddPermission")."""
    given, function = call.body, call.function
    target = call.catalog.resolve(call.names[0], call.qualifier)
    statements = function.policies.setdefault(call.qualifier, {})
    if given.get("StatementId") in statements:
        message = (
            f"The statement id ({given['StatementId']}) provided already exists. "
            "Please provide a new statement id, or remove the existing statement."
        )
        raise LambdaError("ResourceConflictException", message, 409)
    added = policy.statement(given, target.invoked_arn)
    statements[added["Sid"]] = added
    return json_response({"Statement": json.dumps(added)}, 201)


async def get_policy(call: Call) -> Response:
    """("GetPolicy")."""
    statements = call.function.policies.get(call.qualifier, {})
    if not statements:
        raise LambdaError("ResourceNotFoundException", "The resource you requested does not exist.", 404)
    return json_response(
        {"Policy": policy.document(tuple(statements.values())), "RevisionId": call.function.latest.revision_id}
    )


async def remove_permission(call: Call) -> Response:
    """("RemovePermission")."""
    if call.function.policies.get(call.qualifier, {}).pop(call.names[1], None) is None:
        raise LambdaError(
            "ResourceNotFoundException", f"Statement {call.names[1]} is not found in resource policy.", 404
        )
    return Response(status=204)


def _route(
    method: str, path: str, operation: Callable[[Call], Awaitable[Response]]
) -> tuple[str, re.Pattern[str], Any]:
    return method, re.compile(r"/20\d\d-\d\d-\d\d" + path.replace("{}", "([^/]+)") + "/?"), operation


_ROUTES = [
    _route("POST", "/functions/{}/invocations", invoke),
    _route("POST", "/functions", create_function),
    _route("GET", "/functions", list_functions),
    _route("GET", "/functions/{}", get_function),
    _route("DELETE", "/functions/{}", delete_function),
    _route("GET", "/functions/{}/configuration", get_function_configuration),
    _route("PUT", "/functions/{}/configuration", update_function_configuration),
    _route("PUT", "/functions/{}/code", update_function_code),
    _route("POST", "/functions/{}/versions", publish_version),
    _route("GET", "/functions/{}/versions", list_versions),
    _route("POST", "/functions/{}/aliases", create_alias),
    _route("GET", "/functions/{}/aliases", list_aliases),
    _route("GET", "/functions/{}/aliases/{}", get_alias),
    _route("PUT", "/functions/{}/aliases/{}", update_alias),
    _route("DELETE", "/functions/{}/aliases/{}", delete_alias),
    _route("POST", "/functions/{}/policy", add_permission),
    _route("GET", "/functions/{}/policy", get_policy),
    _route("DELETE", "/functions/{}/policy/{}", remove_permission),
    _route("PUT", "/functions/{}/concurrency", extras.put_concurrency),
    _route("GET", "/functions/{}/concurrency", extras.get_concurrency),
    _route("DELETE", "/functions/{}/concurrency", extras.delete_concurrency),
    _route("PUT", "/functions/{}/event-invoke-config", extras.put_async_config),
    _route("POST", "/functions/{}/event-invoke-config", extras.put_async_config),
    _route("GET", "/functions/{}/event-invoke-config", extras.get_async_config),
    _route("DELETE", "/functions/{}/event-invoke-config", extras.delete_async_config),
    _route("GET", "/functions/{}/event-invoke-config/list", extras.list_async_configs),
    _route("POST", "/event-source-mappings", sources.create),
    _route("GET", "/event-source-mappings", sources.list_all),
    _route("GET", "/event-source-mappings/{}", sources.get),
    _route("PUT", "/event-source-mappings/{}", sources.update),
    _route("DELETE", "/event-source-mappings/{}", sources.delete),
    _route("GET", "/tags/{}", extras.list_tags),
    _route("POST", "/tags/{}", extras.tag),
    _route("DELETE", "/tags/{}", extras.untag),
]
