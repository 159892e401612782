"""How people come into a pool, and back in when they forgot their password."""

import hashlib
import hmac
from base64 import b64encode
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from infra.local.cognito import srp
from infra.local.cognito.codes import Codes, delivery, recovery_attribute, verifiable
from infra.local.cognito.directory import (
    Client,
    Document,
    Pool,
    User,
    dump_attributes,
    load_attributes,
    verified_contacts,
)
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.pools import Pools
from infra.local.cognito.sign_ins import SignIns
from infra.local.cognito.triggers import Triggers


class SignUp:
    """SignUp to ConfirmForgotPassword, and the administrator's own ways."""

    def __init__(self, pools: Pools, sign_ins: SignIns, codes: Codes, triggers: Triggers) -> None:
        self._pools = pools
        self._sign_ins = sign_ins
        self._codes = codes
        self._triggers = triggers

    async def sign_up(self, params: Document) -> Document:
        """Register; unless a trigger confirms at once, a code goes to the address that is to be verified."""
        pool, client = self._pools.get_client(params["ClientId"])
        check_secret(client, params["Username"], params.get("SecretHash"))
        if pool.settings.get("AdminCreateUserConfig", {}).get("AllowAdminCreateUserOnly"):
            raise CognitoError.not_authorized("SignUp is not permitted for this user pool")
        given = load_attributes(params.get("UserAttributes"))
        check_writable(client, given)
        user = self._new_user(pool, params["Username"], given)
        pool.check_attributes(given | _login(pool, params["Username"]), creating=True)
        pool.check_password(params.get("Password", ""))
        await self._pre_sign_up(pool, user, "PreSignUp_SignUp", client.id, params)
        set_password(self._pools, pool, user, params["Password"])
        self._admit(pool, user, params["Username"])
        answer: Document = {"UserConfirmed": user.status == "CONFIRMED", "UserSub": user.sub}
        metadata = params.get("ClientMetadata")
        if user.status == "CONFIRMED":
            await self._confirmed(pool, user, "PostConfirmation_ConfirmSignUp", client.id, metadata)
        elif attribute := verifiable(pool, user):
            more = {"client_id": client.id, "metadata": metadata}
            sent = await self._codes.send(pool, user, "CustomMessage_SignUp", "sign_up", attribute, **more)
            answer["CodeDeliveryDetails"] = sent
        return answer

    async def confirm_sign_up(self, params: Document) -> Document:
        """Confirm by the code from the inbox."""
        pool, client, user = self._named(params)
        if user is None:
            raise CognitoError.code_mismatch() if client.hides_users else CognitoError.no_user()
        if user.status != "UNCONFIRMED":
            raise CognitoError.not_authorized(f"User cannot be confirmed. Current status is {user.status}")
        self._codes.take(user, "sign_up", params["ConfirmationCode"])
        user.status = "CONFIRMED"
        if attribute := verifiable(pool, user):
            user.attributes[f"{attribute}_verified"] = "true"
        user.modified_at = self._pools.clock.now()
        source = "PostConfirmation_ConfirmSignUp"
        await self._confirmed(pool, user, source, client.id, params.get("ClientMetadata"))
        return {}

    async def resend_confirmation_code(self, params: Document) -> Document:
        """Send a new sign-up code; the old one is no longer good."""
        pool, client, user = self._named(params)
        if user is None or (client.hides_users and not user.enabled):
            return _pretended(client, params["Username"])
        if user.status != "UNCONFIRMED":
            raise CognitoError.invalid("User is already confirmed.")
        attribute = verifiable(pool, user)
        if attribute is None:
            raise CognitoError.invalid("Auto verification not turned on.")
        more = {"client_id": client.id, "metadata": params.get("ClientMetadata")}
        sent = await self._codes.send(pool, user, "CustomMessage_ResendCode", "sign_up", attribute, **more)
        return {"CodeDeliveryDetails": sent}

    async def forgot_password(self, params: Document) -> Document:
        """Send a code to a verified address; who may not learn of users, does not learn whether there is one either."""
        pool, client, user = self._named(params)
        if user is None or (client.hides_users and not (user.enabled and any(verified_contacts(user)))):
            return _pretended(client, params["Username"])
        return await self._send_reset(pool, user, client.id, params.get("ClientMetadata"))

    async def confirm_forgot_password(self, params: Document) -> Document:
        """Set a new password by the code from the inbox."""
        pool, client, user = self._named(params)
        if user is None or not user.enabled:
            raise CognitoError.code_mismatch() if client.hides_users else CognitoError.no_user()
        pool.check_password(params["Password"])
        self._codes.take(user, "reset", params["ConfirmationCode"])
        set_password(self._pools, pool, user, params["Password"])
        user.status = "CONFIRMED"
        source = "PostConfirmation_ConfirmForgotPassword"
        await self._confirmed(pool, user, source, client.id, params.get("ClientMetadata"))
        return {}

    async def admin_create_user(self, params: Document) -> Document:
        """Invite somebody with a temporary password, or send the invitation again."""
        pool = self._pools.get(params)
        if params.get("MessageAction") == "RESEND":
            user = pool.get_user(params["Username"])
            if user.status != "FORCE_CHANGE_PASSWORD":
                raise CognitoError("UnsupportedUserStateException", "Resend not possible. User is already confirmed.")
        else:
            given = load_attributes(params.get("UserAttributes"))
            user = self._new_user(pool, params["Username"], given)
            pool.check_attributes(given | _login(pool, params["Username"]), creating=True, admin=True)
            await self._pre_sign_up(pool, user, "PreSignUp_AdminCreateUser", "CLIENT_ID_NOT_APPLICABLE", params)
            self._admit(pool, user, params["Username"])
        password = params.get("TemporaryPassword") or f"{self._pools.word(10)}aA1!"
        pool.check_password(password)
        set_password(self._pools, pool, user, password)
        user.status = "FORCE_CHANGE_PASSWORD"
        days = pool.password_policy()["TemporaryPasswordValidityDays"]
        user.temporary_until = self._pools.clock.now() + timedelta(days=days)
        if params.get("MessageAction") != "SUPPRESS":
            attribute = "email" if "email" in user.attributes else "phone_number"
            medium, to = ("EMAIL" if attribute == "email" else "SMS"), user.attributes.get(attribute, user.name)
            metadata = params.get("ClientMetadata")
            source = "CustomMessage_AdminCreateUser"
            await self._codes.write(pool, user, source, medium, to, code=password, metadata=metadata)
        return {"User": describe_user(user)}

    async def admin_confirm_sign_up(self, params: Document) -> Document:
        """Confirm without a code; the address stays unverified, as on AWS."""
        pool = self._pools.get(params)
        user = pool.get_user(params["Username"])
        if user.status != "UNCONFIRMED":
            raise CognitoError.not_authorized(f"User cannot be confirmed. Current status is {user.status}")
        user.status = "CONFIRMED"
        user.codes.pop("sign_up", None)
        source = "PostConfirmation_ConfirmSignUp"
        await self._confirmed(pool, user, source, "CLIENT_ID_NOT_APPLICABLE", params.get("ClientMetadata"))
        return {}

    async def admin_reset_user_password(self, params: Document) -> Document:
        """Make the old password useless and send a code to set a new one."""
        pool = self._pools.get(params)
        user = pool.get_user(params["Username"])
        await self._send_reset(pool, user, "CLIENT_ID_NOT_APPLICABLE", params.get("ClientMetadata"))
        user.status = "RESET_REQUIRED"
        return {}

    async def admin_set_user_password(self, params: Document) -> Document:
        """Set a password, temporary unless told otherwise."""
        pool = self._pools.get(params)
        user = pool.get_user(params["Username"])
        pool.check_password(params["Password"])
        set_password(self._pools, pool, user, params["Password"])
        permanent = params.get("Permanent", False)
        user.status = "CONFIRMED" if permanent else "FORCE_CHANGE_PASSWORD"
        days = pool.password_policy()["TemporaryPasswordValidityDays"]
        user.temporary_until = None if permanent else self._pools.clock.now() + timedelta(days=days)
        return {}

    async def _send_reset(self, pool: Pool, user: User, client_id: str, metadata: Mapping[str, str] | None) -> Document:
        if not user.enabled:
            raise CognitoError.not_authorized("User is disabled.")
        if user.status == "FORCE_CHANGE_PASSWORD":
            raise CognitoError.not_authorized("User password cannot be reset in the current state.")
        attribute = recovery_attribute(pool, user)
        more = {"client_id": client_id, "metadata": metadata}
        sent = await self._codes.send(pool, user, "CustomMessage_ForgotPassword", "reset", attribute, **more)
        return {"CodeDeliveryDetails": sent}

    def _named(self, params: Document) -> tuple[Pool, Client, User | None]:
        pool, client = self._pools.get_client(params["ClientId"])
        check_secret(client, params["Username"], params.get("SecretHash"))
        return pool, client, pool.find_user(params["Username"])

    def _new_user(self, pool: Pool, login: str, given: Mapping[str, str]) -> User:
        sub = self._sign_ins.uuid()
        now = self._pools.clock.now()
        by_address = _login(pool, login)
        attributes = {"sub": sub, **given, **by_address}
        return User(name=sub if by_address else login, attributes=attributes, created_at=now, modified_at=now)

    async def _pre_sign_up(self, pool: Pool, user: User, source: str, client_id: str, params: Document) -> None:
        _check_free(pool, params["Username"])
        request = {
            "validationData": load_attributes(params.get("ValidationData")),
            "clientMetadata": params.get("ClientMetadata", {}),
        }
        blank = {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False}
        answer = await self._triggers.run(pool, source, user, client_id=client_id, request=request, response=blank)
        _check_free(pool, params["Username"])  # again: somebody may have come in while the function ran
        if answer is None:
            return
        if answer.get("autoConfirmUser"):
            user.status = "CONFIRMED"
        for attribute, key in (("email", "autoVerifyEmail"), ("phone_number", "autoVerifyPhone")):
            if answer.get(key) and attribute in user.attributes:
                user.attributes[f"{attribute}_verified"] = "true"

    def _admit(self, pool: Pool, user: User, login: str) -> None:
        _check_free(pool, login)
        pool.users[pool.plain(user.name)] = user

    async def _confirmed(
        self, pool: Pool, user: User, source: str, client_id: str, metadata: Mapping[str, str] | None
    ) -> None:
        request = {"clientMetadata": dict(metadata or {})}
        await self._triggers.run(pool, source, user, client_id=client_id, request=request)


