"""What a signed-in person, or an administrator, does with an account: look, change, leave; and groups' members."""

import re

from infra.local.cognito.codes import Codes
from infra.local.cognito.directory import INTEGER, Document, Pool, User, dump_attributes, load_attributes
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.pools import Pools, describe_group
from infra.local.cognito.sign_up import check_writable, describe_user, set_password

_CONTACTS = ("email", "phone_number")
_PAGE = 60
_SEARCHABLE = frozenset(
    ("email", "phone_number", "name", "given_name", "family_name", "preferred_username", "sub")
)  # fmt: skip
_CONDITION = re.compile(r'\s*"?(?P<name>[\w:]+)"?\s*(?P<operator>\^?=)\s*"(?P<wanted>(?:[^"\\]|\\.)*)"\s*')


class Accounts:
    """Accounts, by access token or by an administrator."""

    def __init__(self, pools: Pools, codes: Codes) -> None:
        self._pools = pools
        self._codes = codes

    async def get_user(self, params: Document) -> Document:
        """Return the signed-in person's own attributes."""
        _pool, client, user = self._pools.get_signed_in(params["AccessToken"])
        readable = client.settings.get("ReadAttributes")
        return {"Username": user.name, "UserAttributes": dump_attributes(user.attributes, readable), **_factors(user)}

    async def update_user_attributes(self, params: Document) -> Document:
        """Change one's own attributes; a new address is to be verified by the code that goes there."""
        pool, client, user = self._pools.get_signed_in(params["AccessToken"])
        given = load_attributes(params["UserAttributes"])
        check_writable(client, given)
        pool.check_attributes(given)
        metadata = {"client_id": client.id, "metadata": params.get("ClientMetadata")}
        first_verify = pool.settings.get("UserAttributeUpdateSettings", {})
        waits = first_verify.get("AttributesRequireVerificationBeforeUpdate", ())
        sent = []
        for name, value in given.items():
            changed = name in _CONTACTS and value != user.attributes.get(name)
            if changed:
                _check_address(pool, user, name, value)
            if not (changed and name in waits):
                self._set(user, {name: value})
            if changed and name in pool.settings.get("AutoVerifiedAttributes", ()):
                source = "CustomMessage_UpdateUserAttribute"
                sent.append(await self._codes.send(pool, user, source, name, name, pending=value, **metadata))
        return {"CodeDeliveryDetailsList": sent}

    async def delete_user_attributes(self, params: Document) -> Document:
        """Take attributes off one's own account."""
        _pool, client, user = self._pools.get_signed_in(params["AccessToken"])
        check_writable(client, dict.fromkeys(params["UserAttributeNames"], ""))
        return self._delete_attributes(user, params)

    async def get_user_attribute_verification_code(self, params: Document) -> Document:
        """Send a code to one of one's own addresses."""
        pool, client, user = self._pools.get_signed_in(params["AccessToken"])
        name = params["AttributeName"]
        if name not in _CONTACTS or name not in user.attributes:
            raise CognitoError.invalid(f"Cannot verify attribute {name}: the user has none.")
        more = {"client_id": client.id, "metadata": params.get("ClientMetadata")}
        source = "CustomMessage_VerifyUserAttribute"
        return {"CodeDeliveryDetails": await self._codes.send(pool, user, source, name, name, **more)}

    async def verify_user_attribute(self, params: Document) -> Document:
        """Verify an address by the code that went there."""
        _pool, _client, user = self._pools.get_signed_in(params["AccessToken"])
        name = params["AttributeName"]
        code = self._codes.take(user, name, params["Code"])
        self._set(user, {name: code.pending or user.attributes[name], f"{name}_verified": "true"})
        return {}

    async def change_password(self, params: Document) -> Document:
        """Change one's own password, knowing the old one."""
        pool, _client, user = self._pools.get_signed_in(params["AccessToken"])
        previous = params.get("PreviousPassword", "")
        if user.verifier is None or not user.verifier.matches(pool.name, user.name, previous):
            raise CognitoError.not_authorized()
        pool.check_password(params["ProposedPassword"])
        set_password(self._pools, pool, user, params["ProposedPassword"])
        return {}

    async def delete_user(self, params: Document) -> Document:
        """Leave."""
        pool, _client, user = self._pools.get_signed_in(params["AccessToken"])
        return _delete(pool, user)

    async def global_sign_out(self, params: Document) -> Document:
        """End all of one's own sign-ins."""
        pool, _client, user = self._pools.get_signed_in(params["AccessToken"])
        pool.revoke_all(user)
        return {}

    async def admin_user_global_sign_out(self, params: Document) -> Document:
        """End all of somebody's sign-ins."""
        pool, user = self._named(params)
        pool.revoke_all(user)
        return {}

    async def admin_get_user(self, params: Document) -> Document:
        """Describe somebody."""
        _pool, user = self._named(params)
        return {**describe_user(user, "UserAttributes"), **_factors(user)}

    async def admin_delete_user(self, params: Document) -> Document:
        """Delete somebody."""
        return _delete(*self._named(params))

    async def admin_enable_user(self, params: Document) -> Document:
        """Let somebody in again."""
        self._named(params)[1].enabled = True
        return {}

    async def admin_disable_user(self, params: Document) -> Document:
        """Keep somebody out, and end their sign-ins."""
        pool, user = self._named(params)
        user.enabled = False
        pool.revoke_all(user)
        return {}

    async def admin_update_user_attributes(self, params: Document) -> Document:
        """Change somebody's attributes, ``email_verified`` among them."""
        pool, user = self._named(params)
        given = load_attributes(params["UserAttributes"])
        pool.check_attributes(given, admin=True)
        for name in _CONTACTS:
            if name in given:
                _check_address(pool, user, name, given[name])
        self._set(user, given)
        return {}

    async def admin_delete_user_attributes(self, params: Document) -> Document:
        """Take attributes off somebody's account."""
        return self._delete_attributes(self._named(params)[1], params)

    async def admin_add_user_to_group(self, params: Document) -> Document:
        """Put somebody into a group."""
        pool, user = self._named(params)
        user.groups.add(pool.get_group(params["GroupName"]).name)
        return {}

    async def admin_remove_user_from_group(self, params: Document) -> Document:
        """Take somebody out of a group."""
        pool, user = self._named(params)
        user.groups.discard(pool.get_group(params["GroupName"]).name)
        return {}

    async def admin_list_groups_for_user(self, params: Document) -> Document:
        """List somebody's groups."""
        pool, user = self._named(params)
        return {"Groups": [describe_group(pool, group) for group in pool.groups_of(user)]}

    async def list_users_in_group(self, params: Document) -> Document:
        """List a group's members."""
        pool = self._pools.get(params)
        group = pool.get_group(params["GroupName"])
        members = [user for user in pool.users.values() if group.name in user.groups]
        return _page(members, params, "NextToken")

    async def list_users(self, params: Document) -> Document:
        """List users, all or those that one comparison finds."""
        pool = self._pools.get(params)
        users = [user for user in pool.users.values() if _matches(user, params.get("Filter", ""))]
        return _page(users, params, "PaginationToken")

    def _named(self, params: Document) -> tuple[Pool, User]:
        pool = self._pools.get(params)
        return pool, pool.get_user(params["Username"])

    def _set(self, user: User, given: dict[str, str]) -> None:
        for name, value in given.items():
            if name in _CONTACTS and value != user.attributes.get(name):
                user.attributes[f"{name}_verified"] = "false"
            user.attributes[name] = value
        user.attributes.update({name: value for name, value in given.items() if name.endswith("_verified")})
        user.modified_at = self._pools.clock.now()

    def _delete_attributes(self, user: User, params: Document) -> Document:
        for name in params["UserAttributeNames"]:
            if name == "sub":
                raise CognitoError.invalid("Cannot delete attribute sub")
            user.attributes.pop(name, None)
            user.attributes.pop(f"{name}_verified", None)
        user.modified_at = self._pools.clock.now()
        return {}


