"""Learning what devices run from what they report."""

from backend.domain.access import Caller, device_subject
from backend.domain.changes import PutFirmware
from backend.domain.firmware import FirmwareReport
from backend.errors import ConflictError, UnavailableError
from backend.ports import Devices, Store
from backend.services.trail import Trail

ATTEMPTS = 10


class FirmwareBook:
    """Keeps which device runs what."""

    def __init__(self, *, devices: Devices, store: Store, trail: Trail) -> None:
        self._devices = devices
        self._store = store
        self._trail = trail

    def learn(self, report: FirmwareReport) -> bool:
        """Take in one report, in whatever order they come; True if the device runs something else than was known."""
        for _ in range(ATTEMPTS):
            device = self._devices.find(report.thing)
            if device is None or report.as_of <= device.firmware_as_of:
                return False
            moved = report.firmware != device.firmware
            note = self._trail.note(
                Caller(user=device_subject(device.thing)),
                device_subject(device.thing),
                "reported its firmware",
                before={"firmware": device.firmware},
                after={"firmware": report.firmware},
            )
            change = PutFirmware(device=device, firmware=report.firmware, as_of=report.as_of)
            try:
                self._store.commit(change, *([note] if moved else []))
            except ConflictError:
                continue  # another report of the same device was faster: look again whether this is newer
            return moved
        raise UnavailableError("Too many reports of one device at once.")
