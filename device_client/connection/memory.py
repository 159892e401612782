"""The in-memory twin of a connection, for tests: what was published stands in a list, and failures can be ordered."""

import asyncio
from collections.abc import Callable

from device_client.connection import OnMessage
from device_client.errors import NotConnectedError
from device_client.topics import matches


class MemoryConnection:
    """A `Connection` to nowhere. ``answer`` decides the fate of each publish: return to acknowledge, raise to fail."""

    def __init__(self, answer: Callable[[str, bytes], None] = lambda _topic, _payload: None) -> None:
        self.published: list[tuple[str, bytes]] = []
        self._answer = answer
        self._connected = asyncio.Event()
        self._handlers: dict[str, OnMessage] = {}
        self._callbacks: list[Callable[[], None]] = []

    async def start(self) -> None:
        """Connect."""
        self._connected.set()
        for callback in self._callbacks:
            callback()

    async def stop(self) -> None:
        """Disconnect."""
        self._connected.clear()

    def lose(self) -> None:
        """Lose the connection; ``start`` brings it back."""
        self._connected.clear()

    async def connected(self) -> None:
        """Return as soon as there is a connection."""
        await self._connected.wait()

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called at each connection."""
        self._callbacks.append(callback)

    async def publish(self, topic: str, payload: bytes) -> None:
        """Record a publish and answer it."""
        if not self._connected.is_set():
            raise NotConnectedError("the connection is lost")
        self._answer(topic, payload)
        self.published.append((topic, payload))

    async def subscribe(self, topic_filter: str, on_message: OnMessage) -> None:
        """Remember who wants messages of a topic."""
        self._handlers[topic_filter] = on_message

    def deliver(self, topic: str, payload: bytes) -> None:
        """Hand a message to whoever subscribed to its topic."""
        for topic_filter, on_message in self._handlers.items():
            if matches(topic_filter, topic):
                on_message(topic, payload)
