"""Waiting between attempts: "Exponential Backoff And Jitter" (AWS Architecture Blog), its full-jitter form."""

import random


def full_jitter_s(attempt: int, dice: random.Random, *, base_s: float = 0.5, cap_s: float = 60.0) -> float:
    """Return the seconds to wait before attempt ``attempt`` (from 1): uniform in [0, min(cap, base * 2^attempt)]."""
    return dice.uniform(0.0, min(cap_s, base_s * 2.0 ** min(attempt, 32)))
