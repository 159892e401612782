"""What the control and data plane of AWS IoT answer when they refuse, by AWS's names.

IotError                what a caller may see; the REST layer turns it into AWS's error shape
├── InvalidError        the request is wrong: change it
├── NotFoundError       the thing, certificate, policy … is not there: create it first
├── ExistsError         the name is taken
├── NotEmulatedError    the local cloud does not carry this: use a real account
└── RefusedError        any other of AWS's errors, by its code
"""


class IotError(Exception):
    """What AWS IoT answers instead of a result."""

    code = "InternalFailureException"
    status = 500


class InvalidError(IotError):
    """The request is wrong: change it."""

    code = "InvalidRequestException"
    status = 400


class NotFoundError(IotError):
    """What the request names is not there."""

    code = "ResourceNotFoundException"
    status = 404


class ExistsError(IotError):
    """The name is taken."""

    code = "ResourceAlreadyExistsException"
    status = 409


class NotEmulatedError(IotError):
    """The local cloud does not carry this; it never pretends."""

    code = "NotImplementedException"
    status = 501

    def __init__(self, what: str) -> None:
        super().__init__(f"not emulated: {what}")


class RefusedError(IotError):
    """One of AWS's rarer errors, by its code and HTTP status."""

    def __init__(self, code: str, status: int, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.status = status
