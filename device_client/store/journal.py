"""The journal of commands on disk (SQLite): what was taken, and what was answered, so that nothing is done twice.

A command may come again (QoS 1, or sent anew after a reconnect) under the same id. It is written down before anything
is done, so that a power cut in the middle is seen at the next start.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from device_client.store.database import connect, written

KEPT = 1_000
"""Entries kept; a service that sends a command again does so within days, not after a thousand others."""
_SCHEMA = """
CREATE TABLE IF NOT EXISTS command (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, name TEXT NOT NULL, parameters TEXT NOT NULL,
    expires_at_ms INTEGER NOT NULL, begun INTEGER NOT NULL DEFAULT 0, answer TEXT, told INTEGER NOT NULL DEFAULT 0
);
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One command that this device took."""

    id: str
    name: str
    parameters: Mapping[str, Any]
    expires_at_ms: int
    """Epoch milliseconds; after it, it is not to be begun."""
    begun: bool = False
    answer: Mapping[str, Any] | None = None
    """The last word on it, as sent; None while it waits or is being carried out."""


class Journal:
    """Commands this device took. Shares its file with the outbox: one device, one file."""

    def __init__(self, path: Path | str) -> None:
        self._db = connect(path, _SCHEMA, synchronous="FULL")  # a command done twice may be a door opened twice

    def take(self, entry: Entry) -> bool:
        """Write a command down before anything is done about it; False if it was taken before.

        Raises:
            StorageError: it was not written: nothing may be done about it.
        """
        wanted = (entry.id, entry.name, json.dumps(entry.parameters), entry.expires_at_ms)
        with written(), self._db:
            self._db.execute("BEGIN")
            added = self._db.execute(
                "INSERT OR IGNORE INTO command (id, name, parameters, expires_at_ms) VALUES (?, ?, ?, ?)", wanted
            ).rowcount
            self._db.execute(
                "DELETE FROM command WHERE told AND number <= (SELECT max(number) FROM command) - ?", (KEPT,)
            )
        return bool(added)

    def begin(self, command: str) -> None:
        """Note that a command is now being carried out: whatever happens, it is not begun again."""
        self._db.execute("UPDATE command SET begun = 1 WHERE id = ?", (command,))

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
            "SELECT id, name, parameters, expires_at_ms, begun, answer FROM command "  # noqa: S608 - constants of this module
            f"WHERE {condition} ORDER BY number",
            values,
        )
        return [
            Entry(
                id=command,
                name=name,
                parameters=json.loads(parameters),
                expires_at_ms=expires_at_ms,
                begun=bool(begun),
                answer=json.loads(answer) if answer else None,
            )
            for command, name, parameters, expires_at_ms, begun, answer in rows
        ]

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._db.close()
