"""Randomness from the operating system."""

import secrets


class SystemDice:
    """Randomness nobody can foresee."""

    def token(self, size_bytes: int) -> str:
        """Return that many random bytes as URL-safe text."""
        return secrets.token_urlsafe(size_bytes)
