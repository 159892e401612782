"""Configuration over the air: the settings that the device type describes, by the named shadow ``config``.

Each setting is one function that puts a value into effect and refuses what does not fit. What is refused is not
reported, so that it stays in the shadow's delta for everybody to see.
"""

import logging
from collections.abc import Mapping
from typing import Any

from device_client.errors import ConfigurationError
from device_client.hardware import Setting
from device_client.store.settings import SettingsStore

_LOGGER = logging.getLogger(__name__)
NAME = "config"


class Configuration:
    """What is configured, in effect and on disk."""

    def __init__(self, settings: Mapping[str, Setting], store: SettingsStore) -> None:
        self._settings = settings
        self._store = store
        self._in_effect: dict[str, Any] = {}
        self.apply(store.load())

    def apply(self, wanted: Mapping[str, Any]) -> None:
        """Put into effect what fits of what is wanted, and store it. A `Follower` of the shadow."""
        for name, value in {**dict.fromkeys(self._in_effect), **wanted}.items():
            if self._in_effect.get(name) == value:
                continue
            try:
                self._settings.get(name, _unknown)(value)
            except ConfigurationError as error:
                _LOGGER.warning("%s = %r is not put into effect: %s", name, value, error)
                continue
            self._in_effect[name] = value
        self._store.save({name: value for name, value in self._in_effect.items() if value is not None})

    def report(self) -> dict[str, Any]:
        """Return what is in effect; None for what was taken back."""
        return dict(self._in_effect)


def _unknown(_value: Any) -> None:
    raise ConfigurationError("this device has no such setting")
