"""The configuration as it is now: read when first asked for, read again after a while, never in the way."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from backend.domain.configuration import RELOAD_AFTER, Configuration, build_configuration
from backend.errors import FieldlineError
from backend.ports import Clock, Configurations, Log


class Settings:
    """Knows the configuration. One per container."""

    def __init__(self, *, configurations: Configurations, clock: Clock, log: Log) -> None:
        self._configurations = configurations
        self._clock = clock
        self._log = log
        self._current = Configuration()
        self._read_at: datetime | None = None

    def current(self) -> Configuration:
        """Return the configuration; what was known last, or the safe default, when the table is out of reach."""
        now = self._clock.now()
        if self._read_at is None or now - self._read_at >= RELOAD_AFTER:
            self._read_at = now  # out of reach or not: asked again after a while, so that nobody waits at each call
            self._reload()
        return self._current

    def change(self, version: int, settings: Mapping[str, Any]) -> Configuration:
        """Store a new version; for operators.

        Raises:
            InvalidInputError: a setting has an impossible value; names each.
            ConflictError: ``version`` is not one more than the stored one.
        """
        changed = build_configuration(version, settings)
        self._configurations.put(version, settings)
        return changed

    def _reload(self) -> None:
        try:
            stored = self._configurations.find()
            if stored is not None and stored[0] != self._current.version:
                self._current = build_configuration(*stored)
                self._log.info("configuration loaded", version=self._current.version)
        except FieldlineError as error:
            self._log.warning("configuration stays", version=self._current.version, reason=error.message)
