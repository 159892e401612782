"""What operators do with devices, before anybody owns them."""

from backend.domain.devices import MIN_SECRET_LENGTH, Device, NewDevice, Registered, hash_secret, is_thing_name
from backend.errors import invalid
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
        if not is_thing_name(new.thing):
            raise invalid(
                "thing", "is not a name for a device: letters, digits, _ and -, not beginning with app- or claim-"
            )
        if self._device_types.find(new.type) is None:
            raise invalid("type", f"{new.type} is not a device type")
        secret = new.claim_secret or self._dice.token(SECRET_BYTES)
        if len(secret) < MIN_SECRET_LENGTH:
            raise invalid("claim_secret", f"is shorter than {MIN_SECRET_LENGTH} characters")
        now = self._clock.now()
        device = Device(
            thing=new.thing,
            type=new.type,
            registered_at=now,
            secret_hash=hash_secret(new.thing, secret),
            secret_expires_at=now + new.secret_lifetime if new.secret_lifetime else None,
        )
        self._devices.add(device)
        return Registered(thing=new.thing, type=new.type, claim_secret=secret)
