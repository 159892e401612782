"""How people sign in: InitiateAuth and what follows until there are tokens.

Follows "Authentication flows" and "User pool API authentication" (Amazon Cognito Developer Guide).
"""

import base64
import hashlib
import json
from collections.abc import Mapping
from datetime import timedelta

from infra.local.cognito import srp, totp
from infra.local.cognito.challenges import Challenge, Challenges
from infra.local.cognito.custom_auth import CustomAuth
from infra.local.cognito.directory import Client, Document, Pool, User
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.pools import Pools
from infra.local.cognito.sign_ins import SignIns
from infra.local.cognito.sign_up import check_secret, set_password
from infra.local.cognito.triggers import Triggers

_FREE_FAILURES = 5
_MAX_LOCK = timedelta(minutes=15)
_PASSWORD_FLOWS = {
    "USER_PASSWORD_AUTH": ("ALLOW_USER_PASSWORD_AUTH", "USER_PASSWORD_AUTH"),
    "ADMIN_USER_PASSWORD_AUTH": ("ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"),
    "ADMIN_NO_SRP_AUTH": ("ALLOW_ADMIN_USER_PASSWORD_AUTH", "ADMIN_NO_SRP_AUTH"),
}
_NEEDED = {
    "USER_SRP_AUTH": ("USERNAME", "SRP_A"),
    "CUSTOM_AUTH": ("USERNAME",),
    **dict.fromkeys(_PASSWORD_FLOWS, ("USERNAME", "PASSWORD")),
}


