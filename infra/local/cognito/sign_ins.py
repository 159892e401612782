"""What a sign-in gives: tokens, for as long as the app client says; refreshed, revoked, ended everywhere."""

import hmac
import uuid
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from infra.local.cognito.directory import Client, Document, Pool, SignIn, User
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.pools import Pools
from infra.local.cognito.triggers import Triggers

SCOPE = "aws.cognito.signin.user.admin"
_RESERVED = frozenset(
    (
        "acr", "amr", "at_hash", "aud", "auth_time", "azp", "client_id", "cognito:groups", "cognito:username",
        "event_id", "exp", "iat", "iss", "jti", "nbf", "nonce", "origin_jti", "scope", "sub", "token_use", "username",
        "version",
    )
)  # fmt: skip
# "Pre token generation Lambda trigger": what it cannot add or suppress.


class SignIns:
    """Issues tokens and remembers which sign-in they came of."""

    def __init__(self, pools: Pools, triggers: Triggers) -> None:
        self._pools = pools
        self._triggers = triggers

    async def open(
        self, pool: Pool, client: Client, user: User, source: str, metadata: Mapping[str, str] | None = None
    ) -> Document:
        """Return the AuthenticationResult of a completed sign-in."""
        now = self._pools.clock.now()
        sign_in = SignIn(
            id=self.uuid(),
            user=user.name,
            client_id=client.id,
            refresh_secret=self._pools.random_bytes(64).hex(),
            at=now,
            expires_at=now + client.lifetime("Refresh"),
        )
        result = await self._tokens(pool, client, user, sign_in, source, metadata)
        _prune(pool, now)
        pool.sign_ins[sign_in.id] = sign_in
        return {**result, "RefreshToken": f"{sign_in.id}.{sign_in.refresh_secret}"}

    async def refresh(
        self, pool: Pool, client: Client, refresh_token: str, metadata: Mapping[str, str] | None = None
    ) -> Document:
        """Return fresh access and id tokens of an earlier sign-in.

        Raises:
            CognitoError: it was revoked, has expired, or belongs to another client.
        """
        sign_in = self._find(pool, refresh_token)
        if sign_in is None or sign_in.client_id != client.id:
            raise CognitoError.not_authorized("Invalid Refresh Token")
        if sign_in.revoked:
            raise CognitoError.not_authorized("Refresh Token has been revoked")
        if sign_in.expires_at <= self._pools.clock.now():
            raise CognitoError.not_authorized("Refresh Token has expired")
        user = pool.users.get(pool.plain(sign_in.user))
        if user is None or not user.enabled:
            raise CognitoError.not_authorized("User is disabled." if user else "Invalid Refresh Token")
        return await self._tokens(pool, client, user, sign_in, "TokenGeneration_RefreshTokens", metadata)

    def owner(self, pool: Pool, refresh_token: str) -> User | None:
        """Return whose refresh token this is."""
        sign_in = self._find(pool, refresh_token)
        return pool.users.get(pool.plain(sign_in.user)) if sign_in else None

    def revoke(self, pool: Pool, client: Client, refresh_token: str) -> None:
        """End one sign-in: its refresh token and all access tokens that came of it."""
        sign_in = self._find(pool, refresh_token)
        if sign_in is None and refresh_token.count(".") == 2:
            raise CognitoError("UnsupportedTokenTypeException", "Unsupported token type")
        if sign_in is not None and sign_in.client_id == client.id:
            sign_in.revoked = True

    def uuid(self) -> str:
        """Return a fresh id."""
        return str(uuid.UUID(bytes=self._pools.random_bytes(16), version=4))

    def _find(self, pool: Pool, refresh_token: str) -> SignIn | None:
        sign_in = pool.sign_ins.get(refresh_token.partition(".")[0])
        given = refresh_token.partition(".")[2]
        return sign_in if sign_in and hmac.compare_digest(sign_in.refresh_secret.encode(), given.encode()) else None

    async def _tokens(  # noqa: PLR0917 - what stands in a token
        self, pool: Pool, client: Client, user: User, sign_in: SignIn, source: str, metadata: Mapping[str, str] | None
    ) -> Document:
        groups = _groups(pool, user)
        request = {
            "groupConfiguration": groups,
            "scopes": [SCOPE],
            "clientMetadata": dict(metadata or {}),
        }
        config = pool.settings.get("LambdaConfig", {}).get("PreTokenGenerationConfig", {})
        if config.get("LambdaVersion") != "V2_0":
            del request["scopes"]
        answer = await self._triggers.run(pool, source, user, client_id=client.id, request=request) or {}
        both = answer.get("claimsAndScopeOverrideDetails") or {}
        only_id = answer.get("claimsOverrideDetails") or {}
        groups = {**groups, **(both.get("groupOverrideDetails") or only_id.get("groupOverrideDetails") or {})}
        now = self._pools.clock.now()
        common = {
            "sub": user.sub,
            "iss": pool.issuer,
            "origin_jti": sign_in.id,
            "event_id": self.uuid(),
            "auth_time": int(sign_in.at.timestamp()),
            "iat": int(now.timestamp()),
        }
        if groups.get("groupsToOverride"):
            common["cognito:groups"] = groups["groupsToOverride"]
        identity = _overridden(_id_claims(client, user, groups), both.get("idTokenGeneration") or only_id)
        access = _overridden({"username": user.name, "version": 2}, both.get("accessTokenGeneration") or {})
        # The scopes of a sign-in through the API are the one; the trigger may add and take away.
        access["scope"] = _scopes(both.get("accessTokenGeneration") or {})
        identity |= {**common, "token_use": "id", "aud": client.id, "jti": self.uuid()}
        access |= {**common, "token_use": "access", "client_id": client.id, "jti": self.uuid()}
        lives = client.lifetime("Access")
        return {
            "AccessToken": pool.keys.access.sign({**access, "exp": int((now + lives).timestamp())}),
            "IdToken": pool.keys.id.sign({**identity, "exp": int((now + client.lifetime("Id")).timestamp())}),
            "ExpiresIn": int(lives.total_seconds()),
            "TokenType": "Bearer",
        }


