"""Fleet provisioning: which device may trade the fleet's claim for an identity of its own."""

import hashlib
import hmac
from dataclasses import dataclass

from backend.domain.devices import Device


@dataclass(frozen=True, slots=True, kw_only=True)
class ProvisioningRequest:
    """A device that holds the fleet's claim asks to become a thing."""

    thing: str
    type: str
    certificate: str
    """Id of the certificate that is to be its own."""
    proof: str = ""
    """That it knows its own claim secret; empty without one."""


def build_proof(secret_hash: str, certificate: str) -> str:
    """Return the proof that a device knows its claim secret, worth nothing for any other certificate.

    Args:
        secret_hash: what is kept of the secret (`devices.hash_secret`), which the device makes of it as well.
        certificate: id of the certificate that is to be its own.
    """
    return hmac.new(secret_hash.encode(), certificate.encode(), hashlib.sha256).hexdigest()


def refusal(request: ProvisioningRequest, device: Device | None, *, proof_required: bool) -> str | None:
    """Say why a device may not be provisioned; None if it may. The reason is for the log, not for the device."""
    if device is None:
        return "is not registered"
    if device.revoked:
        return "is revoked"
    if device.type != request.type:
        return f"is registered as a {device.type}"
    if not request.proof:
        return "brings no proof" if proof_required else None
    # A wrong proof is refused where none is needed too: somebody pretends.
    matches = hmac.compare_digest(build_proof(device.secret_hash, request.certificate).encode(), request.proof.encode())
    return None if matches else "brings a wrong proof"
