"""The journal of commands on disk (SQLite): what was taken, and what was answered, so that nothing is done twice.

A command may come again (QoS 1, or sent anew after a reconnect) under the same id. It is written down before anything
is done, so that a power cut in the middle is seen at the next start.
"""

import json
import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

KEPT = 1_000
"""Entries kept; a service that sends a command again does so within days, not after a thousand others."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS command (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, parameters TEXT NOT NULL,
    answer TEXT, told INTEGER NOT NULL DEFAULT 0
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command that this device took."""

    id: str
    name: str
    parameters: Mapping[str, Any]
    answer: Mapping[str, Any] | None
    """The last word on it, as sent; None while it is being carried out."""


class Journal:
    """Commands this device took. Shares its file with the outbox: one device, one file."""

    def __init__(self, path: Path | str) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=FULL")  # a command done twice may be a door opened twice
        self._db.executescript(_SCHEMA)

    def take(self, command: str, name: str, parameters: Mapping[str, Any]) -> bool:
        """Write a command down before it is carried out; False if it was taken before."""
        wanted = (command, name, json.dumps(parameters))
        self._db.execute("BEGIN")
        with self._db:
            added = self._db.execute(
                "INSERT OR IGNORE INTO command (id, name, parameters) VALUES (?, ?, ?)", wanted
            ).rowcount
            self._db.execute(
                "DELETE FROM command WHERE told AND number <= (SELECT max(number) FROM command) - ?", (KEPT,)
            )
        return bool(added)

    def finish(self, command: str, answer: Mapping[str, Any]) -> None:
        """Write down the last word on a command."""
        self._db.execute("UPDATE command SET answer = ? WHERE id = ?", (json.dumps(answer), command))

    def tell(self, command: str) -> None:
        """Note that the last word on a command got its PUBACK."""
        self._db.execute("UPDATE command SET told = 1 WHERE id = ?", (command,))

    def find(self, command: str) -> Entry | None:
        """Return a command taken before; None if it was not, or long ago."""
        return next(iter(self._entries("id = ?", command)), None)

    def open(self) -> list[Entry]:
        """Return what was taken and not answered to the end, oldest first."""
        return self._entries("NOT told")

    def _entries(self, condition: str, *values: str) -> list[Entry]:
        rows = self._db.execute(
            f"SELECT id, name, parameters, answer FROM command WHERE {condition} ORDER BY number",  # noqa: S608 - constants of this module
            values,
        )
        return [
            Entry(id=row[0], name=row[1], parameters=json.loads(row[2]), answer=json.loads(row[3]) if row[3] else None)
            for row in rows
        ]

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._db.close()
