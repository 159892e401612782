"""PutItem as it comes most often: one item, no condition, nothing to give back. moto has no part in it.

What would be refused is left to moto, so that every refusal is worded in one place.
"""

from collections.abc import Mapping
from typing import Any

from infra.local.aws import Item
from infra.local.dynamodb.backend import Backend

_PLAIN = frozenset({"Item", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics", "ReturnValues", "TableName"})
_LONGEST_KEY = 1024
"""Bytes of a sort key; only a partition key may be longer. (Developer guide: Quotas)."""


def put(backend: Backend, document: Mapping[str, Any]) -> bool:
    """Put the item and say so; False, and nothing is done, where more is asked or something stands against it."""
    if not document.keys() <= _PLAIN or document.get("ReturnValues", "NONE") != "NONE":
        return False
    table, given = backend.table(document["TableName"]), document["Item"]
    item = Item(None, None, given)  # type: ignore[arg-type]  # the keys follow
    keys = table.table_key_attrs
    for name, kind in table.key_types.items():
        value = item.attrs.get(name)
        if value is None and name not in keys:
            continue
        if value is None or value.type != kind or not value.value or value.size() > _LONGEST_KEY:
            return False
    item.hash_key, item.range_key = item.attrs[keys[0]], item.attrs[keys[1]] if len(keys) > 1 else None
    backend.put(table, table.key_of(item.hash_key, item.range_key), item)
    return True