def set_password(pools: Pools, pool: Pool, user: User, password: str) -> None:
    """Keep what is needed to check a password; a lock-out and a temporary password's end go with the old one."""
    user.verifier = srp.build_verifier(pool.name, user.name, password, pools.random_bytes(16))
    user.temporary_until = None
    user.failures = 0
    user.locked_until = None
    user.modified_at = pools.clock.now()


def check_secret(client: Client, username: str, given: str | None) -> None:
    """Pass a request of a client without a secret, or one that proves to know it ("Computing secret hash values")."""
    if client.secret is None:
        if given:
            raise CognitoError.not_authorized(
                f"Client {client.id} is not configured with secret but secret was received"
            )
        return
    if given is None:
        message = f"Client {client.id} is configured with secret but SECRET_HASH was not received"
        raise CognitoError.not_authorized(message)
    expected = b64encode(hmac.new(client.secret.encode(), f"{username}{client.id}".encode(), hashlib.sha256).digest())
    if not hmac.compare_digest(expected, given.encode()):
        raise CognitoError.not_authorized(f"SecretHash does not match for the client: {client.id}")


def check_writable(client: Client, given: Mapping[str, str]) -> None:
    """Pass attributes that this client may write."""
    allowed = client.settings.get("WriteAttributes")
    if allowed is not None and not set(given) <= set(allowed):
        raise CognitoError.not_authorized("A client attempted to write unauthorized attribute")


