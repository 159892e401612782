"""``UPDATED_OLD`` and ``UPDATED_NEW``: what an update names, changed or not. (API reference: UpdateItem). Pure.

moto gives back what has changed, so that an update to the same value gives back nothing.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from infra.local.dynamodb.expressions import tokens_of

_SECTIONS = frozenset({"SET", "REMOVE", "ADD", "DELETE"})
_Tree = dict[str, Any]


def whole(mode: str) -> str:
    """Return the mode that gives back the whole item of which ``mode`` wants a part."""
    return mode.replace("UPDATED", "ALL")


def cut(attributes: Mapping[str, Any], expression: str, names: Mapping[str, str]) -> dict[str, Any]:
    """Return of an item's attributes those, and of documents those parts, that the update expression names."""
    tree: _Tree = {}
    for path in _targets(expression):
        place = tree
        for step in path:
            place = place.setdefault(names.get(step, step), {})
    return {name: part for name in tree if name in attributes and (part := _part(attributes[name], tree[name]))}


def _targets(expression: str) -> Iterator[list[str]]:
    """Yield the path that each action of an update expression writes to."""
    path: list[str] | None = None
    depth = 0
    before = ""
    for token in (*tokens_of("UpdateExpression", expression), ","):
        depth += {"(": 1, ")": -1}.get(token, 0)
        begins = token.upper() in _SECTIONS or (token == "," and not depth)
        if begins and path:
            yield path
        if begins:
            path = []
        elif path is not None and token not in {".", "[", "]"}:
            is_part = not path or before in {".", "["}
            if is_part:
                path.append(f"[{token}]" if before == "[" else token)
            else:
                yield path
                path = None
        before = token


def _part(value: Mapping[str, Any], tree: _Tree) -> dict[str, Any] | None:
    """Return the part of an attribute value that a tree of paths leads to; None where nothing stands there."""
    if not tree:
        return dict(value)
    ((kind, held),) = value.items()
    if kind == "M":
        parts = {name: part for name in tree if name in held and (part := _part(held[name], tree[name]))}
        return {"M": parts} if parts else None
    if kind == "L":
        places = sorted((int(key.strip("[]")), below) for key, below in tree.items() if key[0] == "[")
        listed = [part for at, below in places if at < len(held) and (part := _part(held[at], below))]
        return {"L": listed} if listed else None
    return None
