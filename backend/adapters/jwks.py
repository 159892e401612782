"""The public keys of the user pool, read from where it publishes them."""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from urllib.error import URLError
from urllib.request import urlopen

from backend.errors import UnavailableError
from backend.ports import Clock

TIMEOUT_S = 2.0
PAUSE = timedelta(minutes=5)
"""Between two readings, whatever keys callers claim to have."""


class PublishedKeys:
    """The keys of one user pool. (Cognito developer guide, "Verifying a JSON Web Token".)."""

    def __init__(self, url: str, clock: Clock) -> None:
        self._url = url
        self._clock = clock
        self._keys: dict[str, dict[str, str]] = {}
        self._read_at: datetime | None = None

    def current(self) -> Mapping[str, Mapping[str, str]]:
        """Return the keys as JWKs, by key id; kept for the life of the container."""
        return self._keys or self._read()

    def refreshed(self) -> Mapping[str, Mapping[str, str]]:
        """Return the keys, read anew, though not more often than once in five minutes."""
        if self._read_at is not None and self._clock.now() - self._read_at < PAUSE:
            return self._keys
        return self._read()

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            with urlopen(self._url, timeout=TIMEOUT_S) as answer:  # noqa: S310 - the address comes from the template
                keys = json.load(answer)["keys"]
        except (URLError, TimeoutError, ValueError, KeyError) as error:
            raise UnavailableError("The keys of the user pool are out of reach: try again.") from error
        self._keys = {key["kid"]: key for key in keys if key.get("kty") == "RSA"}
        self._read_at = self._clock.now()
        return self._keys
