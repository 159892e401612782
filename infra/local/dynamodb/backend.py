"""moto's DynamoDB of one region over our tables: each request's writes happen together or not at all."""

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, cast

from infra.local.aws import (
    DynamoDBBackend,
    DynamoType,
    Invalid,
    InvalidUpdateExpression,
    KeyMismatch,
    ResourceInUse,
    StreamAlreadyEnabledException,
    TransactionCanceledException,
    UpdateHashRangeKeyException,
)
from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID
from infra.local.dynamodb.capacity import Meter
from infra.local.dynamodb.index import Span
from infra.local.dynamodb.projection import project
from infra.local.dynamodb.streams import Deliver
from infra.local.dynamodb.table import Key, Staging, Table

_TTL_TOO_OLD_S = 5 * 365 * 24 * 3600
"""TTL leaves items alone that expired more than five years ago. (Developer guide: Using time to live)."""
_NAME = re.compile(r"[a-zA-Z0-9_.-]{3,255}")
_STATIC = (InvalidUpdateExpression, UpdateHashRangeKeyException)
"""What no item could make possible."""
_SWEEP_SIZE = 1_000
"""Items that one sweep of a table takes, so that no sweep holds the loop for long."""


class _ImpossibleError(Exception):
    """An update that its item does not allow, in a transaction: moto counts it among the reasons."""


