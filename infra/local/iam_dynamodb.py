"""What a DynamoDB call asks of IAM: its actions, tables and indexes, and ``dynamodb:LeadingKeys``. Pure.

Follows "Using IAM policy conditions for fine-grained access control" (Amazon DynamoDB Developer Guide).
"""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from infra.local.iam import Ask, Unmapped, Values, build_arn
from infra.local.wire import Request

HashKey = Callable[[str, str, str | None], str | None]
"""(region, table, index) to the name of the partition key; None where there is no such table."""

_TRANSACTED = {
    "Put": "PutItem",
    "Update": "UpdateItem",
    "Delete": "DeleteItem",
    "Get": "GetItem",
    "ConditionCheck": "ConditionCheckItem",
}
_TABLE_WIDE = frozenset(
    (
        "CreateTable", "DeleteTable", "DescribeContinuousBackups", "DescribeTable", "DescribeTimeToLive", "Scan",
        "UpdateContinuousBackups", "UpdateTable", "UpdateTimeToLive",
    )
)  # fmt: skip
_FREE = frozenset(
    ("DescribeEndpoints", "DescribeLimits", "DescribeStream", "GetShardIterator", "ListStreams", "ListTables")
)
_ITEM_WISE = frozenset(("DeleteItem", "GetItem", "PutItem", "Query", "UpdateItem"))


def dynamodb_asks(request: Request, hash_key: HashKey) -> Iterator[Ask]:
    """Yield what a DynamoDB call needs to be allowed.

    Raises:
        Unmapped: no action is known for it.
    """
    operation, document = request.operation, request.json()
    if operation in ("TransactWriteItems", "TransactGetItems"):
        yield from (_transacted(item, request, hash_key) for item in document["TransactItems"])
    elif operation in ("BatchWriteItem", "BatchGetItem"):
        for table, part in document["RequestItems"].items():
            keys = part["Keys"] if operation == "BatchGetItem" else [_written(write) for write in part]
            context = _leading_of(table, keys, hash_key, request.region)
            yield _item_ask(operation, {"TableName": table}, request, context)
    elif operation in _ITEM_WISE:
        yield _item_ask(operation, document, request, _leading(document, hash_key, request.region))
    elif operation in _TABLE_WIDE:
        yield _item_ask(operation, document, request, {})
    elif operation in _FREE:
        yield Ask(action=f"dynamodb:{operation}", resource=document.get("StreamArn", "*"))
    else:
        raise Unmapped(f"dynamodb:{operation}")


def _transacted(item: Mapping[str, Any], request: Request, hash_key: HashKey) -> Ask:
    ((kind, part),) = item.items()
    context = _leading(part, hash_key, request.region)
    if kind != "ConditionCheck":
        context["dynamodb:enclosingoperation"] = request.operation
    return _item_ask(_TRANSACTED[kind], part, request, context)


def _item_ask(operation: str, document: Mapping[str, Any], request: Request, context: Values) -> Ask:
    name = document["TableName"]
    resource = name if name.startswith("arn:") else build_arn("dynamodb", request.region, f"table/{name}")
    if document.get("IndexName"):
        resource += f"/index/{document['IndexName']}"
    for key in ("ReturnConsumedCapacity", "ReturnValues", "Select"):
        if key in document:
            context[f"dynamodb:{key.lower()}"] = document[key]
    return Ask(action=f"dynamodb:{operation}", resource=resource, context=context)


def _leading(document: Mapping[str, Any], hash_key: HashKey, region: str) -> Values:
    """Return ``dynamodb:LeadingKeys`` of a call about one item or one partition; nothing where it cannot be told."""
    if "Item" in document or "Key" in document:
        return _leading_of(document["TableName"], [document.get("Item") or document["Key"]], hash_key, region)
    name = hash_key(region, _table(document["TableName"]), document.get("IndexName"))
    if name is None:
        return {}
    if old := document.get("KeyConditions", {}).get(name):
        return {"dynamodb:leadingkeys": [_text(value) for value in old["AttributeValueList"]]}
    names, values = document.get("ExpressionAttributeNames", {}), document.get("ExpressionAttributeValues", {})
    for attribute, value in _EQUALITY.findall(document.get("KeyConditionExpression", "")):
        if names.get(attribute, attribute) == name:
            return {"dynamodb:leadingkeys": [_text(values[value])]}
    return {}


_EQUALITY = re.compile(r"([#\w.\-]+)\s*=\s*(:\w+)")


def _leading_of(table: str, keys: list[Any], hash_key: HashKey, region: str) -> Values:
    name = hash_key(region, _table(table), None)
    found = list(dict.fromkeys(_text(key[name]) for key in keys if name in key))
    return {"dynamodb:leadingkeys": found} if found else {}


def _written(write: Mapping[str, Any]) -> Any:
    (part,) = write.values()
    return part.get("Item") or part["Key"]


def _table(name: str) -> str:
    return name.partition(":table/")[2].partition("/")[0] or name


def _text(value: Mapping[str, Any]) -> str:
    return str(next(iter(value.values())))
