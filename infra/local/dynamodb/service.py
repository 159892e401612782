"""DynamoDB at its door: documents in, documents out, in the event loop and one at a time.

moto's handlers and expressions answer; nothing of its web layer runs. Why one thread is enough: `infra/decisions/`.
"""

import asyncio
import contextlib
import json
import logging
import zlib
from collections import OrderedDict
from datetime import datetime
from typing import Any

from infra.local.aws import DynamoHandler, HTTPException, ServiceException, not_emulated
from infra.local.clock import Clock
from infra.local.config import Settings
from infra.local.dynamodb import direct, streams_api, updated
from infra.local.dynamodb.backend import Backend
from infra.local.dynamodb.expressions import KINDS
from infra.local.dynamodb.requests import check, check_token
from infra.local.dynamodb.streams import Deliver
from infra.local.dynamodb.values import dump, load, load_values
from infra.local.wire import Request, Response

READS = {
    "GetItem": "get_item",
    "BatchGetItem": "batch_get_item",
    "TransactGetItems": "transact_get_items",
    "Query": "query",
    "Scan": "scan",
}
WRITES = {
    "PutItem": "put_item",
    "UpdateItem": "update_item",
    "DeleteItem": "delete_item",
    "BatchWriteItem": "batch_write_item",
    "TransactWriteItems": "transact_write_items",
}
CONTROL = {
    "CreateTable": "create_table",
    "DeleteTable": "delete_table",
    "DescribeContinuousBackups": "describe_continuous_backups",
    "DescribeEndpoints": "describe_endpoints",
    "DescribeLimits": "describe_limits",
    "DescribeTable": "describe_table",
    "DescribeTimeToLive": "describe_time_to_live",
    "ListTables": "list_tables",
    "ListTagsOfResource": "list_tags_of_resource",
    "TagResource": "tag_resource",
    "UntagResource": "untag_resource",
    "UpdateContinuousBackups": "update_continuous_backups",
    "UpdateTable": "update_table",
    "UpdateTimeToLive": "update_time_to_live",
}
OPERATIONS = READS | WRITES | CONTROL
"""What is carried; PartiQL, backups, imports, exports, global tables and resource policies are refused by name."""
_LEGACY = frozenset(
    {
        "AttributeUpdates",
        "AttributesToGet",
        "ConditionalOperator",
        "Expected",
        "KeyConditions",
        "QueryFilter",
        "ScanFilter",
    }
)
"""Parameters that expressions replaced. (Developer guide: Legacy conditional parameters)."""
_TOKEN_LIFETIME_S = 600.0
"""Seconds for which a ClientRequestToken is remembered. (API reference: TransactWriteItems)."""
_SWEEP_EVERY_S = 1.0
_log = logging.getLogger(__name__)
_STUMBLES = (
    *(ArithmeticError, AssertionError, AttributeError, LookupError, RecursionError, StopIteration),
    *(TypeError, ValueError),
)
"""What moto's parsers raise over what is no expression, and its handlers over what is no request."""
_HEADERS = {"content-type": "application/x-amz-json-1.0"}
_PREFIX = "com.amazonaws.dynamodb.v20120810#"


class Handler(DynamoHandler):
    """moto's handler for one request, bound to our backend."""

    def __init__(self, backend: Backend, document: dict[str, Any]) -> None:
        super().__init__()
        self._backend = backend
        self.body = self.params = document
        self.region, self.current_account = backend.region_name, backend.account_id
        self.headers, self.querystring, self.uri_match = {}, {}, {}

    @property
    def dynamodb_backend(self) -> Backend:
        """Return ours."""
        return self._backend


