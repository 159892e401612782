"""The pieces of a connection that can be judged without a broker."""

import random
import socket
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from hypothesis import given
from hypothesis import strategies as st

from device_client.config import DeviceSettings
from device_client.connection.backoff import full_jitter_s
from device_client.connection.mqtt import MqttConnection
from device_client.errors import ConfigurationError, NotConnectedError
from device_client.topics import matches


@pytest.mark.parametrize(
    ("topic_filter", "topic", "expected"),
    [
        ("a/b", "a/b", True),
        ("a/+", "a/b", True),
        ("a/+", "a/b/c", False),
        ("a/#", "a/b/c", True),
        ("a/#", "a", False),  # AWS IoT's deviation from the standard
        ("#", "a", True),
        ("a/b", "a", False),
        ("a", "a/b", False),
    ],
)
def test_filters_match_as_aws_iot_matches_them(topic_filter, topic, expected):
    assert matches(topic_filter, topic) is expected


@given(attempt=st.integers(1, 10_000), seed=st.integers())
def test_back_off_stays_between_nothing_and_its_cap(attempt, seed):
    waited_s = full_jitter_s(attempt, random.Random(seed), base_s=0.5, cap_s=60.0)
    assert 0.0 <= waited_s <= min(60.0, 0.5 * 2.0 ** min(attempt, 32))


async def test_an_endpoint_where_nobody_listens_is_told_from_a_certificate_nobody_knows(tmp_path):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    certificate, key = _identity()
    for name, text in (("c.pem", certificate), ("c.key", key), ("ca.pem", certificate)):
        (tmp_path / name).write_text(text)
    settings = DeviceSettings(
        thing="t", stage="dev", endpoint="127.0.0.1", port=port, connect_timeout_s=3.0, outbox=tmp_path / "outbox",
        certificate=tmp_path / "c.pem", private_key=tmp_path / "c.key", ca=tmp_path / "ca.pem",
    )  # fmt: skip
    connection = MqttConnection(settings)
    with pytest.raises(NotConnectedError, match=r"CONNECTION_REFUSED.*; check endpoint and port"):
        await connection.start()
    await connection.stop()


async def test_what_is_no_key_is_named_instead_of_what_awscrt_says(tmp_path):
    certificate, _ = _identity()
    for name, text in (("c.pem", certificate), ("c.key", "no key"), ("ca.pem", certificate)):
        (tmp_path / name).write_text(text)
    settings = DeviceSettings(
        thing="t", stage="dev", endpoint="127.0.0.1", outbox=tmp_path / "outbox",
        certificate=tmp_path / "c.pem", private_key=tmp_path / "c.key", ca=tmp_path / "ca.pem",
    )  # fmt: skip
    with pytest.raises(ConfigurationError, match=r"c\.key.*in PEM"):
        await MqttConnection(settings).start()


def _identity():
    """Return a certificate and its key, of nobody's making."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "t")])
    at = datetime(2026, 1, 1, tzinfo=UTC)
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(at).not_valid_after(at + timedelta(days=9_000))
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM).decode(), private
