"""The original mobile-backend contract: ``{operation, tableName, payload}``, on items of the caller's own.

The operations and their payloads are those of the AWS Lambda blueprint "mobile-backend", which hands its payload to
DynamoDB's document client: plain JSON items. What it did to any table of the account, this does to logical tables of
the caller's own. A parameter that is not carried is refused by name, since a filter or a condition that is passed over
would do what nobody asked for.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from backend.domain.access import Caller
from backend.domain.items import Item
from backend.domain.paging import dump_cursor, load_cursor
from backend.domain.update_expression import apply_attribute_updates, apply_update, find_assigned
from backend.errors import ConflictError, FieldlineError, UnauthenticatedError, invalid
from backend.ports import Profiles
from backend.services.items import ItemBook

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
MAX_EXPRESSION_LENGTH = 4096
"""As DynamoDB has it. (DynamoDB developer guide, "Constraints in Amazon DynamoDB".)"""
CONDITION = re.compile(r"\s*attribute_(?P<not>not_)?exists\s*\(\s*(?P<name>#?\w+)\s*\)\s*\Z")
NAMES = "ExpressionAttributeNames"
CONDITIONAL = frozenset({"ConditionExpression", NAMES, "ReturnValues"})
PASSED_OVER = frozenset({"TableName", "ConsistentRead", "ReturnConsumedCapacity", "ReturnItemCollectionMetrics"})
"""What changes nothing about the answer here: reads are consistent, and nobody is billed by units."""
CARRIED: Mapping[str, frozenset[str]] = {
    "create": frozenset({"Item"}) | CONDITIONAL,
    "read": frozenset({"Key"}),
    "update": frozenset({"Key", "UpdateExpression", "AttributeUpdates", "ExpressionAttributeValues"}) | CONDITIONAL,
    "delete": frozenset({"Key"}) | CONDITIONAL,
    "list": frozenset({"Limit", "ExclusiveStartKey"}),
}
"""Parameters of DynamoDB that each operation takes."""


class UnrecognizedOperationError(FieldlineError):
    """The envelope names an operation that there is not: its message is part of the contract."""

    code = "unrecognized-operation"
    status = 400


class ConditionalCheckFailedException(ConflictError):  # noqa: N818 - clients know it by DynamoDB's name
    """The condition that the client set does not hold: read again, then decide."""


class Mobile:
    """Serves the envelope."""

    def __init__(self, *, items: ItemBook, profiles: Profiles) -> None:
        self._items = items
        self._profiles = profiles
        self._operations: dict[str, Callable[[Caller, str, Mapping[str, Any]], Any]] = {
            "create": self._create,
            "read": self._read,
            "update": self._update,
            "delete": self._delete,
            "list": self._list,
        }

    def of_identity(self, identity_id: str | None) -> Caller:
        """Return the person behind an AWS identity.

        Raises:
            UnauthenticatedError: there is none, or it is tied to nobody yet.
        """
        profile = self._profiles.of_identity(identity_id) if identity_id else None
        if profile is None:
            raise UnauthenticatedError("Sign in, and tie your identity by POST /v1/me/identity first.")
        return Caller(user=profile.user)

    def call(self, caller: Callable[[], Caller], envelope: Mapping[str, Any]) -> Any:
        """Carry out one operation.

        Args:
            caller: asked only by operations on items; ping and echo are anybody's.
            envelope: as the client sent it.

        Raises:
            UnrecognizedOperationError: there is no such operation.
        """
        operation = envelope.get("operation")
        payload = envelope.get("payload")
        if operation == "ping":
            return "pong"
        if operation == "echo":
            return payload
        if not isinstance(operation, str) or operation not in self._operations:
            message = f'Unrecognized operation "{operation}"'
            raise UnrecognizedOperationError(message)
        payload = {} if payload is None else payload
        if not isinstance(payload, Mapping):
            raise invalid("payload", "is not an object")
        table = envelope.get("tableName") or payload.get("TableName")
        if not isinstance(table, str):
            raise invalid("tableName", "is missing")
        return self._serve(caller(), operation, table, payload)

    def _serve(self, caller: Caller, operation: str, table: str, payload: Mapping[str, Any]) -> Any:
        for name in payload:
            if name not in CARRIED[operation] | PASSED_OVER:
                raise invalid(f"payload.{name}", f"is not carried by {operation}")
        try:
            return self._operations[operation](caller, table, payload)
        except ConflictError as error:
            raise ConditionalCheckFailedException("The conditional request failed", details=error.details) from error

    def _create(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = _object(payload, "Item")
        item = _id(body, "Item")
        returned = _returned(payload, "NONE", "ALL_OLD")
        old: Mapping[str, Any] = {}

        def change(found: Mapping[str, Any]) -> Mapping[str, Any]:
            nonlocal old
            old = found
            return body

        self._items.update(caller, table, item, change, exists=_existence(payload))
        return {"Attributes": old} if returned == "ALL_OLD" and old else {}

    def _read(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        found = self._items.find(caller, table, _key(payload))
        return {"Item": _shown(found)} if found else {}

    def _update(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        item = _key(payload)
        returned = _returned(payload, "NONE", "ALL_OLD", "UPDATED_OLD", "ALL_NEW", "UPDATED_NEW")
        old: Mapping[str, Any] = {}

        def change(found: Mapping[str, Any]) -> Mapping[str, Any]:
            nonlocal old
            old = found
            updated = {**_updated(found, payload)}
            if updated.setdefault("id", item) != item:
                raise invalid("payload", "changes id, which is the key")
            return updated

        new = self._items.update(caller, table, item, change, exists=_existence(payload)).body
        if returned == "NONE":
            return {}
        side = old if returned.endswith("OLD") else new
        shown = set(side) if returned.startswith("ALL") else _assigned(payload)
        attributes = {name: value for name, value in side.items() if name in shown}
        return {"Attributes": attributes} if attributes else {}

    def _delete(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        returned = _returned(payload, "NONE", "ALL_OLD")
        old = self._items.remove(caller, table, _key(payload), version=None, exists=_existence(payload))
        return {"Attributes": _shown(old)} if returned == "ALL_OLD" and old else {}

    def _list(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        limit = payload.get("Limit", DEFAULT_LIMIT)
        if type(limit) is not int or limit < 1:
            raise invalid("payload.Limit", "is not a whole number from 1 on")
        start = payload.get("ExclusiveStartKey")
        binding = [caller.user, "mobile", table]
        after = (
            None
            if start is None
            else load_cursor(_id(_object(payload, "ExclusiveStartKey"), "ExclusiveStartKey"), bound_to=binding)
        )
        page = self._items.all(caller, table, limit=min(limit, MAX_LIMIT), after=after)
        items = [_shown(item) for item in page.items]
        answer: dict[str, Any] = {"Items": items, "Count": len(items), "ScannedCount": len(items)}
        if page.after is not None:
            answer["LastEvaluatedKey"] = {"id": dump_cursor(page.after, bound_to=binding)}
        return answer


def _object(payload: Mapping[str, Any], name: str, default: Mapping[str, Any] | None = None) -> Mapping[str, Any]:
    value = payload.get(name, default)
    if not isinstance(value, Mapping):
        raise invalid(f"payload.{name}", "is not an object")
    return value


def _id(key: Mapping[str, Any], name: str) -> str:
    value = key.get("id")
    if not isinstance(value, str) or not value:
        raise invalid(f"payload.{name}.id", "is not a text")
    return value


def _key(payload: Mapping[str, Any]) -> str:
    key = _object(payload, "Key")
    if set(key) != {"id"}:
        raise invalid("payload.Key", 'is not the key of an item: {"id": …}')
    return _id(key, "Key")


def _updated(body: Mapping[str, Any], payload: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return an item after the update that a payload asks for; without one it is the item as it was."""
    expression, updates = payload.get("UpdateExpression"), payload.get("AttributeUpdates")
    if expression is not None and updates is not None:
        raise invalid("payload.AttributeUpdates", "cannot be used beside UpdateExpression")
    if updates is not None:
        return apply_attribute_updates(body, _object(payload, "AttributeUpdates"))
    if expression is None:
        return body
    if not isinstance(expression, str):
        raise invalid("payload.UpdateExpression", "is not a text")
    if len(expression) > MAX_EXPRESSION_LENGTH:
        raise invalid("payload.UpdateExpression", f"is longer than {MAX_EXPRESSION_LENGTH} characters")
    names, values = _object(payload, NAMES, {}), _object(payload, "ExpressionAttributeValues", {})
    return apply_update(body, expression, names=names, values=values)


def _assigned(payload: Mapping[str, Any]) -> set[str]:
    """Return the attributes that a payload updates."""
    expression = payload.get("UpdateExpression")
    return (
        find_assigned(expression, _object(payload, NAMES, {}))
        if expression
        else {*(payload.get("AttributeUpdates") or {})}
    )


def _existence(payload: Mapping[str, Any]) -> bool | None:
    """Return whether the item must exist; None where nothing is said."""
    condition = payload.get("ConditionExpression")
    if condition is None:
        return None
    found = CONDITION.match(condition) if isinstance(condition, str) else None
    if found is None or _object(payload, NAMES, {}).get(found["name"], found["name"]) != "id":
        raise invalid(
            "payload.ConditionExpression", "is not carried; attribute_exists(id), attribute_not_exists(id) are"
        )
    return found["not"] is None


def _returned(payload: Mapping[str, Any], *known: str) -> str:
    """Return what of an item is answered with: ``ReturnValues``."""
    wanted = payload.get("ReturnValues", "NONE")
    if not isinstance(wanted, str) or wanted not in known:
        raise invalid("payload.ReturnValues", f"is none of {', '.join(known)}")
    return wanted


def _shown(item: Item) -> dict[str, Any]:
    return {**item.body, "id": item.id}
