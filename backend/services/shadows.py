"""What is wanted of a device and what it reports: its shadow, and its configuration, checked by its type."""

from collections.abc import Mapping
from typing import Any

from backend.domain.access import Action, Caller, device_subject
from backend.domain.fields import check_fields
from backend.errors import ConflictError, PreconditionFailedError
from backend.ports import DeviceTypes, Shadows, Store
from backend.services.access import Access
from backend.services.trail import Trail

CONFIG = "config"


class ShadowDesk:
    """Reads and changes shadows for people."""

    def __init__(
        self, *, access: Access, shadows: Shadows, device_types: DeviceTypes, store: Store, trail: Trail
    ) -> None:
        self._access = access
        self._shadows = shadows
        self._device_types = device_types
        self._store = store
        self._trail = trail

    def get(self, caller: Caller, thing: str, name: str | None = None) -> dict[str, Any]:
        """Return a shadow: what is desired, what is reported, and its version."""
        self._access.device(caller, thing, Action.SEE)
        return self._shadows.shadow(thing, name)

    def desire(self, caller: Caller, thing: str, desired: Mapping[str, Any], *, version: int | None) -> dict[str, Any]:
        """Change what is desired of a device.

        Raises:
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        self._access.device(caller, thing, Action.CONTROL)
        return self._change(caller, thing, None, desired, version)

    def configure(
        self, caller: Caller, thing: str, changes: Mapping[str, Any], *, version: int | None
    ) -> dict[str, Any]:
        """Change a device's configuration; null takes a setting back.

        Raises:
            InvalidInputError: its type knows no such setting, or not this value of it.
            PreconditionFailedError: ``version`` is given and is not the current one.
        """
        device = self._access.device(caller, thing, Action.CONTROL).device
        device_type = self._device_types.find(device.type)
        fields = device_type.configuration if device_type else {}
        given = {name: value for name, value in changes.items() if value is not None or name not in fields}
        check_fields({name: {**field, "required": False} for name, field in fields.items()}, given, path="settings")
        return self._change(caller, thing, CONFIG, changes, version)

    def _change(
        self, caller: Caller, thing: str, name: str | None, desired: Mapping[str, Any], version: int | None
    ) -> dict[str, Any]:
        before = self._shadows.shadow(thing, name)
        try:
            shadow = self._shadows.desire(thing, name, desired, version)
        except ConflictError as error:
            raise PreconditionFailedError(error.message) from error
        what = "configured" if name == CONFIG else "desired"
        known = before["state"].get("desired", {}) if shadow["version"] == before["version"] + 1 else {}
        was = {field: known[field] for field in desired if field in known}  # nothing where others wrote in between
        self._store.commit(self._trail.note(caller, device_subject(thing), what, before=was, after=desired))
        return shadow
