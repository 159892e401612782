"""Do something at an instant of the movable clock, and notice that it was moved."""

import asyncio
import heapq
import itertools
import time
from collections.abc import Callable

from infra.local.clock import Clock, SharedClock

_LOOK_INTERVAL_S = 0.05


class Shifts:
    """What of the clock a worker depends on, looked at twenty times a second rather than at every invocation."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._looked_at = -_LOOK_INTERVAL_S
        self._current = (0.0, 0)

    def current(self) -> tuple[float, int]:
        """Return the clock's offset in seconds and the hour it shows."""
        now = time.monotonic()
        if now - self._looked_at >= _LOOK_INTERVAL_S:
            offset_s = self._clock.offset_s() if isinstance(self._clock, SharedClock) else 0.0
            self._current = (offset_s, int(self._clock.time() // 3600))
            self._looked_at = now
        return self._current


class Timers:
    """Callbacks by due time. The clock is looked at a few times a second while anything waits: it may be moved."""

    def __init__(self, clock: Clock, tick_s: float = 0.2) -> None:
        self._clock = clock
        self._tick_s = tick_s
        self._heap: list[tuple[float, int, Callable[[], None]]] = []
        self._count = itertools.count()
        self._something = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start looking."""
        self._task = asyncio.create_task(self._run(), name="function timers")

    async def stop(self) -> None:
        """Stop; what waits is forgotten."""
        if self._task:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    def now(self) -> float:
        """Return the movable clock's epoch seconds."""
        return self._clock.time()

    @property
    def waiting(self) -> int:
        """Return how many callbacks are to come."""
        return len(self._heap)

    def at(self, due: float, callback: Callable[[], None]) -> None:
        """Call back once the clock shows ``due`` (epoch seconds) or later."""
        heapq.heappush(self._heap, (due, next(self._count), callback))
        self._something.set()

    async def sleep_until(self, due: float) -> None:
        """Return once the clock shows ``due`` or later."""
        done = asyncio.get_running_loop().create_future()
        self.at(due, lambda: None if done.done() else done.set_result(None))
        await done

    async def _run(self) -> None:
        while True:
            await self._something.wait()
            now = self._clock.time()
            while self._heap and self._heap[0][0] <= now:
                heapq.heappop(self._heap)[2]()
            if self._heap:
                await asyncio.sleep(self._tick_s)
            else:
                self._something.clear()
