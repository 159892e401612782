"""User pools, app clients and groups: their control plane, and where all other operations find them.

What of a pool or a client the local cloud does not carry is refused by its name when it is created or updated.
"""

import asyncio
import base64
import secrets
from collections.abc import Callable, Mapping
from typing import Any

from infra.local.clock import Clock
from infra.local.cognito import triggers
from infra.local.cognito.directory import INTEGER, STANDARD_ATTRIBUTES, Client, Document, Group, Pool, User
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.tokens import SigningKeys, peek_issuer, read_access_token
from infra.local.config import ACCOUNT_ID

_POOL_SETTINGS = frozenset(
    (
        "PoolName", "Policies", "DeletionProtection", "LambdaConfig", "AutoVerifiedAttributes", "UsernameAttributes",
        "EmailVerificationMessage", "EmailVerificationSubject", "VerificationMessageTemplate", "MfaConfiguration",
        "UserAttributeUpdateSettings", "EmailConfiguration", "UserPoolTags", "AdminCreateUserConfig", "Schema",
        "UsernameConfiguration", "AccountRecoverySetting", "UserPoolAddOns", "UserPoolTier", "UserPoolId",
    )
)  # fmt: skip
_CLIENT_SETTINGS = frozenset(
    (
        "UserPoolId", "ClientId", "ClientName", "GenerateSecret", "RefreshTokenValidity", "AccessTokenValidity",
        "IdTokenValidity", "TokenValidityUnits", "ReadAttributes", "WriteAttributes", "ExplicitAuthFlows",
        "SupportedIdentityProviders", "PreventUserExistenceErrors", "EnableTokenRevocation", "AuthSessionValidity",
    )
)  # fmt: skip
_FIXED = ("UsernameAttributes", "UsernameConfiguration", "Schema")
"""What UpdateUserPool cannot change and keeps."""
_CLIENT_DEFAULTS = {
    "RefreshTokenValidity": 30,
    "EnableTokenRevocation": True,
    "AuthSessionValidity": 3,
    "PreventUserExistenceErrors": "LEGACY",
}
_ALPHABET = "0123456789abcdefghijklmnopqrstuvwxyz"