class Flows:
    """The sign-in operations, the users' and the administrators'."""

    def __init__(self, pools: Pools, sign_ins: SignIns, challenges: Challenges, triggers: Triggers) -> None:
        self._pools = pools
        self._sign_ins = sign_ins
        self._challenges = challenges
        self._triggers = triggers
        self._custom = CustomAuth(challenges, triggers)

    async def initiate_auth(self, params: Document) -> Document:
        """Begin a sign-in, or refresh one."""
        if params["AuthFlow"].startswith("ADMIN_"):
            raise CognitoError.invalid("Initiate Auth method not supported.")
        return await self._initiate(params)

    async def admin_initiate_auth(self, params: Document) -> Document:
        """Begin a sign-in from a server."""
        if params["AuthFlow"] == "USER_PASSWORD_AUTH":
            raise CognitoError.invalid("Initiate Auth method not supported.")
        self._check_pool(params)
        return await self._initiate(params)

    async def get_tokens_from_refresh_token(self, params: Document) -> Document:
        """Return fresh access and id tokens."""
        pool, client = self._pools.get_client(params["ClientId"])
        _check_client_secret(client, params.get("ClientSecret"))
        result = await self._sign_ins.refresh(pool, client, params["RefreshToken"], params.get("ClientMetadata"))
        return {"AuthenticationResult": result}

    async def revoke_token(self, params: Document) -> Document:
        """End one sign-in."""
        pool, client = self._pools.get_client(params["ClientId"])
        _check_client_secret(client, params.get("ClientSecret"))
        if not client.settings.get("EnableTokenRevocation", True):
            raise CognitoError("UnsupportedOperationException", "Token revocation is not enabled for this client.")
        self._sign_ins.revoke(pool, client, params["Token"])
        return {}

    async def respond_to_auth_challenge(self, params: Document) -> Document:
        """Take the answer to a challenge: tokens, or the next one."""
        answers = {
            "PASSWORD_VERIFIER": self._password_verified,
            "NEW_PASSWORD_REQUIRED": self._new_password,
            "SOFTWARE_TOKEN_MFA": self._second_factor,
            "MFA_SETUP": self._second_factor_set_up,
            "CUSTOM_CHALLENGE": self._custom_answer,
        }
        answer = answers.get(params["ChallengeName"])
        if answer is None:
            raise CognitoError.not_carried(f"the challenge {params['ChallengeName']}")
        _pool, client = self._pools.get_client(params["ClientId"])
        given = params.get("ChallengeResponses", {})
        _check_present(given, "USERNAME")
        check_secret(client, given["USERNAME"], given.get("SECRET_HASH"))
        return await answer(client, given, params.get("Session") or "", params.get("ClientMetadata"))

    async def admin_respond_to_auth_challenge(self, params: Document) -> Document:
        """Take the answer to a challenge from a server."""
        self._check_pool(params)
        return await self.respond_to_auth_challenge(params)

    def _check_pool(self, params: Document) -> None:
        pool, _client = self._pools.get_client(params["ClientId"])
        if pool is not self._pools.get(params):
            raise CognitoError.missing(f"User pool client {params['ClientId']} does not exist.")

    async def _initiate(self, params: Document) -> Document:
        pool, client = self._pools.get_client(params["ClientId"])
        flow, given = params["AuthFlow"], params.get("AuthParameters", {})
        metadata = params.get("ClientMetadata")
        if flow in ("REFRESH_TOKEN_AUTH", "REFRESH_TOKEN"):
            return await self._refresh(pool, client, given, metadata)
        if flow not in _NEEDED:
            raise CognitoError.not_carried(f"the flow {flow}")
        _check_present(given, *_NEEDED[flow])
        check_secret(client, given["USERNAME"], given.get("SECRET_HASH"))
        user = await self._find(pool, client, given["USERNAME"], metadata)
        if flow == "USER_SRP_AUTH":
            if not client.allows("ALLOW_USER_SRP_AUTH"):
                raise CognitoError.invalid("USER_SRP_AUTH is not enabled for the client.")
            return self._srp_challenge(pool, client, user, given)
        if flow == "CUSTOM_AUTH":
            return await self._custom_auth(pool, client, user, metadata)
        if not client.allows(*_PASSWORD_FLOWS[flow]):
            raise CognitoError.invalid(f"{flow} flow not enabled for this client")
        return await self._password(pool, client, user, given["PASSWORD"], metadata)

    async def _find(self, pool: Pool, client: Client, login: str, metadata: Mapping[str, str] | None) -> User | None:
        user = pool.find_user(login)
        if user is None and not client.hides_users:
            raise CognitoError.no_user()
        if user is not None:
            request = {"validationData": dict(metadata or {})}
            source = "PreAuthentication_Authentication"
            await self._triggers.run(pool, source, user, client_id=client.id, request=request)
        return user

    def _srp_challenge(self, pool: Pool, client: Client, user: User | None, given: Mapping[str, str]) -> Document:
        verifier, name = (user.verifier, user.name) if user else (None, given["USERNAME"])
        if verifier is None:
            # A stranger gets the same answer each time, so that it cannot be told from a user's.
            seed = hashlib.sha512(f"{pool.keys.id.id}{given['USERNAME']}".encode()).digest()
            verifier = srp.Verifier(salt=seed[:16], value=int.from_bytes(seed * 6))
        try:
            exchange = srp.start(pool.name, name, verifier, given["SRP_A"], self._pools.random_bytes(96))
        except ValueError as error:
            raise CognitoError.invalid("SRP_A must be a valid hexadecimal value") from error
        parameters = exchange.parameters()
        _session, challenge = self._challenges.ask("PASSWORD_VERIFIER", pool, client, user)
        challenge.exchange = exchange
        self._challenges.put(parameters["SECRET_BLOCK"], challenge)
        return {"ChallengeName": "PASSWORD_VERIFIER", "ChallengeParameters": {"USERNAME": name, **parameters}}

    async def _password_verified(
        self, client: Client, given: Mapping[str, str], _session: str, metadata: Mapping[str, str] | None
    ) -> Document:
        block = given.get("PASSWORD_CLAIM_SECRET_BLOCK", "")
        challenge = self._challenges.take(block, client.id, "PASSWORD_VERIFIER")
        proof = given.get("TIMESTAMP", ""), given.get("PASSWORD_CLAIM_SIGNATURE", "")
        proven = challenge.exchange is not None and challenge.exchange.accepts(*proof)
        self._judge(challenge.user, proven=proven)
        return await self._past_password(challenge.pool, client, challenge.user, metadata)

    async def _password(
        self, pool: Pool, client: Client, user: User | None, password: str, metadata: Mapping[str, str] | None
    ) -> Document:
        proven = bool(user and user.verifier and user.verifier.matches(pool.name, user.name, password))
        self._judge(user, proven=proven)
        return await self._past_password(pool, client, user, metadata)

    def _judge(self, user: User | None, *, proven: bool) -> None:
        """Count failures; after five, each more locks for twice as long ("Lockout behavior for failed sign-in")."""
        if user is None:
            raise CognitoError.not_authorized()
        now = self._pools.clock.now()
        if user.locked_until is not None and now < user.locked_until:
            raise CognitoError.not_authorized("Password attempts exceeded")
        if user.locked_until is not None and now > user.locked_until + _MAX_LOCK:
            user.failures = 0
        if proven:
            user.failures, user.locked_until = 0, None
            return
        user.failures += 1
        if user.failures >= _FREE_FAILURES:
            lock_s = 2 ** min(user.failures - _FREE_FAILURES, 10)
            user.locked_until = now + min(timedelta(seconds=lock_s), _MAX_LOCK)
        raise CognitoError.not_authorized()

    async def _past_password(
        self, pool: Pool, client: Client, user: User | None, metadata: Mapping[str, str] | None
    ) -> Document:
        if user is None or not user.enabled:
            raise CognitoError.not_authorized("User is disabled.")
        if user.status == "UNCONFIRMED":
            raise CognitoError("UserNotConfirmedException", "User is not confirmed.")
        if user.status == "RESET_REQUIRED":
            raise CognitoError("PasswordResetRequiredException", "Password reset required for the user")
        if user.status == "FORCE_CHANGE_PASSWORD":
            if user.temporary_until is not None and user.temporary_until <= self._pools.clock.now():
                raise CognitoError.not_authorized(
                    "Temporary password has expired and must be reset by an administrator."
                )
            parameters = {"requiredAttributes": "[]", "userAttributes": json.dumps(user.attributes)}
            return self._ask("NEW_PASSWORD_REQUIRED", pool, client, user, parameters)
        return await self._factors(pool, client, user, metadata)

    async def _factors(
        self, pool: Pool, client: Client, user: User, metadata: Mapping[str, str] | None, source: str = "Authentication"
    ) -> Document:
        mode = pool.settings.get("MfaConfiguration", "OFF")
        if mode != "OFF" and user.totp_enabled:
            return self._ask("SOFTWARE_TOKEN_MFA", pool, client, user, {})
        if mode == "ON":
            return self._ask("MFA_SETUP", pool, client, user, {"MFAS_CAN_SETUP": '["SOFTWARE_TOKEN_MFA"]'})
        return await self._done(pool, client, user, metadata, source)

    async def _done(
        self, pool: Pool, client: Client, user: User, metadata: Mapping[str, str] | None, source: str = "Authentication"
    ) -> Document:
        request = {"newDeviceUsed": False, "clientMetadata": dict(metadata or {})}
        await self._triggers.run(pool, "PostAuthentication_Authentication", user, client_id=client.id, request=request)
        result = await self._sign_ins.open(pool, client, user, f"TokenGeneration_{source}", metadata)
        return {"ChallengeParameters": {}, "AuthenticationResult": result}

    async def _new_password(
        self, client: Client, given: Mapping[str, str], session: str, metadata: Mapping[str, str] | None
    ) -> Document:
        challenge = self._challenges.take(session, client.id, "NEW_PASSWORD_REQUIRED")
        pool, user = challenge.pool, _same_user(challenge, given)
        prefix = "userAttributes."
        attributes = {name.removeprefix(prefix): value for name, value in given.items() if name.startswith(prefix)}
        try:
            pool.check_password(given.get("NEW_PASSWORD", ""))
            pool.check_attributes(attributes)
        except CognitoError:
            self._challenges.put(session, challenge)
            raise
        set_password(self._pools, pool, user, given["NEW_PASSWORD"])
        user.attributes.update(attributes)
        user.status = "CONFIRMED"
        return await self._factors(pool, client, user, metadata, "NewPasswordChallenge")

    async def _second_factor(
        self, client: Client, given: Mapping[str, str], session: str, metadata: Mapping[str, str] | None
    ) -> Document:
        challenge = self._challenges.take(session, client.id, "SOFTWARE_TOKEN_MFA")
        user = _same_user(challenge, given)
        code = given.get("SOFTWARE_TOKEN_MFA_CODE", "")
        step = totp.find_step(user.totp_secret or "", code, self._pools.clock.now())
        if step is None:
            self._challenges.put(session, challenge)
            raise CognitoError("CodeMismatchException", "Invalid code received for user")
        if step <= user.totp_step:
            raise CognitoError("ExpiredCodeException", "Your software token has already been used once.")
        user.totp_step = step
        return await self._done(challenge.pool, client, user, metadata)

    async def _second_factor_set_up(
        self, client: Client, given: Mapping[str, str], session: str, metadata: Mapping[str, str] | None
    ) -> Document:
        challenge = self._challenges.take(session, client.id, "MFA_SETUP")
        user = _same_user(challenge, given)
        if not challenge.totp_ready:
            raise CognitoError.not_authorized("Invalid session for the user.")
        user.totp_enabled = True
        return await self._done(challenge.pool, client, user, metadata)

    async def _custom_auth(
        self, pool: Pool, client: Client, user: User | None, metadata: Mapping[str, str] | None
    ) -> Document:
        if not client.allows("ALLOW_CUSTOM_AUTH", "CUSTOM_AUTH_FLOW_ONLY"):
            raise CognitoError.invalid("CUSTOM_AUTH is not enabled for the client.")
        if user is None:
            raise CognitoError.not_authorized()
        _session, challenge = self._challenges.ask("CUSTOM_CHALLENGE", pool, client, user)
        question = await self._custom.next(challenge, metadata)
        return question or await self._done(pool, client, user, metadata)

    async def _custom_answer(
        self, client: Client, given: Mapping[str, str], session: str, metadata: Mapping[str, str] | None
    ) -> Document:
        challenge = self._challenges.take(session, client.id, "CUSTOM_CHALLENGE")
        user = _same_user(challenge, given)
        await self._custom.judge(challenge, given.get("ANSWER", ""), metadata)
        question = await self._custom.next(challenge, metadata)
        return question or await self._done(challenge.pool, client, user, metadata)

    async def _refresh(
        self, pool: Pool, client: Client, given: Mapping[str, str], metadata: Mapping[str, str] | None
    ) -> Document:
        if not client.allows("ALLOW_REFRESH_TOKEN_AUTH"):
            raise CognitoError.not_authorized("Auth flow not enabled for this client")
        _check_present(given, "REFRESH_TOKEN")
        token = given["REFRESH_TOKEN"]
        owner = self._sign_ins.owner(pool, token)
        check_secret(client, owner.name if owner else "", given.get("SECRET_HASH"))
        return {
            "ChallengeParameters": {},
            "AuthenticationResult": await self._sign_ins.refresh(pool, client, token, metadata),
        }

    def _ask(self, name: str, pool: Pool, client: Client, user: User, parameters: dict[str, str]) -> Document:
        session, _challenge = self._challenges.ask(name, pool, client, user)
        parameters = {"USER_ID_FOR_SRP": user.name, **parameters}
        return {"ChallengeName": name, "Session": session, "ChallengeParameters": parameters}


