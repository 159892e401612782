"""A device does what it is told once, and says what became of it until that is heard."""

import asyncio
import contextlib
import json
import random

import pytest

from device_client.connection.memory import MemoryConnection
from device_client.errors import CannotError, NotConnectedError
from device_client.features.commands import Commands
from device_client.store.journal import Journal
from device_client.topics import Topics
from tests.unit.device_client.test_telemetry import FakeClock

LATE = 2**50


class Bench:
    """One device and what it was told; ``done`` is what its hardware did."""

    def __init__(self, path, *, connection=None):
        self.clock = FakeClock()
        self.done = []
        self.connection = connection or MemoryConnection()
        self.journal = Journal(path / "device.db")
        self.hang = asyncio.Event()

        async def blink(parameters):
            self.done.append(parameters)
            return {"blinked": parameters.get("seconds", 1)}

        async def jam(_parameters):
            raise ZeroDivisionError("the motor")

        async def refuse(_parameters):
            raise CannotError("too hot")

        async def hang(_parameters):
            self.done.append("began")
            await self.hang.wait()

        self.actions = {"blink": blink, "jam": jam, "refuse": refuse, "hang": hang, "restart": hang}
        self.commands = Commands(
            topics=Topics(stage="dev", thing="t-1"),
            connection=self.connection,
            journal=self.journal,
            actions=self.actions,
            clock=self.clock,
            dice=random.Random(1),
        )

    def told(self, name, command, parameters=None, expires_at_ms=LATE, **more):
        document = {"id": command, "parameters": parameters or {}, "expires_at_ms": expires_at_ms, **more}
        self.connection.deliver(f"cmd/dev/t-1/{name}/req", json.dumps(document).encode())

    def said(self):
        return [(topic, json.loads(payload)) for topic, payload in self.connection.published]

    def states(self, command):
        return [document["state"] for _, document in self.said() if document["id"] == command]


@contextlib.asynccontextmanager
async def running(bench):
    await bench.commands.start()
    await bench.connection.start()
    yield bench
    await bench.commands.stop()
    bench.journal.close()


async def settle():
    for _ in range(30):
        await asyncio.sleep(0)


async def test_it_says_that_it_has_it_and_then_what_came_of_it(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        bench.told("blink", "c1", {"seconds": 3})
        await settle()
        assert bench.said() == [
            ("cmd/dev/t-1/blink/res", {"id": "c1", "state": "ACKED", "result": None, "reason": ""}),
            ("cmd/dev/t-1/blink/res", {"id": "c1", "state": "SUCCEEDED", "result": {"blinked": 3}, "reason": ""}),
        ]


async def test_what_comes_again_is_answered_again_and_not_done_again(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        for _ in range(3):
            bench.told("blink", "c1")
            await settle()
        assert bench.done == [{}]
        assert bench.states("c1") == ["ACKED", "SUCCEEDED", "SUCCEEDED", "SUCCEEDED"]


@pytest.mark.parametrize(
    ("name", "state", "reason"),
    [
        ("jam", "FAILED", "ZeroDivisionError: the motor"),
        ("refuse", "REJECTED", "too hot"),
        ("sing", "REJECTED", "this device knows no such command"),
    ],
)
async def test_what_goes_wrong_is_said_and_stops_nothing(tmp_path, name, state, reason):
    async with running(Bench(tmp_path)) as bench:
        bench.told(name, "c1")
        bench.told("blink", "c2")
        await settle()
        last = [document for _, document in bench.said() if document["id"] == "c1"][-1]
        assert (last["state"], last["reason"]) == (state, reason)
        assert bench.states("c2") == ["ACKED", "SUCCEEDED"]


async def test_what_comes_after_its_time_is_not_done(tmp_path):
    async with running(Bench(tmp_path)) as bench:
        bench.told("blink", "c1", expires_at_ms=bench.clock.wall_ms())
        await settle()
        assert (bench.done, bench.states("c1")) == ([], ["REJECTED"])


@pytest.mark.parametrize("payload", [b"", b"[]", b"{}", b'"x"', b"\xff", b'{"id": "c1", "expires_at_ms": "soon"}'])
async def test_what_is_no_command_changes_nothing(tmp_path, payload):
    async with running(Bench(tmp_path)) as bench:
        bench.connection.deliver("cmd/dev/t-1/blink/req", payload)
        await settle()
        assert (bench.done, bench.said()) == ([], [])


async def test_an_answer_goes_out_once_there_is_a_connection(tmp_path):
    fails = [NotConnectedError("lost"), NotConnectedError("lost")]

    def answer(_topic, _payload):
        if fails:
            raise fails.pop()

    async with running(Bench(tmp_path, connection=MemoryConnection(answer))) as bench:
        bench.told("blink", "c1")
        await settle()
        assert sorted(bench.states("c1")) == ["ACKED", "SUCCEEDED"]
        assert bench.journal.open() == []


async def test_a_result_that_cannot_be_told_is_a_failure_and_stops_nothing(tmp_path):
    bench = Bench(tmp_path)
    for name, result in (("count", {1, 2}), ("divide", float("nan"))):

        async def act(_parameters, result=result):
            return result

        bench.actions[name] = act
    async with running(bench):
        bench.told("count", "c1")
        bench.told("divide", "c2")
        bench.told("blink", "c3")
        await settle()
        assert [bench.states(command)[-1] for command in ("c1", "c2", "c3")] == ["FAILED", "FAILED", "SUCCEEDED"]


async def test_a_disk_that_fails_once_does_not_end_the_work(tmp_path, monkeypatch):
    async with running(Bench(tmp_path)) as bench:
        with monkeypatch.context() as patch:
            patch.setattr(bench.journal, "begin", lambda _command: 1 / 0)
            bench.told("blink", "c1")
            await settle()
        bench.told("blink", "c2")
        await settle()
        assert bench.states("c2")[-1] == "SUCCEEDED"


async def test_what_was_not_begun_is_done_after_the_next_start_while_it_is_in_time(tmp_path):
    bench = Bench(tmp_path)
    async with running(bench):
        bench.told("hang", "c1")
        await settle()
        bench.told("blink", "c2", {"seconds": 4})
        bench.told("blink", "c3", expires_at_ms=bench.clock.wall_ms() + 1)
        await settle()
    again = Bench(tmp_path)
    again.clock.now_s += 1
    async with running(again):
        await settle()
        assert again.done == [{"seconds": 4}]
        assert [again.states(command)[-1] for command in ("c1", "c2", "c3")] == ["FAILED", "SUCCEEDED", "REJECTED"]


@pytest.mark.parametrize(("name", "state"), [("hang", "FAILED"), ("restart", "SUCCEEDED")])
async def test_a_power_cut_in_the_middle_is_told_at_the_next_start(tmp_path, name, state):
    bench = Bench(tmp_path)
    async with running(bench):
        bench.told(name, "c1")
        await settle()
        assert bench.done == ["began"]
    async with running(Bench(tmp_path)) as again:
        await settle()
        assert again.states("c1") == [state]
        again.told(name, "c1")
        await settle()
        assert again.done == []
