"""Pages: some items, and where the next ones begin."""

import base64
import binascii
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from backend.errors import invalid

T = TypeVar("T")
DEFAULT_LIMIT = 50
MAX_LIMIT = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """Some items in order, and the position after the last; None at the end."""

    items: Sequence[T]
    after: Any = None


def dump_cursor(position: Any, *, bound_to: Sequence[object]) -> str:
    """Return a position as opaque text, bound to the caller and the query it came from.

    The binding refuses mix-ups and damage. It is not a secret, and need not be: a cursor only says where to go on,
    and what the caller may see is asked anew at every page.
    """
    document = json.dumps([_binding(bound_to, position), position], separators=(",", ":"))
    return base64.urlsafe_b64encode(document.encode()).decode().rstrip("=")


def load_cursor(cursor: str, *, bound_to: Sequence[object]) -> Any:
    """Return the position in a cursor.

    Raises:
        InvalidInputError: the cursor is not one of ours, or belongs to another caller or query: begin again without.
    """
    try:
        padded = cursor + "=" * (-len(cursor) % 4)
        binding, position = json.loads(base64.b64decode(padded, altchars=b"-_", validate=True))
    except (binascii.Error, ValueError, TypeError, RecursionError):
        raise invalid("cursor", "is not a cursor of this API") from None
    if binding != _binding(bound_to, position):
        raise invalid("cursor", "belongs to another query")
    return position


def _binding(bound_to: Sequence[object], position: Any) -> str:
    text = json.dumps([[str(part) for part in bound_to], position])
    return base64.b64encode(hashlib.sha256(text.encode()).digest()[:9]).decode()
