"""Time-based one-time passwords as authenticator apps make them (RFC 6238: SHA-1, 30 s, 6 digits). Pure."""

import base64
import hashlib
import hmac
from datetime import datetime

STEP_S = 30
DRIFT_STEPS = 1
"""A code of the step before or after is still taken."""


def code_at(secret: str, step: int) -> str:
    """Return the code of one 30-second step since the epoch; ``secret`` in base 32."""
    digest = hmac.new(base64.b32decode(secret), step.to_bytes(8), hashlib.sha1).digest()
    offset = digest[-1] & 15
    return f"{(int.from_bytes(digest[offset : offset + 4]) & 0x7FFFFFFF) % 1_000_000:06d}"


def find_step(secret: str, code: str, now: datetime) -> int | None:
    """Return the step whose code this is; None if it is none of those that are good now."""
    current = int(now.timestamp()) // STEP_S
    steps = range(current - DRIFT_STEPS, current + DRIFT_STEPS + 1)
    return next((step for step in steps if hmac.compare_digest(code_at(secret, step).encode(), code.encode())), None)