class Dynamo:
    """The service."""

    def __init__(self, settings: Settings, clock: Clock) -> None:
        self._settings = settings
        self._clock = clock
        self._backends: dict[str, Backend] = {}
        self._callbacks: list[Deliver] = []
        self._tokens: OrderedDict[str, tuple[float, str]] = OrderedDict()
        self._sweeper: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin to sweep out what expires."""
        self._sweeper = asyncio.create_task(self._sweep())

    async def stop(self) -> None:
        """Stop sweeping."""
        if self._sweeper is not None:
            self._sweeper.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeper

    def on_records(self, callback: Deliver) -> None:
        """Call back with the stream records of every table, in order, after the write that made them."""
        self._callbacks.append(callback)

    def backend(self, region: str | None = None) -> Backend:
        """Return the tables of a region."""
        name = region or self._settings.region
        if name not in self._backends:
            self._backends[name] = Backend(name, self._clock, self._deliver)
        return self._backends[name]

    def hash_key(self, region: str, table: str, index: str | None) -> str | None:
        """Return the name of a partition key, for IAM's ``dynamodb:LeadingKeys``; None where there is no such table."""
        found = self.backend(region).tables.get(table)
        if found is None or index is None:
            return found.hash_key_attr if found is not None else None
        schemas = {each.name: each.schema for each in found.all_indexes()}
        return next((key["AttributeName"] for key in schemas.get(index, []) if key["KeyType"] == "HASH"), None)

    async def handle(self, request: Request) -> Response:
        """Answer one request; nothing is awaited on the way, so requests do not mix."""
        try:
            document = request.json()
        except (ValueError, RecursionError):
            document = None
        if not isinstance(document, dict):
            return _error("com.amazon.coral.service#SerializationException", "The request is not a JSON document")
        if request.headers.get("x-amz-target", "").startswith("DynamoDBStreams"):
            return self._streams(request, document)
        legacy = ", ".join(sorted(_LEGACY & document.keys()))
        if request.operation not in OPERATIONS or legacy:
            what = f"{request.operation} with {legacy}; use expressions" if legacy else request.operation
            return not_emulated(request, f"dynamodb:{what}")
        answer = self._remembered if "ClientRequestToken" in document else self._answer
        try:
            return _reply(answer(self.backend(request.region), request.operation, document))
        except HTTPException as error:
            return Response(status=error.code or 400, headers=_HEADERS, body=str(error.description).encode())
        except (ServiceException, *_STUMBLES) as error:
            return _not_understood(request.operation, document, error)

    def _answer(self, backend: Backend, operation: str, document: dict[str, Any]) -> dict[str, Any]:
        """Return the reply to one operation.

        Raises:
            HTTPException: moto's refusal, whose description is the document to answer.
        """
        if operation in CONTROL:
            return _result(Handler(backend, document), CONTROL[operation])
        document = load(document)
        backend.meter.clear()
        backend.consistent = _consistent(operation, document)
        if operation == "PutItem" and direct.put(backend, document):
            return _with_capacity({}, backend, operation, document)
        handler = Handler(backend, document)
        check(operation, document, backend)
        if operation in READS:
            reply = _result(handler, READS[operation])
            for table, left in reply.get("UnprocessedKeys", {}).items():  # a whole request, to be sent as it is
                reply["UnprocessedKeys"][table] = document["RequestItems"][table] | left
        elif operation == "UpdateItem":
            with backend.writing():
                reply = _update(handler, document)
        else:
            with backend.writing():
                reply = _result(handler, WRITES[operation])
        return _with_capacity(reply, backend, operation, document)

    def _remembered(self, backend: Backend, operation: str, document: dict[str, Any]) -> dict[str, Any]:
        """Answer a repeated transaction as the first time, and do nothing. (API reference: TransactWriteItems)."""
        token = check_token(document.pop("ClientRequestToken"))
        now = self._clock.time()
        while self._tokens and next(iter(self._tokens.values()))[0] <= now:
            self._tokens.popitem(last=False)
        asked = json.dumps(document, sort_keys=True)
        if token in self._tokens:
            if self._tokens[token][1] != asked:
                raise TokenMismatch
            return _read_again(backend, operation, document)
        reply = self._answer(backend, operation, document)
        self._tokens[token] = (now + _TOKEN_LIFETIME_S, asked)
        return reply

    def _streams(self, request: Request, document: dict[str, Any]) -> Response:
        if request.operation not in streams_api.OPERATIONS:
            return not_emulated(request, f"dynamodbstreams:{request.operation}")
        try:
            return _reply(streams_api.answer(request.operation, document, self.backend(request.region).all_tables()))
        except streams_api.StreamsError as error:
            return _error(_PREFIX + error.code, str(error))

    def _deliver(self, table_arn: str, stream_arn: str, records: list[dict[str, Any]]) -> None:
        loop = asyncio.get_running_loop()
        for callback in self._callbacks:
            loop.call_soon(callback, table_arn, stream_arn, records)

    async def _sweep(self) -> None:
        while True:
            swept = sum(backend.sweep() for backend in self._backends.values())
            await asyncio.sleep(0 if swept else _SWEEP_EVERY_S)


