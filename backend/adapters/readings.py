"""Buckets and quarantine on DynamoDB."""

import json
import zlib
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from backend.adapters.dynamo import page_of, translated
from backend.domain.paging import Page
from backend.domain.telemetry import Bucket, BucketKey, Quarantined
from backend.errors import ConflictError
from backend.models.readings import QuarantineModel, ReadingsModel

PLAIN, DEFLATED = b"\x00", b"\x01"
COMPRESS_FROM_BYTES = 900
"""An item of up to 1 KB costs one write unit; below that, compressing buys nothing."""
MAX_PAGE_BYTES = 3 * 1024 * 1024
"""Of quarantined bodies in one answer: in base64 they are a third longer, and Lambda answers with at most 6 MB."""


class DynamoReadings:
    """Buckets of readings, one item each."""

    def __init__(self, table: str, *, retention: timedelta) -> None:
        ReadingsModel.bind(table)
        self._retention_s = int(retention.total_seconds())

    def add(self, thing: str, bucket: Bucket, *, received_ms: int) -> bool:
        """Store a bucket; False if the very same is stored already."""
        item = ReadingsModel(
            thing,
            dump_key(bucket.key),
            columns=dump_columns(bucket),
            received_ms=received_ms,
            expires_at=bucket.last_ms // 1000 + self._retention_s,
        )
        try:
            with translated():
                item.save(ReadingsModel.thing.does_not_exist())
        except ConflictError:
            if self._stored(thing, bucket.key) == bucket:
                return False
            raise ConflictError("Another bucket is stored under this key.") from None
        return True

    def between(self, thing: str, from_ms: int, to_ms: int, *, page_size: int) -> Iterator[tuple[BucketKey, Bucket]]:
        """Yield buckets that begin in [from, to), in order of their keys."""
        if from_ms >= to_ms:
            return
        # "0000000000010#" sorts after every key of instant 9 and before every key of instant 10.
        span = ReadingsModel.bucket.between(f"{from_ms:013d}#", f"{to_ms:013d}#")
        with translated():
            for item in ReadingsModel.query(thing, span, page_size=page_size):
                key = load_key(item.bucket)
                yield key, load_columns(key, item.columns)

    def latest(self, thing: str, from_ms: int) -> Bucket | None:
        """Return the bucket that begins last, not before ``from_ms``; None if there is none."""
        since = ReadingsModel.bucket >= f"{from_ms:013d}#"
        with translated():
            for item in ReadingsModel.query(thing, since, scan_index_forward=False, limit=1):
                return load_columns(load_key(item.bucket), item.columns)
        return None

    def _stored(self, thing: str, key: BucketKey) -> Bucket | None:
        with translated():
            try:
                item = ReadingsModel.get(thing, dump_key(key), consistent_read=True)
            except ReadingsModel.DoesNotExist:
                return None
        return load_columns(key, item.columns)


class DynamoQuarantine:
    """Documents that did not fit."""

    def __init__(self, table: str, *, retention: timedelta) -> None:
        QuarantineModel.bind(table)
        self._retention_s = int(retention.total_seconds())

    def add(self, quarantined: Quarantined) -> None:
        """Keep a document; the same one again changes nothing."""
        item = QuarantineModel(
            quarantined.thing,
            quarantined.document,
            received_ms=quarantined.received_ms,
            principal=quarantined.principal,
            violations=json.dumps(quarantined.violations),
            body=zlib.compress(quarantined.body),
            expires_at=quarantined.received_ms // 1000 + self._retention_s,
        )
        try:
            with translated():
                item.save(QuarantineModel.thing.does_not_exist())
        except ConflictError:
            return

    def of_thing(self, thing: str, from_ms: int, *, limit: int, after: Any) -> Page[Quarantined]:
        """Return documents received at or after ``from_ms``, newest first."""
        start = None
        if after is not None:
            received_ms, document = after
            if received_ms < from_ms:  # it changed hands in between; DynamoDB refuses a key outside of the range
                return Page(items=[], after=None)
            start = {"thing": {"S": thing}, "received_ms": {"N": str(received_ms)}, "document": {"S": document}}
        with translated():
            results = QuarantineModel.by_received.query(
                thing,
                QuarantineModel.received_ms >= from_ms,
                scan_index_forward=False,
                limit=limit,
                last_evaluated_key=start,
            )
            page = page_of(results, "document")
        found: list[Quarantined] = []
        room = MAX_PAGE_BYTES
        for item in page.items:
            one = _load_quarantined(item)
            room -= len(one.body)
            if room < 0 and found:
                break
            found.append(one)
        more = page.after or len(found) < len(page.items)
        return Page(items=found, after=[found[-1].received_ms, found[-1].document] if more else None)


def dump_key(key: BucketKey) -> str:
    """Return a key as text that sorts as the key does."""
    return f"{key.t0_ms:013d}#{key.boot}#{key.seq:010d}"


def load_key(text: str) -> BucketKey:
    """Return the key a text stands for."""
    t0_ms, boot, seq = text.split("#")
    return BucketKey(t0_ms=int(t0_ms), boot=boot, seq=int(seq))


def dump_columns(bucket: Bucket) -> bytes:
    """Return offsets and columns as compact JSON, deflated where that saves a write unit."""
    plain = json.dumps([bucket.offsets_ms, bucket.metrics], separators=(",", ":"), ensure_ascii=False).encode()
    return PLAIN + plain if len(plain) < COMPRESS_FROM_BYTES else DEFLATED + zlib.compress(plain)


def load_columns(key: BucketKey, stored: bytes) -> Bucket:
    """Return the bucket stored under a key."""
    text = stored[1:] if stored[:1] == PLAIN else zlib.decompress(stored[1:])
    offsets_ms, metrics = json.loads(text)
    return Bucket(
        boot=key.boot,
        seq=key.seq,
        t0_ms=key.t0_ms,
        offsets_ms=tuple(offsets_ms),
        metrics={name: tuple(column) for name, column in metrics.items()},
    )


def _load_quarantined(item: QuarantineModel) -> Quarantined:
    return Quarantined(
        thing=item.thing,
        document=item.document,
        received_ms=int(item.received_ms),
        principal=item.principal,
        violations=tuple((field, problem) for field, problem in json.loads(item.violations)),
        body=zlib.decompress(item.body),
    )
