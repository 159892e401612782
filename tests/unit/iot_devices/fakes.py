"""Hand-written neighbours of the device services."""

import json
from dataclasses import dataclass, field

from infra.local.iot.message import Message


@dataclass
class FakeBroker:
    """Remembers what was delivered, and who is connected."""

    published: list[Message] = field(default_factory=list)
    sent: list[tuple[str, Message]] = field(default_factory=list)
    connected: set[str] = field(default_factory=set)
    cut: list[tuple[str, bool, bool]] = field(default_factory=list)

    def publish(self, message):
        self.published.append(message)

    def send(self, client_id, message):
        self.sent.append((client_id, message))
        return True

    answer = send

    def disconnect(self, client_id, *, clean_session, prevent_will):
        self.cut.append((client_id, clean_session, prevent_will))
        return client_id in self.connected

    def take(self):
        """Return (topic, document) of what was published since the last call."""
        taken = [(one.topic, json.loads(one.payload) if one.payload else None) for one in self.published]
        self.published.clear()
        return taken


@dataclass
class Kept:
    message: Message
    stored_at: float


@dataclass
class FakeRetained:
    kept: dict[str, Kept] = field(default_factory=dict)

    def put(self, message):
        self.kept[message.topic] = Kept(message, 1_700_000_000.5)

    def get(self, topic):
        return self.kept.get(topic)

    def list(self):
        return [self.kept[topic] for topic in sorted(self.kept)]
