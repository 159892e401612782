"""What AWS IoT sends to a pre-provisioning hook. (AWS IoT developer guide, "Pre-provisioning hooks".)."""

from collections.abc import Mapping
from typing import Any

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from backend.domain.provisioning import ProvisioningRequest
from backend.schemas.base import load
from backend.schemas.devices import thing_field


class ParametersDocument(Schema):
    """What the device says of itself; other parameters are AWS's business."""

    ThingName = thing_field(required=True)
    DeviceType = fields.String(required=True, validate=validate.Length(1, 64))
    Proof = fields.String(load_default="", validate=validate.Length(0, 64))


class HookDocument(Schema):
    """One device asks to be provisioned."""

    certificateId = fields.String(required=True)  # noqa: N815 - AWS's name
    parameters = fields.Nested(ParametersDocument(unknown=EXCLUDE), required=True)

    @post_load
    def _build(self, data: Mapping[str, Any], **_kwargs: Any) -> ProvisioningRequest:
        said = data["parameters"]
        return ProvisioningRequest(
            thing=said["ThingName"], type=said["DeviceType"], certificate=data["certificateId"], proof=said["Proof"]
        )


def load_hook(event: Any) -> ProvisioningRequest:
    """Return the request in an event of the hook.

    Raises:
        InvalidInputError: it is none.
    """
    request: ProvisioningRequest = load(HookDocument(unknown=EXCLUDE), event)
    return request
