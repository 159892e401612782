"""moto's table over indexes of our own, with writes staged until the whole request has succeeded."""

import copy
from collections.abc import Iterator
from decimal import Decimal
from itertools import chain
from typing import Any

from infra.local.aws import DynamoType, Invalid, ItemSizeToUpdateTooLarge, KeyMismatch, MotoTable
from infra.local.clock import Clock
from infra.local.dynamodb.capacity import Meter
from infra.local.dynamodb.index import TOP, Index, Part, Span
from infra.local.dynamodb.projection import project, subset
from infra.local.dynamodb.streams import Stream
from infra.local.dynamodb.values import MAX_ITEM_SIZE, dump

PAGE_SIZE = 1_000_000
"""Bytes of items that a page of a query or scan reads at most; moto's number, near AWS's 1 MB."""
_LONGEST_KEY = 1024

Key = tuple[Part, Part]
Page = tuple[list[Any], int, dict[str, Any] | None]


class Staging:
    """The writes of the request that runs, by table, until it has succeeded."""

    def __init__(self) -> None:
        self.active = False
        self.tables: dict[str, Table] = {}
        self._items: dict[str, dict[Key, Any]] = {}

    def of(self, table: "Table") -> dict[Key, Any]:
        """Return the touched items of a table: what will stand there, None for nothing."""
        self.tables[table.name] = table
        return self._items.setdefault(table.name, {})

    def clear(self) -> None:
        """Drop everything that is staged."""
        self.active = False
        self.tables = {}
        self._items = {}


