"""Retained messages: one a topic, kept until replaced or emptied. (developer guide, "MQTT": retained messages)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from infra.local.iot.message import Message

KEPT_S = 3 * 365 * 86_400
"""Three years after it was last updated or read; an expiry of the message's own ends it earlier."""


@dataclass(slots=True)
class Retained:
    """A retained message, and when it was stored and last used (epoch seconds)."""

    message: Message
    stored_at: float
    used_at: float

    def ended(self, now: float) -> bool:
        """Say whether it is no longer there."""
        expiry_s = self.message.properties.message_expiry_s
        return now - self.used_at > KEPT_S or (expiry_s is not None and now >= self.stored_at + expiry_s)


class RetainedStore:
    """Retained messages by topic; what GetRetainedMessage and ListRetainedMessages read."""

    def __init__(self, time: Callable[[], float]) -> None:
        self._time = time
        self._messages: dict[str, Retained] = {}

    def put(self, message: Message) -> None:
        """Keep the message in place of the topic's former one; an empty payload deletes. [MQTT-3.3.1-6]."""
        if message.payload:
            now = self._time()
            self._messages[message.topic] = Retained(message, now, now)
        else:
            self._messages.pop(message.topic, None)

    def get(self, topic: str) -> Retained | None:
        """Return the topic's retained message; reading it is a use."""
        found = self._messages.get(topic)
        if found is None:
            return None
        now = self._time()
        if found.ended(now):
            del self._messages[topic]
            return None
        found.used_at = now
        return found

    def list(self) -> Iterator[Retained]:
        """Yield all retained messages by topic."""
        now = self._time()
        for topic in sorted(self._messages):
            if not self._messages[topic].ended(now):
                yield self._messages[topic]
