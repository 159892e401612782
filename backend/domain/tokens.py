"""Access tokens of the user pool, judged where no gateway has judged them: as an MQTT password.

(Cognito developer guide, "Verifying a JSON Web Token"; RFC 7515; RFC 8017, 8.2.2.) RSA verification is one modular
power and a comparison; it stands here so that the function's package needs no cryptography library.
"""

import base64
import binascii
import hashlib
import hmac
import json
from collections.abc import Mapping
from typing import Any

from backend.errors import UnauthenticatedError

SHA256_PREFIX = bytes.fromhex("3031300d060960864801650304020105000420")
"""DigestInfo of SHA-256. (RFC 8017, 9.2, note 1.)"""
MAX_TOKEN_LENGTH = 8_192


def verify(
    token: str, keys: Mapping[str, Mapping[str, str]], *, issuer: str, client: str, now_s: float
) -> dict[str, Any]:
    """Return the claims of an access token.

    Args:
        token: as the caller sent it.
        keys: of the user pool, as JWKs, by key id.
        issuer: the pool that must have issued it.
        client: the app client it must have been issued to.
        now_s: epoch seconds.

    Raises:
        UnauthenticatedError: it is not a valid access token of this pool and client.
    """
    header, claims, signed, signature = _parts(token)
    key = keys.get(str(header.get("kid")))
    # The algorithm is ours to choose, never the token's.
    if header.get("alg") != "RS256" or key is None or not _is_signed(signed, signature, key):
        raise UnauthenticatedError("The token is not signed by the user pool.")
    expires_s = claims.get("exp")
    if not isinstance(expires_s, int | float) or now_s >= expires_s:
        raise UnauthenticatedError("The token has expired.")
    expected = {"iss": issuer, "client_id": client, "token_use": "access"}
    if any(claims.get(name) != value for name, value in expected.items()) or not claims.get("sub"):
        raise UnauthenticatedError("The token is not an access token of this app.")
    return claims


def key_id(token: str) -> str:
    """Return the id of the key that a token says it is signed with."""
    return str(_parts(token)[0].get("kid"))


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any], bytes, bytes]:
    refused = UnauthenticatedError("This is not a token.")
    if len(token) > MAX_TOKEN_LENGTH:
        raise refused
    try:
        head, body, signature = token.split(".")
        header, claims = json.loads(_decode(head)), json.loads(_decode(body))
        decoded = _decode(signature)
    except (ValueError, binascii.Error, RecursionError):
        raise refused from None
    if not isinstance(header, dict) or not isinstance(claims, dict):
        raise refused
    return header, claims, f"{head}.{body}".encode(), decoded


def _is_signed(signed: bytes, signature: bytes, key: Mapping[str, str]) -> bool:
    modulus, exponent = (int.from_bytes(_decode(key[name]), "big") for name in ("n", "e"))
    size = (modulus.bit_length() + 7) // 8
    if len(signature) != size:
        return False
    found = pow(int.from_bytes(signature, "big"), exponent, modulus).to_bytes(size, "big")
    digest = SHA256_PREFIX + hashlib.sha256(signed).digest()
    return hmac.compare_digest(found, b"\x00\x01" + b"\xff" * (size - len(digest) - 3) + b"\x00" + digest)


def _decode(text: str) -> bytes:
    return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