class Table(MotoTable):
    """One table. Not safe for threads: everything happens in the event loop, one request after another."""

    def __init__(self, *args: Any, clock: Clock, meter: Meter, staging: "Staging", **kwargs: Any) -> None:
        self.stream: Stream | None = None
        self._clock = clock
        self._meter = meter
        self._staging = staging
        super().__init__(*args, **kwargs)
        self.size_bytes = 0
        self.key_types: dict[str, str] = {}
        """Of the attributes that the table's key and those of its indexes are made of."""
        self.expiry: Index | None = None
        self._primary = Index([self.hash_key_attr], self.table_key_attrs[1:], self._types())
        self._secondary: dict[str, Index] = {}
        self.build_indexes()
        self.items = _Items(self)  # type: ignore[assignment]  # what moto uses of a mapping

    def __deepcopy__(self, _memo: dict[int, Any]) -> "Table":
        """Return itself: moto copies whole tables to roll back transactions, here the staged writes are dropped."""
        return self

    def __len__(self) -> int:
        return len(self._primary)

    def describe(self, base_key: str = "TableDescription") -> dict[str, Any]:
        """Return moto's description with the table's size; AWS refreshes it every six hours."""
        described: dict[str, Any] = super().describe(base_key)
        described[base_key]["TableSizeBytes"] = self.size_bytes
        for index in described[base_key]["GlobalSecondaryIndexes"]:
            index["ItemCount"] = len(self._secondary[index["IndexName"]])
        return described

    # Indexes

    def _types(self) -> dict[str, str]:
        return {each["AttributeName"]: each["AttributeType"] for each in self.attr}

    def build_indexes(self) -> None:
        """Make the secondary indexes that are described but not there, drop those no longer described."""
        described = {index.name: index for index in self.all_indexes()}
        for name in self._secondary.keys() - described.keys():
            del self._secondary[name]
        for name in described.keys() - self._secondary.keys():
            self._secondary[name] = self._filled(*_split(described[name].schema), self._types())
        self.key_types = {name: self._types()[name] for name in self.attribute_keys}

    def expire_by(self, attribute: str | None) -> None:
        """Keep items in the order of their TTL attribute, or no longer."""
        self.expiry = None
        if attribute is not None:
            self.expiry = self._filled([], [attribute], self._types() | {attribute: "N"})

    def _filled(self, partition: list[str], sort: list[str], types: dict[str, str]) -> Index:
        # Ties fall in moto's order; AWS promises none.
        names = self.table_key_attrs if sort else self.table_key_attrs[::-1]
        tail = [name for name in names if name not in partition + sort]
        index = Index(partition, sort + tail, types)
        for item in self._primary.all():
            index.add(item)
        return index

    def index(self, name: str | None, *, consistent: bool) -> Index:
        """Return the index that a read names.

        Raises:
            Invalid: there is none, or a strongly consistent read of a global one.
        """
        if name is None:
            return self._primary
        if consistent and name in {index.name for index in self.global_indexes}:
            raise Invalid("Consistent reads are not supported on global secondary indexes")
        if name not in self._secondary:
            raise Invalid(f"The table does not have the specified index: {name}")
        return self._secondary[name]

    # Writes

    def key_of(self, hash_key: Any, range_key: Any) -> Key:
        """Return where an item with these key values stands.

        Raises:
            KeyMismatch: the types are not the schema's.
        """
        if hash_key.type != self.hash_key_type or (range_key is not None and range_key.type != self.range_key_type):
            raise KeyMismatch
        return (hash_key.cast_value,), () if range_key is None else (range_key.cast_value,)

    def look(self, key: Key) -> Any:
        """Return the item: while a request writes, its own copy, which moto may change in place."""
        if not self._staging.active:
            return self._primary.get(*key)
        staged = self._staging.of(self)
        if key not in staged:
            staged[key] = copy.deepcopy(self._primary.get(*key))
        return staged[key]

    def stage(self, key: Key, item: Any) -> None:
        """Put an item, or None, there when the request succeeds."""
        self._staging.of(self)[key] = item

    def changes(self) -> list[tuple[Any, Any]]:
        """Return (old, new) of each item that the request touched.

        Raises:
            Invalid: a new item cannot stand in a secondary index.
        """
        changes = [(self._primary.get(*key), new) for key, new in self._staging.of(self).items()]
        for _, new in changes:
            if new is not None:
                new.size_bytes = new.size()  # as long as it stands in the table, where nothing changes it
                if new.size_bytes > MAX_ITEM_SIZE:
                    raise ItemSizeToUpdateTooLarge
                self._check_index_keys(new)
        return [(old, new) for old, new in changes if old is not None or new is not None]

    def _check_index_keys(self, item: Any) -> None:
        types = self._types()
        for index in self.all_indexes():
            for name in index.schema_key_attrs:
                value = item.attrs.get(name)
                if value is not None and value.type != types[name]:
                    mismatch = f"{name} Expected: {types[name]} Actual: {value.type} IndexName: {index.name}"
                    raise Invalid(f"One or more parameter values were invalid: Type mismatch for Index Key {mismatch}")

    def apply(self, old: Any, new: Any, *, expired: bool = False) -> dict[str, Any] | None:
        """Carry one change out, in all indexes at once; return its stream record, if there is to be one."""
        sizes = [item.size_bytes if item is not None else 0 for item in (old, new)]
        self.size_bytes += sizes[1] - sizes[0]
        if not expired:
            self._meter.write(self.name, None, max(sizes))
        for name, index in chain([(None, self._primary)], self._secondary.items(), [("", self.expiry)]):
            if index is None:
                continue
            if old is not None:
                index.discard(old)
            if new is not None:
                index.add(new)
            if name and not expired:
                self._meter_index(name, index, old, new)
        return self._record(old, new, expired=expired)

    def _meter_index(self, name: str, index: Index, old: Any, new: Any) -> None:
        """Count an index's own writes: two where its key changes, none where nothing it holds changes."""
        described = self.get_index(name)
        before, after = (
            self._projected(described, item) if item is not None and index.key(item.attrs) else None
            for item in (old, new)
        )
        if before is not None and after is not None and index.key(before.attrs) == index.key(after.attrs):
            if before.attrs != after.attrs:
                self._meter.write(self.name, name, max(before.size(), after.size()))
            return
        for item in (before, after):
            if item is not None:
                self._meter.write(self.name, name, item.size())

    def _record(self, old: Any, new: Any, *, expired: bool) -> dict[str, Any] | None:
        """Write no record where no data changed. (Developer guide: Change data capture for DynamoDB Streams)."""
        if self.stream is None or (old is not None and new is not None and old.attrs == new.attrs):
            return None
        some = new if new is not None else old
        keys = {name: dump(some.attrs[name]) for name in self.table_key_attrs}
        images = [None if item is None else dump(item.attrs) for item in (old, new)]
        key_size = sum(len(name.encode()) + some.attrs[name].size() for name in self.table_key_attrs)
        sizes = [0 if item is None else item.size_bytes for item in (old, new)]
        return self.stream.append(keys, *images, sizes=(key_size, sizes[0], sizes[1]), expired=expired)

    def set_stream_specification(self, streams: dict[str, Any] | None) -> None:
        """Begin or end the stream; moto's own shard, which runs functions inside the write, is never made."""
        super().set_stream_specification(streams)
        self.stream_shard = None
        on = bool(self.stream_specification and self.stream_specification["StreamEnabled"])
        view = (streams or {}).get("StreamViewType", "")
        self.stream = Stream(self.table_arn, str(self.latest_stream_label), view, self._clock) if on else None

    # Reads

    def query(  # type: ignore[override]  # noqa: PLR0917 - moto's signature without the legacy filters
        self,
        hash_key: Any,  # noqa: ARG002 - the first of hash_key_conditions
        range_comparison: str | None,
        range_objs: list[Any],
        limit: int | None,
        exclusive_start_key: dict[str, Any] | None,
        scan_index_forward: bool,  # noqa: FBT001 - moto's signature
        projection_expressions: list[list[str]] | None,
        index_name: str | None = None,
        consistent_read: bool = False,  # noqa: FBT001, FBT002 - moto's signature
        filter_expression: Any = None,
        hash_key_conditions: list[tuple[str, Any]] | None = None,
        range_key_conditions: list[tuple[str, str, list[Any]]] | None = None,
    ) -> Page:
        """Return a page of one partition: (items, number read, last key where more may follow)."""
        index = self.index(index_name, consistent=consistent_read)
        equal = dict(hash_key_conditions or ())
        ranges = range_key_conditions or []
        self._check_types([*equal.items(), *((name, value) for name, _, values in ranges for value in values)])
        schema = self.get_index(index_name).schema if index_name else self.schema
        partition = tuple(equal[name].cast_value for name in _split(schema)[0])
        fixed = tuple(values[0].cast_value for _, _, values in ranges[:-1])
        span = _span(range_comparison, fixed, [value.cast_value for value in range_objs])
        start = self._start(index, exclusive_start_key)
        if start is not None and (start[0] != partition or not span.holds(start[1])):
            raise Invalid("The provided starting key is outside query boundaries based on provided conditions")
        walk = index.between(partition, span, forward=scan_index_forward, after=start and start[1])
        return self._page(
            walk, limit, index_name, filter_expression, projection_expressions, consistent=consistent_read
        )

    def scan(  # noqa: PLR0917 - moto's signature
        self,
        filters: dict[str, Any],  # noqa: ARG002 - refused at the door
        limit: int | None,
        exclusive_start_key: dict[str, Any] | None,
        filter_expression: Any = None,
        index_name: str | None = None,
        consistent_read: bool = False,  # noqa: FBT001, FBT002 - moto's signature
        projection_expression: list[list[str]] | None = None,
        segments: tuple[Any, Any] = (None, None),
    ) -> Page:
        """Return a page of the table or an index, in the order of its keys; AWS's order is that of their hashes."""
        index = self.index(index_name, consistent=consistent_read)
        walk = index.all(self._start(index, exclusive_start_key))
        if segments != (None, None):
            walk = (item for item in walk if item.is_within_segment(segments))
        return self._page(walk, limit, index_name, filter_expression, projection_expression, consistent=consistent_read)

    def _check_types(self, conditions: list[tuple[str, Any]]) -> None:
        types = self._types()
        if any(value.type != types[name] for name, value in conditions):
            message = "Condition parameter type does not match schema type"
            raise Invalid(f"One or more parameter values were invalid: {message}")

    def _start(self, index: Index, key: dict[str, Any] | None) -> Key | None:
        if key is None:
            return None
        start = index.key({name: DynamoType(value) for name, value in key.items()})
        if start is None:
            raise Invalid("The provided starting key is invalid")
        return start

    def _page(
        self,
        walk: Iterator[Any],
        limit: int | None,
        index_name: str | None,
        condition: Any,
        projection: list[list[str]] | None,
        *,
        consistent: bool,
    ) -> Page:
        """Read until the limit or a page's size is reached; only then filter, as AWS does. (API reference: Query)."""
        described = self.get_index(index_name) if index_name else None
        read: list[Any] = []
        size = 0
        last = None
        for item in walk:
            seen = self._projected(described, item) if described else item
            if read and size + seen.size() > PAGE_SIZE:
                last = self._get_last_evaluated_key(read[-1], index_name)
                break
            read.append(seen)
            size += seen.size()
            if len(read) == limit:
                last = self._get_last_evaluated_key(read[-1], index_name)
                break
        self._meter.read(self.name, index_name, size, consistent=consistent)
        kept = read if condition is None else [item for item in read if condition.expr(item)]
        return [project(item, projection) for item in kept] if projection else kept, len(read), last

    def _projected(self, described: Any, item: Any) -> Any:
        """Return what of an item stands in a secondary index."""
        names = self.projected_names(described)
        return item if names is None else subset(item, names)

    def projected_names(self, described: Any) -> set[str] | None:
        """Return the attributes that stand in a secondary index; None for all."""
        kind = (described.projection or {}).get("ProjectionType", "ALL")
        if kind == "ALL":
            return None
        included = described.projection.get("NonKeyAttributes", ()) if kind == "INCLUDE" else ()
        return {*self.table_key_attrs, *described.schema_key_attrs, *included}


