"""The one door to the message broker: a typed port, on awsiotsdk (`mqtt.py`) and in memory for tests (`memory.py`)."""

from collections.abc import Callable
from typing import Protocol

OnMessage = Callable[[str, bytes], None]
"""Called on the event loop with a topic and a payload."""


class Connection(Protocol):
    """One MQTT connection that keeps itself up: lost, it comes back with full-jitter back-off."""

    async def start(self) -> None:
        """Connect; return once connected.

        Raises:
            NotConnectedError: no connection within the configured time; it keeps being tried until ``stop``.
        """

    async def stop(self) -> None:
        """Disconnect in good order; a will is not sent. Idempotent."""

    async def connected(self) -> None:
        """Return as soon as there is a connection."""

    def on_connected(self, callback: Callable[[], None]) -> None:
        """Have ``callback`` called at each connection from now on, once the subscriptions stand again."""

    async def publish(self, topic: str, payload: bytes) -> None:
        """Publish with QoS 1; return at its PUBACK.

        Raises:
            NotConnectedError: no connection, or lost before the PUBACK: it may or may not have arrived, so repeat it.
            RefusedError: the PUBACK carried a failure.
        """

    async def subscribe(self, topic_filter: str, on_message: OnMessage) -> None:
        """Subscribe with QoS 1; return at its SUBACK. The wish stands: it is made known again at each connection.

        Raises:
            NotConnectedError: no connection now; it is made known at the next.
            RefusedError: the SUBACK carried a failure.
        """
