"""Items of people on DynamoDB: every write takes the next number of its owner's table, in one transaction."""

import json
import time
from collections.abc import Iterable
from dataclasses import replace

from pynamodb.transactions import TransactWrite

from backend.adapters.dynamo import transact, translated
from backend.domain.items import TABLES, TOMBSTONE_LIFETIME, Item
from backend.domain.paging import Page
from backend.errors import ConflictError, UnavailableError
from backend.models.items import ItemsModel
from backend.models.people import AccountsModel

COUNTER = "#changes"
ATTEMPTS = 30
"""Writers of one owner's table take turns at its counter; each loses at most once to each of the others."""
PAUSE_S = 0.005
ANSWER_BYTES = 1_500_000
"""Of the bodies in one page. Lambda answers with 6 MB at most, into which a body goes quoted twice. (AWS Lambda
developer guide, "Lambda quotas".)"""


class DynamoItems:
    """Items of people, by logical table."""

    def __init__(self, table: str, accounts_table: str) -> None:
        ItemsModel.bind(table)
        AccountsModel.bind(accounts_table)

    def find(self, owner: str, table: str, item: str) -> Item | None:
        """Return an item, or the tombstone of a deleted one; None if there never was one, or long ago."""
        with translated():
            try:
                return _load(ItemsModel.get(f"{owner}#{table}", f"i#{item}", consistent_read=True))
            except ItemsModel.DoesNotExist:
                return None

    def list(self, owner: str, table: str, *, limit: int, after: str | None) -> Page[Item]:
        """Return items that are not deleted, ordered by id."""
        hash_key = f"{owner}#{table}"
        start = {"owner": {"S": hash_key}, "item": {"S": after}} if after else None
        with translated():
            results = ItemsModel.query(
                hash_key,
                ItemsModel.item.startswith("i#"),
                filter_condition=ItemsModel.deleted == False,  # noqa: E712 - an expression, not a comparison
                limit=limit,
                last_evaluated_key=start,
            )
            rows, cut = _within_answer(results)
            last = results.last_evaluated_key
        after = rows[-1].item if cut else last["item"]["S"] if last else None
        return Page(items=[_load(row) for row in rows], after=after)

    def write(self, item: Item, *, was: int | None) -> Item:
        """Write an item or tombstone and return it with the number of its change."""
        for attempt in range(ATTEMPTS):
            last = self._last(item.owner, item.table)
            written = replace(item, change=(last or 0) + 1)
            try:
                self._write(written, was=was, last=last)
            except (ConflictError, UnavailableError):
                found = self.find(item.owner, item.table, item.id)
                if (found.version if found else None) != was:
                    raise ConflictError("The item changed meanwhile.") from None
                time.sleep(PAUSE_S * (attempt % 4))
            else:
                return written
        raise UnavailableError("Too many write to these items at once: try again.")

    def changes(self, owner: str, table: str, *, since: int, limit: int) -> Page[Item]:
        """Return what changed after change number ``since``, each item once at its newest, in order of change.

        Read consistently: were a later change seen before an earlier one, whoever goes on after it would miss that.
        """
        with translated():
            results = ItemsModel.by_change.query(
                f"{owner}#{table}", ItemsModel.change > since, limit=limit, consistent_read=True
            )
            rows, cut = _within_answer(results)
            last = results.last_evaluated_key
        return Page(items=[_load(row) for row in rows], after=int(rows[-1].change) if cut or last else None)

    def remove_all(self, owner: str) -> None:
        """Forget all items of a person, tombstones too."""
        for table in TABLES:
            with translated(), ItemsModel.batch_write() as batch:
                for row in ItemsModel.query(f"{owner}#{table}"):
                    batch.delete(row)

    def _last(self, owner: str, table: str) -> int | None:
        with translated():
            try:
                return int(ItemsModel.get(f"{owner}#{table}", COUNTER, consistent_read=True).last)
            except ItemsModel.DoesNotExist:
                return None

    def _write(self, item: Item, *, was: int | None, last: int | None) -> None:
        hash_key = f"{item.owner}#{item.table}"
        row = ItemsModel(
            hash_key,
            f"i#{item.id}",
            body=json.dumps(item.body, ensure_ascii=False),
            version=item.version,
            updated_at=item.updated_at,
            deleted=item.deleted,
            change=item.change,
            expires_at=int((item.updated_at + TOMBSTONE_LIFETIME).timestamp()) if item.deleted else None,
        )
        counter = ItemsModel(hash_key, COUNTER, last=item.change)

        def build(transaction: TransactWrite) -> None:
            unchanged = ItemsModel.owner.does_not_exist() if was is None else ItemsModel.version == was
            first = ItemsModel.owner.does_not_exist() if last is None else ItemsModel.last == last
            transaction.save(row, condition=unchanged)
            transaction.save(counter, condition=first)

        transact(build, conflict="The item changed meanwhile.", present={item.owner})


def _within_answer(rows: Iterable[ItemsModel]) -> tuple[list[ItemsModel], bool]:
    """Return the rows that one answer can carry, at least one, and whether there are more."""
    kept: list[ItemsModel] = []
    size = 0
    for row in rows:
        size += len((row.body or "").encode())
        if kept and size > ANSWER_BYTES:
            return kept, True
        kept.append(row)
    return kept, False


def _load(item: ItemsModel) -> Item:
    owner, _, table = item.owner.rpartition("#")
    return Item(
        owner=owner,
        table=table,
        id=item.item.removeprefix("i#"),
        body=json.loads(item.body),
        version=int(item.version),
        updated_at=item.updated_at,
        deleted=bool(item.deleted),
        change=int(item.change),
    )