class Pools:
    """Every user pool of the account."""

    def __init__(
        self,
        clock: Clock,
        region: str,
        *,
        random_bytes: Callable[[int], bytes] = secrets.token_bytes,
        make_keys: Callable[[], SigningKeys] = SigningKeys.generate,
    ) -> None:
        self.clock = clock
        self.random_bytes = random_bytes
        self._region = region
        self._make_keys = make_keys
        self._pools: dict[str, Pool] = {}

    def find(self, pool_id: str) -> Pool | None:
        """Return a pool, or None."""
        return self._pools.get(pool_id)

    def get(self, params: Mapping[str, Any]) -> Pool:
        """Return the pool that a request names.

        Raises:
            CognitoError: there is none.
        """
        pool = self._pools.get(params["UserPoolId"])
        if pool is None:
            raise CognitoError.missing(f"User pool {params['UserPoolId']} does not exist.")
        return pool

    def get_client(self, client_id: str) -> tuple[Pool, Client]:
        """Return an app client and its pool.

        Raises:
            CognitoError: there is none.
        """
        for pool in self._pools.values():
            if client_id in pool.clients:
                return pool, pool.clients[client_id]
        raise CognitoError.missing(f"User pool client {client_id} does not exist.")

    def get_signed_in(self, access_token: str) -> tuple[Pool, Client, User]:
        """Return whose access token this is, if it is good now.

        Raises:
            CognitoError: it is none, has expired, was revoked, or its user is gone.
        """
        pool = self._pools.get(peek_issuer(access_token).rpartition("/")[2])
        if pool is None:
            raise CognitoError.not_authorized("Invalid Access Token")
        claims = read_access_token(pool.keys, access_token, self.clock.now())
        sign_in = pool.sign_ins.get(claims["origin_jti"])
        if sign_in is not None and sign_in.revoked:
            raise CognitoError.not_authorized("Access Token has been revoked")
        user = pool.get_user(claims["sub"])
        if not user.enabled:
            raise CognitoError.not_authorized("User is disabled.")
        return pool, self.get_client(claims["client_id"])[1], user

    def word(self, length: int) -> str:
        """Return a fresh random word of small letters and digits."""
        return "".join(_ALPHABET[byte % 36] for byte in self.random_bytes(length))

    async def create_user_pool(self, params: Document) -> Document:
        """Make a pool with keys of its own."""
        _check_pool(params)
        pool_id = f"{self._region}_{self.word(9)}"
        now = self.clock.now()
        pool = Pool(
            id=pool_id,
            arn=f"arn:aws:cognito-idp:{self._region}:{ACCOUNT_ID}:userpool/{pool_id}",
            settings=params,
            keys=await asyncio.to_thread(self._make_keys),  # a fifth of a second of arithmetic
            created_at=now,
            modified_at=now,
        )
        _add_custom(pool, params.get("Schema", ()))
        self._pools[pool_id] = pool
        return {"UserPool": _describe(pool)}

    async def describe_user_pool(self, params: Document) -> Document:
        """Describe a pool."""
        return {"UserPool": _describe(self.get(params))}

    async def update_user_pool(self, params: Document) -> Document:
        """Set what is given; as on AWS, what is not given goes back to its default."""
        pool = self.get(params)
        _check_pool(params)
        kept = {name: pool.settings[name] for name in (*_FIXED, "PoolName") if name in pool.settings}
        pool.settings = {**kept, **{name: value for name, value in params.items() if name != "UserPoolId"}}
        pool.modified_at = self.clock.now()
        return {}

    async def delete_user_pool(self, params: Document) -> Document:
        """Delete a pool and everybody in it."""
        pool = self.get(params)
        if pool.settings.get("DeletionProtection") == "ACTIVE":
            message = "The user pool cannot be deleted because deletion protection is activated. "
            raise CognitoError.invalid(message + "Deletion protection must be inactivated first.")
        del self._pools[pool.id]
        return {}

    async def list_user_pools(self, params: Document) -> Document:
        """List all pools, on one page."""
        pools = list(self._pools.values())[: params["MaxResults"]]
        names = ("Id", "Name", "LambdaConfig", "LastModifiedDate", "CreationDate")
        return {"UserPools": [{name: _describe(pool)[name] for name in names} for pool in pools]}

    async def add_custom_attributes(self, params: Document) -> Document:
        """Widen the schema."""
        _add_custom(self.get(params), params["CustomAttributes"])
        return {}

    async def set_user_pool_mfa_config(self, params: Document) -> Document:
        """Switch the second factor off, on or optional; authenticator apps are the one that is carried."""
        pool = self.get(params)
        for name in ("SmsMfaConfiguration", "EmailMfaConfiguration", "WebAuthnConfiguration"):
            if params.get(name):
                raise CognitoError.not_carried(name)
        pool.settings["MfaConfiguration"] = params.get("MfaConfiguration", "OFF")
        if "SoftwareTokenMfaConfiguration" in params:
            pool.settings["SoftwareTokenMfaConfiguration"] = params["SoftwareTokenMfaConfiguration"]
        return await self.get_user_pool_mfa_config(params)

    async def get_user_pool_mfa_config(self, params: Document) -> Document:
        """Say which second factors are on."""
        settings = self.get(params).settings
        token = settings.get("SoftwareTokenMfaConfiguration", {"Enabled": False})
        return {"MfaConfiguration": settings.get("MfaConfiguration", "OFF"), "SoftwareTokenMfaConfiguration": token}

    async def list_tags_for_resource(self, params: Document) -> Document:
        """List a pool's tags."""
        return {"Tags": self._by_arn(params).settings.get("UserPoolTags", {})}

    async def tag_resource(self, params: Document) -> Document:
        """Add tags to a pool."""
        pool = self._by_arn(params)
        pool.settings["UserPoolTags"] = {**pool.settings.get("UserPoolTags", {}), **params["Tags"]}
        return {}

    async def untag_resource(self, params: Document) -> Document:
        """Take tags off a pool."""
        for name in params["TagKeys"]:
            self._by_arn(params).settings.get("UserPoolTags", {}).pop(name, None)
        return {}

    async def create_user_pool_client(self, params: Document) -> Document:
        """Make an app client, with a secret if asked for."""
        pool = self.get(params)
        _check_client(params)
        now = self.clock.now()
        secret = base64.b32encode(self.random_bytes(30)).decode().lower() if params.get("GenerateSecret") else None
        client = Client(id=self.word(26), settings=params, created_at=now, modified_at=now, secret=secret)
        pool.clients[client.id] = client
        return {"UserPoolClient": _describe_client(pool, client)}

    async def describe_user_pool_client(self, params: Document) -> Document:
        """Describe an app client."""
        return {"UserPoolClient": _describe_client(*self._client_of(params))}

    async def update_user_pool_client(self, params: Document) -> Document:
        """Set what is given; what is not given goes back to its default."""
        pool, client = self._client_of(params)
        _check_client(params)
        client.settings = {"ClientName": client.settings["ClientName"], **params}
        client.modified_at = self.clock.now()
        return {"UserPoolClient": _describe_client(pool, client)}

    async def delete_user_pool_client(self, params: Document) -> Document:
        """Delete an app client; its sign-ins can no longer be refreshed."""
        pool, client = self._client_of(params)
        del pool.clients[client.id]
        return {}

    async def list_user_pool_clients(self, params: Document) -> Document:
        """List a pool's clients, on one page."""
        pool = self.get(params)
        names = ("ClientId", "UserPoolId", "ClientName")
        return {
            "UserPoolClients": [
                {name: _describe_client(pool, client)[name] for name in names} for client in pool.clients.values()
            ]
        }

    async def create_group(self, params: Document) -> Document:
        """Make a group."""
        pool = self.get(params)
        if params["GroupName"] in pool.groups:
            raise CognitoError("GroupExistsException", "A group with the name already exists.")
        now = self.clock.now()
        group = Group(name=params["GroupName"], created_at=now, modified_at=now, settings=params)
        pool.groups[group.name] = group
        return {"Group": describe_group(pool, group)}

    async def get_group(self, params: Document) -> Document:
        """Describe a group."""
        pool = self.get(params)
        return {"Group": describe_group(pool, pool.get_group(params["GroupName"]))}

    async def update_group(self, params: Document) -> Document:
        """Change a group."""
        pool = self.get(params)
        group = pool.get_group(params["GroupName"])
        group.settings = {**group.settings, **params}
        group.modified_at = self.clock.now()
        return {"Group": describe_group(pool, group)}

    async def delete_group(self, params: Document) -> Document:
        """Delete a group; its members stay."""
        pool = self.get(params)
        group = pool.get_group(params["GroupName"])
        for user in pool.users.values():
            user.groups.discard(group.name)
        del pool.groups[group.name]
        return {}

    async def list_groups(self, params: Document) -> Document:
        """List a pool's groups, on one page."""
        pool = self.get(params)
        return {"Groups": [describe_group(pool, group) for group in pool.groups.values()]}

    def _by_arn(self, params: Document) -> Pool:
        return self.get({"UserPoolId": params["ResourceArn"].rpartition("/")[2]})

    def _client_of(self, params: Document) -> tuple[Pool, Client]:
        pool = self.get(params)
        if params["ClientId"] not in pool.clients:
            raise CognitoError.missing(f"User pool client {params['ClientId']} does not exist.")
        return pool, pool.clients[params["ClientId"]]


