"""Identity pools, the ``cognito-identity`` API: a sign-in becomes AWS credentials of a role.

Follows "Identity pools" (Amazon Cognito Developer Guide): the enhanced flow. Logins are tokens of our own user pools,
verified by the pool's keys; other providers, developer identities and the classic flow are refused by name.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

from infra.local.clock import Clock
from infra.local.cognito.directory import Document
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.idp import answer, carried
from infra.local.cognito.role_mapping import choose_role
from infra.local.credentials import Credentials
from infra.local.iam import trusts
from infra.local.iam_roles import Role
from infra.local.wire import Caller, Request, Response

LIFETIME = timedelta(hours=1)
_PRINCIPAL = "cognito-identity.amazonaws.com"
_SETTINGS = frozenset(
    (
        "IdentityPoolId", "IdentityPoolName", "AllowUnauthenticatedIdentities", "AllowClassicFlow",
        "CognitoIdentityProviders", "IdentityPoolTags", "SupportedLoginProviders", "OpenIdConnectProviderARNs",
        "SamlProviderARNs",
    )
)  # fmt: skip
_EMPTY_ONLY = ("AllowClassicFlow", "SupportedLoginProviders", "OpenIdConnectProviderARNs", "SamlProviderARNs")


class UserPools(Protocol):
    """The user pools, as identity pools use them."""

    def read_id_token(self, pool_id: str, token: str) -> dict[str, Any]:
        """Return the claims of a pool's id token, expired or not; ValueError if it is none."""

    def is_signed_in(self, pool_id: str, claims: Mapping[str, Any]) -> bool:
        """Say whether the sign-in a token came of still stands."""


class Roles(Protocol):
    """STS, as identity pools use it."""

    async def find(self, role_arn: str) -> Role | None:
        """Return a role, or None."""

    def issue(self, role: Role, session_name: str, lifetime: timedelta, caller: Caller) -> Credentials:
        """Return credentials of a role."""


@dataclass(slots=True, kw_only=True)
class Identity:
    """Somebody an identity pool has met."""

    id: str
    created_at: datetime
    logins: dict[str, str] = field(default_factory=dict)
    """Provider to ``sub``."""


@dataclass(slots=True, kw_only=True)
class IdentityPool:
    """A pool of identities."""

    id: str
    settings: Document
    roles: dict[str, str] = field(default_factory=dict)
    role_mappings: dict[str, Document] = field(default_factory=dict)
    identities: dict[str, Identity] = field(default_factory=dict)

    def find(self, provider: str, sub: str) -> Identity | None:
        """Return who signs in like this."""
        return next((one for one in self.identities.values() if one.logins.get(provider) == sub), None)


