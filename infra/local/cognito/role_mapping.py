"""Which role a signed-in identity gets: by the token's own claims, or by rules over them. Pure.

Follows "Using role-based access control" (Amazon Cognito Developer Guide).
"""

from collections.abc import Callable, Mapping
from typing import Any

from infra.local.cognito.errors import CognitoError

_MATCHES: Mapping[str, Callable[[str, str], bool]] = {
    "Equals": lambda given, wanted: given == wanted,
    "NotEqual": lambda given, wanted: given != wanted,
    "StartsWith": lambda given, wanted: given.startswith(wanted),
    "Contains": lambda given, wanted: wanted in given,
}


def choose_role(
    mapping: Mapping[str, Any] | None, claims: Mapping[str, Any], default: str | None, custom: str | None
) -> str | None:
    """Return the ARN of the role; ``custom`` is the one the client asks for, if it has a choice.

    Raises:
        CognitoError: the client asks for a role it was not given, or the mapping says to deny what is ambiguous.
    """
    mapping = mapping or {}
    if mapping.get("Type") == "Rules":
        offered = [rule["RoleARN"] for rule in mapping["RulesConfiguration"]["Rules"] if _applies(rule, claims)]
        chosen = offered[0] if offered else None
    else:
        offered = claims.get("cognito:roles", [])
        chosen = claims.get("cognito:preferred_role") if mapping.get("Type") == "Token" else None
    if custom is not None:
        if custom not in offered:
            raise CognitoError.not_authorized("Role provided in CustomRoleArn is not one the token allows.")
        return custom
    if chosen is not None or not mapping:
        return chosen or default
    if mapping.get("AmbiguousRoleResolution") == "AuthenticatedRole":
        return default
    raise CognitoError.not_authorized("No role is given by the token, and the pool's role mapping denies the rest.")


def _applies(rule: Mapping[str, Any], claims: Mapping[str, Any]) -> bool:
    """Judge one rule; a claim that the token does not carry matches nothing, not even NotEqual."""
    given = claims.get(rule["Claim"])
    if given is None:
        return False
    values = [str(one) for one in given] if isinstance(given, list) else [str(given)]
    every = rule["MatchType"] == "NotEqual"
    found = [_MATCHES[rule["MatchType"]](value, rule["Value"]) for value in values]
    return all(found) if every else any(found)
