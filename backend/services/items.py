"""Items of people: small documents an app keeps for its user, in sync after days offline."""

import json
from collections.abc import Callable, Mapping
from typing import Any

from backend.domain.access import Caller
from backend.domain.items import MAX_ITEM_BYTES, TABLES, Item
from backend.domain.paging import Page
from backend.errors import ConflictError, NotFoundError, UnavailableError, invalid
from backend.ports import Clock, Items

ATTEMPTS = 60
MAX_ID_LENGTH = 128


class ItemBook:
    """What the signed-in person can do with their items. Nobody ever sees anybody else's: the owner is in every key."""

    def __init__(self, *, items: Items, clock: Clock) -> None:
        self._items = items
        self._clock = clock

    def get(self, caller: Caller, table: str, item: str) -> Item:
        """Return one item."""
        found = self.find(caller, table, item)
        if found is None:
            raise NotFoundError("There is no such item.")
        return found

    def find(self, caller: Caller, table: str, item: str) -> Item | None:
        """Return one item; None if there is none, or it was deleted."""
        found = self._find(caller, table, item)
        return found if found and not found.deleted else None

    def all(self, caller: Caller, table: str, *, limit: int, after: str | None) -> Page[Item]:
        """Return the caller's items of a table, ordered by id."""
        return self._items.list(caller.user, _known(table), limit=limit, after=after)

    def changes(self, caller: Caller, table: str, *, since: int, limit: int) -> Page[Item]:
        """Return what moved and what was deleted since a change number, in order; each item once, at its newest."""
        return self._items.changes(caller.user, _known(table), since=since, limit=limit)

    def put(self, caller: Caller, table: str, item: str, body: Mapping[str, Any], *, version: int | None) -> Item:
        """Write an item.

        Args:
            caller: its owner.
            table: a logical table.
            item: its id.
            body: what it is from now on.
            version: the one this is based on; 0 for one that must not exist; None for whatever is there.

        Raises:
            ConflictError: another version is stored; both sides are in the details.
        """
        return self._write(caller, table, item, version=version, change=lambda _found: body, yours=body)

    def update(
        self,
        caller: Caller,
        table: str,
        item: str,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]],
        *,
        exists: bool | None = None,
    ) -> Item:
        """Change an item by what it is, ``{}`` if it is not there; made then, as DynamoDB does.

        Raises:
            ConflictError: it exists and must not, or the other way round, as ``exists`` says.
        """
        return self._write(caller, table, item, version=None, exists=exists, change=change, yours=None)

    def remove(
        self, caller: Caller, table: str, item: str, *, version: int | None, exists: bool | None = None
    ) -> Item | None:
        """Delete an item and return what it was; one that is gone is deleted already: None.

        A tombstone tells other apps of its owner.

        Raises:
            ConflictError: another version is stored, it is in the details; or it exists and must not, or the other
                way round, as ``exists`` says.
        """
        found = self._find(caller, table, item)
        if found is None or found.deleted:
            _check_presence(None, None, exists=exists)
            return None
        self._write(caller, table, item, version=version, exists=exists, change=None, yours=None)
        return found

    def _write(
        self,
        caller: Caller,
        table: str,
        item: str,
        *,
        version: int | None,
        exists: bool | None = None,
        change: Callable[[Mapping[str, Any]], Mapping[str, Any]] | None,
        yours: Mapping[str, Any] | None,
    ) -> Item:
        for _ in range(ATTEMPTS):
            found = self._find(caller, table, item)
            alive = found if found and not found.deleted else None
            if version is not None and version != (alive.version if alive else 0):
                raise ConflictError("Another version is stored.", details={"yours": yours, "stored": _shown(alive)})
            _check_presence(alive, yours, exists=exists)
            body = dict(change(alive.body if alive else {})) if change else {}
            _check_body(body)
            written = Item(
                owner=caller.user,
                table=table,
                id=item,
                body=body,
                version=found.version + 1 if found else 1,
                updated_at=self._clock.now(),
                deleted=change is None,
            )
            try:
                return self._items.write(written, was=found.version if found else None)
            except ConflictError:
                continue  # somebody else was faster: judge again by what is there now
        raise UnavailableError("Too many write to this item at once: try again.")

    def _find(self, caller: Caller, table: str, item: str) -> Item | None:
        if not 0 < len(item) <= MAX_ID_LENGTH or not item.isprintable():
            raise invalid("id", f"is not 1 to {MAX_ID_LENGTH} printable characters")
        return self._items.find(caller.user, _known(table), item)


def _check_body(body: Mapping[str, Any]) -> None:
    """Refuse what could not be told again: by direct Invoke comes whatever Python's own reader takes for JSON."""
    try:
        size = len(json.dumps(body, ensure_ascii=False, allow_nan=False).encode())
    except (ValueError, RecursionError):
        raise invalid("body", "holds a number or a text that is not JSON") from None
    if size > MAX_ITEM_BYTES:
        raise invalid("body", f"is more than {MAX_ITEM_BYTES} bytes")


def _check_presence(alive: Item | None, yours: Mapping[str, Any] | None, *, exists: bool | None) -> None:
    if exists is not None and exists != (alive is not None):
        raise ConflictError(
            "The item exists." if alive else "The item does not exist.",
            details={"yours": yours, "stored": _shown(alive)},
        )


def _known(table: str) -> str:
    if table not in TABLES:
        raise NotFoundError(f"There is no such table; there are {', '.join(TABLES)}.")
    return table


def _shown(item: Item | None) -> dict[str, Any] | None:
    return {"id": item.id, "version": item.version, "body": item.body} if item else None
