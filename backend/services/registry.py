"""What operators do with devices, before anybody owns them."""

from collections.abc import Callable, Mapping, Sequence

from backend.domain.devices import (
    MIN_SECRET_LENGTH,
    Device,
    NewDevice,
    Registered,
    hash_secret,
    is_thing_name,
    line_of,
    origin_of,
)
from backend.domain.imports import Outcome
from backend.errors import ConflictError, InvalidInputError, Violation, invalid
from backend.ports import Clock, Devices, DeviceTypes, Dice

SECRET_BYTES = 16


class Registry:
    """Registers devices with their claim secrets."""

    def __init__(self, *, devices: Devices, device_types: DeviceTypes, clock: Clock, dice: Dice) -> None:
        self._devices = devices
        self._device_types = device_types
        self._clock = clock
        self._dice = dice

    def register(self, new: NewDevice) -> Registered:
        """Register a device that nobody owns yet.

        Raises:
            InvalidInputError: the name, type or secret cannot be.
            ConflictError: a device of that name is registered.
        """
        secret = new.claim_secret or self._dice.token(SECRET_BYTES)
        self._devices.add(self._build(new, secret))
        return Registered(thing=new.thing, type=new.type, claim_secret=secret)

    def adopt(self, new: NewDevice, *, file: str, line: int) -> Outcome:
        """Register a device that stands in a manufacturer's list; the same line of the same file once more is the same.

        A device that is registered already is never changed, because it may have an owner by now.

        Raises:
            InvalidInputError: the name, type or secret cannot be, or a device of that name was registered as something
                else; names every column that differs.
        """
        device = self._build(new, new.claim_secret, origin=origin_of(file, line))
        try:
            self._devices.add(device)
        except ConflictError:
            found = self._devices.find(new.thing)
            return self._known(found, device, file) if found else Outcome.UNCHANGED
        return Outcome.IMPORTED

    def _known(self, found: Device, device: Device, file: str) -> Outcome:
        if found.origin == device.origin:
            return Outcome.IMPORTED
        line = line_of(found.origin, file)
        if line is not None:
            raise invalid("thing", f"stands on line {line} already")
        if differing := _differing(found, device):
            problem = "is not what the device was registered with, and was left as it is"
            raise InvalidInputError(*(Violation(field=name, problem=problem) for name in differing))
        return Outcome.UNCHANGED

    def _build(self, new: NewDevice, secret: str | None, *, origin: str = "") -> Device:
        violations = []
        if not is_thing_name(new.thing):
            problem = "is not a name for a device: letters, digits, _ and -, not beginning with app- or claim-"
            violations.append(Violation(field="thing", problem=problem))
        if self._device_types.find(new.type) is None:
            violations.append(Violation(field="type", problem=f"{new.type[:64]} is not a device type"))
        if secret is not None and len(secret) < MIN_SECRET_LENGTH:
            problem = f"is shorter than {MIN_SECRET_LENGTH} characters"
            violations.append(Violation(field="claim_secret", problem=problem))
        if violations:
            raise InvalidInputError(*violations)
        now = self._clock.now()
        return Device(
            thing=new.thing,
            type=new.type,
            registered_at=now,
            secret_hash=hash_secret(new.thing, secret) if secret else new.secret_hash or "",
            secret_expires_at=now + new.secret_lifetime if new.secret_lifetime else new.secret_expires_at,
            attributes=new.attributes,
            factory=new.attributes,
            origin=origin,
        )


def _differing(found: Device, device: Device) -> list[str]:
    """Return the columns in which a row says something else than what a device was registered with.

    What its owner made of its attributes since is no difference.
    """
    attributes = sorted(found.factory.keys() | device.factory.keys())
    pairs = {
        "type": (found.type, device.type),
        "secret": (found.secret_hash, device.secret_hash),
        "expires_at": (found.secret_expires_at, device.secret_expires_at),
        **{f"attribute.{name}": (found.factory.get(name), device.factory.get(name)) for name in attributes},
    }
    return [name for name, (before, now) in pairs.items() if before != now]


class DeviceRows:
    """Reads a manufacturer's list of devices."""

    def __init__(
        self,
        *,
        registry: Registry,
        check_columns: Callable[[Sequence[str]], None],
        load_row: Callable[[Mapping[str, str]], NewDevice],
    ) -> None:
        self._registry = registry
        self._check_columns = check_columns
        self._load_row = load_row

    def check_columns(self, columns: Sequence[str]) -> None:
        """Check what columns a list has."""
        self._check_columns(columns)

    def take(self, fields: Mapping[str, str], *, file: str, line: int) -> Outcome:
        """Register the device of one row."""
        return self._registry.adopt(self._load_row(fields), file=file, line=line)
