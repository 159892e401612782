"""Custom authentication: a Lambda function says who connects and what they may do.

AWS IoT developer guide, "Connecting to AWS IoT Core by using custom authentication", "Creating and managing custom
authorizers".
"""

import base64
import binascii
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol
from urllib.parse import parse_qsl, quote

import aiohttp
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa
from yarl import URL

from infra.local.config import ACCOUNT_ID, Settings
from infra.local.iot.message import Principal
from infra.local.iot.mqtt.denials import DenialLog
from infra.local.iot.policy import PolicyError, parse

LOG = logging.getLogger(__name__)
SERVICE = "iot.amazonaws.com"
INVOKE_TIMEOUT_S = 5.0
NAME_KEY = "x-amz-customauthorizer-name"
SIGNATURE_KEY = "x-amz-customauthorizer-signature"
_PRINCIPAL_ID = re.compile(r"[a-zA-Z0-9]{1,128}")
_SECONDS = range(300, 86_401)
MAX_DOCUMENTS = 10


class Definition(Protocol):
    """A custom authorizer as the registry keeps it."""

    name: str
    function_arn: str
    signing_disabled: bool
    token_key_name: str | None
    token_signing_public_keys: dict[str, str]
    enable_caching_for_http: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Presented:
    """What a client shows: by HTTP, by CONNECT, or both."""

    connection_id: str
    source_ip: str
    server_name: str | None = None
    headers: Mapping[str, str] | None = None
    """Of the HTTP request or upgrade, names in lower case; None where there was none."""
    query: str = ""
    username: str | None = None
    password: bytes | None = None
    client_id: str | None = None
    mqtt: bool = False

    def parameters(self) -> dict[str, str]:
        """Return name, signature and token wherever they may stand: headers, query, the user name's query."""
        found = dict(self.headers or {})
        found.update(parse_qsl(self.query))
        found.update(parse_qsl((self.username or "").partition("?")[2]))
        return found

    def event(self, token: str | None, *, verified: bool) -> dict[str, Any]:
        """Return the event the function gets; what does not apply is left out."""
        data: dict[str, Any] = {"tls": {"serverName": self.server_name}}
        if self.headers is not None:
            data["http"] = {"headers": dict(self.headers), "queryString": f"?{self.query}" if self.query else ""}
        if self.mqtt:
            password = None if self.password is None else base64.b64encode(self.password).decode()
            told = {"username": self.username, "password": password, "clientId": self.client_id or None}
            data["mqtt"] = {name: value for name, value in told.items() if value is not None}
        event: dict[str, Any] = {"token": token} if token is not None else {}
        return event | {
            "signatureVerified": verified,
            "protocols": list(data),
            "protocolData": data,
            "connectionMetadata": {"id": self.connection_id},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Admission:
    """A client the authorizer let in, and for how long its answer holds (seconds)."""

    principal: Principal
    disconnect_after_s: int
    refresh_after_s: int
    cache_http: bool = field(default=False)


class RefusedError(Exception):
    """The client is not let in; the message says why, to the developer."""


class CustomAuthorizers:
    """Asks the authorizer's function, as the service ``iot.amazonaws.com``, on port 4566."""

    def __init__(
        self,
        settings: Settings,
        *,
        find: Callable[[str | None], Definition | None],
        configured: Callable[[], bool],
        denials: DenialLog,
    ) -> None:
        self._settings = settings
        self.configured = configured
        """Says whether there is any active authorizer at all."""
        self._find = find
        self._denials = denials
        self._session: aiohttp.ClientSession | None = None

    async def admit(self, presented: Presented) -> Admission | None:
        """Return who the client is; None, with the reason written down, where it is refused."""
        try:
            return await self._admit(presented)
        except RefusedError as error:
            self._denials.write(
                {
                    "client_id": presented.client_id,
                    "source_ip": presented.source_ip,
                    "action": "iot:Connect",
                    "refused": f"custom authentication: {error}",
                }
            )
            return None

    async def stop(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()

    async def _admit(self, presented: Presented) -> Admission:
        parameters = presented.parameters()
        name = parameters.get(NAME_KEY)
        definition = self._find(name)
        if definition is None:
            raise RefusedError(f"no active authorizer {name}" if name else "no authorizer named, and no default one")
        key = definition.token_key_name or ""
        token = parameters.get(key, parameters.get(key.lower()))
        verified = False
        if not definition.signing_disabled:
            if token is None or SIGNATURE_KEY not in parameters:
                raise RefusedError(f"token ({definition.token_key_name}) or its signature missing")
            if not _signed(token, parameters[SIGNATURE_KEY], definition.token_signing_public_keys):
                # The function is not invoked: that is what signing is for.
                raise RefusedError("the token's signature does not match any of the authorizer's public keys")
            verified = True
        answer = await self._invoke(definition, presented.event(token, verified=verified))
        return _load_answer(answer, cache_http=definition.enable_caching_for_http)

    async def _invoke(self, definition: Definition, event: Mapping[str, Any]) -> Any:
        if self._session is None:
            self._session = aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=INVOKE_TIMEOUT_S))
        region = self._settings.region
        headers = {
            "x-fieldline-service": SERVICE,
            "x-fieldline-secret": self._settings.service_secret,
            "x-fieldline-source-arn": f"arn:aws:iot:{region}:{ACCOUNT_ID}:authorizer/{definition.name}",
            "content-type": "application/json",
        }
        path = f"/2015-03-31/functions/{quote(definition.function_arn, safe='')}/invocations"
        try:
            url = f"{self._settings.endpoint_url}{path}"
            async with self._session.post(URL(url, encoded=True), data=json.dumps(event), headers=headers) as response:
                body = await response.read()
                if response.status != 200 or "x-amz-function-error" in response.headers:
                    raise RefusedError(f"the authorizer's function failed ({response.status}): {body[:500]!r}")
                return json.loads(body)
        except TimeoutError as error:
            raise RefusedError(f"the authorizer's function took more than {INVOKE_TIMEOUT_S:g} s") from error
        except (aiohttp.ClientError, ValueError) as error:
            raise RefusedError(f"the authorizer's function could not be asked: {error}") from error


