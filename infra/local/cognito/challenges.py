"""What Cognito remembers between a challenge and its answer: one use each, for as long as the app client says."""

import base64
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from infra.local.cognito.directory import Client, Document, Pool, User
from infra.local.cognito.errors import CognitoError
from infra.local.cognito.pools import Pools
from infra.local.cognito.srp import Exchange


@dataclass(slots=True, kw_only=True)
class Challenge:
    """One question asked of somebody who is signing in."""

    name: str
    pool: Pool
    client: Client
    user: User | None
    """None where a stranger is kept from learning that there is no such user."""
    expires_at: datetime
    exchange: Exchange | None = None
    rounds: list[Document] = field(default_factory=list)
    """Of custom authentication: what was asked, and whether it was answered."""
    private: Document = field(default_factory=dict)
    totp_ready: bool = False


class Challenges:
    """The open questions."""

    def __init__(self, pools: Pools) -> None:
        self._pools = pools
        self._open: dict[str, Challenge] = {}

    def ask(self, name: str, pool: Pool, client: Client, user: User | None) -> tuple[str, Challenge]:
        """Return a new question and the session that its answer names."""
        now = self._pools.clock.now()
        for session in [key for key, one in self._open.items() if one.expires_at <= now]:
            del self._open[session]
        minutes = client.settings.get("AuthSessionValidity") or 3
        challenge = Challenge(
            name=name, pool=pool, client=client, user=user, expires_at=now + timedelta(minutes=minutes)
        )
        return self.keep(challenge), challenge

    def keep(self, challenge: Challenge) -> str:
        """Return a fresh session for a question that stays open."""
        session = base64.urlsafe_b64encode(self._pools.random_bytes(72)).decode()
        self.put(session, challenge)
        return session

    def put(self, session: str, challenge: Challenge) -> None:
        """Leave a question open under a session of the caller's choice."""
        self._open[session] = challenge

    def take(self, session: str, client_id: str | None, *names: str) -> Challenge:
        """Return the question that an answer names, and close it.

        Raises:
            CognitoError: it was answered before, has expired, or is another client's or another question.
        """
        challenge = self._open.pop(session, None)
        if challenge is None or challenge.name not in names:
            raise CognitoError.not_authorized("Invalid session for the user, session can only be used once.")
        if challenge.expires_at <= self._pools.clock.now():
            raise CognitoError.not_authorized("Invalid session for the user, session is expired.")
        if client_id is not None and challenge.client.id != client_id:
            raise CognitoError.not_authorized("Invalid session for the user.")
        return challenge
