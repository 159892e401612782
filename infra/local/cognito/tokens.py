"""The tokens of a user pool: two RSA keys a pool, made when the pool is made, one for id and one for access tokens.

Follows "Understanding user pool JSON web tokens" (Amazon Cognito Developer Guide).
"""

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.local.cognito.errors import CognitoError


@dataclass(frozen=True, slots=True, kw_only=True)
class Key:
    """One signing key and what verifiers find it by."""

    id: str
    private: rsa.RSAPrivateKey

    @classmethod
    def generate(cls) -> Self:
        """Return a fresh key, its id a digest of its public half."""
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        modulus = private.public_key().public_numbers().n
        return cls(id=base64.b64encode(hashlib.sha256(modulus.to_bytes(256)).digest()).decode(), private=private)

    def jwk(self) -> dict[str, str]:
        """Return the public half as a JSON web key."""
        numbers = self.private.public_key().public_numbers()
        n, e = (base64.urlsafe_b64encode(x.to_bytes(-(-x.bit_length() // 8))).rstrip(b"=").decode()
                for x in (numbers.n, numbers.e))  # fmt: skip
        return {"alg": "RS256", "e": e, "kid": self.id, "kty": "RSA", "n": n, "use": "sig"}

    def sign(self, claims: Mapping[str, Any]) -> str:
        """Return a signed token."""
        return jwt.encode(dict(claims), self.private, algorithm="RS256", headers={"kid": self.id})


@dataclass(frozen=True, slots=True, kw_only=True)
class SigningKeys:
    """The keys of one pool."""

    id: Key
    access: Key

    @classmethod
    def generate(cls) -> Self:
        """Return the keys of a new pool."""
        return cls(id=Key.generate(), access=Key.generate())

    def jwks(self) -> dict[str, Any]:
        """Return what is served at ``/.well-known/jwks.json``."""
        return {"keys": [self.id.jwk(), self.access.jwk()]}

    def read(self, token: str, use: str) -> dict[str, Any]:
        """Return the claims of a token that this pool signed as an ``id`` or ``access`` token, expired or not.

        Raises:
            ValueError: it did not, or it is no token at all.
        """
        key = self.id if use == "id" else self.access
        try:
            if jwt.get_unverified_header(token).get("kid") != key.id:
                raise ValueError("another key")
            # Expiry goes by the movable clock, so the caller looks at it.
            options: Any = {"verify_exp": False, "verify_iat": False, "verify_nbf": False, "verify_aud": False}
            claims: dict[str, Any] = jwt.decode(token, key.private.public_key(), algorithms=["RS256"], options=options)
        except jwt.InvalidTokenError as error:
            raise ValueError(str(error)) from error
        if claims.get("token_use") != use:
            raise ValueError("another use")
        return claims


def read_access_token(keys: SigningKeys, token: str, now: datetime) -> dict[str, Any]:
    """Return the claims of an access token that is good now.

    Raises:
        CognitoError: in the sentence Cognito has for it.
    """
    try:
        claims = keys.read(token, "access")
    except ValueError as error:
        raise CognitoError.not_authorized("Invalid Access Token") from error
    if claims["exp"] <= now.timestamp():
        raise CognitoError.not_authorized("Access Token has expired")
    return claims


def peek_issuer(token: str) -> str:
    """Return the issuer a token names, which proves nothing; "" if it is no token."""
    try:
        return str(jwt.decode(token, options={"verify_signature": False}).get("iss", ""))
    except jwt.InvalidTokenError:
        return ""
