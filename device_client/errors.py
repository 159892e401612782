"""What can go wrong on a device, by remedy.

DeviceError                  base of all
├── ConfigurationError       a file or a value is wrong: mend it, then start again
├── NotConnectedError        there is no connection now: wait for one, then repeat
├── StorageError             the disk takes nothing now: make room, then repeat
├── BusyError                the service cannot answer now: wait, then repeat
├── RefusedError             the service answered no: repeating the same will be refused again
└── CannotError              this hardware cannot do what was asked: ask something else
"""


class DeviceError(Exception):
    """Base of everything the device client raises on purpose."""

    code = "device_error"
    retryable = False


class ConfigurationError(DeviceError):
    """A file or a value is wrong: mend it, then start again."""

    code = "configuration"


class NotConnectedError(DeviceError):
    """There is no connection now, or it went away before the answer: wait for one, then repeat."""

    code = "not_connected"
    retryable = True


class StorageError(DeviceError):
    """The disk is full, or fails: make room, then repeat."""

    code = "storage"
    retryable = True


class BusyError(DeviceError):
    """The service throttles, or failed by itself: wait, then repeat."""

    code = "busy"
    retryable = True


class RefusedError(DeviceError):
    """The service answered no; ``reason`` is its MQTT 5 reason code (or 128 for an MQTT 3.1.1 failure).

    Of a rejected request, such as provisioning, it is the status code, as HTTP's.
    """

    code = "refused"

    def __init__(self, message: str, *, reason: int) -> None:
        super().__init__(message)
        self.reason = reason


class CannotError(DeviceError):
    """This hardware cannot do what was asked of it: ask something else. The message is the reason that people read."""

    code = "cannot"
