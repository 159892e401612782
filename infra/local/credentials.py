"""Access keys: the owner's, and temporary ones that any of our processes can judge without asking another.

A session token here carries who it was issued to and until when, sealed under the secret our processes share; the
secret key follows from the access key id under the same seal. So nothing is stored, nothing grows, and the gateway
judges a phone's credentials that another process issued.
"""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Callable
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import lru_cache

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID, Settings
from infra.local.sigv4 import SignatureError, Verified
from infra.local.wire import Caller

_TAG_SIZE = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class Credentials:
    """What a client signs with."""

    access_key_id: str
    secret_access_key: str
    session_token: str | None = None
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyRecord:
    """What stands behind an access key."""

    secret_access_key: str
    caller: Caller
    role_arn: str | None = None
    """The role it acts under; None for the owner, whom no policy limits."""
    user_id: str = ACCOUNT_ID
    """``aws:userid``: ``{role id}:{session name}``, or the account for its owner."""
    expires_at: datetime | None = None


class KeyStore:
    """Issues temporary credentials and finds who an access key belongs to."""

    def __init__(
        self, settings: Settings, clock: Clock, random_bytes: Callable[[int], bytes] = secrets.token_bytes
    ) -> None:
        self._clock = clock
        self._random = random_bytes
        self._seal = hashlib.sha256(f"credentials:{settings.service_secret}".encode()).digest()
        self._owner_key = settings.access_key_id
        self._owner = KeyRecord(
            secret_access_key=settings.secret_access_key, caller=Caller(arn=f"arn:aws:iam::{ACCOUNT_ID}:root")
        )
        self._opened = lru_cache(4096)(self._open)

    @property
    def owner(self) -> Credentials:
        """Return the credentials of the account's owner."""
        return Credentials(access_key_id=self._owner_key, secret_access_key=self._owner.secret_access_key)

    def issue(
        self, caller: Caller, role_arn: str, lifetime: timedelta, *, role_id: str = "AROAFIELDLINELOCAL00"
    ) -> Credentials:
        """Return temporary credentials under a role; ``caller.arn`` is the assumed-role ARN that names the session."""
        access_key_id = "ASIA" + base64.b32encode(self._random(10)).decode()
        # AWS's credentials expire on a whole second.
        expires_at = (self._clock.now() + lifetime).replace(microsecond=0)
        sealed = {
            "key": access_key_id,
            "caller": {name: value for name, value in asdict(caller).items() if value is not None},
            "role_arn": role_arn,
            "user_id": f"{role_id}:{caller.arn.rpartition('/')[2]}",
            "until": int(expires_at.timestamp()),
        }
        text = json.dumps(sealed, separators=(",", ":")).encode()
        return Credentials(
            access_key_id=access_key_id,
            secret_access_key=self._secret_key(access_key_id),
            session_token=base64.b64encode(self._tag(b"token", text) + text).decode(),
            expires_at=expires_at,
        )

    def find(self, access_key_id: str, session_token: str | None = None) -> KeyRecord | None:
        """Return what stands behind a key, expired or not; None for a key or token that was never issued."""
        if access_key_id == self._owner_key:
            return None if session_token else self._owner
        return self._opened(access_key_id, session_token) if session_token else None

    def secret_for(self, access_key_id: str, session_token: str | None) -> str | None:
        """Return the secret a signature is judged by (the port of ``sigv4.verify``); None where none was issued."""
        record = self.find(access_key_id, session_token)
        return record.secret_access_key if record else None

    def authenticate(self, verified: Verified) -> KeyRecord:
        """Return who signed, once ``sigv4.verify`` has judged the signature.

        Raises:
            SignatureError: the credentials have expired by the movable clock, or were never issued.
        """
        record = self.find(verified.access_key_id, verified.session_token)
        if record is None:
            raise SignatureError("InvalidClientTokenId", "The security token included in the request is invalid.")
        if record.expires_at is not None and record.expires_at <= self._clock.now():
            raise SignatureError("ExpiredToken", "The security token included in the request is expired")
        return record

    def _open(self, access_key_id: str, session_token: str) -> KeyRecord | None:
        try:
            raw = base64.b64decode(session_token, validate=True)
        except (binascii.Error, ValueError):
            return None
        tag, text = raw[:_TAG_SIZE], raw[_TAG_SIZE:]
        if not hmac.compare_digest(tag, self._tag(b"token", text)):
            return None
        sealed = json.loads(text)
        if sealed["key"] != access_key_id:
            return None
        return KeyRecord(
            secret_access_key=self._secret_key(access_key_id),
            caller=replace(Caller(arn=""), **sealed["caller"]),
            role_arn=sealed["role_arn"],
            user_id=sealed["user_id"],
            expires_at=datetime.fromtimestamp(sealed["until"], UTC),
        )

    def _secret_key(self, access_key_id: str) -> str:
        return base64.b64encode(self._tag(b"secret", access_key_id.encode())[:30]).decode()

    def _tag(self, purpose: bytes, text: bytes) -> bytes:
        return hmac.new(self._seal, purpose + b"\0" + text, hashlib.sha256).digest()
