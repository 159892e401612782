"""Shadow documents: a request and the current shadow in, the next shadow and every message about it out. Pure.

AWS IoT developer guide, "Device Shadow service documents", "Simulating Device Shadow service communications", "Device
Shadow error messages". What the guide leaves open follows the shadow engine AWS publishes for Greengrass.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

MAX_STATE_BYTES = 8192
"""Of minified desired plus minified reported; metadata, version and token do not count."""
MAX_DEPTH = 6
TOO_DEEP = f"JSON contains too many levels of nesting; maximum is {MAX_DEPTH}"
MAX_TOKEN_BYTES = 64
SECTIONS = ("desired", "reported")
Document = dict[str, Any]


class ShadowError(Exception):
    """A request the service rejects: ``code`` and text of the page "Device Shadow error messages"."""

    def __init__(self, code: int, message: str, client_token: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.client_token = client_token

    def document(self, now_s: int) -> Document:
        """Return the rejected message."""
        return _with_token({"code": self.code, "message": str(self), "timestamp": now_s}, self.client_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shadow:
    """One shadow. A section without content is not there; ``metadata`` runs parallel to ``state``."""

    state: Mapping[str, Document] = field(default_factory=dict)
    metadata: Mapping[str, Document] = field(default_factory=dict)
    version: int = 0

    def delta(self) -> tuple[Document, Document] | None:
        """Return how desired differs from reported, with the timestamps of desired; None if it does not."""
        desired = self.state.get("desired")
        if not desired:
            return None
        differing = _difference(desired, self.state.get("reported", {}))
        if differing is _SAME:
            return None
        return differing, _pick(self.metadata["desired"], differing)

    def snapshot(self) -> Document:
        """Return the whole document without a timestamp."""
        return {"state": dict(self.state), "metadata": dict(self.metadata), "version": self.version}


@dataclass(frozen=True, slots=True, kw_only=True)
class UpdateRequest:
    """A valid update: per section the patch, or None to remove the section."""

    patch: Mapping[str, Document | None]
    state: Any
    """As it was sent, for the answer."""
    version: int | None
    client_token: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Update:
    """What an accepted update leads to."""

    shadow: Shadow
    accepted: Document
    documents: Document
    delta: Document | None


def load_token(payload: bytes) -> str | None:
    """Return the client token of a get or delete, whose payload may otherwise be anything.

    Raises:
        ShadowError: the token is no string of at most 64 bytes.
    """
    try:
        request = json.loads(payload)
        _minified(request)  # a lone surrogate has no encoding
    except (ValueError, RecursionError):
        return None
    return _token(request) if isinstance(request, dict) else None


def load_update(payload: bytes) -> UpdateRequest:
    """Return the request in an update's payload.

    Raises:
        ShadowError: with the documented code and text.
    """
    request = _load_json(payload)
    token = _token(request)
    try:
        state = _state(request)
    except ShadowError as error:
        error.client_token = token
        raise
    version = request.get("version")
    if version is not None and (type(version) is not int or version < 0):
        raise ShadowError(400, "Invalid version", token)
    patch = dict.fromkeys(SECTIONS) if state is None else state
    return UpdateRequest(patch=patch, state=state, version=version, client_token=token)


def update(current: Shadow, request: UpdateRequest, now_s: int) -> Update:
    """Return what the request makes of the current shadow, which for a new or deleted one is empty with its version.

    Raises:
        ShadowError: 409 unless a given version is the current one, 413 if the state grew too large.
    """
    if request.version is not None and request.version != current.version:
        raise ShadowError(409, "Version conflict", request.client_token)
    stamp = {"timestamp": now_s}
    state, metadata = dict(current.state), dict(current.metadata)
    for section, patch in request.patch.items():
        merged, merged_stamps = (
            ({}, {}) if patch is None else _merge(state.get(section, {}), metadata.get(section, {}), patch, stamp)
        )
        state[section], metadata[section] = merged, merged_stamps
        if not merged:
            del state[section], metadata[section]
    if sum(len(_minified(section)) for section in state.values()) > MAX_STATE_BYTES:
        raise ShadowError(413, "The payload exceeds the maximum size allowed", request.client_token)
    shadow = Shadow(state=state, metadata=metadata, version=current.version + 1)
    accepted = {
        "state": request.state,
        "metadata": {section: _stamped(patch, stamp) for section, patch in request.patch.items()},
        "version": shadow.version,
        "timestamp": now_s,
    }
    documents = {"previous": current.snapshot(), "current": shadow.snapshot(), "timestamp": now_s}
    return Update(
        shadow=shadow,
        accepted=_with_token(accepted, request.client_token),
        documents=_with_token(documents, request.client_token),
        delta=_delta_message(shadow, request.client_token, now_s),
    )


def get(shadow: Shadow, client_token: str | None, now_s: int) -> Document:
    """Return the answer to a get: the whole document, and how desired differs from reported."""
    document = {**shadow.snapshot(), "timestamp": now_s}
    if found := shadow.delta():
        # No metadata of the delta here: the page "Shadow document syntax" and the SDKs' models have none.
        document["state"]["delta"] = found[0]
    return _with_token(document, client_token)


def delete(shadow: Shadow, client_token: str | None, now_s: int) -> Document:
    """Return the answer to a delete."""
    return _with_token({"version": shadow.version, "timestamp": now_s}, client_token)


def dump(document: Document) -> bytes:
    """Return a document as it goes over the wire."""
    return _minified(document)


def _load_json(payload: bytes) -> Document:
    try:
        text = payload.decode()
    except UnicodeDecodeError as error:
        raise ShadowError(415, "Unsupported documented encoding; supported encoding is UTF-8") from error
    try:
        request = json.loads(text, parse_constant=_no_number, parse_float=_finite)
        _minified(request)  # a lone surrogate has no encoding
    except RecursionError as error:
        raise ShadowError(400, TOO_DEEP) from error
    except ValueError as error:
        raise ShadowError(400, "Invalid JSON") from error
    if not isinstance(request, dict):
        raise ShadowError(400, "Invalid JSON")
    return request


def _no_number(text: str) -> float:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if number in {float("inf"), float("-inf")}:
        raise ValueError(f"{text} is out of range")
    return number


def _token(request: Document) -> str | None:
    if "clientToken" not in request:
        return None
    token = request["clientToken"]
    if not isinstance(token, str) or len(token.encode()) > MAX_TOKEN_BYTES:
        raise ShadowError(400, "Invalid clientToken")
    return token


def _state(request: Document) -> Document | None:
    if "state" not in request:
        raise ShadowError(400, "Missing required node: state")
    state = request["state"]
    if state is None:
        return None
    if not isinstance(state, dict):
        raise ShadowError(400, "State node must be an object")
    # A delta sent back with the document it came in is not looked at, as in the engine for Greengrass.
    if set(state) - {*SECTIONS, "delta"} or not isinstance(state.get("delta"), dict | None):
        raise ShadowError(400, "State contains an invalid node")
    state = {name: state[name] for name in SECTIONS if name in state}
    for section in SECTIONS:
        value = state.get(section)
        if value is not None and not isinstance(value, dict):
            raise ShadowError(400, f"{section.capitalize()} node must be an object")
        _check(value)
    return state


def _check(value: Any, depth: int = 0) -> None:
    """Refuse what is nested too deep (arrays count as well) and nulls in arrays."""
    if not isinstance(value, dict | list):
        return
    if depth >= MAX_DEPTH:
        raise ShadowError(400, TOO_DEEP)
    if isinstance(value, list) and None in value:
        raise ShadowError(400, "State contains an invalid node")
    for one in value.values() if isinstance(value, dict) else value:
        _check(one, depth + 1)


def _merge(state: Document, metadata: Document, patch: Document, stamp: Document) -> tuple[Document, Document]:
    """Return state and metadata with the patch merged in; null deletes, arrays are replaced whole."""
    state, metadata = dict(state), dict(metadata)
    for key, value in patch.items():
        old = state.get(key)
        if value is None:
            state.pop(key, None)
            metadata.pop(key, None)
        elif isinstance(value, dict) and isinstance(old, dict):
            state[key], metadata[key] = _merge(old, metadata[key], value, stamp)
        else:
            kept = _pruned(value)
            if kept is None and key not in state:
                continue  # a brand-new subtree of nulls alone is not created
            state[key] = {} if kept is None else kept
            metadata[key] = _stamped(state[key], stamp)
    return state, metadata


def _pruned(value: Any) -> Any:
    """Return a new value without its nulls; None for an object that held nothing else."""
    if isinstance(value, list):
        return [_pruned_element(one) for one in value]
    if not isinstance(value, dict):
        return value
    kept = {key: one for key, one in ((key, _pruned(one)) for key, one in value.items()) if one is not None}
    return None if value and not kept else kept


def _pruned_element(value: Any) -> Any:
    pruned = _pruned(value)
    return {} if pruned is None else pruned


def _stamped(value: Any, stamp: Document) -> Any:
    """Return metadata parallel to a value: a timestamp a leaf, an array of timestamps an array."""
    if isinstance(value, dict):
        return {key: _stamped(one, stamp) for key, one in value.items()}
    if isinstance(value, list):
        return [_stamped(one, stamp) for one in value]
    return stamp


_SAME: Any = object()


def _difference(desired: Any, reported: Any) -> Any:
    """Return what of desired differs, down to the leaves of objects; _SAME if nothing does."""
    if isinstance(desired, dict) and isinstance(reported, dict):
        differing = {
            key: one
            for key, one in (
                (key, _difference(value, reported[key]) if key in reported else value) for key, value in desired.items()
            )
            if one is not _SAME
        }
        return differing or _SAME
    return _SAME if _equal(desired, reported) else desired


def _equal(one: Any, other: Any) -> bool:
    """Compare as JSON: numbers by value, but true is not 1."""
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_equal, one, other))
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_equal(value, other[key]) for key, value in one.items())
    return bool(one == other)


def _pick(metadata: Any, differing: Any) -> Any:
    """Return the part of the metadata that runs parallel to a delta."""
    if isinstance(differing, dict):
        return {key: _pick(metadata[key], value) for key, value in differing.items()}
    return metadata


def _delta_message(shadow: Shadow, client_token: str | None, now_s: int) -> Document | None:
    found = shadow.delta()
    if not found:
        return None
    delta, stamps = found
    document = {"version": shadow.version, "timestamp": now_s, "state": delta, "metadata": stamps}
    return _with_token(document, client_token)


def _with_token(document: Document, client_token: str | None) -> Document:
    return document if client_token is None else {**document, "clientToken": client_token}


def _minified(document: Any) -> bytes:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()
