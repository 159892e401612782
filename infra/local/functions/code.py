"""A function's code: a directory of this machine, or a zip unpacked into one; and whether its files have changed."""

import base64
import functools
import hashlib
import io
import os
import shutil
import time
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from infra.local.functions.model import Aws, Configuration, invalid

LOCAL_DIRECTORY = "local-directory"
"""In place of an S3 bucket: the key is the absolute path of a directory, which becomes the task root."""
CHECK_INTERVAL_S = 0.2
"""Between two looks at a function's files."""
MAX_FILES = 2_000
_MAX_UNZIPPED_BYTES = 250 * 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    """Where a function's code stands."""

    task_root: Path
    sha256: str
    size_bytes: int


async def load(given: Mapping[str, Any], unpack_into: Path, aws: Aws) -> Code:
    """Return the code that ``Code`` of CreateFunction, or UpdateFunctionCode, names.

    Raises:
        LambdaError: it names none, or what it names is not there.
    """
    if given.get("ImageUri"):
        raise invalid("Container images are not carried by the local cloud")
    if given.get("S3Bucket") == LOCAL_DIRECTORY:
        path, version = Path(given.get("S3Key", "")), given.get("S3ObjectVersion")
        return _directory_of_version(path, version) if version else _directory(path)
    if given.get("ZipFile"):
        return _unzip(base64.b64decode(given["ZipFile"]), unpack_into)
    if given.get("S3Bucket"):
        where = {"Bucket": given["S3Bucket"], "Key": given["S3Key"]}
        if given.get("S3ObjectVersion"):
            where["VersionId"] = given["S3ObjectVersion"]
        answer = await aws.call("s3", "get_object", **where)
        body = answer["Body"]
        return _unzip(body if isinstance(body, bytes) else body.read(), unpack_into)
    raise invalid("Please provide a source for function code.")


@functools.lru_cache(maxsize=8)
def _directory_of_version(path: Path, _version: str) -> Code:
    """Look once at a directory that all functions of a template share; the version is a digest of its code."""
    return _directory(path)


def _directory(path: Path) -> Code:
    if not path.is_absolute() or not path.is_dir():
        raise invalid(f"The directory {path} does not exist, or is not absolute")
    digest = hashlib.sha256(str(path).encode())
    size = 0
    for file in _files(path):
        state = file.stat()
        size += state.st_size
        digest.update(f"{file}:{state.st_size}:{state.st_mtime_ns}".encode())
    return Code(task_root=path, sha256=base64.b64encode(digest.digest()).decode(), size_bytes=size)


def _unzip(archive: bytes, into: Path) -> Code:
    digest = hashlib.sha256(archive).digest()
    root = into / digest.hex()[:16]
    try:
        with zipfile.ZipFile(io.BytesIO(archive)) as package:
            if sum(entry.file_size for entry in package.infolist()) > _MAX_UNZIPPED_BYTES:
                raise invalid("Unzipped size must be smaller than 262144000 bytes")
            shutil.rmtree(root, ignore_errors=True)
            package.extractall(root)  # extractall keeps every entry inside
    except zipfile.BadZipFile as error:
        raise invalid("Could not unzip uploaded file. Please check your file, then try to upload again.") from error
    return Code(task_root=root, sha256=base64.b64encode(digest).decode(), size_bytes=len(archive))


class Watch:
    """Says cheaply whether the files of a function have changed since a worker was started."""

    def __init__(self) -> None:
        self._packages: dict[tuple[Path, str], Path] = {}
        self._seen: dict[Path, tuple[float, int]] = {}

    def fingerprint(self, configuration: Configuration) -> int:
        """Return a number that changes with the files the handler's package is made of."""
        named = (configuration.task_root, configuration.handler)
        root = self._packages.get(named) or self._packages.setdefault(named, _package(configuration))
        now = time.monotonic()
        looked_at, fingerprint = self._seen.get(root, (-CHECK_INTERVAL_S, 0))
        if now - looked_at >= CHECK_INTERVAL_S:
            fingerprint = hash(tuple((entry.path, entry.stat().st_mtime_ns) for entry in _entries(root)))
            self._seen[root] = (now, fingerprint)
        return fingerprint


def _package(configuration: Configuration) -> Path:
    """Return the directory to watch: the top package of the handler, or the task root where it is a plain module."""
    top = configuration.task_root / configuration.handler.replace("/", ".").split(".")[0]
    return top if top.is_dir() else configuration.task_root


def _files(root: Path) -> Iterator[Path]:
    """Yield files that are code or data of a function: nothing hidden, no bytecode, no environments."""
    for entry in _entries(root):
        yield Path(entry.path)


def _entries(root: Path) -> Iterator[os.DirEntry[str]]:
    waiting, found = [str(root)], 0
    while waiting and found < MAX_FILES:
        with os.scandir(waiting.pop()) as entries:
            in_order = sorted(entries, key=lambda entry: entry.name)
        for entry in in_order:
            if entry.name.startswith(".") or entry.name in {"__pycache__", "node_modules", "site-packages"}:
                continue
            if entry.is_dir():
                waiting.append(entry.path)
            elif found < MAX_FILES:
                found += 1
                yield entry
