"""Pre-provisioning hook of ``{stage}-fleet``: AWS IoT asks before a device with a claim becomes a thing.

The device's parameters are ``ThingName``, ``DeviceType`` and, if it knows its claim secret, ``Proof``
(`backend/domain/provisioning.py`). The thing's type is added here. Whatever is refused is refused alike: the device
hears ACCESS_DENIED, the log says why. (AWS IoT developer guide, "Pre-provisioning hooks".)
"""

from typing import Any

from backend import bootstrap
from backend.errors import ForbiddenError, InvalidInputError
from backend.schemas.provisioning import load_hook


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Answer whether a device is let in; what we depend on failing is an error, which AWS IoT takes for a no."""
    try:
        overrides = bootstrap.allow_list().admit(load_hook(event))
    except (InvalidInputError, ForbiddenError) as error:
        bootstrap.log().warning("not provisioned", reason=error.message, client=event.get("clientId"))
        return {"allowProvisioning": False}
    return {"allowProvisioning": True, "parameterOverrides": dict(overrides)}