def describe_user(user: User, attributes: str = "Attributes", readable: list[str] | None = None) -> dict[str, Any]:
    """Return a user as administrators see one."""
    return {
        "Username": user.name,
        attributes: dump_attributes(user.attributes, readable),
        "UserCreateDate": user.created_at,
        "UserLastModifiedDate": user.modified_at,
        "Enabled": user.enabled,
        "UserStatus": user.status,
    }


def _login(pool: Pool, login: str) -> dict[str, str]:
    """Return the attribute that a login stands for, where people sign in by an address."""
    addresses = pool.settings.get("UsernameAttributes", ())
    if not addresses:
        return {}
    if "email" in addresses and "@" in login:
        return {"email": login}
    if "phone_number" in addresses and login.startswith("+"):
        return {"phone_number": login}
    kinds = " or a ".join("an email" if name == "email" else "phone number" for name in addresses)
    raise CognitoError.invalid(f"Username should be {kinds}.")


def _check_free(pool: Pool, login: str) -> None:
    if pool.find_user(login) is None:
        return
    by_address = _login(pool, login)
    what = next(iter(by_address), None)
    message = f"An account with the given {what} already exists." if what else "User already exists"
    raise CognitoError("UsernameExistsException", message)


def _pretended(client: Client, login: str) -> Document:
    if not client.hides_users:
        raise CognitoError.no_user()
    return {"CodeDeliveryDetails": delivery("email", login if "@" in login else f"{login}@e")}
