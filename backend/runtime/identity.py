"""Who calls: from claims that API Gateway has verified, never from anything a client can write."""

import json
from collections.abc import Mapping
from typing import Any

from backend.domain.access import Caller
from backend.errors import UnauthenticatedError

ADMIN_GROUP = "admin"


def load_caller(event: Mapping[str, Any]) -> Caller:
    """Return the caller of an HTTP API event that passed the JWT authorizer.

    The authorizer cannot tell an ID token from an access token (both verify, and it takes ``aud`` for ``client_id``),
    so ``token_use`` is checked here: an ID token says who somebody is and is shown around; only the access token is a
    key. (API Gateway developer guide, "Control access to HTTP APIs with JWT authorizers".)

    Raises:
        UnauthenticatedError: there are no claims, or they are not those of an access token.
    """
    context = event.get("requestContext", {})
    claims = context.get("authorizer", {}).get("jwt", {}).get("claims", {})
    if claims.get("token_use") != "access" or not claims.get("sub"):
        raise UnauthenticatedError("Send the access token of a signed-in user.")
    return Caller(
        user=str(claims["sub"]),
        is_admin=ADMIN_GROUP in load_groups(claims.get("cognito:groups", "")),
        address=str(context.get("http", {}).get("sourceIp", "")),
    )


def load_groups(claim: Any) -> frozenset[str]:
    """Return the groups in a claim, which API Gateway hands over as the text ``[a b]``, others as a JSON list."""
    if isinstance(claim, list):
        return frozenset(map(str, claim))
    text = str(claim)
    if text.startswith('["'):
        return frozenset(map(str, json.loads(text)))
    return frozenset(text.strip("[]").replace(",", " ").split())