class Backend(DynamoDBBackend):
    """The tables of one region."""

    def __init__(self, region: str, clock: Clock, deliver: Deliver) -> None:
        super().__init__(region, ACCOUNT_ID)
        self.meter = Meter()
        self.consistent: frozenset[str] = frozenset()
        """The tables, as the request names them, that it reads strongly consistently: for its capacity."""
        self._in_transaction = False
        self._clock = clock
        self._deliver = deliver
        self._staging = Staging()

    def table(self, name: str) -> Table:
        """Return a table by name or ARN, as ours."""
        return cast("Table", self.get_table(name))

    def all_tables(self) -> list[Table]:
        """Return every table."""
        return cast("list[Table]", list(self.tables.values()))

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Stage every write inside; carry all of them out at the end, or none where anything raises."""
        self._staging.active = True
        try:
            yield
            changes = [(table, table.changes()) for table in self._staging.tables.values()]
        finally:
            self._staging.clear()
        for table, changed in changes:
            self._send(table, [table.apply(old, new) for old, new in changed])

    def put(self, table: Table, key: Key, item: Any) -> None:
        """Put one item, outside of `writing`; its size is known to be allowed."""
        item.size_bytes = item.size()
        self._send(table, [table.apply(table.look(key), item)])

    def _send(self, table: Table, records: list[dict[str, Any] | None]) -> None:
        if table.stream is not None and (made := [record for record in records if record is not None]):
            self._deliver(table.table_arn, table.stream.arn, made)

    def transact_write_items(self, transact_items: list[dict[str, Any]]) -> None:
        """Do as moto; what it stumbled over is a ``ValidationError``. (API reference: TransactionCanceledException)."""
        self._in_transaction = True
        try:
            super().transact_write_items(transact_items)
        except TransactionCanceledException as error:
            reasons = json.loads(error.description)["CancellationReasons"]
            if {reason["Code"] for reason in reasons} <= {"None", "ConditionalCheckFailed"}:
                raise
            raise TransactionCanceledException([_reason(reason) for reason in reasons]) from error
        finally:
            self._in_transaction = False

    def update_item(self, *args: Any, **params: Any) -> Any:
        """Do as moto; what the item makes impossible cancels a transaction, what the expression says refuses it."""
        try:
            return super().update_item(*args, **params)
        except Invalid as error:
            if not self._in_transaction or isinstance(error, _STATIC):
                raise
            raise _ImpossibleError(error.message) from error

    def get_item(self, table_name: str, keys: dict[str, Any], projection_expressions: Any = None) -> Any:
        """Do as moto, and count what is read."""
        item = super().get_item(table_name, keys)
        size = item.size() if item is not None else 0
        self.meter.read(self.table(table_name).name, None, size, consistent=table_name in self.consistent)
        return project(item, projection_expressions) if item is not None and projection_expressions else item

    def get_keys_value(self, table: Any, keys: dict[str, Any]) -> tuple[Any, Any]:
        """Return the values of the key attributes.

        Raises:
            KeyMismatch: one is missing, or of another type than the schema's.
        """
        if any(name not in keys for name in table.table_key_attrs):
            raise KeyMismatch
        values = [DynamoType(keys[name]) for name in table.table_key_attrs]
        hash_key, range_key = values[0], values[1] if len(values) > 1 else None
        table.key_of(hash_key, range_key)
        return hash_key, range_key

    # Tables

    def create_table(self, name: str, *_unused: Any, **description: Any) -> Any:
        """Make a table of ours from moto's description of it."""
        if not _NAME.fullmatch(name):
            rule = "at least 3 characters long and at most 255, of a-z, A-Z, 0-9, _, - and ."
            raise Invalid(f"TableName must be {rule}: {name}")
        if name in self.tables:
            raise ResourceInUse(f"Table already exists: {name}")
        made = Table(  # type: ignore[abstract]  # moto leaves CloudFormation's methods out
            name,
            self.account_id,
            self.region_name,
            clock=self._clock,
            meter=self.meter,
            staging=self._staging,
            **description,
        )
        self.tables[name] = made
        return made

    def update_table(  # type: ignore[override]  # moto calls it by these names
        self, name: str, *, attr_definitions: list[dict[str, str]] | None = None, **changes: Any
    ) -> Any:
        """Do as moto, but all or nothing; keep the attributes that keys are made of; fill an index that is new."""
        table = self.table(name)
        if all(change is None for change in changes.values()):
            raise Invalid(
                "At least one of ProvisionedThroughput, BillingMode … GlobalSecondaryIndexUpdates is required"
            )
        before = {name: getattr(table, name) for name in ("attr", "global_indexes", "throughput", "billing_mode")}
        indexes = [(index, dict(vars(index))) for index in table.global_indexes]  # moto changes them in place
        table.attr = list({each["AttributeName"]: each for each in (*table.attr, *(attr_definitions or ()))}.values())
        try:
            _check_new_indexes(table, changes.get("global_index"))
            super().update_table(name, attr_definitions=[], **changes)
        except BaseException as error:
            for attribute, value in before.items():
                setattr(table, attribute, value)
            for index, facts in indexes:
                vars(index).update(facts)
            if type(error) is ValueError:
                raise Invalid(str(error)) from error
            raise
        used = {*table.table_key_attrs, *(key for index in table.all_indexes() for key in index.schema_key_attrs)}
        table.attr = [each for each in table.attr if each["AttributeName"] in used]
        table.build_indexes()
        return table

    def update_table_streams(self, table: Any, stream_specification: dict[str, Any]) -> None:
        """Begin or end a stream; moto would not begin one again."""
        on = stream_specification.get("StreamEnabled") or stream_specification.get("StreamViewType")
        if on and table.stream is not None:
            raise StreamAlreadyEnabledException
        table.set_stream_specification(stream_specification)

    def tag_resource(self, arn: str, tags: dict[str, str]) -> None:
        """Do as moto, but in place of tags of the same name."""
        self.untag_resource(arn, list(tags))
        super().tag_resource(arn, tags)

    def update_time_to_live(self, table_name: str, ttl_spec: dict[str, Any]) -> None:
        """Do as moto, but nothing twice; keep the items in the order in which they expire."""
        table = self.table(table_name)
        state = "enabled" if ttl_spec["Enabled"] else "disabled"
        current = table.ttl.get("AttributeName") if table.ttl.get("TimeToLiveStatus") == "ENABLED" else None
        if current not in (None, ttl_spec["AttributeName"]):
            message = f"TimeToLive is active on a different AttributeName: current AttributeName is {current}"
            raise Invalid(message)
        if (current is not None) == ttl_spec["Enabled"]:
            raise Invalid(f"TimeToLive is already {state}")
        super().update_time_to_live(table_name, ttl_spec)
        table.expire_by(ttl_spec["AttributeName"] if ttl_spec["Enabled"] else None)

    def sweep(self) -> int:
        """Delete what has expired by the clock; return how many. Conditions and capacity have no part in it."""
        now = int(self._clock.time())
        span = Span((now - _TTL_TOO_OLD_S,), (now,), open_end=True)
        swept = 0
        for table in self.all_tables():
            if table.expiry is None:
                continue
            expired = [item for item, _ in zip(table.expiry.between((), span), range(_SWEEP_SIZE), strict=False)]
            self._send(table, [table.apply(item, None, expired=True) for item in expired])
            swept += len(expired)
        return swept


def _reason(reason: dict[str, Any]) -> tuple[str | None, str | None, dict[str, Any] | None]:
    """Return a cancellation reason as moto's exception takes it."""
    if reason["Code"] == "KeyError":
        missing = f"Missing the key {reason['Message'].strip(chr(39))} in the item"
        return "ValidationError", f"One or more parameter values were invalid: {missing}", None
    code = {"None": None, "ConditionalCheckFailed": "ConditionalCheckFailed"}.get(reason["Code"], "ValidationError")
    return code, reason.get("Message"), reason.get("Item")


def _check_new_indexes(table: Any, updates: list[dict[str, Any]] | None) -> None:
    """Refuse an index on an attribute without a type, before anything is made of it, as UpdateTable does."""
    defined = {each["AttributeName"] for each in table.attr}
    for update in updates or ():
        keys = {key["AttributeName"] for key in update.get("Create", {}).get("KeySchema", ())}
        if keys - defined:
            raise Invalid(
                "One or more parameter values were invalid: Some index key attributes are not defined in "
                f"AttributeDefinitions. Keys: [{', '.join(sorted(keys))}], AttributeDefinitions: "
                f"[{', '.join(sorted(defined))}]"
            )