class SecondFactor:
    """Authenticator apps: set up by who is signed in, or during a sign-in that demands one."""

    def __init__(self, pools: Pools, challenges: Challenges) -> None:
        self._pools = pools
        self._challenges = challenges

    async def associate_software_token(self, params: Document) -> Document:
        """Return a fresh secret for an authenticator app; it counts once a code of it was shown."""
        user, challenge = self._who(params)
        user.totp_pending = base64.b32encode(self._pools.random_bytes(30)).decode().rstrip("=")
        return {"SecretCode": user.totp_pending, **self._session(challenge)}

    async def verify_software_token(self, params: Document) -> Document:
        """Take the app into use, by a code it shows."""
        user, challenge = self._who(params)
        step = totp.find_step(user.totp_pending or "", params["UserCode"], self._pools.clock.now())
        if step is None:
            if challenge is not None:
                self._challenges.put(params["Session"], challenge)
            message = "Code mismatch and fail enable Software Token MFA"
            raise CognitoError("EnableSoftwareTokenMFAException", message)
        user.totp_secret, user.totp_pending, user.totp_step = user.totp_pending, None, step
        if challenge is not None:
            challenge.totp_ready = True
        return {"Status": "SUCCESS", **self._session(challenge)}

    async def set_user_mfa_preference(self, params: Document) -> Document:
        """Switch the second factor on or off."""
        _pool, _client, user = self._pools.get_signed_in(params["AccessToken"])
        return _prefer(user, params)

    async def admin_set_user_mfa_preference(self, params: Document) -> Document:
        """Switch somebody's second factor on or off."""
        return _prefer(self._pools.get(params).get_user(params["Username"]), params)

    def _who(self, params: Document) -> tuple[User, Challenge | None]:
        if params.get("AccessToken"):
            return self._pools.get_signed_in(params["AccessToken"])[2], None
        challenge = self._challenges.take(params.get("Session") or "", None, "MFA_SETUP")
        if challenge.user is None:
            raise CognitoError.not_authorized("Invalid session for the user.")
        return challenge.user, challenge

    def _session(self, challenge: Challenge | None) -> dict[str, str]:
        return {"Session": self._challenges.keep(challenge)} if challenge else {}


def _prefer(user: User, params: Document) -> Document:
    for name in ("SMSMfaSettings", "EmailMfaSettings", "WebAuthnMfaSettings"):
        if params.get(name, {}).get("Enabled"):
            raise CognitoError.not_carried(name)
    settings = params.get("SoftwareTokenMfaSettings")
    if settings is not None:
        if settings.get("Enabled") and user.totp_secret is None:
            raise CognitoError.invalid("User has not verified software token mfa")
        user.totp_enabled = settings.get("Enabled", False)
    return {}


def _same_user(challenge: Challenge, given: Mapping[str, str]) -> User:
    if challenge.user is None or challenge.pool.find_user(given["USERNAME"]) is not challenge.user:
        raise CognitoError.not_authorized("Invalid session for the user.")
    return challenge.user


def _check_present(given: Mapping[str, str], *names: str) -> None:
    for name in names:
        if not given.get(name):
            raise CognitoError.invalid(f"Missing required parameter {name}")


def _check_client_secret(client: Client, given: str | None) -> None:
    if client.secret != given:
        raise CognitoError.not_authorized("Invalid client secret provided.")
