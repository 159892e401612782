"""Letting devices in: those that an operator registered, and nobody else."""

from collections.abc import Mapping

from backend.domain.provisioning import ProvisioningRequest, refusal
from backend.errors import ForbiddenError
from backend.ports import Devices, Log


class AllowList:
    """The devices that may be provisioned: registered, of the type they say they are, and not revoked."""

    def __init__(self, *, stage: str, devices: Devices, proof_required: bool, log: Log) -> None:
        self._stage = stage
        self._devices = devices
        self._proof_required = proof_required
        self._log = log

    def admit(self, request: ProvisioningRequest) -> Mapping[str, str]:
        """Let a device in; return the parameters that the provisioning template takes from us, not from the device.

        Raises:
            ForbiddenError: it may not be provisioned.
        """
        reason = refusal(request, self._devices.find(request.thing), proof_required=self._proof_required)
        if reason:
            raise ForbiddenError(f"{request.thing} {reason}.")
        self._log.info("provisioned", thing=request.thing, certificate=request.certificate, proved=bool(request.proof))
        return {"ThingTypeName": f"{self._stage}-{request.type}"}
