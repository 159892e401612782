"""Our certificate authority: the server's certificate, device certificates with keys or from a CSR, and their facts.

AWS IoT developer guide, "X.509 client certificates": a certificate's id is the SHA-256 of its DER in hex; certificates
that AWS signs end on 2049-12-31T23:59:59Z.
"""

import hashlib
import ipaddress
import os
from datetime import UTC, datetime
from pathlib import Path

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

# TLS is judged by real time and our clock may be moved: no certificate depends on either.
NOT_BEFORE = datetime(2020, 1, 1, tzinfo=UTC)
NOT_AFTER = datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)
MIN_RSA_BITS = 2048
_CURVES = (ec.SECP256R1, ec.SECP384R1, ec.SECP521R1)
CA_NAME = "Fieldline local cloud CA"
SERVER_NAMES: tuple[x509.GeneralName, ...] = (
    x509.DNSName("localhost"),
    x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
    x509.IPAddress(ipaddress.ip_address("::1")),
)
_FACTS = {
    NameOID.DN_QUALIFIER: "DistinguishedNameQualifier",
    NameOID.COUNTRY_NAME: "Country",
    NameOID.ORGANIZATION_NAME: "Organization",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OrganizationalUnit",
    NameOID.STATE_OR_PROVINCE_NAME: "State",
    NameOID.COMMON_NAME: "CommonName",
    NameOID.SERIAL_NUMBER: "SerialNumber",
    NameOID.TITLE: "Title",
    NameOID.SURNAME: "Surname",
    NameOID.GIVEN_NAME: "GivenName",
    NameOID.INITIALS: "Initials",
    NameOID.PSEUDONYM: "Pseudonym",
    NameOID.GENERATION_QUALIFIER: "GenerationQualifier",
}
_ALTERNATIVES: dict[type[x509.GeneralName], str] = {
    x509.RFC822Name: "RFC822Name",
    x509.DNSName: "DNSName",
    x509.DirectoryName: "DirectoryName",
    x509.UniformResourceIdentifier: "UniformResourceIdentifier",
    x509.IPAddress: "IPAddress",
}


class CertificateError(ValueError):
    """The PEM is no certificate (or request) we can take; the message says why."""