def _signed(token: str, signature: str, public_keys: Mapping[str, str]) -> bool:
    """Say whether one of the keys made the signature: RSA with SHA-256, base64. (page "Signing the token")."""
    try:
        # A plus sign that was not percent-encoded arrives as a space.
        raw = base64.b64decode(signature.replace(" ", "+"), validate=True)
    except (binascii.Error, ValueError):
        return False
    for pem in public_keys.values():
        try:
            key = serialization.load_pem_public_key(pem.encode())
            if isinstance(key, rsa.RSAPublicKey):
                key.verify(raw, token.encode(), padding.PKCS1v15(), hashes.SHA256())
                return True
        except (InvalidSignature, ValueError):
            continue
    return False


def _load_answer(answer: Any, *, cache_http: bool) -> Admission:
    if not isinstance(answer, dict) or answer.get("isAuthenticated") is not True:
        raise RefusedError("isAuthenticated is not true")
    principal_id, documents = answer.get("principalId"), answer.get("policyDocuments")
    if not isinstance(principal_id, str) or not _PRINCIPAL_ID.fullmatch(principal_id):
        raise RefusedError("principalId is not 1 to 128 letters and digits")
    if not isinstance(documents, list) or not 0 < len(documents) <= MAX_DOCUMENTS:
        raise RefusedError("policyDocuments are not a list of 1 to 10 documents")
    texts = tuple(one if isinstance(one, str) else json.dumps(one, separators=(",", ":")) for one in documents)
    try:
        for text in texts:
            parse(text)
    except PolicyError as error:
        raise RefusedError(f"policyDocuments: {error}") from error
    return Admission(
        principal=Principal(kind="custom", id=principal_id, policy_documents=texts),
        disconnect_after_s=_seconds(answer, "disconnectAfterInSeconds"),
        refresh_after_s=_seconds(answer, "refreshAfterInSeconds"),
        cache_http=cache_http,
    )


def _seconds(answer: Mapping[str, Any], name: str) -> int:
    """Return an interval of 300 to 86,400 seconds; the longest where none is given (no page says what happens then)."""
    value = answer.get(name, _SECONDS[-1])
    if isinstance(value, bool) or value not in _SECONDS:
        raise RefusedError(f"{name} is not a number from 300 to 86400")
    return int(value)
