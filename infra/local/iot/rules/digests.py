"""MD2 (RFC 1319), which hashlib lacks and AWS IoT SQL has."""

from collections.abc import Iterator
from functools import cache

BLOCK = 16
_PI_DIGITS = 800
"""The shuffle below takes 722."""


def _arctan_inverse(x: int, unity: int) -> int:
    """Return ``unity * arctan(1 / x)`` by its series."""
    total, power, divisor, sign = 0, unity // x, 1, 1
    while power:
        total += sign * (power // divisor)
        power, divisor, sign = power // (x * x), divisor + 2, -sign
    return total


@cache
def _substitution() -> tuple[int, ...]:
    """Return the permutation "constructed from the digits of pi" (RFC 1319, 3.2): a shuffle that they drive."""
    unity = 10 ** (_PI_DIGITS + 10)
    pi = 4 * (4 * _arctan_inverse(5, unity) - _arctan_inverse(239, unity))
    digits = iter(map(int, str(pi)[:_PI_DIGITS]))
    table = list(range(256))
    for last in range(1, 256):
        chosen = _draw(last + 1, digits)
        table[chosen], table[last] = table[last], table[chosen]
    return tuple(table)


def _draw(below: int, digits: Iterator[int]) -> int:
    width = len(str(below - 1))
    fair = below * (10**width // below)
    while True:
        number = int("".join(str(next(digits)) for _ in range(width)))
        if number < fair:
            return number % below


def md2(data: bytes) -> bytes:
    """Return the 16-byte MD2 digest of ``data``."""
    table = _substitution()
    padding = BLOCK - len(data) % BLOCK
    data += bytes([padding]) * padding
    checksum, last = bytearray(BLOCK), 0
    for start in range(0, len(data), BLOCK):
        for i in range(BLOCK):
            checksum[i] ^= table[data[start + i] ^ last]
            last = checksum[i]
    state = bytearray(3 * BLOCK)
    for start in range(0, len(data) + BLOCK, BLOCK):
        block = (data + checksum)[start : start + BLOCK]
        for i in range(BLOCK):
            state[BLOCK + i] = block[i]
            state[2 * BLOCK + i] = block[i] ^ state[i]
        carry = 0
        for round_number in range(18):
            for i in range(3 * BLOCK):
                state[i] ^= table[carry]
                carry = state[i]
            carry = (carry + round_number) % 256
    return bytes(state[:BLOCK])
