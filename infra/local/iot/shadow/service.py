"""The Device Shadow service: topics in, messages out; the same shadows to the data plane.

AWS IoT developer guide, "Device Shadow MQTT topics", "Device Shadow REST API", "AWS IoT Device Shadow service quotas".
The account's soft quota of requests a second is not kept.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from infra.local.clock import Clock
from infra.local.iot.errors import RefusedError
from infra.local.iot.message import Message
from infra.local.iot.ports import Broker
from infra.local.iot.shadow import documents
from infra.local.iot.shadow.documents import Document, Shadow, ShadowError

MAX_IN_FLIGHT = 10
"""Unanswered requests on one connection."""
VERSION_KEPT_FOR = timedelta(hours=48)
_TOPIC = re.compile(r"\$aws/things/([^/]+)/shadow/(?:name/([^/]+)/)?(get|update|delete)")
_NAMES = re.compile(r"[a-zA-Z0-9:_-]{1,128}"), re.compile(r"[$a-zA-Z0-9:_-]{1,64}")
"""Of things and of named shadows. (API reference, "UpdateThingShadow")."""
_REST_CODES = {
    400: "InvalidRequestException",
    404: "ResourceNotFoundException",
    409: "ConflictException",
    413: "RequestEntityTooLargeException",
    415: "UnsupportedDocumentEncodingException",
    429: "ThrottlingException",
}
Key = tuple[str, str | None]


@dataclass(slots=True)
class _Kept:
    """A shadow, or what is remembered of a deleted one: its version, for two days."""

    shadow: Shadow
    deleted_at: datetime | None = None


class Shadows:
    """Implements ``ports.Reserved``, and what the data plane asks.

    ``defer`` runs a request in the loop's next pass, so that requests a client sent in one go are in flight together;
    by default it runs at once.
    """

    def __init__(
        self, broker: Broker, clock: Clock, defer: Callable[[Callable[[], None]], object] = lambda run: run()
    ) -> None:
        self._broker = broker
        self._clock = clock
        self._defer = defer
        self._kept: dict[Key, _Kept] = {}
        self._in_flight: Counter[str] = Counter()

    def accepts(self, topic: str) -> bool:
        """Say whether a client may publish here: to get, update and delete, never to an answer's topic."""
        return _TOPIC.fullmatch(topic) is not None

    def receive(self, message: Message) -> None:
        """Serve a request; the answer, and the messages about a change, go out through the broker."""
        client = message.client_id
        if client is None:
            self._serve(message)
            return
        if self._in_flight[client] >= MAX_IN_FLIGHT:
            self._reject(message.topic, ShadowError(429, "Too many requests", _token_of(message.payload)))
            return
        self._in_flight[client] += 1
        self._defer(lambda: self._serve_in_flight(client, message))

    def put(self, thing: str, name: str | None, shadow: Shadow) -> None:
        """Have a shadow as it is given."""
        self._kept[(thing, name)] = _Kept(shadow)

    def get(self, thing: str, name: str | None) -> bytes:
        """Return a shadow's document. (GetThingShadow).

        Raises:
            RefusedError: there is none.
        """
        return self._rest(lambda: self._get((thing, name), None))

    def update(self, thing: str, name: str | None, payload: bytes) -> bytes:
        """Change a shadow; delta and documents go out over MQTT as well. (UpdateThingShadow).

        Raises:
            RefusedError: with the documented text; over REST an error leads to no MQTT message.
        """
        return self._rest(lambda: self._update((thing, name), payload))

    def delete(self, thing: str, name: str | None) -> bytes:
        """Delete a shadow. (DeleteThingShadow).

        Raises:
            RefusedError: there is none.
        """
        return self._rest(lambda: self._delete((thing, name), None))

    def names(self, thing: str) -> Sequence[str]:
        """Return the names of a thing's named shadows; an unknown thing has none. (ListNamedShadowsForThing)."""
        return sorted(
            name
            for (owner, name), kept in self._kept.items()
            if owner == thing and name is not None and kept.deleted_at is None
        )

    def now_s(self) -> int:
        """Return the time as documents carry it: epoch seconds."""
        return int(self._clock.time())

    def _serve_in_flight(self, client: str, message: Message) -> None:
        self._in_flight[client] -= 1
        if not self._in_flight[client]:
            del self._in_flight[client]
        self._serve(message)

    def _serve(self, message: Message) -> None:
        thing, name, operation = _parts(message.topic)
        key = (thing, name)
        try:
            _check_names(key)
            if operation == "update":
                answer = self._update(key, message.payload)
            else:
                token = documents.load_token(message.payload)
                answer = self._get(key, token) if operation == "get" else self._delete(key, token)
        except ShadowError as error:
            self._reject(message.topic, error)
        else:
            self._publish(f"{message.topic}/accepted", answer)

    def _get(self, key: Key, token: str | None) -> Document:
        return documents.get(self._existing(key, token), token, self.now_s())

    def _update(self, key: Key, payload: bytes) -> Document:
        request = documents.load_update(payload)
        outcome = documents.update(self._current(key), request, self.now_s())
        self._kept[key] = _Kept(outcome.shadow)
        topic = f"{_prefix(key)}/update"
        if outcome.delta:
            self._publish(f"{topic}/delta", outcome.delta)
        self._publish(f"{topic}/documents", outcome.documents)
        return outcome.accepted

    def _delete(self, key: Key, token: str | None) -> Document:
        shadow = self._existing(key, token)
        self._kept[key] = _Kept(Shadow(version=shadow.version), self._clock.now())
        return documents.delete(shadow, token, self.now_s())

    def _current(self, key: Key) -> Shadow:
        """Return the shadow to update: of a new one nothing, of a deleted one the version for 48 hours."""
        kept = self._kept.get(key)
        if kept is None or (kept.deleted_at and self._clock.now() - kept.deleted_at > VERSION_KEPT_FOR):
            return Shadow()
        return kept.shadow

    def _existing(self, key: Key, token: str | None) -> Shadow:
        kept = self._kept.get(key)
        if kept is None or kept.deleted_at:
            thing, name = key
            raise ShadowError(404, f"No shadow exists with name: '{name or thing}'", token)
        return kept.shadow

    def _rest(self, serve: Callable[[], Document]) -> bytes:
        try:
            return documents.dump(serve())
        except ShadowError as error:
            raise RefusedError(_REST_CODES[error.code], error.code, str(error)) from error

    def _reject(self, topic: str, error: ShadowError) -> None:
        self._publish(f"{topic}/rejected", error.document(self.now_s()))

    def _publish(self, topic: str, document: Document) -> None:
        self._broker.publish(Message(topic=topic, payload=documents.dump(document), qos=1))


def _parts(topic: str) -> tuple[str, str | None, str]:
    found = _TOPIC.fullmatch(topic)
    if found is None:
        raise ValueError(f"not a shadow topic: {topic}")  # callers ask ``accepts`` first
    return found[1], found[2], found[3]


def _check_names(key: Key) -> None:
    for what, pattern, name in zip(("thing", "shadow"), _NAMES, key, strict=True):
        if name is not None and not pattern.fullmatch(name):
            raise ShadowError(400, f"Invalid {what} name: it must match {pattern.pattern}")


def _prefix(key: Key) -> str:
    thing, name = key
    return f"$aws/things/{thing}/shadow" + (f"/name/{name}" if name else "")


def _token_of(payload: bytes) -> str | None:
    try:
        return documents.load_token(payload)
    except ShadowError:
        return None
