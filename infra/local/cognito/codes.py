"""Codes that prove that a person reads an address: sent to the inbox, and nothing else is accepted."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from infra.local.cognito.directory import MAX_CODE_TRIES, Code, Document, Pool, User, verified_contacts
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.inbox import Inbox, Letter
from infra.local.cognito.pools import Pools
from infra.local.cognito.triggers import Triggers

_LIFETIME = {"reset": timedelta(hours=1)}
_USUAL_LIFETIME = timedelta(hours=24)
# "Quotas in Amazon Cognito": a confirmation code is good for 24 hours, a password reset code for one.
_MEDIA = {"email": "EMAIL", "phone_number": "SMS"}
_RECOVERY = {"verified_email": "email", "verified_phone_number": "phone_number"}


class Codes:
    """Sends codes and judges them."""

    def __init__(self, pools: Pools, inbox: Inbox, triggers: Triggers) -> None:
        self._pools = pools
        self._inbox = inbox
        self._triggers = triggers

    async def send(
        self, pool: Pool, user: User, source: str, purpose: str, attribute: str, **more: Any
    ) -> dict[str, str]:
        """Send a fresh code to an attribute's address; return where it went, as clients are told.

        ``more``: ``client_id``, ``metadata``, and ``pending``, the value the attribute takes once verified.
        """
        value = f"{int.from_bytes(self._pools.random_bytes(4)) % 1_000_000:06d}"
        pending = more.pop("pending", None)
        to = pending or user.attributes[attribute]
        expires_at = self._pools.clock.now() + _LIFETIME.get(purpose, _USUAL_LIFETIME)
        user.codes[purpose] = Code(value=value, expires_at=expires_at, pending=pending)
        await self.write(pool, user, source, _MEDIA[attribute], to, code=value, **more)
        return delivery(attribute, to)

    async def write(
        self,
        pool: Pool,
        user: User,
        source: str,
        medium: str,
        to: str,
        *,
        code: str,
        client_id: str = "CLIENT_ID_NOT_APPLICABLE",
        metadata: Mapping[str, str] | None = None,
    ) -> None:
        """Put a message into the inbox, worded by the CustomMessage trigger, else by the pool, else by Cognito."""
        subject, text = _wording(pool, source)
        request = {
            "codeParameter": "{####}",
            "usernameParameter": "{username}" if source.endswith("AdminCreateUser") else None,
            "clientMetadata": dict(metadata or {}),
        }
        blank = {"smsMessage": None, "emailMessage": None, "emailSubject": None}
        own = await self._triggers.run(pool, source, user, client_id=client_id, request=request, response=blank) or {}
        text = own.get("emailMessage" if medium == "EMAIL" else "smsMessage") or text
        letter = Letter(
            to=to,
            medium=medium,
            subject=own.get("emailSubject") or subject,
            text=text.replace("{####}", code).replace("{username}", user.name),
            code=code,
            user=user.name,
            reason=source,
            sent_at=self._pools.clock.now().isoformat(),
        )
        self._inbox.add(letter)

    def take(self, user: User, purpose: str, given: str) -> Code:
        """Use up the code that was sent for a purpose.

        Raises:
            CognitoError: it is another, too old, or was guessed at too often.
        """
        code = user.codes.get(purpose)
        if code is None or code.expires_at <= self._pools.clock.now():
            raise CognitoError("ExpiredCodeException", "Invalid code provided, please request a code again.")
        if code.tries >= MAX_CODE_TRIES:
            raise CognitoError("LimitExceededException", "Attempt limit exceeded, please try after some time.")
        if given != code.value:
            code.tries += 1
            raise CognitoError.code_mismatch()
        return user.codes.pop(purpose)


def delivery(attribute: str, to: str) -> dict[str, str]:
    """Return where a code went, masked as Cognito masks it."""
    if attribute == "email":
        name, _, domain = to.partition("@")
        masked = f"{name[:1]}***@{domain[:1]}***"
    else:
        masked = "+" + "*" * max(0, len(to) - 5) + to[-4:]
    return {"Destination": masked, "DeliveryMedium": _MEDIA[attribute], "AttributeName": attribute}


def recovery_attribute(pool: Pool, user: User) -> str:
    """Return where a reset code goes: the most preferred verified address (AccountRecoverySetting).

    Raises:
        CognitoError: there is no such address, or only an administrator may reset.
    """
    mechanisms = pool.settings.get("AccountRecoverySetting", {}).get("RecoveryMechanisms") or [
        {"Name": "verified_phone_number", "Priority": 1},
        {"Name": "verified_email", "Priority": 2},
    ]
    if any(mechanism["Name"] == "admin_only" for mechanism in mechanisms):
        raise CognitoError.not_authorized("Contact administrator to reset password.")
    reachable = dict(verified_contacts(user))
    for mechanism in sorted(mechanisms, key=lambda item: int(item["Priority"])):
        if (attribute := _RECOVERY[mechanism["Name"]]) in reachable:
            return attribute
    raise CognitoError.invalid(
        "Cannot reset password for the user as there is no registered/verified email or phone_number"
    )


def verifiable(pool: Pool, user: User) -> str | None:
    """Return the attribute that a new user is to prove: the telephone before the e-mail, as Cognito prefers it."""
    wanted = pool.settings.get("AutoVerifiedAttributes", ())
    return next((name for name in ("phone_number", "email") if name in wanted and user.attributes.get(name)), None)


def _wording(pool: Pool, source: str) -> tuple[str, str]:
    settings: Document = pool.settings
    if source.endswith("AdminCreateUser"):
        template = settings.get("AdminCreateUserConfig", {}).get("InviteMessageTemplate", {})
        text = "Your username is {username} and temporary password is {####}."
        return template.get("EmailSubject", "Your temporary password"), template.get("EmailMessage", text)
    template = settings.get("VerificationMessageTemplate", {})
    subject = template.get("EmailSubject") or settings.get("EmailVerificationSubject") or "Your verification code"
    text = (
        template.get("EmailMessage") or settings.get("EmailVerificationMessage") or "Your verification code is {####}"
    )
    return subject, text
