"""What a JWT authorizer of an HTTP API accepts: pure, but for the keys that it is given.

Follows "Control access to HTTP APIs with JWT authorizers". RS256 is the one algorithm carried: Cognito signs with no
other. It cannot tell an ID token from an access token; whoever must, looks at ``token_use``.
"""

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import jwt

from infra.local.http_api.openapi import JwtAuthorizer

ISSUER = re.compile(r"https://cognito-idp\.[a-z0-9-]+\.amazonaws\.com/(?P<pool>[\w-]+)")
Jwks = Callable[[str], Mapping[str, Any]]
"""The public keys of a user pool, as its ``/.well-known/jwks.json`` has them; KeyError for an unknown pool."""


class TokenRefusedError(Exception):
    """The token is not good; the message stands in ``www-authenticate``."""


def verify(token: str, authorizer: JwtAuthorizer, jwks: Jwks, now: datetime) -> dict[str, Any]:
    """Return the claims of a token that the authorizer accepts.

    Raises:
        TokenRefusedError: it does not.
    """
    claims = _signed_claims(token, authorizer, jwks)
    if claims.get("iss") != authorizer.issuer:
        raise TokenRefusedError("invalid issuer")
    audience = claims.get("aud", claims.get("client_id"))  # client_id counts only where there is no aud
    given = set(audience) if isinstance(audience, list) else {audience}
    if authorizer.audience and not given & set(authorizer.audience):
        raise TokenRefusedError("the token does not have a valid audience")
    _check_times(claims, now.timestamp())
    return claims


def scopes_of(claims: Mapping[str, Any]) -> list[str]:
    """Return the scopes that a token grants, from its claim ``scope`` or ``scp``."""
    given = claims.get("scope", claims.get("scp", ""))
    return given.split() if isinstance(given, str) else [str(scope) for scope in given]


def claims_as_text(claims: Mapping[str, Any]) -> dict[str, str]:
    """Return the claims as functions see them: every value a text, lists as ``[a b]`` (field knowledge)."""
    return {name: _text(value) for name, value in claims.items()}


def _signed_claims(token: str, authorizer: JwtAuthorizer, jwks: Jwks) -> dict[str, Any]:
    try:
        header = jwt.get_unverified_header(token)
        if header.get("alg") != "RS256":
            named = re.fullmatch(r"\w{1,16}", str(header.get("alg")))  # it goes into a header: nothing else may
            raise TokenRefusedError(f"signing method {named[0] if named else ''} is invalid")
        key = _key(header.get("kid"), authorizer, jwks)
        options: Any = {"verify_exp": False, "verify_nbf": False, "verify_iat": False, "verify_aud": False}
        return jwt.decode(token, key.key, algorithms=["RS256"], options=options)
    except jwt.InvalidSignatureError:
        raise TokenRefusedError("the token's signature is invalid") from None
    except (jwt.PyJWTError, ValueError):
        raise TokenRefusedError("the token is malformed") from None


def _key(kid: Any, authorizer: JwtAuthorizer, jwks: Jwks) -> jwt.PyJWK:
    pool = ISSUER.fullmatch(authorizer.issuer)
    try:
        keys = jwks(pool["pool"])["keys"] if pool else []
    except KeyError:
        raise TokenRefusedError("OIDC discovery endpoint communication error") from None
    for key in keys:
        if key["kid"] == kid:
            return jwt.PyJWK(dict(key), algorithm="RS256")
    raise TokenRefusedError("unable to find a signing key that matches")


def _check_times(claims: Mapping[str, Any], now: float) -> None:
    times = {name: claims[name] for name in ("exp", "nbf", "iat") if name in claims}
    if any(isinstance(value, bool) or not isinstance(value, int | float) for value in times.values()):
        raise TokenRefusedError("the token is malformed")
    if "exp" not in times or now >= times["exp"]:
        raise TokenRefusedError("the token has expired")
    if max(times.get("nbf", now), times.get("iat", now)) > now:
        raise TokenRefusedError("the token is not yet valid")


def _text(value: Any) -> str:
    if isinstance(value, list):
        return f"[{' '.join(_text(entry) for entry in value)}]"
    if isinstance(value, dict):
        return f"map[{' '.join(f'{name}:{_text(entry)}' for name, entry in sorted(value.items()))}]"
    if isinstance(value, bool):
        return str(value).lower()
    return "" if value is None else str(value)