def describe_group(pool: Pool, group: Group) -> Document:
    """Return a group as the API shows it."""
    dates = {"CreationDate": group.created_at, "LastModifiedDate": group.modified_at}
    return {**group.settings, "UserPoolId": pool.id, **dates}


def _describe(pool: Pool) -> Document:
    settings = {name: value for name, value in pool.settings.items() if name not in ("PoolName", "Schema")}
    settings.pop("SoftwareTokenMfaConfiguration", None)
    standard = [
        {"Name": name, "AttributeDataType": _data_type(name), "Mutable": name != "sub"} for name in STANDARD_ATTRIBUTES
    ]
    required = {rule["Name"]: rule for rule in pool.settings.get("Schema", ())}
    return {
        "MfaConfiguration": "OFF",
        "LambdaConfig": {},
        "AdminCreateUserConfig": {"AllowAdminCreateUserOnly": False},
        "DeletionProtection": "INACTIVE",
        **settings,
        "Policies": {"PasswordPolicy": pool.password_policy()},
        "Id": pool.id,
        "Name": pool.settings["PoolName"],
        "Arn": pool.arn,
        "CreationDate": pool.created_at,
        "LastModifiedDate": pool.modified_at,
        "EstimatedNumberOfUsers": len(pool.users),
        "SchemaAttributes": [
            *({**rule, **required.get(rule["Name"], {})} for rule in standard),
            *({**rule, "Name": name} for name, rule in pool.custom_attributes.items()),
        ],
    }


