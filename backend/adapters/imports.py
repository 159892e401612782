"""Files dropped in S3, and how far their import has come on DynamoDB."""

import json
import zlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from backend.adapters.dynamo import translated
from backend.domain.imports import RETENTION, DroppedFile, Problem, Progress
from backend.errors import ConflictError, NotFoundError, UnavailableError
from backend.models.imports import ImportsModel
from backend.ports import Clock

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PIECE_BYTES = 1_048_576
"""Read in one go, so that no connection stays open while rows are written."""
REPLACED = frozenset({"PreconditionFailed", "412"})
GONE = frozenset({"NoSuchKey", "NoSuchBucket", "404"})
"""To who may list the bucket; to others S3 says AccessDenied. (API reference: "GetObject", Permissions.)"""


class S3Files:
    """Where files are dropped, and reports are written beside them."""

    def __init__(self) -> None:
        self._s3: S3Client = boto3.client("s3")

    def read(self, file: DroppedFile, offset: int) -> Iterator[bytes]:
        """Yield a file from a byte on, in pieces, as long as it is the very file."""
        for begin in range(offset, file.size_bytes, PIECE_BYTES):
            wanted = f"bytes={begin}-{min(begin + PIECE_BYTES, file.size_bytes) - 1}"
            try:
                found = self._s3.get_object(Bucket=file.bucket, Key=file.key, Range=wanted, IfMatch=f'"{file.etag}"')
                piece = found["Body"].read()
            except (ClientError, BotoCoreError) as error:
                raise _translated(error) from error
            yield piece

    def write(self, file: DroppedFile, key: str, document: Mapping[str, Any]) -> None:
        """Write a JSON document beside a file."""
        body = json.dumps(document, indent=1, ensure_ascii=False).encode()
        try:
            self._s3.put_object(Bucket=file.bucket, Key=key, Body=body, ContentType="application/json")
        except (ClientError, BotoCoreError) as error:
            raise _translated(error) from error


class DynamoImportProgress:
    """How far imports have come."""

    def __init__(self, table: str, clock: Clock) -> None:
        ImportsModel.bind(table)
        self._clock = clock

    def find(self, file: str) -> Progress | None:
        """Return how far the latest import of a key has come; None if there was none. Read consistently."""
        with translated():
            try:
                item = ImportsModel.get(file, consistent_read=True)
            except ImportsModel.DoesNotExist:
                return None
        return _load(item)

    def put(self, progress: Progress, *, was: int | None) -> Progress:
        """Write how far an import has come, and return it as stored."""
        stored = Progress(**{**_fields(progress), "revision": (was or 0) + 1})
        named = {name: value for name, value in _fields(stored).items() if name not in {"file", "problems"}}
        problems = json.dumps([asdict(problem) for problem in stored.problems]).encode()
        row = ImportsModel(
            stored.file,
            **named,
            problems=zlib.compress(problems),  # reasons repeat
            expires_at=int((self._clock.now() + RETENTION).timestamp()),
        )
        condition = ImportsModel.file.does_not_exist() if was is None else ImportsModel.revision == was
        try:
            with translated("Somebody else imports this."):
                row.save(condition)
        except ConflictError:
            if self.find(stored.file) != stored:  # else it is our own: its answer was lost, and it was sent again
                raise
        return stored


def _fields(progress: Progress) -> dict[str, Any]:
    return {name: getattr(progress, name) for name in Progress.__slots__}


def _load(item: ImportsModel) -> Progress:
    return Progress(
        file=item.file,
        sequencer=item.sequencer,
        offset=int(item.offset),
        line=int(item.line),
        imported=int(item.imported),
        unchanged=int(item.unchanged),
        bad=int(item.bad),
        problems=tuple(Problem(**each) for each in json.loads(zlib.decompress(item.problems))),
        parts=int(item.parts),
        refused=item.refused,
        done=item.done,
        revision=int(item.revision),
    )


def _translated(error: ClientError | BotoCoreError) -> Exception:
    code = error.response.get("Error", {}).get("Code", "") if isinstance(error, ClientError) else ""
    if code in REPLACED:
        return NotFoundError("Another file was dropped in its place.")
    if code in GONE:
        return NotFoundError("The file is gone.")
    return UnavailableError("The file cannot be read or its report not written: try again.")
