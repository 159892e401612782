"""Provisioning by claim: a device that shares a claim with its fleet gets an identity of its own.

AWS IoT developer guide, "Device provisioning MQTT API": a certificate for a signing request, a thing for the
certificate, then a new connection with it. The key is made here and never leaves the device.
"""

import asyncio
import hashlib
import hmac
import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from device_client import topics
from device_client.config import ClaimSettings, DeviceSettings
from device_client.connection import Connection
from device_client.errors import BusyError, DeviceError, NotConnectedError, RefusedError
from device_client.store.files import save

_LOGGER = logging.getLogger(__name__)
_DENIED, _THROTTLED, _FAILED = 403, 429, 500
_HALF_MINUTE_S = 30.0
_CERTIFICATE = ("certificateId", "certificatePem", "certificateOwnershipToken")
Connect = Callable[[DeviceSettings, str], Connection]
"""Settings and client id to a connection not yet started."""


async def provision(
    claim: ClaimSettings, path: Path, *, connect: Connect, answer_timeout_s: float = _HALF_MINUTE_S
) -> DeviceSettings:
    """Trade the claim for an identity and store it; return the settings it runs with.

    Key and certificate are on the disk, under new names, before AWS IoT makes the certificate active; the configuration
    at ``path`` names them once it has, in one step. Until then it names those of before, if there were any.

    Args:
        claim: what the device has.
        path: of the configuration to write, in the folder of the claim.
        connect: makes connections.
        answer_timeout_s: how long AWS IoT may take for one answer; a hook alone may take five seconds.

    Raises:
        RefusedError: the device may not be provisioned; nothing of the attempt stays.
        BusyError, NotConnectedError: not now; nothing of the attempt stays.
    """
    device = claim.device
    connection = connect(device, f"claim-{device.stage}-{device.thing}")
    files: tuple[Path, Path] | None = None
    try:
        await connection.start()
        asking = _Asking(connection, answer_timeout_s)
        made, key = await _certificate(asking, claim)
        files = _save(claim, made, key)
        thing = await _thing(asking, claim, made)
    except DeviceError:
        for file in files or ():
            file.unlink(missing_ok=True)
        raise
    finally:
        await connection.stop()
    certificate, private_key = files
    names = {"thing": thing, "certificate": certificate.name, "private_key": private_key.name}
    save(path, json.dumps({**claim.document, **names}, indent=1) + "\n")
    _LOGGER.info("%s: provisioned; configuration in %s", thing, path)
    return replace(device, thing=thing, certificate=certificate, private_key=private_key)


async def try_out(own: DeviceSettings, *, connect: Connect) -> None:
    """Connect once with the new identity.

    Raises:
        NotConnectedError: it does not; policies may take a while to be known everywhere. The identity is stored.
    """
    connection = connect(own, own.thing)
    try:
        await connection.start()
    finally:
        await connection.stop()


def find_certificate_id(path: Path) -> str | None:
    """Return what AWS IoT calls the certificate of a configuration: the SHA-256 of its DER; None if there is none."""
    try:
        pem = DeviceSettings.load(path).certificate.read_bytes()
        return hashlib.sha256(x509.load_pem_x509_certificate(pem).public_bytes(Encoding.DER)).hexdigest()
    except (DeviceError, OSError, ValueError):
        return None


def build_proof(thing: str, secret: str, certificate: str) -> str:
    """Return the proof that a device knows its claim secret, for this certificate only.

    The backend keeps a digest of the secret, so that it is the digest that is the key.
    """
    key = hashlib.sha256(f"{thing}\0{secret}".encode()).hexdigest()
    return hmac.new(key.encode(), certificate.encode(), hashlib.sha256).hexdigest()


def build_request(thing: str) -> tuple[str, str]:
    """Return a fresh private key (P-256, PKCS #8) and the signing request for it, both PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, thing[:64])])  # RFC 5280: ub-common-name
    request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    return private.decode(), request.public_bytes(Encoding.PEM).decode()


class _Asking:
    """Requests and their answers over one connection."""

    def __init__(self, connection: Connection, timeout_s: float) -> None:
        self._connection = connection
        self._timeout_s = timeout_s

    async def ask(self, topic: str, document: Mapping[str, Any], *expected: str) -> dict[str, Any]:
        """Return the answer to a request, with at least the expected fields.

        Raises:
            RefusedError, BusyError, NotConnectedError: there is none, by remedy.
        """
        answers: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        for outcome in ("accepted", "rejected"):
            await self._connection.subscribe(f"{topic}/{outcome}", lambda *answer: answers.put_nowait(answer))
        await self._connection.publish(topic, json.dumps(document).encode())
        try:
            answered, payload = await asyncio.wait_for(answers.get(), self._timeout_s)
        except TimeoutError:
            raise NotConnectedError(f"no answer on {topic} within {self._timeout_s:g} s") from None
        answer = _load(payload)
        if not answered.endswith("/accepted"):
            raise _rejection(topic, answer)
        if missing := set(expected) - set(answer):
            raise BusyError(f"{topic}: the answer lacks {', '.join(sorted(missing))}")
        return answer


def _load(payload: bytes) -> dict[str, Any]:
    """Return an answer's fields; none where it is not a JSON object."""
    try:
        answer = json.loads(payload)
    except ValueError:
        return {}
    return answer if isinstance(answer, dict) else {}


def _rejection(topic: str, answer: Mapping[str, Any]) -> DeviceError:
    status = answer.get("statusCode")
    message = f"{topic}: {answer.get('errorCode')}: {answer.get('errorMessage')}"
    if status == _DENIED:
        message += "; is it registered with this type and, if it names one, this secret? The hook's log says why not"
    if not isinstance(status, int) or status == _THROTTLED or status >= _FAILED:
        return BusyError(message)
    return RefusedError(message, reason=status)


async def _certificate(asking: _Asking, claim: ClaimSettings) -> tuple[dict[str, Any], str]:
    """Return a new certificate, as AWS IoT answers it, and its private key."""
    if claim.own_key:
        key, request = build_request(claim.device.thing)
        return await asking.ask(topics.CREATE_FROM_CSR, {"certificateSigningRequest": request}, *_CERTIFICATE), key
    made = await asking.ask(topics.CREATE_KEYS, {}, *_CERTIFICATE, "privateKey")
    return made, made.pop("privateKey")


def _save(claim: ClaimSettings, made: Mapping[str, Any], key: str) -> tuple[Path, Path]:
    """Return where certificate and key are: under new names, so that those in use stay whole."""
    name = f"{claim.device.thing}-{made['certificateId'][:12]}"
    certificate, private_key = claim.folder / f"{name}.pem", claim.folder / f"{name}.key"
    save(private_key, key, private=True)
    save(certificate, made["certificatePem"])
    return certificate, private_key


async def _thing(asking: _Asking, claim: ClaimSettings, made: Mapping[str, Any]) -> str:
    """Have the certificate made active and tied to a thing; return the thing's name."""
    device = claim.device
    parameters = {"ThingName": device.thing, "DeviceType": claim.type}
    if claim.secret:
        parameters["Proof"] = build_proof(device.thing, claim.secret, made["certificateId"])
    document = {"certificateOwnershipToken": made["certificateOwnershipToken"], "parameters": parameters}
    topic = topics.provisioning(claim.template or f"{device.stage}-fleet")
    return str((await asking.ask(topic, document, "thingName"))["thingName"])
