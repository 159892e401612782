"""Settings that came over the air, on disk, so that a device that starts without a network keeps to them."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from device_client.store.database import connect

_SCHEMA = "CREATE TABLE IF NOT EXISTS setting (name TEXT PRIMARY KEY, value TEXT NOT NULL);"


class SettingsStore:
    """Values by name. Shares its file with the outbox: one device, one file."""

    def __init__(self, path: Path | str) -> None:
        self._db = connect(path, _SCHEMA)

    def load(self) -> dict[str, Any]:
        """Return all values."""
        return {name: json.loads(value) for name, value in self._db.execute("SELECT name, value FROM setting")}

    def save(self, settings: Mapping[str, Any]) -> None:
        """Store values in place of all that were there."""
        self._db.execute("BEGIN")
        with self._db:
            self._db.execute("DELETE FROM setting")
            self._db.executemany(
                "INSERT INTO setting VALUES (?, ?)", [(name, json.dumps(value)) for name, value in settings.items()]
            )

    def close(self) -> None:
        """Close the file; what is in it stays."""
        self._db.close()
