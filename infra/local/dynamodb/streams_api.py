"""The DynamoDB Streams API: who reads a stream by itself. An iterator is its own state, so nothing grows.

(DynamoDB Streams API reference.)
"""

import base64
import binascii
import json
from collections.abc import Iterable
from typing import Any

from infra.local.dynamodb.streams import SHARD_ID, Stream
from infra.local.dynamodb.table import Table

_MAX_RECORDS = 1_000


class StreamsError(Exception):
    """AWS refuses the request with this code."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def answer(operation: str, request: dict[str, Any], tables: Iterable[Table]) -> dict[str, Any]:
    """Return the reply to one operation.

    Raises:
        StreamsError: as AWS refuses it.
    """
    live = {table.stream.arn: table for table in tables if table.stream is not None}
    try:
        return OPERATIONS[operation](request, live)
    except KeyError as error:
        raise StreamsError("ValidationException", f"Value null at {error}: Member must not be null") from error


def _list(request: dict[str, Any], live: dict[str, Table]) -> dict[str, Any]:
    wanted = request.get("TableName")
    streams = [
        {"StreamArn": arn, "TableName": table.name, "StreamLabel": arn.rpartition("/")[2]}
        for arn, table in live.items()
        if wanted in (None, table.name, table.table_arn)
    ]
    return {"Streams": streams}


def _describe(request: dict[str, Any], live: dict[str, Table]) -> dict[str, Any]:
    table, stream = _find(request["StreamArn"], live)
    description = {
        "StreamArn": stream.arn,
        "StreamLabel": stream.label,
        "StreamStatus": "ENABLED",
        "StreamViewType": stream.view,
        "CreationRequestDateTime": stream.created_at,
        "TableName": table.name,
        "KeySchema": table.schema,
        "Shards": [
            {"ShardId": SHARD_ID, "SequenceNumberRange": {"StartingSequenceNumber": str(stream.first_sequence)}}
        ],
    }
    return {"StreamDescription": description}


def _iterator(request: dict[str, Any], live: dict[str, Table]) -> dict[str, Any]:
    _, stream = _find(request["StreamArn"], live)
    if request["ShardId"] != SHARD_ID:
        raise StreamsError("ResourceNotFoundException", f"Requested resource not found: Shard {request['ShardId']}")
    kind = request["ShardIteratorType"]
    if kind == "TRIM_HORIZON":
        at = stream.first_sequence
    elif kind == "LATEST":
        at = stream.next_sequence
    elif kind in ("AT_SEQUENCE_NUMBER", "AFTER_SEQUENCE_NUMBER") and request.get("SequenceNumber", "").isdecimal():
        at = int(request["SequenceNumber"]) + (kind == "AFTER_SEQUENCE_NUMBER")
    else:
        raise StreamsError("ValidationException", f"Invalid SequenceNumber or ShardIteratorType: {kind}")
    return {"ShardIterator": _token(stream, at)}


def _records(request: dict[str, Any], live: dict[str, Table]) -> dict[str, Any]:
    try:
        arn, at = json.loads(base64.b64decode(request["ShardIterator"], validate=True))
    except (binascii.Error, ValueError) as error:
        raise StreamsError("ValidationException", "Invalid ShardIterator") from error
    _, stream = _find(arn, live)
    if at < stream.first_sequence:
        raise StreamsError("TrimmedDataAccessException", "The requested sequence number is beyond the last 24 hours")
    limit = request.get("Limit", _MAX_RECORDS)
    if not 1 <= limit <= _MAX_RECORDS:
        raise StreamsError(
            "ValidationException", f"Value '{limit}' at 'limit': Member must be from 1 to {_MAX_RECORDS}"
        )
    records = stream.read(at, limit)
    return {"Records": records, "NextShardIterator": _token(stream, at + len(records))}


def _find(arn: str, live: dict[str, Table]) -> tuple[Table, Stream]:
    table = live.get(arn)
    if table is None or table.stream is None:
        raise StreamsError("ResourceNotFoundException", f"Requested resource not found: Stream: {arn} not found")
    return table, table.stream


def _token(stream: Stream, at: int) -> str:
    return base64.b64encode(json.dumps([stream.arn, at]).encode()).decode()


OPERATIONS = {
    "DescribeStream": _describe,
    "GetRecords": _records,
    "GetShardIterator": _iterator,
    "ListStreams": _list,
}
