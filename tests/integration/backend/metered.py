"""The backend on the local cloud's DynamoDB, within this process, where every unit read and written is counted."""

import asyncio
import json
import os
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from threading import Thread
from typing import Any, TypeVar

import pytest
from aiohttp import web

from backend.models.base import connection
from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.dynamodb import Dynamo
from infra.local.dynamodb.service import READS, WRITES
from infra.local.wire import Request
from tests.integration.backend.world import World, backend_world
from tests.unit.backend.fakes import NOW

T = TypeVar("T")
Rows = dict[tuple[str, str], Any]
"""Items by (table, key)."""


@dataclass
class Use:
    """What some calls took: read and write request units, and by which operations of DynamoDB."""

    reads: float = 0.0
    writes: float = 0.0
    operations: list[str] = field(default_factory=list)


class Meter:
    """DynamoDB on a port, which asks for the consumed capacity of whatever it is asked."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self.loop = loop
        self._dynamo = Dynamo(Settings(state_dir=Path("unused")), ManualClock(NOW))
        self._use = Use()

    def run(self, doing: Coroutine[Any, Any, T]) -> T:
        """Return what comes of something done where the tables are."""
        return asyncio.run_coroutine_threadsafe(doing, self.loop).result(120)

    def measure(self, call: Callable[[], T]) -> tuple[Use, T]:
        """Return what a call takes, and what it answers."""
        self._use = use = Use()
        answer = call()
        self._use = Use()  # what comes in between counts for nothing
        return use, answer

    async def rows(self) -> Rows:
        """Return all that stands in the tables, to go back to; uncounted."""
        found: Rows = {}
        for name in (await self._ask("ListTables"))["TableNames"]:
            keys = [
                key["AttributeName"] for key in (await self._ask("DescribeTable", TableName=name))["Table"]["KeySchema"]
            ]
            for item in (await self._ask("Scan", TableName=name))["Items"]:
                found[name, json.dumps({key: item[key] for key in keys})] = item
        return found

    async def put(self, rows: Rows) -> None:
        """Write rows as they are; uncounted."""
        for (table, _), item in rows.items():
            await self._ask("PutItem", TableName=table, Item=item)

    async def restore(self, rows: Rows) -> None:
        """Put the tables back to what stood in them."""
        now = await self.rows()
        await self.put({key: item for key, item in rows.items() if now.get(key) != item})
        for table, key in now.keys() - rows.keys():
            await self._ask("DeleteItem", TableName=table, Key=json.loads(key))

    async def _ask(self, operation: str, **document: Any) -> Any:
        headers = {"x-amz-target": f"DynamoDB_20120810.{operation}"}
        body = json.dumps(document).encode()
        answer = await self._dynamo.handle(
            Request(service="dynamodb", method="POST", path="/", headers=headers, body=body)
        )
        assert answer.status == 200, answer.body
        return json.loads(answer.body)

    async def serve(self, request: web.Request) -> web.Response:
        document = await request.json()
        target = request.headers["x-amz-target"]
        operation = target.rpartition(".")[2]
        metered = operation in READS or operation in WRITES
        if metered:
            document["ReturnConsumedCapacity"] = "TOTAL"
        body = json.dumps(document).encode()
        headers = {"x-amz-target": target}
        answer = await self._dynamo.handle(
            Request(service="dynamodb", method="POST", path="/", headers=headers, body=body)
        )
        if metered:
            self._count(operation, json.loads(answer.body))
        return web.Response(status=answer.status, body=answer.body, headers=dict(answer.headers))

    def _count(self, operation: str, answer: Any) -> None:
        self._use.operations.append(operation)
        consumed = answer.get("ConsumedCapacity", [])
        units = sum(each["CapacityUnits"] for each in ([consumed] if isinstance(consumed, dict) else consumed))
        if str(answer.get("__type", "")).endswith("ConditionalCheckFailedException"):
            units = 1.0  # a condition that fails costs what it would have written; what is written here is small
        if operation in READS:
            self._use.reads += units
        else:
            self._use.writes += units


@contextmanager
def metered_world() -> Iterator[tuple[World, Meter]]:
    """Compose the backend on tables that are counted."""
    loop = asyncio.new_event_loop()
    meter = Meter(loop)
    thread = Thread(target=loop.run_forever)
    thread.start()

    async def start() -> web.AppRunner:
        app = web.Application()
        app.router.add_post("/", meter.serve)
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        return runner

    runner = asyncio.run_coroutine_threadsafe(start(), loop).result(120)
    credentials = {"AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "x", "AWS_DEFAULT_REGION": "us-east-1"}
    try:
        with pytest.MonkeyPatch.context() as patch:
            endpoint = f"http://127.0.0.1:{runner.addresses[0][1]}"
            for name, value in {**credentials, "AWS_ENDPOINT_URL": endpoint}.items():
                patch.setitem(os.environ, name, value)
            connection.cache_clear()
            with backend_world(patch) as world:
                world.clock.tick = timedelta(milliseconds=1)  # as real ones: no two notes fall on one instant
                yield world, meter
    finally:
        connection.cache_clear()
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result(120)
        loop.call_soon_threadsafe(loop.stop)
        thread.join(30)
        loop.close()