class CognitoIdentity:
    """The service."""

    def __init__(
        self,
        clock: Clock,
        region: str,
        user_pools: UserPools,
        roles: Roles,
        *,
        make_uuid: Callable[[], uuid.UUID] = uuid.uuid4,
    ) -> None:
        self._clock = clock
        self._region = region
        self._user_pools = user_pools
        self._roles = roles
        self._make_uuid = make_uuid
        self._pools: dict[str, IdentityPool] = {}
        self._operations = carried("cognito-identity", (self,))

    async def handle(self, request: Request) -> Response:
        """Answer one call."""
        return await answer("cognito-identity", self._operations, request)

    async def create_identity_pool(self, params: Document) -> Document:
        """Make an identity pool."""
        _check(params)
        pool = IdentityPool(id=f"{self._region}:{self._make_uuid()}", settings=params)
        self._pools[pool.id] = pool
        return _describe(pool)

    async def update_identity_pool(self, params: Document) -> Document:
        """Set a pool's providers anew."""
        pool = self._get(params["IdentityPoolId"])
        _check(params)
        pool.settings = params
        return _describe(pool)

    async def describe_identity_pool(self, params: Document) -> Document:
        """Describe a pool."""
        return _describe(self._get(params["IdentityPoolId"]))

    async def delete_identity_pool(self, params: Document) -> Document:
        """Delete a pool and its identities."""
        del self._pools[self._get(params["IdentityPoolId"]).id]
        return {}

    async def list_identity_pools(self, params: Document) -> Document:
        """List pools, on one page."""
        pools = list(self._pools.values())[: params["MaxResults"]]
        names = [{"IdentityPoolId": pool.id, "IdentityPoolName": pool.settings["IdentityPoolName"]} for pool in pools]
        return {"IdentityPools": names}

    async def set_identity_pool_roles(self, params: Document) -> Document:
        """Say which roles identities get."""
        pool = self._get(params["IdentityPoolId"])
        for mapping in params.get("RoleMappings", {}).values():
            if mapping["Type"] == "Rules" and not mapping.get("RulesConfiguration"):
                raise CognitoError.invalid("A role mapping of type Rules has a RulesConfiguration.")
        pool.roles, pool.role_mappings = params["Roles"], params.get("RoleMappings", {})
        return {}

    async def get_identity_pool_roles(self, params: Document) -> Document:
        """Tell which roles identities get."""
        pool = self._get(params["IdentityPoolId"])
        return {"IdentityPoolId": pool.id, "Roles": pool.roles, "RoleMappings": pool.role_mappings}

    async def describe_identity(self, params: Document) -> Document:
        """Describe somebody."""
        return _describe_identity(self._find(params["IdentityId"])[1])

    async def list_identities(self, params: Document) -> Document:
        """List a pool's identities, on one page."""
        pool = self._get(params["IdentityPoolId"])
        identities = list(pool.identities.values())[: params["MaxResults"]]
        return {"IdentityPoolId": pool.id, "Identities": [_describe_identity(one) for one in identities]}

    async def delete_identities(self, params: Document) -> Document:
        """Forget identities."""
        for identity_id in params["IdentityIdsToDelete"]:
            for pool in self._pools.values():
                pool.identities.pop(identity_id, None)
        return {"UnprocessedIdentityIds": []}

    async def get_id(self, params: Document) -> Document:
        """Return the id of whoever is signed in: the same each time; without a sign-in, a new one each time."""
        pool = self._get(params["IdentityPoolId"])
        logins = self._verified(pool, params.get("Logins", {}))
        if not logins and not pool.settings["AllowUnauthenticatedIdentities"]:
            raise CognitoError.not_authorized("Unauthenticated access is not supported for this identity pool.")
        for provider, claims in logins.items():
            if (known := pool.find(provider, claims["sub"])) is not None:
                return {"IdentityId": known.id}
        identity = Identity(id=f"{self._region}:{self._make_uuid()}", created_at=self._clock.now())
        identity.logins = {provider: claims["sub"] for provider, claims in logins.items()}
        pool.identities[identity.id] = identity
        return {"IdentityId": identity.id}

    async def get_credentials_for_identity(self, params: Document) -> Document:
        """Return credentials, good for an hour, of the role that the pool's mapping gives this sign-in."""
        pool, identity = self._find(params["IdentityId"])
        logins = self._verified(pool, params.get("Logins", {}))
        _link(pool, identity, {provider: claims["sub"] for provider, claims in logins.items()})
        custom = params.get("CustomRoleArn")
        if logins:
            (provider, claims), *_ = logins.items()
            mapping = pool.role_mappings.get(f"{provider}:{claims['aud']}")
            arn = choose_role(mapping, claims, pool.roles.get("authenticated"), custom)
            amr = ["authenticated", provider, f"{provider}:CognitoSignIn:{claims['sub']}"]
        else:
            arn, amr = pool.roles.get("unauthenticated"), ["unauthenticated"]
        role = await self._trusted(arn, pool, identity, amr)
        caller = Caller(
            arn="",
            kind="cognito",
            cognito_identity_id=identity.id,
            cognito_identity_pool_id=pool.id,
            cognito_guest=not logins,
        )
        issued = self._roles.issue(role, "CognitoIdentityCredentials", LIFETIME, caller)
        credentials = {
            "AccessKeyId": issued.access_key_id,
            "SecretKey": issued.secret_access_key,
            "SessionToken": issued.session_token,
            "Expiration": issued.expires_at,
        }
        return {"IdentityId": identity.id, "Credentials": credentials}

    async def get_open_id_token(self, params: Document) -> Document:
        """Refuse the classic flow as a pool does that does not allow it, and none here does."""
        self._find(params["IdentityId"])
        raise CognitoError.invalid("Basic (classic) flow is not enabled, please use enhanced flow.")

    def _get(self, pool_id: str) -> IdentityPool:
        if pool_id not in self._pools:
            raise CognitoError.missing(f"IdentityPool '{pool_id}' not found.")
        return self._pools[pool_id]

    def _find(self, identity_id: str) -> tuple[IdentityPool, Identity]:
        for pool in self._pools.values():
            if identity_id in pool.identities:
                return pool, pool.identities[identity_id]
        raise CognitoError.missing(f"Identity '{identity_id}' not found.")

    def _verified(self, pool: IdentityPool, logins: Mapping[str, str]) -> dict[str, dict[str, Any]]:
        """Return each login's claims, once its token has proven to be the pool's, ours, and good now."""
        providers = pool.settings.get("CognitoIdentityProviders", ())
        return {provider: self._claims(providers, provider, token) for provider, token in logins.items()}

    def _claims(self, providers: list[Document], provider: str, token: str) -> dict[str, Any]:
        accepted = {one["ClientId"]: one for one in providers if one["ProviderName"] == provider}
        if not accepted:
            raise CognitoError.not_authorized("Token is not from a supported provider of this identity pool.")
        pool_id = provider.rpartition("/")[2]
        try:
            claims = self._user_pools.read_id_token(pool_id, token)
        except ValueError as error:
            raise CognitoError.not_authorized(
                "Invalid login token. Not a valid OpenId Connect identity token."
            ) from error
        now = int(self._clock.time())
        if claims["iss"] != f"https://{provider}":
            raise CognitoError.not_authorized("Invalid login token. Issuer doesn't match providerName")
        if claims["exp"] <= now:
            raise CognitoError.not_authorized(f"Invalid login token. Token expired: {claims['exp']} >= {now}")
        if claims["aud"] not in accepted:
            raise CognitoError.not_authorized("Invalid login token. Incorrect token audience.")
        if accepted[claims["aud"]].get("ServerSideTokenCheck") and not self._user_pools.is_signed_in(pool_id, claims):
            raise CognitoError.not_authorized("Invalid login token. Token is revoked or user is disabled.")
        return claims

    async def _trusted(self, arn: str | None, pool: IdentityPool, identity: Identity, amr: list[str]) -> Role:
        role = await self._roles.find(arn) if arn else None
        context: dict[str, str | list[str]] = {
            f"{_PRINCIPAL}:aud": pool.id,
            f"{_PRINCIPAL}:sub": identity.id,
            f"{_PRINCIPAL}:amr": amr,
        }
        action = "sts:AssumeRoleWithWebIdentity"
        if role is None or trusts(role.trust, action, "Federated", [_PRINCIPAL], context) is None:
            message = "Invalid identity pool configuration. Check assigned IAM roles for this pool."
            raise CognitoError("InvalidIdentityPoolConfigurationException", message)
        return role


