"""Settings of one device. The device client reads no environment: everything stands here."""

import json
from collections.abc import Mapping
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import Any

from device_client.errors import ConfigurationError

FIRMWARE = "1.0.0"
_KINDS: Mapping[Any, tuple[Any, str]] = {
    str: (str, "a text"),
    Path: (str, "a text"),
    int: (int, "a whole number"),
    float: (int | float, "a number"),
}
_UNFIT = (OSError, ValueError, TypeError, KeyError, AttributeError)


@dataclass(frozen=True, slots=True, kw_only=True)
class TelemetrySettings:
    """How readings are gathered and sent."""

    sample_every_s: float = 1.0
    flush_readings: int = 10
    """A bucket closes at this many readings; at most 1,000."""
    flush_after_s: float = 60.0
    """A bucket closes this long after its first reading; at most 3,600."""
    in_flight: int = 10
    """Buckets sent and not yet acknowledged; AWS IoT allows 100 on a connection."""
    outbox_buckets: int = 10_000
    """The outbox holds at most so many; past it the oldest goes, counted and logged."""
    urgent: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    """By metric ``below`` and ``above``: a reading that leaves these bounds is sent at once, ahead of its bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSettings:
    """One device: who it is, where it connects, what it keeps where."""

    thing: str
    stage: str
    endpoint: str
    certificate: Path
    private_key: Path
    ca: Path
    outbox: Path
    port: int = 8883
    keep_alive_s: int = 60
    """Seconds; AWS IoT accepts 30 to 1,200."""
    connect_timeout_s: float = 30.0
    firmware: str = FIRMWARE
    """What it reports to run."""
    telemetry: TelemetrySettings = field(default_factory=TelemetrySettings)

    @classmethod
    def load(cls, path: Path) -> "DeviceSettings":
        """Return the settings in a JSON file; relative paths in it count from the file's own directory.

        Raises:
            ConfigurationError: the file is missing, is not JSON, or a name or value in it does not fit.
        """
        try:
            return cls._build(_load_object(path), path)
        except _UNFIT as error:
            message = f"{path} is no device configuration ({error}); see 'A device' in the README for its form"
            raise ConfigurationError(message) from error

    @classmethod
    def _build(cls, raw: dict[str, Any], path: Path) -> "DeviceSettings":
        _check(cls, raw)
        _check(TelemetrySettings, raw.get("telemetry", {}))
        telemetry = TelemetrySettings(**raw.pop("telemetry", {}))
        files = {name: path.parent / raw.pop(name) for name in ("certificate", "private_key", "ca", "outbox")}
        settings = cls(**raw, **files, telemetry=telemetry)
        for name in ("certificate", "private_key", "ca"):
            if not getattr(settings, name).is_file():
                raise ConfigurationError(f"{path}: {name} names {getattr(settings, name)}, which is not there")
        return settings


@dataclass(frozen=True, slots=True, kw_only=True)
class ClaimSettings:
    """A device that has no identity of its own yet, only the claim that its whole fleet shares."""

    device: DeviceSettings
    """What it will be, with the claim's certificate and key where its own will stand."""
    type: str
    """As the device is registered, such as ``thermostat``."""
    secret: str | None = None
    """Its own claim secret, if it knows it: with it, it proves who it is."""
    template: str = ""
    """Name of the provisioning template; without one ``{stage}-fleet``."""
    own_key: bool = True
    """Make the key here and send a signing request; else AWS IoT makes the key and sends it."""
    document: Mapping[str, Any] = field(default_factory=dict)
    """The file, as far as it will be the device's configuration."""
    folder: Path = Path()
    """Where the file stands, and where the device's own files will."""

    @classmethod
    def load(cls, path: Path) -> "ClaimSettings":
        """Return the settings in a JSON file: a device's configuration (`DeviceSettings`) with the claim's files in it.

        Beside them ``type``, and optionally ``secret``, ``template`` and ``own_key``.

        Raises:
            ConfigurationError: the file is missing, is not JSON, or a name or value in it does not fit.
        """
        try:
            raw = _load_object(path)
            own = {name: raw.pop(name) for name in ("type", "secret", "template", "own_key") if name in raw}
            if "type" not in own:
                raise ValueError('"type" is missing')
            device = DeviceSettings._build(dict(raw), path)  # noqa: SLF001 - one file's form, in one module
            return cls(device=device, **own, document=raw, folder=path.parent)
        except _UNFIT as error:
            message = f"{path} is no claim ({error}); see 'A device' in the README for its form"
            raise ConfigurationError(message) from error


def _load_object(path: Path) -> dict[str, Any]:
    raw = json.loads(path.read_text())
    if not isinstance(raw, dict):
        raise TypeError("it is not a JSON object")
    return raw


def _check(cls: type[DeviceSettings | TelemetrySettings], raw: Mapping[str, Any]) -> None:
    """Refuse what is missing, unknown or of another kind, all of it at once."""
    known = {one.name: one for one in fields(cls)}
    required = [name for name, one in known.items() if one.default is MISSING and one.default_factory is MISSING]
    wrong = [f'"{name}" is missing' for name in required if name not in raw]
    wrong += [f'"{name}" is unknown' for name in raw if name not in known]
    for name in raw.keys() & known.keys():
        kinds, called = _KINDS.get(known[name].type, (object, "anything"))
        if not isinstance(raw[name], kinds) or isinstance(raw[name], bool):
            wrong.append(f'"{name}" must be {called}')
    if wrong:
        raise ValueError(", ".join(wrong))