class CertificateAuthority:
    """Our CA, kept in a directory: ``ca.pem`` for clients, ``server.pem`` and ``server.key`` for the doors.

    Keys are P-256. AWS makes RSA 2048 for devices; that costs a tenth of a second each, on a loop nothing may block.
    """

    def __init__(self, directory: Path) -> None:
        self.ca_path = directory / "ca.pem"
        self.server_certificate_path = directory / "server.pem"
        self.server_key_path = directory / "server.key"
        key_path = directory / "ca.key"
        if key_path.exists():
            self._key = _load_key(key_path)
            self._certificate = x509.load_pem_x509_certificate(self.ca_path.read_bytes())
        else:
            directory.mkdir(parents=True, exist_ok=True)
            self._key = ec.generate_private_key(ec.SECP256R1())
            self._certificate = self._sign(_name(CA_NAME), self._key.public_key(), authority=True)
            self._make_server()
            _write_private(key_path, dump_key(self._key))
            self.ca_path.write_text(dump_pem(self._certificate))

    @property
    def pem(self) -> str:
        """Return the CA's certificate."""
        return dump_pem(self._certificate)

    def issue(self) -> tuple[x509.Certificate, str, str]:
        """Return a new device certificate with its public and private key in PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        public = key.public_key().public_bytes(
            serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
        )
        return self._sign(_name("AWS IoT Certificate"), key.public_key()), public.decode(), dump_key(key)

    def issue_from_csr(self, csr_pem: str) -> x509.Certificate:
        """Return a certificate that carries the request's subject and key.

        Raises:
            CertificateError: it is no request, its key is too weak, or its signature is not by its own key.
        """
        try:
            request = x509.load_pem_x509_csr(csr_pem.encode())
            valid, key = request.is_signature_valid, request.public_key()
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise CertificateError("The certificate signing request could not be parsed.") from error
        if not valid:
            raise CertificateError("The certificate signing request has no valid signature.")
        if not _is_strong(key):
            raise CertificateError("The key must be RSA of at least 2048 bits, or of the curve P-256, P-384 or P-521.")
        return self._sign(request.subject, key)

    def issued(self, certificate: x509.Certificate) -> bool:
        """Say whether this CA signed the certificate."""
        try:
            certificate.verify_directly_issued_by(self._certificate)
        except (InvalidSignature, ValueError, TypeError):
            return False
        return True

    def _make_server(self) -> None:
        key = ec.generate_private_key(ec.SECP256R1())
        certificate = self._sign(_name("localhost"), key.public_key(), names=SERVER_NAMES)
        _write_private(self.server_key_path, dump_key(key))
        self.server_certificate_path.write_text(dump_pem(certificate))

    def _sign(
        self,
        subject: x509.Name,
        key: CertificatePublicKeyTypes,
        *,
        authority: bool = False,
        names: tuple[x509.GeneralName, ...] = (),
    ) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(_name(CA_NAME))
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOT_BEFORE)
            .not_valid_after(NOT_AFTER)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key()), critical=False)
        )
        if authority:
            usage = x509.KeyUsage(
                digital_signature=True,
                key_cert_sign=True,
                crl_sign=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                encipher_only=False,
                decipher_only=False,
            )
            builder = builder.add_extension(usage, critical=True)
            own_id = x509.SubjectKeyIdentifier.from_public_key(self._key.public_key())
            builder = builder.add_extension(own_id, critical=False)
        if names:
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())


def load_certificate(pem: str) -> x509.Certificate:
    """Return the certificate in a PEM.

    Raises:
        CertificateError: there is none.
    """
    try:
        return x509.load_pem_x509_certificate(pem.encode())
    except ValueError as error:
        raise CertificateError("The certificate could not be parsed.") from error


def certificate_id(der: bytes) -> str:
    """Return the id AWS IoT gives a certificate."""
    return hashlib.sha256(der).hexdigest()


def dump_der(certificate: x509.Certificate) -> bytes:
    """Return the certificate as TLS carries it."""
    return certificate.public_bytes(serialization.Encoding.DER)


def dump_pem(certificate: x509.Certificate) -> str:
    """Return the certificate as text."""
    return certificate.public_bytes(serialization.Encoding.PEM).decode()


def dump_key(key: ec.EllipticCurvePrivateKey) -> str:
    """Return a private key as unencrypted PKCS 8."""
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    return key.private_bytes(encoding, form, serialization.NoEncryption()).decode()


def policy_facts(der: bytes) -> dict[str, tuple[str, ...]]:
    """Return what policy variables may name: ``Subject.CommonName`` and the like to all values, in order.

    AWS IoT developer guide, "X.509 certificate AWS IoT Core policy variables".
    """
    certificate = x509.load_der_x509_certificate(der)
    facts: dict[str, list[str]] = {"SerialNumber": [str(certificate.serial_number)]}
    for side, name in (("Subject", certificate.subject), ("Issuer", certificate.issuer)):
        for attribute in name:
            if attribute.oid in _FACTS:
                facts.setdefault(f"{side}.{_FACTS[attribute.oid]}", []).append(str(attribute.value))
    for extension in certificate.extensions:
        match extension.value:
            case x509.SubjectAlternativeName() as alternatives:
                _add_alternatives(facts, "Subject", list(alternatives))
            case x509.IssuerAlternativeName() as alternatives:
                _add_alternatives(facts, "Issuer", list(alternatives))
            case _:
                pass
    return {name: tuple(values) for name, values in facts.items()}


def _add_alternatives(facts: dict[str, list[str]], side: str, alternatives: list[x509.GeneralName]) -> None:
    for alternative in alternatives:
        kind = _ALTERNATIVES.get(type(alternative))
        value = alternative.value
        text = value.rfc4514_string() if isinstance(value, x509.Name) else str(value)
        if kind:
            facts.setdefault(f"{side}.AlternativeName.{kind}", []).append(text)


def _name(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _is_strong(key: object) -> bool:
    """Say whether AWS IoT takes such a key. (API reference, "CreateCertificateFromCsr")."""
    if isinstance(key, rsa.RSAPublicKey):
        return key.key_size >= MIN_RSA_BITS
    return isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, _CURVES)


def _load_key(path: Path) -> ec.EllipticCurvePrivateKey:
    key = serialization.load_pem_private_key(path.read_bytes(), None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise CertificateError(f"{path} holds no P-256 key; remove the directory to have a new CA made.")
    return key


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