class TokenMismatch(ServiceException):
    """A token came again with another request."""

    code = "IdempotentParameterMismatchException"
    message = "A request with this client token was already made with different parameters"

    def __init__(self) -> None:
        super().__init__(self.message)


def _consistent(operation: str, document: dict[str, Any]) -> frozenset[str]:
    """Return the tables, as the request names them, that it reads strongly consistently."""
    if operation == "TransactGetItems":
        return frozenset(each["Get"]["TableName"] for each in document["TransactItems"] if "Get" in each)
    asked = document["RequestItems"] if operation == "BatchGetItem" else {document.get("TableName", ""): document}
    return frozenset(name for name, each in asked.items() if each.get("ConsistentRead"))


def _result(handler: Handler, method: str) -> dict[str, Any]:
    result = getattr(handler, method)().result
    return {name: value for name, value in (result or {}).items() if value is not None}


def _update(handler: Handler, document: dict[str, Any]) -> dict[str, Any]:
    """Do as moto; give back what the update names, and make an item of a key alone."""
    mode, expression = document.get("ReturnValues", "NONE"), document.get("UpdateExpression")
    if expression is None:
        document["AttributeUpdates"] = {}
    if not mode.startswith("UPDATED_"):
        return _result(handler, "update_item")
    document["ReturnValues"] = updated.whole(mode)
    reply = _result(handler, "update_item")
    names = document.get("ExpressionAttributeNames", {})
    named = updated.cut(dump(reply.pop("Attributes", {})), expression or "", names)
    return reply | ({"Attributes": named} if named else {})


def _read_again(backend: Backend, operation: str, document: dict[str, Any]) -> dict[str, Any]:
    """Return the reply to a transaction that was carried out before: it costs reads. (API reference)."""
    backend.meter.clear()
    for each in document["TransactItems"]:
        ((_, part),) = each.items()
        table = backend.table(part["TableName"])
        values = part.get("Key") or {name: part["Item"][name] for name in table.table_key_attrs}
        item = table.look(table.key_of(*backend.get_keys_value(table, load_values(values))))
        backend.meter.read(table.name, None, item.size() if item is not None else 0, consistent=True)
    return _with_capacity({"ItemCollectionMetrics": {}}, backend, operation, document, writes=False)


def _with_capacity(
    reply: dict[str, Any], backend: Backend, operation: str, document: dict[str, Any], *, writes: bool | None = None
) -> dict[str, Any]:
    """Put what was consumed in the place of moto's constants, where it was asked for."""
    reply.pop("ConsumedCapacity", None)
    reply.pop("ConsumedCapacityUnits", None)
    if (mode := document.get("ReturnConsumedCapacity", "NONE")) == "NONE":
        return reply
    transaction = operation.startswith("Transact")
    used = backend.meter.consumed(
        writes=operation in WRITES if writes is None else writes,
        detail=mode == "INDEXES",
        factor=2 if transaction else 1,
        local=frozenset(index.name for table in backend.all_tables() for index in table.indexes),
    )
    if transaction or operation.startswith("Batch"):
        reply["ConsumedCapacity"] = used
    else:
        nothing = {"TableName": document["TableName"], "CapacityUnits": 1.0}
        reply["ConsumedCapacity"] = used[0] if used else nothing
    return reply


def _reply(document: dict[str, Any]) -> Response:
    body = json.dumps(document, default=_plain).encode()
    return Response(headers=_HEADERS | {"x-amz-crc32": str(zlib.crc32(body))}, body=body)


def _not_understood(operation: str, document: dict[str, Any], error: Exception) -> Response:
    """Return moto's refusal; or, of what it does not check and stumbles over, one as AWS would have made."""
    if isinstance(error, ServiceException):
        return _error(_PREFIX + error.code, error.message)
    _log.error("%s is not understood", operation, exc_info=error)
    where = ", ".join(kind for kind in KINDS if kind in document)
    what = f"Invalid {where}: Syntax error" if where else "not understood"
    return _error(_PREFIX + "ValidationException", f"{what}; {type(error).__name__}: {error}")


def _error(kind: str, message: str) -> Response:
    return Response(status=400, headers=_HEADERS, body=json.dumps({"__type": kind, "message": message}).encode())


def _plain(value: Any) -> Any:
    return value.timestamp() if isinstance(value, datetime) else dump(value)
