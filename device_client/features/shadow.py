"""One shadow kept in step: what is wanted is put into effect, and what is in effect is reported.

AWS IoT developer guide, "Device Shadow MQTT topics". At every connection the whole document is fetched, since what was
published while the device was away is not kept for it. Between connections ``update/documents`` brings it whole after
each change: a delta would not tell of a wish taken back, and ``update/accepted`` not of a change made over HTTPS. A
document older than the one known is passed over: MQTT promises no order.
"""

import asyncio
import contextlib
import json
import logging
from collections.abc import Mapping
from typing import Any, Protocol

from device_client.connection import Connection
from device_client.errors import NotConnectedError, RefusedError
from device_client.topics import ShadowTopics

_LOGGER = logging.getLogger(__name__)
MAX_WAITING = 100
_NO_SHADOW = 404


class Follower(Protocol):
    """What puts the wishes of one shadow into effect."""

    def apply(self, wanted: Mapping[str, Any]) -> None:
        """Put all that is wanted into effect, as far as it can be; what is not in it is not wanted any more."""

    def report(self) -> Mapping[str, Any]:
        """Return what is in effect; None for what is so no more."""


class Shadow:
    """One shadow of a thing. A `Feature`."""

    def __init__(self, *, topics: ShadowTopics, connection: Connection, follower: Follower) -> None:
        self._topics = topics
        self._connection = connection
        self._follower = follower
        self._version = 0
        self._reported: Mapping[str, Any] = {}
        self._heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue(MAX_WAITING)
        self._worker: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to listen; fetch the document at each connection."""
        self._worker = asyncio.create_task(self._listen_for_ever())
        self._connection.on_connected(self._fetch)
        for topic in self._topics.heard:
            with contextlib.suppress(NotConnectedError):  # the wish stands
                await self._connection.subscribe(topic, self._hear)

    async def stop(self) -> None:
        """Stop listening."""
        worker, self._worker = self._worker, None
        if worker is not None:
            worker.cancel()
            await asyncio.gather(worker, return_exceptions=True)

    def _hear(self, topic: str, payload: bytes) -> None:
        try:
            self._heard.put_nowait((topic, payload))
        except asyncio.QueueFull:
            _LOGGER.warning("%s: passed over, %d are waiting; the next connection fetches all", topic, MAX_WAITING)

    async def _listen_for_ever(self) -> None:
        while True:
            topic, payload = await self._heard.get()
            try:
                await self._take(topic, payload)
            except NotConnectedError as error:
                _LOGGER.info("%s: left for the next connection: %s", topic, error)
            except RefusedError as error:
                _LOGGER.warning("%s: refused: %s", topic, error)
            except (ValueError, TypeError, KeyError, AttributeError) as error:
                _LOGGER.warning("%s: not a shadow document: %s", topic, error)

    def _fetch(self) -> None:
        self._version = 0  # what was known may have been deleted meanwhile, and its versions begun anew
        self._hear(self._topics.get, b"")

    async def _take(self, topic: str, payload: bytes) -> None:
        if topic == self._topics.get:
            await self._connection.publish(topic, b"")
            return
        document = json.loads(payload)
        if topic == self._topics.fetched:
            self._take_state(document)
        elif topic == self._topics.changed:
            self._take_state(document["current"])
        elif topic == self._topics.deleted or document.get("code") == _NO_SHADOW:
            self._version = 0
            self._take_state({"state": {}, "version": 0})
        else:
            _LOGGER.warning("%s: %s", topic, document.get("message"))
            return
        await self._tell()

    def _take_state(self, document: Mapping[str, Any]) -> None:
        state, version = document["state"], int(document["version"])
        if version < self._version:
            return
        self._version = version
        self._reported = state.get("reported", {})
        self._follower.apply(state.get("desired", {}))

    async def _tell(self) -> None:
        """Report what is in effect, as far as it is not known already."""
        news = {name: value for name, value in self._follower.report().items() if self._reported.get(name) != value}
        if news:
            await self._connection.publish(self._topics.update, json.dumps({"state": {"reported": news}}).encode())
            self._reported = {**self._reported, **news}
