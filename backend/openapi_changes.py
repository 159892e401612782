"""What a new OpenAPI document breaks for clients written against an old one.

What clients send may only be taken more widely, what they are sent only be said more narrowly: a field more in an
answer breaks nobody, a field less does; a field more that must be sent breaks everybody. Unknown fields are refused
by the API, so taking one away that clients may send breaks them too.
"""

from collections.abc import Iterator, Mapping
from typing import Any

Document = Mapping[str, Any]
LOWER = ("minimum", "minLength", "minItems", "minProperties")
UPPER = ("maximum", "maxLength", "maxItems", "maxProperties")


def unannounced(old: Document, new: Document) -> list[str]:
    """Return what is broken though the first number of the version is not raised."""
    raised = _major(new) > _major(old)
    return [] if raised else list(breaking_changes(old, new))


def breaking_changes(old: Document, new: Document) -> Iterator[str]:
    """Yield what a client written against the old document may stumble over in the new one."""
    for path, methods in old["paths"].items():
        for method, operation in methods.items():
            where, current = f"{method.upper()} {path}", new["paths"].get(path, {}).get(method)
            if current is None:
                yield f"{where} is gone"
            else:
                yield from _operation(where, (old, operation), (new, current))


def _major(document: Document) -> int:
    return int(str(document["info"]["version"]).partition(".")[0])


def _operation(where: str, old: tuple[Document, Document], new: tuple[Document, Document]) -> Iterator[str]:
    yield from _parameters(where, old, new)
    yield from _body(where, old, new)
    for status, answer in old[1]["responses"].items():
        if not status.startswith("2"):
            continue
        current = new[1]["responses"].get(status)
        if current is None:
            yield f"{where} no longer answers {status}"
            continue
        for kind, content in answer.get("content", {}).items():
            told = current.get("content", {}).get(kind)
            if told is None:
                yield f"{where} no longer answers {kind}"
            else:
                yield from _Schemas(old[0], new[0]).answered(f"{where} answer", content["schema"], told["schema"])


def _parameters(where: str, old: tuple[Document, Document], new: tuple[Document, Document]) -> Iterator[str]:
    before, after = ({(p["in"], p["name"]): p for p in each[1].get("parameters", ())} for each in (old, new))
    for key, parameter in before.items():
        if key not in after:
            yield f"{where} no longer takes {key[1]}"
        else:
            sides = (parameter["schema"], after[key]["schema"])
            yield from _Schemas(old[0], new[0]).sent(f"{where} {key[1]}", *sides)
    for key, parameter in after.items():
        if parameter.get("required") and not before.get(key, {}).get("required"):
            yield f"{where} wants {key[1]}"


def _body(where: str, old: tuple[Document, Document], new: tuple[Document, Document]) -> Iterator[str]:
    before, after = old[1].get("requestBody"), new[1].get("requestBody")
    if after is None:
        if before is not None:
            yield f"{where} no longer takes a body"
        return
    if before is None:
        if after.get("required"):
            yield f"{where} wants a body"
        return
    if after.get("required") and not before.get("required"):
        yield f"{where} wants a body"
    for kind, content in before["content"].items():
        if kind not in after["content"]:
            yield f"{where} no longer takes {kind}"
        else:
            sides = (content["schema"], after["content"][kind]["schema"])
            yield from _Schemas(old[0], new[0]).sent(f"{where} body", *sides)


class _Schemas:
    """Compares schemas of two documents; each pair of named ones once."""

    def __init__(self, old: Document, new: Document) -> None:
        self._old, self._new = old, new
        self._seen: set[tuple[str, str]] = set()

    def sent(self, where: str, old: Any, new: Any) -> Iterator[str]:
        """Yield what clients sent and is taken no more."""
        yield from self._compare(where, old, new, sent=True)

    def answered(self, where: str, old: Any, new: Any) -> Iterator[str]:
        """Yield what clients were told and are not any more, or not only."""
        yield from self._compare(where, old, new, sent=False)

    def _compare(self, where: str, old: Any, new: Any, *, sent: bool) -> Iterator[str]:
        names = (_name(old), _name(new))
        if all(names) and names in self._seen:
            return
        self._seen.add(names)
        before, after = _resolved(self._old, old), _resolved(self._new, new)
        narrow, wide = (after, before) if sent else (before, after)
        yield from _types(where, narrow, wide)
        yield from _values(where, before, after, sent=sent)
        if sent:
            yield from _bounds(where, before, after)
        yield from self._fields(where, before, after, sent=sent)
        if "items" in before and "items" in after:
            yield from self._compare(f"{where}[]", before["items"], after["items"], sent=sent)

    def _fields(self, where: str, before: Document, after: Document, *, sent: bool) -> Iterator[str]:
        known, current = before.get("properties", {}), after.get("properties", {})
        for name, schema in known.items():
            if name not in current:
                yield f"{where}.{name} is gone"
            else:
                yield from self._compare(f"{where}.{name}", schema, current[name], sent=sent)
        first, last = (after, before) if sent else (before, after)
        for name in first.get("required", ()):
            if name not in last.get("required", ()) and name in (current if sent else known):
                yield f"{where}.{name} is wanted" if sent else f"{where}.{name} may be missing"


def _name(schema: Any) -> str:
    return str(schema.get("$ref", "")) if isinstance(schema, Mapping) else ""


def _resolved(document: Document, schema: Any) -> Document:
    if not isinstance(schema, Mapping):
        return {}
    if "$ref" in schema:
        found: Document = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
        return found
    if "anyOf" in schema:  # a reference that may be null
        inner = _resolved(document, schema["anyOf"][0])
        return {**inner, "type": [*_listed(inner.get("type")), "null"]}
    return schema


def _types(where: str, narrow: Document, wide: Document) -> Iterator[str]:
    """Yield that the one is not within the other; an integer is a number."""
    allowed, given = set(_listed(wide.get("type"))), set(_listed(narrow.get("type")))
    if "number" in given:
        given.add("integer")
    if (allowed and given and not allowed <= given) or (given and not allowed):
        yield f"{where} is of another type"


def _values(where: str, before: Document, after: Document, *, sent: bool) -> Iterator[str]:
    old, new = set(map(str, before.get("enum", ()))), set(map(str, after.get("enum", ())))
    if sent and new:
        lost = old - new if old else {"any text"}
        yield from (f"{where} no longer knows {value}" for value in sorted(lost))
    elif not sent and old:
        gained = new - old if new else {"any text"}
        yield from (f"{where} may now be {value}" for value in sorted(gained))


def _bounds(where: str, before: Document, after: Document) -> Iterator[str]:
    for name in LOWER:
        if after.get(name, float("-inf")) > before.get(name, float("-inf")):
            yield f"{where} has another {name}"
    for name in UPPER:
        if after.get(name, float("inf")) < before.get(name, float("inf")):
            yield f"{where} has another {name}"
    if "pattern" in after and after["pattern"] != before.get("pattern"):
        yield f"{where} has another pattern"


def _listed(kind: Any) -> list[str]:
    return [] if kind is None else [kind] if isinstance(kind, str) else list(kind)
