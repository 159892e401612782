"""What AWS refuses before it looks at any item, and moto lets pass. (API reference, each operation; Quotas)."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from infra.local.aws import Invalid, KeyMismatch
from infra.local.dynamodb import expressions
from infra.local.dynamodb.backend import Backend
from infra.local.dynamodb.table import Table

_MOST_WRITES, _MOST_READS, _MOST_OPERATIONS = 25, 100, 100
"""In BatchWriteItem, BatchGetItem, and a transaction."""
_LONGEST_TOKEN = 36
_OPERATIONS = frozenset({"ConditionCheck", "Put", "Update", "Delete", "Get"})


def check(operation: str, document: Mapping[str, Any], backend: Backend) -> None:
    """Pass a request that AWS would begin to carry out.

    Raises:
        KeyMismatch: a key with other attributes than the schema's.
        Invalid: a limit, an expression, or a batch that names an item twice.
    """
    if operation == "BatchWriteItem":
        _check_batch_write(document["RequestItems"], backend)
    elif operation == "BatchGetItem":
        _check_batch_get(document["RequestItems"])
    elif operation.startswith("Transact"):
        _check_transaction(document, backend)
    else:
        table = backend.table(document["TableName"])
        if "Key" in document and document["Key"].keys() != set(table.table_key_attrs):
            raise KeyMismatch
        found = _check_expressions(document)
        if operation in ("Query", "Scan"):
            _check_read(operation, document, table, found)


def check_token(token: str) -> str:
    """Return the token of a transaction, if it can be one.

    Raises:
        Invalid: it is too short or too long.
    """
    if not 1 <= len(token) <= _LONGEST_TOKEN:
        raise Invalid(_outside("clientRequestToken", token, f"length from 1 to {_LONGEST_TOKEN}"))
    return token


def _check_expressions(document: Mapping[str, Any]) -> dict[str, expressions.Expression]:
    found = expressions.check(document)
    names = document.get("ExpressionAttributeNames", {})
    if (condition := found.get("KeyConditionExpression")) is not None:
        expressions.check_key_condition(condition, document["KeyConditionExpression"], names)
    if (projection := found.get("ProjectionExpression")) is not None:
        expressions.check_projection(projection, names)
    return found


def _check_read(
    operation: str, document: Mapping[str, Any], table: Table, found: Mapping[str, expressions.Expression]
) -> None:
    """Pass a query or scan whose index, limit, start, filter and projection fit the table."""
    limit, index_name = document.get("Limit"), document.get("IndexName")
    if limit is not None and limit < 1:
        raise Invalid(_outside("limit", limit, "value greater than or equal to 1"))
    index = next((each for each in table.all_indexes() if each.name == index_name), None)
    if index_name is not None and index is None:
        raise Invalid(f"The table does not have the specified index: {index_name}")
    keys = index.schema_key_attrs if index else table.table_key_attrs
    start = document.get("ExclusiveStartKey")
    if start is not None and start.keys() != {*keys, *table.table_key_attrs}:
        raise Invalid("The provided starting key is invalid: The provided key element does not match the schema")
    names = document.get("ExpressionAttributeNames", {})
    if operation == "Query" and (condition := found.get("FilterExpression")):
        asked = {path[0] for path in condition.resolved(names)}
        if wrong := [key for key in keys if key in asked]:
            message = "Filter Expression can only contain non-primary key attributes: Primary key attribute"
            raise Invalid(f"{message}: {wrong[0]}")
    if index_name in {each.name for each in table.global_indexes} and (shown := found.get("ProjectionExpression")):
        known = table.projected_names(index)
        wanted = {path[0] for path in shown.resolved(names)}
        if known is not None and (missing := sorted(wanted - known)):
            message = f"Global secondary index {index_name} does not project [{', '.join(missing)}]"
            raise Invalid(f"One or more parameter values were invalid: {message}")


def _check_batch_write(batches: Mapping[str, Sequence[Mapping[str, Any]]], backend: Backend) -> None:
    requests = [each for batch in batches.values() for each in batch]
    _check_count("requestItems", batches, min((len(batch) for batch in batches.values()), default=0))
    if len(requests) > _MOST_WRITES:
        raise Invalid("Too many items requested for the BatchWriteItem call")
    for each in requests:
        if len(each) != 1 or not each.keys() <= {"PutRequest", "DeleteRequest"}:
            raise Invalid("Supplied AttributeValue has more than one datatypes set, or none: one request an entry")
    for name, batch in batches.items():
        table = backend.table(name)
        keys = [entry.get("Item") or entry["Key"] for each in batch for entry in each.values()]
        values = [backend.get_keys_value(table, key) for key in keys]
        if len({table.key_of(*value) for value in values}) < len(values):
            raise Invalid("Provided list of item keys contains duplicates")


def _check_batch_get(batches: Mapping[str, Mapping[str, Any]]) -> None:
    _check_count("requestItems", batches, min((len(each["Keys"]) for each in batches.values()), default=0))
    if sum(len(each["Keys"]) for each in batches.values()) > _MOST_READS:
        raise Invalid("Too many items requested for the BatchGetItem call")
    for each in batches.values():
        _check_expressions(each)


def _check_transaction(document: Mapping[str, Any], backend: Backend) -> None:
    items = document["TransactItems"]
    _check_count("transactItems", items, len(items))
    if len(items) > _MOST_OPERATIONS:
        raise Invalid(_outside("transactItems", items, f"length less than or equal to {_MOST_OPERATIONS}"))
    reads = []
    for name, operation in _operations(items):
        table = backend.table(operation["TableName"])
        _check_expressions(operation)
        if name == "ConditionCheck" and not operation.get("ConditionExpression"):
            raise Invalid("The expression can not be empty;")
        if name == "Get":
            reads.append((table.name, table.key_of(*backend.get_keys_value(table, operation["Key"]))))
    if len(set(reads)) < len(reads):
        raise Invalid("Transaction request cannot include multiple operations on one item")


def _operations(items: Sequence[Mapping[str, Mapping[str, Any]]]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for item in items:
        if len(item) != 1 or not item.keys() <= _OPERATIONS:
            raise Invalid("TransactItems can only contain one of Check, Put, Update or Delete")
        yield from item.items()


def _check_count(where: str, value: object, least: int) -> None:
    if least < 1:
        raise Invalid(_outside(where, value, "length greater than or equal to 1"))


def _outside(where: str, value: object, rule: str) -> str:
    shown = value if isinstance(value, str | int) else "[…]"
    constraint = f"failed to satisfy constraint: Member must have {rule}"
    return f"1 validation error detected: Value '{shown}' at '{where}' {constraint}"
