"""A shadow as simply as it can be said: a set of paths. Written from the documented rules, not from the engine.

A section is a mapping of paths to leaves (value and time) or to OBJECT. Nothing is merged: a path is put or taken.
"""

import json
from typing import Any

OBJECT = object()
LIMIT_BYTES = 8192


def same(one, other):
    """Compare as JSON does: 1 is 1.0, but true is not 1."""

    def tagged(value):
        if isinstance(value, bool) or value is None:
            return repr(value)
        if isinstance(value, int | float):
            return float(value)
        if isinstance(value, list):
            return [tagged(each) for each in value]
        if isinstance(value, dict):
            return {"object": sorted((key, repr(tagged(each))) for key, each in value.items())}
        return f"text {value}"

    return tagged(one) == tagged(other)


def grows(value):
    """Say whether a new value leaves anything behind: nulls, and objects of nulls alone, do not."""
    if value is None:
        return False
    return not isinstance(value, dict) or not value or any(map(grows, value.values()))


class Section:
    def __init__(self, paths: dict[tuple[str, ...], Any] | None = None):
        self.paths = dict(paths or {})

    def take(self, path):
        for known in [known for known in self.paths if known[: len(path)] == path]:
            del self.paths[known]

    def put(self, path, value, now):
        if value is None:
            self.take(path)
        elif not isinstance(value, dict):
            self.take(path)
            self.paths[path] = (value, now)
        else:
            if path and self.paths.get(path) is not OBJECT:
                if not grows(value) and path not in self.paths:
                    return
                self.take(path)
                self.paths[path] = OBJECT
            for key, each in value.items():
                self.put((*path, key), each, now)

    def tree(self, leaf, chosen=None):
        """Return the object these paths stand for; ``leaf`` says what stands at each."""
        root: dict[str, Any] = {}
        for path in sorted(self.paths if chosen is None else chosen, key=len):
            place = root
            for key in path[:-1]:
                place = place.setdefault(key, {})
            held = self.paths[path]
            if held is OBJECT:
                place.setdefault(path[-1], {})
            else:
                place[path[-1]] = leaf(*held)
        return root

    def differing(self, other):
        """Return the paths of what stands here and not, or not equal, there."""
        found = []
        for path, held in self.paths.items():
            there = other.paths.get(path)
            if held is OBJECT:
                empty = not any(len(known) > len(path) and known[: len(path)] == path for known in self.paths)
                if empty and there is not OBJECT:
                    found.append(path)
            elif there is None or there is OBJECT or not same(held[0], there[0]):
                found.append(path)
        return found


def value_of(value, _now):
    return value


def stamp_of(value, now):
    if isinstance(value, list):
        return [stamp_of(each, now) for each in value]
    if isinstance(value, dict):
        return {key: stamp_of(each, now) for key, each in value.items()}
    return {"timestamp": now}


class Model:
    """One shadow."""

    def __init__(self):
        self.sections = {"desired": Section(), "reported": Section()}
        self.version = 0
        self.exists = False
        self.deleted_at = None

    def update(self, request, now):
        """Return the code an update is rejected with, or None if it was accepted."""
        if self.deleted_at is not None and now - self.deleted_at > 48 * 3600:
            self.version = 0
        if "version" in request and request["version"] != self.version:
            return 409
        fresh = {name: Section(section.paths) for name, section in self.sections.items()}
        state = request["state"]
        for name, section in fresh.items():
            if state is None or (name in state and state[name] is None):
                section.paths.clear()
            elif name in state:
                section.put((), state[name], now)
        trees = [section.tree(value_of) for section in fresh.values() if section.paths]
        if (
            sum(len(json.dumps(tree, separators=(",", ":"), ensure_ascii=False).encode()) for tree in trees)
            > LIMIT_BYTES
        ):
            return 413
        self.sections, self.version, self.exists, self.deleted_at = fresh, self.version + 1, True, None
        return None

    def delete(self, now):
        self.sections = {"desired": Section(), "reported": Section()}
        self.exists, self.deleted_at = False, now

    def document(self):
        held = {name: section for name, section in self.sections.items() if section.paths}
        return {
            "state": {name: section.tree(value_of) for name, section in held.items()},
            "metadata": {name: section.tree(stamp_of) for name, section in held.items()},
            "version": self.version,
        }

    def delta(self):
        desired = self.sections["desired"]
        paths = desired.differing(self.sections["reported"])
        return (desired.tree(value_of, paths), desired.tree(stamp_of, paths)) if paths else None