def _delete(pool: Pool, user: User) -> Document:
    pool.revoke_all(user)
    pool.users.pop(pool.plain(user.name), None)
    return {}


def _check_address(pool: Pool, user: User, name: str, value: str) -> None:
    if name in pool.settings.get("UsernameAttributes", ()) and pool.find_user(value) not in (None, user):
        raise CognitoError("AliasExistsException", f"An account with the given {name} already exists.")


def _factors(user: User) -> Document:
    return (
        {"UserMFASettingList": ["SOFTWARE_TOKEN_MFA"], "PreferredMfaSetting": "SOFTWARE_TOKEN_MFA"}
        if user.totp_enabled
        else {}
    )


def _page(users: list[User], params: Document, token: str) -> Document:
    if not INTEGER.fullmatch(params.get(token, "0")):
        raise CognitoError.invalid("Invalid pagination token given.")
    start = max(0, int(params.get(token, "0")))
    end = start + params.get("Limit", _PAGE)
    wanted = params.get("AttributesToGet")
    more = {token: str(end)} if end < len(users) else {}
    return {"Users": [describe_user(user, readable=wanted) for user in users[start:end]], **more}


def _matches(user: User, condition: str) -> bool:
    """Judge ``email = "a@b.c"`` or ``email ^= "a"``: one attribute, no conjunction. (Searching for user attributes)."""
    if not condition:
        return True
    found = _CONDITION.fullmatch(condition)
    if found is None:
        raise CognitoError.invalid("Error while parsing filter")
    name, operator, wanted = found["name"], found["operator"], found["wanted"].replace('\\"', '"')
    special = {
        "username": user.name,
        "status": "Enabled" if user.enabled else "Disabled",
        "cognito:user_status": user.status,
    }
    if name not in special and name not in _SEARCHABLE:
        raise CognitoError.invalid(f"Error while parsing filter: {name} is not a searchable attribute")
    actual = special.get(name, user.attributes.get(name, ""))
    return actual.startswith(wanted) if operator == "^=" else actual == wanted
