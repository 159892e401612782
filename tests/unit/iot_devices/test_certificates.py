"""Our certificate authority, and what policies may know of a certificate."""

import ipaddress
import stat
from datetime import UTC, datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from infra.local.iot.certificates import (
    CertificateAuthority,
    CertificateError,
    certificate_id,
    dump_der,
    dump_pem,
    load_certificate,
    policy_facts,
)


def test_the_authority_is_made_once_and_keeps_its_keys_to_itself(tmp_path):
    first = CertificateAuthority(tmp_path / "ca")
    again = CertificateAuthority(tmp_path / "ca")
    assert again.pem == first.pem == first.ca_path.read_text()
    device, _, _ = first.issue()
    assert again.issued(device)
    assert not CertificateAuthority(tmp_path / "other").issued(device)
    for name in ("ca.key", "server.key"):
        assert stat.S_IMODE((tmp_path / "ca" / name).stat().st_mode) == 0o600


def test_the_server_certificate_is_for_this_machine_only(tmp_path):
    authority = CertificateAuthority(tmp_path)
    server = load_certificate(authority.server_certificate_path.read_text())
    names = server.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["localhost"]
    assert ipaddress.ip_address("127.0.0.1") in names.get_values_for_type(x509.IPAddress)
    assert authority.issued(server)


def test_a_device_certificate_is_no_authority(tmp_path):
    certificate, _, _ = CertificateAuthority(tmp_path).issue()
    assert certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca is False
    assert certificate.not_valid_after_utc == datetime(2049, 12, 31, 23, 59, 59, tzinfo=UTC)


def test_ids_are_the_hash_of_the_der(tmp_path):
    certificate, _, _ = CertificateAuthority(tmp_path).issue()
    assert certificate_id(dump_der(certificate)) == certificate.fingerprint(hashes.SHA256()).hex()
    assert load_certificate(dump_pem(certificate)) == certificate
    with pytest.raises(CertificateError):
        load_certificate("-----BEGIN CERTIFICATE-----\nrubbish")


def test_policies_see_every_value_of_subject_issuer_and_alternative_names():
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [
        (NameOID.COMMON_NAME, "one"),
        (NameOID.COMMON_NAME, "two"),
        (NameOID.COUNTRY_NAME, "DE"),
        (NameOID.STATE_OR_PROVINCE_NAME, "BE"),
        (NameOID.ORGANIZATION_NAME, "Lamps, Inc."),
        (NameOID.ORGANIZATIONAL_UNIT_NAME, "bulbs"),
        (NameOID.SERIAL_NUMBER, "7"),
        (NameOID.TITLE, "t"),
        (NameOID.SURNAME, "s"),
        (NameOID.GIVEN_NAME, "g"),
        (NameOID.INITIALS, "i"),
        (NameOID.PSEUDONYM, "p"),
        (NameOID.GENERATION_QUALIFIER, "q"),
        (NameOID.DN_QUALIFIER, "d"),
    ]
    alternatives = x509.SubjectAlternativeName(
        [
            x509.DNSName("a.example"),
            x509.DNSName("b.example"),
            x509.RFC822Name("a@example.org"),
            x509.UniformResourceIdentifier("urn:a"),
            x509.IPAddress(ipaddress.ip_address("10.0.0.1")),
            x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dir")])),
        ]
    )
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(oid, value) for oid, value in subject]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.ORGANIZATION_NAME, "maker")]))
        .public_key(key.public_key())
        .serial_number(4711)
        .not_valid_before(datetime(2020, 1, 1, tzinfo=UTC))
        .not_valid_after(datetime(2030, 1, 1, tzinfo=UTC))
        .add_extension(alternatives, critical=False)
        .add_extension(x509.IssuerAlternativeName([x509.DNSName("ca.example")]), critical=False)
        .sign(key, hashes.SHA256())
    )
    assert policy_facts(dump_der(certificate)) == {
        "SerialNumber": ("4711",),
        "Subject.CommonName": ("one", "two"),
        "Subject.Country": ("DE",),
        "Subject.State": ("BE",),
        "Subject.Organization": ("Lamps, Inc.",),
        "Subject.OrganizationalUnit": ("bulbs",),
        "Subject.SerialNumber": ("7",),
        "Subject.Title": ("t",),
        "Subject.Surname": ("s",),
        "Subject.GivenName": ("g",),
        "Subject.Initials": ("i",),
        "Subject.Pseudonym": ("p",),
        "Subject.GenerationQualifier": ("q",),
        "Subject.DistinguishedNameQualifier": ("d",),
        "Issuer.Organization": ("maker",),
        "Subject.AlternativeName.DNSName": ("a.example", "b.example"),
        "Subject.AlternativeName.RFC822Name": ("a@example.org",),
        "Subject.AlternativeName.UniformResourceIdentifier": ("urn:a",),
        "Subject.AlternativeName.IPAddress": ("10.0.0.1",),
        "Subject.AlternativeName.DirectoryName": ("CN=dir",),
        "Issuer.AlternativeName.DNSName": ("ca.example",),
    }
