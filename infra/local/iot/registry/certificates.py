"""Device certificates: made, registered, moved from status to status, deleted.

AWS IoT developer guide, "Create AWS IoT client certificates", "Activate or deactivate a client certificate".
"""

from cryptography import x509

from infra.local.config import ACCOUNT_ID
from infra.local.iot.certificates import CertificateError, certificate_id, dump_der, dump_pem, load_certificate
from infra.local.iot.errors import ExistsError, InvalidError, NotEmulatedError, RefusedError
from infra.local.iot.registry.state import Answer, Ask, CertificateRecord, State, found, page

SETTABLE = {"ACTIVE", "INACTIVE", "REVOKED"}
"""``UpdateCertificate``: the PENDING ones are AWS's own, REGISTER_INACTIVE is deprecated."""


class Certificates:
    """Operations on device certificates."""

    def __init__(self, state: State) -> None:
        self._state = state

    def create_keys_and_certificate(self, ask: Ask) -> Answer:
        """Make a key pair and its certificate; AWS keeps no copy of the private key, nor do we."""
        certificate, public, private = self._state.authority.issue()
        record = self.add(certificate, "ACTIVE" if ask.get("setAsActive") else "INACTIVE")
        return {**self._created(record), "keyPair": {"PublicKey": public, "PrivateKey": private}}

    def create_certificate_from_csr(self, ask: Ask) -> Answer:
        """Make a certificate that carries the request's key."""
        certificate = self.from_csr(ask["certificateSigningRequest"])
        return self._created(self.add(certificate, "ACTIVE" if ask.get("setAsActive") else "INACTIVE"))

    def register_certificate(self, ask: Ask) -> Answer:
        """Register a certificate our CA signed; other CAs are not carried."""
        status = ask.get("status") or ("ACTIVE" if ask.get("setAsActive") else "INACTIVE")
        return self._register(ask["certificatePem"], status)

    def register_certificate_without_ca(self, ask: Ask) -> Answer:
        """Register a certificate by itself; as the doors trust our CA alone, it must be signed by that."""
        return self._register(ask["certificatePem"], ask.get("status", "INACTIVE"), mode="SNI_ONLY")

    def describe_certificate(self, ask: Ask) -> Answer:
        """Return a certificate."""
        record = self._record(ask)
        validity = x509.load_der_x509_certificate(record.der)
        return {
            "certificateDescription": {
                **self._created(record),
                "status": record.status,
                "ownedBy": ACCOUNT_ID,
                "creationDate": record.created_at.timestamp(),
                "lastModifiedDate": record.modified_at.timestamp(),
                "customerVersion": record.version,
                "certificateMode": record.mode,
                "validity": {
                    "notBefore": validity.not_valid_before_utc.timestamp(),
                    "notAfter": validity.not_valid_after_utc.timestamp(),
                },
            }
        }

    def list_certificates(self, ask: Ask) -> Answer:
        """List certificates; claims of trusted users are not among them."""
        listed = (record for record in self._state.certificates.values() if record.claim_expires_at is None)
        records, marker = page(listed, ask)
        summaries = [
            {
                "certificateArn": record.arn,
                "certificateId": record.id,
                "status": record.status,
                "certificateMode": record.mode,
                "creationDate": record.created_at.timestamp(),
            }
            for record in records
        ]
        return {"certificates": summaries, "nextMarker": marker}

    def update_certificate(self, ask: Ask) -> Answer:
        """Move a certificate to ACTIVE, INACTIVE or REVOKED; a live connection is not cut for it."""
        record = self._record(ask)
        if ask["newStatus"] not in SETTABLE:
            raise InvalidError(f"Cannot set the status of a certificate to {ask['newStatus']}")
        self.set_status(record, ask["newStatus"])
        return {}

    def delete_certificate(self, ask: Ask) -> Answer:
        """Delete a certificate that is not ACTIVE and that nothing is attached to (``forceDelete``: but policies)."""
        record = self._record(ask)
        if record.status == "ACTIVE":
            message = f"Certificate must be deactivated (not ACTIVE) before deletion. certificateId={record.id}"
            raise RefusedError("CertificateStateException", 406, message)
        if self._state.things_of(record.arn):
            message = f"Things must be detached before deletion (arn: {record.arn})"
            raise RefusedError("DeleteConflictException", 409, message)
        attached = [policy for policy in self._state.policies.values() if record.arn in policy.targets]
        if attached and not ask.get("forceDelete"):
            message = f"Certificate policies must be detached before deletion (arn: {record.arn})"
            raise RefusedError("DeleteConflictException", 409, message)
        for policy in attached:
            del policy.targets[record.arn]
        del self._state.certificates[record.id]
        return {}

    def from_csr(self, csr_pem: str) -> x509.Certificate:
        """Return a certificate for a request, not registered yet.

        Raises:
            InvalidError: it is no certificate signing request.
        """
        try:
            return self._state.authority.issue_from_csr(csr_pem)
        except CertificateError as error:
            raise InvalidError(str(error)) from error

    def add(self, certificate: x509.Certificate, status: str, mode: str = "DEFAULT") -> CertificateRecord:
        """Register a certificate.

        Raises:
            ExistsError: it is registered already.
        """
        der, now = dump_der(certificate), self._state.clock.now()
        name = certificate_id(der)
        if name in self._state.certificates:
            raise ExistsError("The certificate is already provisioned or registered")
        self._state.certificates[name] = record = CertificateRecord(
            id=name,
            arn=self._state.arn("cert", name),
            pem=dump_pem(certificate),
            der=der,
            status=status,
            created_at=now,
            modified_at=now,
            mode=mode,
        )
        return record

    def set_status(self, record: CertificateRecord, status: str) -> None:
        """Set a certificate's status; the version counts changes."""
        record.status = status
        record.modified_at = self._state.clock.now()
        record.version += 1

    def _register(self, pem: str, status: str, mode: str = "DEFAULT") -> Answer:
        try:
            certificate = load_certificate(pem)
        except CertificateError as error:
            raise RefusedError("CertificateValidationException", 400, str(error)) from error
        if not self._state.authority.issued(certificate):
            raise NotEmulatedError("certificates signed by another CA than the local cloud's")
        if status not in SETTABLE:
            raise InvalidError(f"Cannot register a certificate with status {status}")
        record = self.add(certificate, status, mode)
        return {"certificateArn": record.arn, "certificateId": record.id}

    def _record(self, ask: Ask) -> CertificateRecord:
        return found(self._state.certificates, ask["certificateId"].lower(), "Certificate")

    def _created(self, record: CertificateRecord) -> Answer:
        return {"certificateArn": record.arn, "certificateId": record.id, "certificatePem": record.pem}
