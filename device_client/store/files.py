"""Files that are whole or not there, whatever becomes of the power."""

import os
from pathlib import Path


def save(path: Path, content: str, *, private: bool = False) -> None:
    """Write a file, or replace it, in one step; it is on the disk on return. Private ones only their owner may read."""
    fresh = path.with_name(f".{path.name}.new")
    fresh.unlink(missing_ok=True)
    descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600 if private else 0o644)
    with os.fdopen(descriptor, "w") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    _sync(path.parent)


def _sync(folder: Path) -> None:
    """Make the directory's change last too. (fsync(2): syncing a file does not sync the entry that names it.)."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
