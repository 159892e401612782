"""The original mobile-backend contract: ``{operation, tableName, payload}``, on items of the caller's own.

The operations and their payloads are those of the AWS Lambda blueprint "mobile-backend", with plain JSON items. What it
did to any table of the account, this does to logical tables of the caller's own.
"""

from collections.abc import Callable, Mapping
from typing import Any

from backend.domain.access import Caller
from backend.domain.items import Item
from backend.domain.paging import dump_cursor, load_cursor
from backend.domain.update_expression import apply_update
from backend.errors import FieldlineError, UnauthenticatedError, invalid
from backend.ports import Profiles
from backend.services.items import ItemBook

DEFAULT_LIMIT = 50
MAX_LIMIT = 100
CREATE_ONLY = ("attribute_not_exists(id)", "attribute_not_exists(#id)")


class UnrecognizedOperationError(FieldlineError):
    """The envelope names an operation that there is not: its message is part of the contract."""

    code = "unrecognized-operation"
    status = 400


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
        serve = self._operations.get(operation) if isinstance(operation, str) else None
        if serve is None:
            message = f'Unrecognized operation "{operation}"'
            raise UnrecognizedOperationError(message)
        if payload is not None and not isinstance(payload, Mapping):
            raise invalid("payload", "is not an object")
        table = envelope.get("tableName")
        if not isinstance(table, str):
            raise invalid("tableName", "is missing")
        return serve(caller(), table, payload or {})

    def _create(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        body = _object(payload, "Item")
        item = _id(body, "Item")
        self._items.put(caller, table, item, body, version=0 if _create_only(payload) else None)
        return {}

    def _read(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        found = self._items.find(caller, table, _id(_object(payload, "Key"), "Key"))
        return {"Item": _shown(found)} if found else {}

    def _update(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        item = _id(_object(payload, "Key"), "Key")
        expression = payload.get("UpdateExpression")
        if not isinstance(expression, str):
            raise invalid("payload.UpdateExpression", "is missing")
        names = _object(payload, "ExpressionAttributeNames", {})
        values = _object(payload, "ExpressionAttributeValues", {})

        def change(body: Mapping[str, Any]) -> dict[str, Any]:
            return {**apply_update(body, expression, names=names, values=values), "id": item}

        updated = self._items.update(caller, table, item, change)
        return {"Attributes": _shown(updated)} if payload.get("ReturnValues") == "ALL_NEW" else {}

    def _delete(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        self._items.remove(caller, table, _id(_object(payload, "Key"), "Key"), version=None)
        return {}

    def _list(self, caller: Caller, table: str, payload: Mapping[str, Any]) -> dict[str, Any]:
        limit = payload.get("Limit", DEFAULT_LIMIT)
        if type(limit) is not int or not 1 <= limit <= MAX_LIMIT:
            raise invalid("payload.Limit", f"is not a whole number from 1 to {MAX_LIMIT}")
        start = payload.get("ExclusiveStartKey")
        binding = [caller.user, "mobile", table]
        after = (
            None
            if start is None
            else load_cursor(_id(_object(payload, "ExclusiveStartKey"), "ExclusiveStartKey"), bound_to=binding)
        )
        page = self._items.all(caller, table, limit=limit, after=after)
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


def _create_only(payload: Mapping[str, Any]) -> bool:
    condition = payload.get("ConditionExpression")
    if condition is None:
        return False
    if not isinstance(condition, str) or condition.replace(" ", "") not in CREATE_ONLY:
        raise invalid("payload.ConditionExpression", "is not carried; attribute_not_exists(id) is")
    return True


def _shown(item: Item) -> dict[str, Any]:
    return {**item.body, "id": item.id}
