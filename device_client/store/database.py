"""The one file of a device (SQLite) that all stores share: opened, found damaged, and refusing to be written to."""

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from device_client.errors import ConfigurationError, StorageError

_LOGGER = logging.getLogger(__name__)
_FILES = ("", "-wal", "-shm")


def connect(path: Path | str, schema: str, *, synchronous: str = "NORMAL") -> sqlite3.Connection:
    """Return a connection in which every statement is a transaction, unless one is begun."""
    database = sqlite3.connect(path, isolation_level=None)
    database.execute("PRAGMA journal_mode=WAL")
    database.execute(f"PRAGMA synchronous={synchronous}")
    database.executescript(schema)
    return database


def check(path: Path) -> None:
    """Put a damaged file aside, under ``{name}.damaged``, so that the device starts with a fresh one.

    A device in the field that refused to start would cost more than what it had not sent yet.

    Raises:
        ConfigurationError: the file can be neither read nor made.
    """
    try:
        found = sqlite3.connect(path)
        try:
            sound = found.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
        finally:
            found.close()
    except sqlite3.OperationalError as error:
        message = f"{path} cannot be opened ({error}): its folder must be there, writable, and not another device's"
        raise ConfigurationError(message) from error
    except sqlite3.DatabaseError:
        sound = False
    if not sound:
        aside = path.with_name(f"{path.name}.damaged")
        for suffix in _FILES:
            damaged = path.with_name(path.name + suffix)
            if damaged.exists():
                damaged.replace(aside.with_name(aside.name + suffix))
        _LOGGER.error("%s is damaged: put aside as %s; what was in it is not sent", path, aside)


@contextmanager
def written() -> Iterator[None]:
    """Translate what the disk refuses.

    Raises:
        StorageError: it is full, or fails.
    """
    try:
        yield
    except sqlite3.Error as error:
        raise StorageError(f"the disk does not take it: {error}") from error