def _groups(pool: Pool, user: User) -> Document:
    """A user's groups and roles: the preferred role is that of the lowest precedence, none where two tie."""
    groups = pool.groups_of(user)
    with_role = [group for group in groups if group.settings.get("RoleArn")]
    roles = list(dict.fromkeys(group.settings["RoleArn"] for group in with_role))
    best = {group.settings["RoleArn"] for group in with_role if group.rank == with_role[0].rank}
    return {
        "groupsToOverride": [group.name for group in groups],
        "iamRolesToOverride": roles,
        "preferredRole": best.pop() if len(best) == 1 else None,
    }


def _id_claims(client: Client, user: User, groups: Document) -> Document:
    readable = client.settings.get("ReadAttributes")
    claims: Document = {
        name: value == "true" if name.endswith("_verified") else value
        for name, value in user.attributes.items()
        if readable is None or name in readable
    }
    claims["cognito:username"] = user.name
    if groups.get("iamRolesToOverride"):
        claims["cognito:roles"] = groups["iamRolesToOverride"]
    if groups.get("preferredRole"):
        claims["cognito:preferred_role"] = groups["preferredRole"]
    return claims


def _overridden(claims: Document, details: Mapping[str, Any]) -> Document:
    for name in details.get("claimsToSuppress") or ():
        if name not in _RESERVED:
            claims.pop(name, None)
    added = details.get("claimsToAddOrOverride") or {}
    return {**claims, **{name: value for name, value in added.items() if name not in _RESERVED}}


def _scopes(details: Mapping[str, Any]) -> str:
    scopes = [SCOPE, *(details.get("scopesToAdd") or ())]
    return " ".join(scope for scope in scopes if scope not in (details.get("scopesToSuppress") or ()))


def _prune(pool: Pool, now: datetime) -> None:
    """Forget sign-ins of which no token can be good any more."""
    for old in [one.id for one in pool.sign_ins.values() if one.expires_at + timedelta(days=1) < now]:
        del pool.sign_ins[old]
