"""A moved clock is seen inside workers, in every way Python tells the time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta

from infra.local.clock import SharedClock
from tests.integration.functions.stage import Stage

DAYS = timedelta(days=2)


async def test_workers_follow_the_moved_clock(tmp_path):
    (tmp_path / "clock").mkdir()
    clock = SharedClock(tmp_path / "clock")
    async with Stage(tmp_path, clock=clock) as stage:
        await stage.create("f", "app.clock")
        before, _ = await stage.invoke("f")
        assert abs(before["time"] - time.time()) < 30

        clock.move(DAYS)
        await stage.functions.timers.sleep_until(0)
        await asyncio.sleep(0.06)  # the clock is looked at twenty times a second
        after, _ = await stage.invoke("f")

        expected = time.time() + DAYS.total_seconds()
        for name in ("time", "now", "utcnow"):
            assert abs(after[name] - expected) < 30, name
        assert abs(after["time_ns"] / 1e9 - expected) < 30
        day = datetime.fromtimestamp(expected, UTC).date().isoformat()
        assert after["today"] == after["gmtime"] == after["strftime"] == day
        assert after["exact"] is True
        assert 0 < after["remaining_ms"] <= 60_000