def _describe_client(pool: Pool, client: Client) -> Document:
    settings = {name: value for name, value in client.settings.items() if name != "GenerateSecret"}
    dates = {"CreationDate": client.created_at, "LastModifiedDate": client.modified_at}
    secret = {"ClientSecret": client.secret} if client.secret else {}
    return {**_CLIENT_DEFAULTS, **settings, "ClientId": client.id, "UserPoolId": pool.id, **dates, **secret}


def _data_type(name: str) -> str:
    return "Boolean" if name.endswith("_verified") else "Number" if name == "updated_at" else "String"


def _add_custom(pool: Pool, rules: Any) -> None:
    for rule in rules:
        bounds = {**rule.get("StringAttributeConstraints", {}), **rule.get("NumberAttributeConstraints", {})}
        if not rule.get("Name") or not all(map(INTEGER.fullmatch, bounds.values())):
            raise CognitoError.invalid("A schema attribute has a name, and whole numbers for its constraints.")
        if rule["Name"] in STANDARD_ATTRIBUTES:
            continue
        name = f"custom:{rule['Name'].removeprefix('custom:')}"
        if name in pool.custom_attributes:
            raise CognitoError.invalid(f"{name}: Existing attribute already has name {name}.")
        pool.custom_attributes[name] = rule


def _check_pool(params: Document) -> None:
    _check_known(params, _POOL_SETTINGS, "UserPool")
    _check_known(params.get("LambdaConfig", {}), triggers.CARRIED, "UserPool LambdaConfig")
    config = params.get("LambdaConfig", {}).get("PreTokenGenerationConfig", {})
    template = params.get("VerificationMessageTemplate", {})
    policies = params.get("Policies", {})
    refused = {
        "PreTokenGeneration V3_0": config.get("LambdaVersion") == "V3_0",
        "DefaultEmailOption CONFIRM_WITH_LINK": template.get("DefaultEmailOption") == "CONFIRM_WITH_LINK",
        "PasswordHistorySize": policies.get("PasswordPolicy", {}).get("PasswordHistorySize"),
        "sign-in without a password": policies.get("SignInPolicy", {}).get("AllowedFirstAuthFactors", ["PASSWORD"])
        != ["PASSWORD"],
        "threat protection": params.get("UserPoolAddOns", {}).get("AdvancedSecurityMode", "OFF") != "OFF",
    }
    _refuse(refused)


def _check_client(params: Document) -> None:
    _check_known(params, _CLIENT_SETTINGS, "UserPoolClient")
    _refuse(
        {
            "sign-in through other identity providers": params.get("SupportedIdentityProviders", ["COGNITO"])
            != ["COGNITO"],
            "ALLOW_USER_AUTH": "ALLOW_USER_AUTH" in params.get("ExplicitAuthFlows", ()),
        }
    )
    client = Client(id="", settings=params, created_at=None, modified_at=None)  # type: ignore[arg-type]  # only asked
    for token, least_s, most_s in (("Access", 300, 86400), ("Id", 300, 86400), ("Refresh", 3600, 315360000)):
        if not least_s <= client.lifetime(token).total_seconds() <= most_s:
            raise CognitoError.invalid(f"Invalid range for token validity: {token}TokenValidity")


def _check_known(params: Mapping[str, Any], carried: frozenset[str], what: str) -> None:
    for name in params:
        if name not in carried:
            raise CognitoError.not_carried(f"{what} {name}")


def _refuse(refused: Mapping[str, Any]) -> None:
    for what, found in refused.items():
        if found:
            raise CognitoError.not_carried(what)
