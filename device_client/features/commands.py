"""Commands: take each once, say so, carry it out, and say what became of it until that is acknowledged.

A request on ``cmd/{stage}/{thing}/{command}/req`` is ``{"id", "parameters", "expires_at_ms"}``; answers go to
``…/res`` as ``{"id", "state", "result", "reason"}``, with ACKED when it is taken and then one of SUCCEEDED, FAILED,
REJECTED. A command that comes again is answered again and not done again.
"""

import asyncio
import contextlib
import json
import logging
import random
from collections.abc import Mapping
from typing import Any

from device_client.clock import DeviceClock
from device_client.connection import Connection
from device_client.connection.backoff import full_jitter_s
from device_client.errors import CannotError, NotConnectedError, RefusedError, StorageError
from device_client.hardware import Action
from device_client.store.journal import Entry, Journal
from device_client.topics import Topics

_LOGGER = logging.getLogger(__name__)
MAX_WAITING = 100
"""Commands taken and not begun; AWS IoT has at most 100 unacknowledged on a connection anyway."""
NEVER_MS = 2**62
"""Of a command that names no end: later than any clock, and within what SQLite holds."""
MAX_REASON = 256
"""Characters of a reason that the backend takes."""


class Commands:
    """What a device does when it is told to. A `Feature`.

    Args:
        actions: by command; each is given the parameters and returns the result.
        ended_by_start: commands that a start of the device completes, such as ``restart``.
    """

    def __init__(
        self,
        *,
        topics: Topics,
        connection: Connection,
        journal: Journal,
        actions: Mapping[str, Action],
        clock: DeviceClock,
        dice: random.Random,
        ended_by_start: frozenset[str] = frozenset({"restart"}),
    ) -> None:
        self._topics = topics
        self._connection = connection
        self._journal = journal
        self._actions = actions
        self._clock = clock
        self._dice = dice
        self._ended_by_start = ended_by_start
        self._wanted: asyncio.Queue[Entry] = asyncio.Queue(MAX_WAITING)
        self._worker: asyncio.Task[None] | None = None
        self._telling: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Say what became of what an earlier run left open, and begin to listen."""
        for entry in self._journal.open():
            if entry.answer is not None:
                self._say(entry, entry.answer)
            elif entry.begun:
                self._end(entry, *self._fate_of(entry))
            else:
                self._admit(entry)
        self._worker = asyncio.create_task(self._work_for_ever())
        with contextlib.suppress(NotConnectedError):  # the wish stands: it is made known at each connection
            await self._connection.subscribe(self._topics.command_requests, self._on_request)

    async def stop(self) -> None:
        """Stop; what is unfinished or untold is said at the next start."""
        running = [*self._telling, *([self._worker] if self._worker else [])]
        self._worker = None
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    def _fate_of(self, entry: Entry) -> tuple[str, Any, str]:
        if entry.name in self._ended_by_start:
            return "SUCCEEDED", None, ""
        return "FAILED", None, "the device stopped while it was at it"

    def _on_request(self, topic: str, payload: bytes) -> None:
        name = topic.split("/")[-2]
        try:
            document = json.loads(payload)
            command, parameters = str(document["id"]), dict(document.get("parameters") or {})
            expires_at_ms = min(int(document.get("expires_at_ms", NEVER_MS)), NEVER_MS)
        except (ValueError, TypeError, KeyError) as error:
            _LOGGER.warning("%s: not a command: %s", topic, error)
            return
        entry = Entry(id=command, name=name, parameters=parameters, expires_at_ms=expires_at_ms)
        if self._wanted.full():
            _LOGGER.warning("command %s waits with the service: %d are waiting here", command, MAX_WAITING)
            return
        try:
            taken = self._journal.take(entry)
        except StorageError as error:  # it was not acknowledged: the service has it, and may send it again
            _LOGGER.warning("command %s waits with the service: %s", command, error)
            return
        if taken:
            self._admit(entry)
        else:
            self._answer_again(self._journal.find(command) or entry)

    def _admit(self, entry: Entry) -> None:
        """Let a command wait for its turn, unless it cannot be done any more, or at all."""
        if self._clock.wall_ms() >= entry.expires_at_ms:
            self._end(entry, "REJECTED", None, "it came after its time")
        elif entry.name not in self._actions:
            self._end(entry, "REJECTED", None, "this device knows no such command")
        elif self._wanted.full():  # left from an earlier run: its turn comes with the next start, or when sent again
            _LOGGER.warning("command %s waits: %d are in front of it", entry.id, MAX_WAITING)
        else:
            self._say(entry, _answer(entry, "ACKED"))
            self._wanted.put_nowait(entry)

    def _answer_again(self, entry: Entry) -> None:
        self._say(entry, entry.answer or _answer(entry, "ACKED"))

    async def _work_for_ever(self) -> None:
        while True:
            entry = await self._wanted.get()
            try:
                self._journal.begin(entry.id)
                self._end(entry, *await self._carried_out(entry))
            except (
                Exception
            ):  # a full disk, say: the next command may fare better, and the next start tells of this one
                _LOGGER.exception("command %s (%s) could not be written down", entry.id, entry.name)

    async def _carried_out(self, entry: Entry) -> tuple[str, Any, str]:
        try:
            result = await self._actions[entry.name](entry.parameters)
            json.dumps(result, allow_nan=False)  # what cannot be told did not succeed
        except CannotError as error:
            return "REJECTED", None, str(error)
        except Exception as error:
            _LOGGER.exception("command %s (%s) failed", entry.id, entry.name)
            return "FAILED", None, f"{type(error).__name__}: {error}"
        return "SUCCEEDED", result, ""

    def _end(self, entry: Entry, state: str, result: Any = None, reason: str = "") -> None:
        answer = _answer(entry, state, result, reason)
        self._journal.finish(entry.id, answer)
        self._say(entry, answer)

    def _say(self, entry: Entry, answer: Mapping[str, Any]) -> None:
        task = asyncio.create_task(self._say_until_heard(entry, answer))
        self._telling.add(task)
        task.add_done_callback(self._telling.discard)

    async def _say_until_heard(self, entry: Entry, answer: Mapping[str, Any]) -> None:
        topic = self._topics.command_answer(entry.name)
        payload = json.dumps(answer, separators=(",", ":")).encode()
        attempt = 0
        while True:
            await self._connection.connected()
            try:
                await self._connection.publish(topic, payload)
            except NotConnectedError:
                attempt += 1
                await self._clock.sleep(full_jitter_s(attempt, self._dice))
            except RefusedError as error:
                _LOGGER.warning("the answer to command %s is refused: %s", entry.id, error)
                return
            else:
                if answer["state"] != "ACKED":
                    self._journal.tell(entry.id)
                return


def _answer(entry: Entry, state: str, result: Any = None, reason: str = "") -> dict[str, Any]:
    return {"id": entry.id, "state": state, "result": result, "reason": reason[:MAX_REASON]}