class _Items:
    """The mapping that moto's code reads and writes items through: by hash key, then by range key."""

    def __init__(self, table: Table, hash_key: Any = None) -> None:
        self._table = table
        self._hash = hash_key

    def _key(self, key: Any) -> Key:
        return self._table.key_of(key, None) if self._hash is None else self._table.key_of(self._hash, key)

    def __contains__(self, key: Any) -> bool:
        return self._table.look(self._key(key)) is not None

    def __getitem__(self, key: Any) -> Any:
        if self._hash is None and self._table.range_key_attr is not None:
            return _Items(self._table, key)
        item = self._table.look(self._key(key))
        if item is None:
            raise KeyError(key)
        return item

    def __setitem__(self, key: Any, item: Any) -> None:
        self._table.stage(self._key(key), item)

    def pop(self, key: Any) -> Any:
        item = self[key]
        self._table.stage(self._key(key), None)
        return item


def _split(schema: list[dict[str, str]]) -> tuple[list[str], list[str]]:
    """Return the names of (partition, sort) attributes of a key schema."""
    partition = [key["AttributeName"] for key in schema if key["KeyType"] == "HASH"]
    return partition, [key["AttributeName"] for key in schema if key["KeyType"] == "RANGE"]


def _span(comparison: str | None, fixed: Part, values: list[Any]) -> Span:
    """Return the places at which a condition on the sort key holds; ``fixed`` are equalities before it."""
    if comparison is None:
        return Span(fixed, (*fixed, TOP))
    first, last = values[0], values[-1]
    spans = {
        "=": lambda: Span((*fixed, first), (*fixed, first, TOP)),
        "<": lambda: Span(fixed, (*fixed, first), open_end=True),
        "<=": lambda: Span(fixed, (*fixed, first, TOP)),
        ">": lambda: Span((*fixed, first, TOP), (*fixed, TOP)),
        ">=": lambda: Span((*fixed, first), (*fixed, TOP)),
        "BETWEEN": lambda: Span((*fixed, first), (*fixed, last, TOP)),
        "BEGINS_WITH": lambda: Span((*fixed, first), (*fixed, first + _beyond(first), TOP)),
    }
    return spans[comparison.upper()]()


def _beyond(prefix: Any) -> Any:
    """Return what, after ``prefix``, no key with it is greater than.

    Raises:
        Invalid: numbers have no prefixes.
    """
    if isinstance(prefix, Decimal):
        operand = "Incorrect operand type for operator or function; operator or function: begins_with, operand type: N"
        raise Invalid(f"Invalid KeyConditionExpression: {operand}")
    return "\U0010ffff" if isinstance(prefix, str) else b"\xff" * _LONGEST_KEY