def _link(pool: IdentityPool, identity: Identity, logins: Mapping[str, str]) -> None:
    """Pass an identity's own login; give one without any its first.

    Raises:
        CognitoError: the login is another identity's, or none was given for one that has some.
    """
    if not logins:
        if identity.logins or not pool.settings["AllowUnauthenticatedIdentities"]:
            raise CognitoError.not_authorized(f"Access to Identity '{identity.id}' is forbidden.")
        return
    for provider, sub in logins.items():
        owner = pool.find(provider, sub)
        if owner is None and not identity.logins:
            identity.logins[provider] = sub
        elif owner is not identity:
            raise CognitoError.not_authorized(f"Access to Identity '{identity.id}' is forbidden.")


def _describe(pool: IdentityPool) -> Document:
    return {**pool.settings, "IdentityPoolId": pool.id}


def _describe_identity(identity: Identity) -> Document:
    dates = {"CreationDate": identity.created_at, "LastModifiedDate": identity.created_at}
    return {"IdentityId": identity.id, "Logins": list(identity.logins), **dates}


def _check(params: Document) -> None:
    for name, value in params.items():
        if name not in _SETTINGS or (name in _EMPTY_ONLY and value):
            raise CognitoError.not_carried(f"IdentityPool {name}")
    for provider in params.get("CognitoIdentityProviders", ()):
        if not (provider.get("ProviderName") and provider.get("ClientId")):
            raise CognitoError.invalid("A CognitoIdentityProvider has a ProviderName and a ClientId.")
