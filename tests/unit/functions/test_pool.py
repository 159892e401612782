"""The pool: bounded, warm, fair. Workers here are counters that never start a process."""

import asyncio
import time
from pathlib import Path
from typing import cast

import pytest

from infra.local.functions.model import Configuration, Outcome
from infra.local.functions.pool import Pool
from infra.local.functions.worker import Invocation, State, Worker


def configuration(name: str) -> Configuration:
    return Configuration(
        name=name, region="us-east-1", role="r", handler="h", runtime="python3.13", task_root=Path(), code_sha256="",
        code_size_bytes=0, last_modified="", revision_id="1",
    )  # fmt: skip


class FakeWorker:
    """Runs an invocation for as long as the test lets it."""

    def __init__(self, pool: "FakePool", configuration: Configuration) -> None:
        self.pool, self.configuration, self.stamp = pool, configuration, "stamp"
        self.state, self.idle_since, self.started_at = State.STARTING, 0.0, time.monotonic()
        self.ending = self.stale = self.returning = False
        self.unstarted = None
        self.pid = None
        self.current: Invocation | None = None
        self.served: list[str] = []

    async def start(self, _environment, first, _limit) -> None:
        self.state = State.BUSY
        self.current = first
        self.pool.became_ready(cast("Worker", self))

    def run(self, invocation: Invocation) -> None:
        self.state, self.current = State.BUSY, invocation

    def finish(self) -> None:
        invocation, self.current = self.current, None
        assert invocation
        self.served.append(invocation.request_id)
        invocation.done.set_result(Outcome(payload=b""))
        self.state, self.idle_since = State.IDLE, time.monotonic()
        self.pool.became_idle(cast("Worker", self))

    def kill(self, _reason=None) -> None:
        if not self.ending:
            self.ending = True
            asyncio.get_running_loop().call_soon(self.die)

    def die(self) -> None:
        self.state = State.DEAD
        self.pool.died(cast("Worker", self))


class FakePool(Pool):
    def __init__(self, bound: int) -> None:
        super().__init__(bound, lambda made: cast("Worker", FakeWorker(self, made)), self._none, lambda _made: "stamp")
        self.order: list[str] = []

    @staticmethod
    async def _none(_worker):
        return {}

    def submit(self, name: str, number: int = 0, *, background: bool = False) -> asyncio.Future[Outcome]:
        invocation = Invocation(
            request_id=f"{name}{number}",
            configuration=configuration(name),
            invoked_arn="",
            payload=b"",
            done=asyncio.get_running_loop().create_future(),
            background=background,
        )
        done = self.run(invocation)
        done.add_done_callback(lambda _done: self.order.append(invocation.request_id))
        return done

    def held(self) -> list[str]:
        return sorted(worker.configuration.name for worker in self.workers)

    async def step(self) -> None:
        """Let every worker finish what it runs."""
        for _ in range(4):
            await asyncio.sleep(0)
        for worker in cast("frozenset[FakeWorker]", self.workers):
            if worker.current:
                worker.finish()
        for _ in range(4):
            await asyncio.sleep(0)


async def test_the_bound_is_never_passed_and_everything_runs():
    pool = FakePool(4)
    futures = [pool.submit(name, number) for number in range(50) for name in "abcdef"]
    for _ in range(400):
        await pool.step()
    assert all(future.done() for future in futures)
    assert pool.most_alive == 4


async def test_a_warm_worker_is_preferred_and_the_least_recently_used_makes_room():
    pool = FakePool(2)
    for name in ("a", "b", "a"):
        pool.submit(name)
        await pool.step()
    assert pool.held() == ["a", "b"]

    pool.submit("c")
    await pool.step()

    assert pool.held() == ["a", "c"]


async def test_a_function_that_only_wants_more_leaves_others_warm():
    pool = FakePool(2)
    for name in ("a", "b"):
        pool.submit(name)
        await pool.step()
    futures = [pool.submit("a", number) for number in range(10)]
    for _ in range(12):
        await pool.step()
    assert all(future.done() for future in futures)
    assert pool.held() == ["a", "b"]


async def test_a_burst_of_one_function_leaves_a_place_to_another():
    pool = FakePool(4)
    for number in range(1000):
        pool.submit("burst", number, background=True)
    await pool.step()
    assert pool.held() == ["burst"] * 4

    phone = pool.submit("phone")
    for _ in range(3):
        await pool.step()

    assert phone.done()


async def test_events_whose_handlers_do_not_return_leave_the_last_place_to_others():
    pool = FakePool(4)
    for number in range(10):
        pool.submit("hangs", number, background=True)
        await asyncio.sleep(0)
    pool._fill()
    await asyncio.sleep(0)
    assert pool.held() == ["hangs"] * 3

    event = pool.submit("other", background=True)
    for _ in range(4):
        await asyncio.sleep(0)
    (other,) = (one for one in cast("frozenset[FakeWorker]", pool.workers) if one.configuration.name == "other")
    other.finish()

    assert event.done()


async def test_within_a_function_those_who_hold_a_connection_go_first():
    pool = FakePool(1)
    for number in range(5):
        pool.submit("f", number, background=True)
    pool.submit("f", 99)
    for _ in range(8):
        await pool.step()
    assert pool.order.index("f99") == 1  # one was running already


async def test_more_functions_than_places_take_turns(monkeypatch):
    monkeypatch.setattr("infra.local.functions.pool.SWITCH_AFTER_S", 0.0)
    pool = FakePool(2)
    for number in range(200):
        for name in "abcd":
            pool.submit(name, number, background=True)
    for _ in range(40):
        await pool.step()
    served = {name: sum(each.startswith(name) for each in pool.order) for name in "abcd"}
    assert min(served.values()) >= 5, served


async def test_workers_of_a_changed_function_serve_no_further_invocation():
    pool = FakePool(2)
    pool.submit("f", 1)
    await asyncio.sleep(0)
    (worker,) = cast("frozenset[FakeWorker]", pool.workers)
    pool.submit("f", 2)
    pool.retire(configuration("f").function_arn)
    for _ in range(3):
        await pool.step()
    assert worker.served == ["f1"]
    assert sorted(pool.order) == ["f1", "f2"]


async def test_a_worker_that_cannot_start_is_told_to_the_caller():
    pool = FakePool(1)

    async def refuse(_worker):
        raise PermissionError("the role cannot be taken")

    pool._environment = refuse
    with pytest.raises(PermissionError):
        await pool.submit("f")
    assert not pool.workers
