"""The workers of all functions.

Bounded in number, reused while warm, shared fairly, the least recently used given up first.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Mapping

from infra.local.functions.inside.warden import family
from infra.local.functions.model import Configuration, Outcome
from infra.local.functions.processes import family_memory_mb
from infra.local.functions.worker import INIT_LIMIT_S, Invocation, State, Worker

SWITCH_AFTER_S = 0.5
"""How long a worker serves its own function's queue before a function without any worker may take its place.

A cold start costs
a tenth of a second or more, so taking turns at every invocation would do nothing else."""
KEEP_WARM_S = 3.0
"""How long an idle worker keeps its place against a function that has workers and wants more.

One that has none takes it at once.
"""
ANSWERED_WITHIN_S = 1.0
"""How lately a function must have answered for its events to take the last free place.

Handlers that never return would otherwise hold every place, and no other function would run until they time out.
"""
WATCH_INTERVAL_S = 0.1
MEMORY_TOLERANCE = 1.25
"""Beyond MemorySize, before a worker is killed: this machine's allocator and bytecode are not AWS's."""
MAX_PROCESSES = 1024
"""Of one environment. ("Lambda quotas": execution processes and threads)."""

_log = logging.getLogger(__name__)

Key = str
"""A version of a function, by its ARN."""


class Queue:
    """Invocations of one function version that wait for a worker: those somebody holds a connection for go first."""

    def __init__(self) -> None:
        self.direct: deque[Invocation] = deque()
        self.background: deque[Invocation] = deque()

    def __len__(self) -> int:
        return len(self.direct) + len(self.background)

    def __iter__(self) -> Iterator[Invocation]:
        yield from self.direct
        yield from self.background

    def push(self, invocation: Invocation) -> None:
        """Add at the end of its lane."""
        (self.background if invocation.background else self.direct).append(invocation)

    def pop(self) -> Invocation:
        """Take the next."""
        return (self.direct or self.background).popleft()

    def head(self) -> Invocation:
        """Return the next without taking it."""
        return (self.direct or self.background)[0]


class Pool:
    """Hands invocations to workers. Every method belongs to the event loop."""

    def __init__(
        self,
        bound: int,
        make: Callable[[Configuration], Worker],
        environment: Callable[[Worker], Awaitable[Mapping[str, str]]],
        stamp: Callable[[Configuration], object],
    ) -> None:
        """``stamp`` says what a worker of a configuration would be started from now.

        Code, settings, clock, credentials.
        """
        self._bound = bound
        self._make = make
        self._environment = environment
        self._stamp = stamp
        self._workers: set[Worker] = set()
        self._idle: dict[Key, list[Worker]] = {}
        self._alive: dict[Key, int] = {}
        self._queues: dict[Key, Queue] = {}
        self._answered: dict[Key, float] = {}
        """When a function's worker last finished an invocation."""
        self._tasks: set[asyncio.Task[None]] = set()
        self._watch: asyncio.Task[None] | None = None
        self._stopping = False
        self.most_alive = 0
        """The most workers ever alive at once."""

    def start(self) -> None:
        """Start watching memory."""
        self._watch = asyncio.create_task(self._watch_workers(), name="worker watch")

    async def stop(self) -> None:
        """Kill every worker and wait for its end."""
        self._stopping = True
        if self._watch:
            self._watch.cancel()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, *(worker.stop() for worker in list(self._workers)), return_exceptions=True)

    @property
    def workers(self) -> frozenset[Worker]:
        """Return the workers alive."""
        return frozenset(self._workers)

    def run(self, invocation: Invocation) -> asyncio.Future[Outcome]:
        """Run an invocation as soon as a worker is free for it."""
        key = invocation.configuration.arn
        stamp = self._stamp(invocation.configuration)
        idle = self._idle.get(key, [])
        while idle:
            worker = idle.pop()
            if worker.stamp == stamp and worker.state is State.IDLE:
                worker.run(invocation)
                return invocation.done
            worker.kill()
        invocation.queued_at = time.monotonic()
        self._queues.setdefault(key, Queue()).push(invocation)
        self._fill()
        return invocation.done

    def retire(self, function_arn: str) -> None:
        """Give up the workers of a function that changed or is gone.

        Idle ones now, running ones after their invocation.
        """
        for worker in list(self._workers):
            if worker.configuration.function_arn == function_arn:
                worker.stale = True
                if worker.state is State.IDLE:
                    self._idle[worker.configuration.arn].remove(worker)
                    worker.kill()

    def became_ready(self, _worker: Worker) -> None:
        """Take note that a worker has initialised and runs its first invocation: the next may start."""
        self._fill()

    def became_idle(self, worker: Worker) -> None:
        """Give a worker that finished its next invocation, keep it warm, or make room for another function."""
        key = worker.configuration.arn
        self._answered[key] = time.monotonic()
        queue = self._queues.get(key)
        if (
            self._stopping
            or worker.stale
            or self._must_yield(worker, queue)
            or (queue and worker.stamp != self._stamp(worker.configuration))
        ):
            worker.kill()
        elif queue:
            worker.run(queue.pop())
            if not queue:
                del self._queues[key]
            elif self._free_places() > 0:
                self._fill()
        else:
            self._idle.setdefault(key, []).append(worker)

    def died(self, worker: Worker) -> None:
        """Forget a worker and let the next in line start."""
        self._workers.discard(worker)
        self._count(worker.configuration.arn, -1)
        warm = self._idle.get(worker.configuration.arn, [])
        if worker in warm:
            warm.remove(worker)
        if worker.unstarted:
            self._start(worker.unstarted, max(worker.configuration.timeout_s, INIT_LIMIT_S + 1))
        self._fill()

    def _must_yield(self, worker: Worker, queue: Queue | None) -> bool:
        """Say whether another function has a better claim to this worker's place.

        Shares are levelled: a waiting function gets a place from one that holds at least two more. A function that
        holds none gets one from any that has had its turn.
        """
        own = self._alive[worker.configuration.arn]
        others = [self._alive.get(key, 0) for key in self._queues if key != worker.configuration.arn]
        if not others or self._free_places() > 0:
            return False
        fewest = min(others)
        if not queue or fewest + 2 <= own:
            return True
        return fewest == 0 and time.monotonic() - worker.started_at >= SWITCH_AFTER_S

    def _free_places(self) -> int:
        return self._bound - len(self._workers)

    def _fill(self) -> None:
        """Start workers for those who wait, while there is room or room can be made."""
        while not self._stopping:
            waiting = [key for key, queue in self._queues.items() if self._needs_worker(key, queue)]
            if not waiting:
                return
            key = min(waiting, key=lambda key: (self._alive.get(key, 0), self._queues[key].head().queued_at))
            if self._free_places() <= 0:
                self._evict(idle_for_s=KEEP_WARM_S if self._alive.get(key) else 0.0)
                return
            queue = self._queues[key]
            invocation = queue.pop()
            if not queue:
                del self._queues[key]
            self._start(invocation, INIT_LIMIT_S)

    def _needs_worker(self, key: Key, queue: Queue) -> bool:
        """Say whether a function's queue justifies another worker.

        Not for those that workers will take who have just answered; and not while one is starting: on a few cores,
        starts side by side are each as much slower, and what waits is often done by the first.
        """
        own = [worker for worker in self._workers if worker.configuration.arn == key]
        if any(worker.state is State.STARTING and not worker.ending for worker in own):
            return False
        if own and not queue.direct and self._is_last_place() and not self._answers(key):
            return False
        return len(queue) > sum(worker.returning for worker in own)

    def _is_last_place(self) -> bool:
        """Say whether one place is left, and no idle worker could be given up for another."""
        return self._bound > 1 and self._free_places() == 1 and not any(self._idle.values())

    def _answers(self, key: Key) -> bool:
        return time.monotonic() - self._answered.get(key, -ANSWERED_WITHIN_S) < ANSWERED_WITHIN_S

    def _evict(self, idle_for_s: float) -> None:
        """Give up the worker longest idle, for that long at least, unless enough are on their way out already."""
        waiting = sum(len(queue) for queue in self._queues.values())
        if sum(worker.ending for worker in self._workers) >= waiting:
            return
        latest = time.monotonic() - idle_for_s
        idle = [worker for workers in self._idle.values() for worker in workers if worker.idle_since <= latest]
        if idle:
            oldest = min(idle, key=lambda worker: worker.idle_since)
            self._idle[oldest.configuration.arn].remove(oldest)
            oldest.kill()

    def _start(self, invocation: Invocation, init_limit_s: float) -> None:
        worker = self._make(invocation.configuration)
        self._workers.add(worker)
        self._count(invocation.configuration.arn, 1)
        self.most_alive = max(self.most_alive, len(self._workers))
        task = asyncio.create_task(self._start_worker(worker, invocation, init_limit_s))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _start_worker(self, worker: Worker, invocation: Invocation, init_limit_s: float) -> None:
        try:
            await worker.start(await self._environment(worker), invocation, init_limit_s)
        except Exception as error:  # noqa: BLE001 - the loop's edge: a role that cannot be taken, a directory gone
            _log.exception("a worker of %s could not start", invocation.configuration.name)
            worker.state = State.DEAD
            if not invocation.done.done():
                invocation.done.set_exception(error)
            self.died(worker)

    def _count(self, key: Key, by: int) -> None:
        alive = self._alive.get(key, 0) + by
        if alive:
            self._alive[key] = alive
        else:
            self._alive.pop(key, None)

    async def _watch_workers(self) -> None:
        """Kill what exceeds its memory or processes, as the sandbox does: ``signal: killed``."""
        while True:
            await asyncio.sleep(WATCH_INTERVAL_S)
            self._fill()  # others may have been idle for long enough by now
            for worker in list(self._workers):
                if worker.pid and not worker.frozen:
                    self._check(worker, worker.pid)

    @staticmethod
    def _check(worker: Worker, pid: int) -> None:
        members = family(pid)
        used_mb = family_memory_mb(members)
        worker.max_memory_mb = max(worker.max_memory_mb, used_mb)
        if used_mb > worker.configuration.memory_mb * MEMORY_TOLERANCE or len(members) > MAX_PROCESSES:
            worker.kill("memory")
