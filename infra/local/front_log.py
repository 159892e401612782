"""Access logs of the HTTP APIs: gathered, written to their log groups once a second."""

import asyncio
import contextlib
import logging
from collections import defaultdict
from typing import Any, Protocol

from botocore.exceptions import ClientError

from infra.local.clock import Clock

STREAM = "access"
_WRITE_EVERY_S = 1.0
_MAX_EVENTS = 5_000
"""Lines in one write; AWS takes 10,000. (CloudWatch Logs API: PutLogEvents)."""
_log = logging.getLogger(__name__)


class Aws(Protocol):
    """Calls made as the account's owner."""

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Return what the operation answers; raise as botocore does."""


class AccessLog:
    """Takes a line at a time and never waits."""

    def __init__(self, aws: Aws, clock: Clock) -> None:
        self._aws = aws
        self._clock = clock
        self._lines: dict[str, list[dict[str, Any]]] = defaultdict(list)
        self._task: asyncio.Task[None] | None = None

    def __call__(self, group: str, line: str) -> None:
        """Take a line for a log group, by name or ARN."""
        name = group.removesuffix(":*").rpartition(":log-group:")[2]
        self._lines[name].append({"timestamp": int(self._clock.time() * 1000), "message": line})

    def start(self) -> None:
        """Begin to write."""
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Write what is left."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
            await self.write()

    async def write(self) -> None:
        """Write every line taken so far; what a group refuses is logged and dropped."""
        taken, self._lines = self._lines, defaultdict(list)
        for group, events in taken.items():
            for start in range(0, len(events), _MAX_EVENTS):
                try:
                    await self._put(group, events[start : start + _MAX_EVENTS])
                except ClientError as error:
                    _log.warning("access log %s: %s", group, error)

    async def _put(self, group: str, events: list[dict[str, Any]]) -> None:
        where = {"logGroupName": group, "logStreamName": STREAM}
        try:
            await self._aws.call("logs", "put_log_events", **where, logEvents=events)
        except ClientError as error:
            if "stream" not in str(error):
                raise
            await self._aws.call("logs", "create_log_stream", **where)
            await self._aws.call("logs", "put_log_events", **where, logEvents=events)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(_WRITE_EVERY_S)
            await self.write()
