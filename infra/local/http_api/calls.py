"""Calls of functions by API Gateway, which waits only so long; a function that takes longer goes on, as on AWS."""

import asyncio
import json
from collections.abc import Mapping
from typing import Any

from infra.local.http_api.ports import Invoked, Invoker
from infra.local.wire import Caller


class Calls:
    """Holds the calls that are under way."""

    def __init__(self, functions: Invoker) -> None:
        self._functions = functions
        self._running: set[asyncio.Task[Invoked]] = set()

    async def invoke(self, arn: str, event: Mapping[str, Any], *, source_arn: str, timeout_s: float) -> Invoked:
        """Return the function's answer.

        Raises:
            TimeoutError: it takes longer than ``timeout_s``.
            Exception: Lambda refused the call; its ``status`` is 429 when it was throttled.
        """
        caller = Caller(arn="apigateway.amazonaws.com", kind="service", source_arn=source_arn)
        task = asyncio.create_task(self._invoke(arn, json.dumps(event).encode(), caller))
        self._running.add(task)
        task.add_done_callback(self._finished)
        done, _ = await asyncio.wait({task}, timeout=timeout_s)
        if not done:
            raise TimeoutError(f"{arn} took longer than {timeout_s:g} s")
        return task.result()

    async def _invoke(self, arn: str, payload: bytes, caller: Caller) -> Invoked:
        return await self._functions.invoke(arn, payload, caller=caller)

    def _finished(self, task: asyncio.Task[Invoked]) -> None:
        self._running.discard(task)
        if not task.cancelled():
            task.exception()  # looked at, so that asyncio does not complain of one for which nobody waits any more

    async def stop(self) -> None:
        """Give up the calls that are under way."""
        for task in self._running:
            task.cancel()
        await asyncio.gather(*self._running, return_exceptions=True)
