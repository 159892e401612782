"""Who may listen: phones that connect over MQTT with their access token as password."""

from dataclasses import dataclass

from backend.domain.tokens import key_id, verify
from backend.errors import UnauthenticatedError
from backend.ports import Clock, Closed, PoolKeys

MIN_CONNECTION_S, MAX_CONNECTION_S = 300, 86_400
"""What AWS IoT allows an authorizer to say. (AWS IoT developer guide, "Defining your Lambda function".)"""
REFRESH_S = 3_600


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """A person at the door, and how long they may stay."""

    user: str
    seconds: int


class Doorkeeper:
    """Judges tokens."""

    def __init__(self, *, keys: PoolKeys, closed: Closed, issuer: str, client: str, clock: Clock) -> None:
        self._keys = keys
        self._closed = closed
        self._issuer = issuer
        self._client = client
        self._clock = clock

    def admit(self, token: str) -> Admitted:
        """Return who shows this token.

        Raises:
            UnauthenticatedError: it is not a valid access token of this app, or outlives the account it is of.
        """
        now_s = self._clock.now().timestamp()
        keys = self._keys.current()
        if key_id(token) not in keys:
            keys = self._keys.refreshed()  # once: the pool may have changed its keys
        claims = verify(token, keys, issuer=self._issuer, client=self._client, now_s=now_s)
        if self._closed.has(str(claims["sub"])):
            raise UnauthenticatedError("The account was deleted.")
        left_s = int(claims["exp"] - now_s)
        return Admitted(user=str(claims["sub"]), seconds=max(MIN_CONNECTION_S, min(MAX_CONNECTION_S, left_s)))
