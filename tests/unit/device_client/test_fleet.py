"""A fleet counts what became of every reading, through restarts too."""

import asyncio
import json

from device_client.config import DeviceSettings, TelemetrySettings
from device_client.connection.memory import MemoryConnection
from device_client.simulator.fleet import Fleet


def settings(folder, thing):
    never_read = folder / "unused.pem"
    return DeviceSettings(
        thing=thing, stage="dev", endpoint="nowhere", certificate=never_read, private_key=never_read, ca=never_read,
        outbox=folder / f"{thing}.db", telemetry=TelemetrySettings(sample_every_s=0.001, flush_readings=2),
    )  # fmt: skip


async def until(condition):
    async with asyncio.timeout(60):
        while not condition():
            await asyncio.sleep(0.002)


async def test_a_device_that_is_told_to_restart_comes_back_under_another_boot_and_is_counted_as_one(tmp_path):
    made: list[MemoryConnection] = []

    def connect(_settings):
        made.append(MemoryConnection())
        return made[-1]

    told = []
    fleet = Fleet([settings(tmp_path, "t-1")], connect=connect, seed=1, connects_per_s=1e6, on_acknowledged=told.append)
    assert await fleet.start() == []
    await until(lambda: told)
    order = {"id": "c1", "parameters": {}, "expires_at_ms": 2**50}
    made[0].deliver("cmd/dev/t-1/restart/req", json.dumps(order).encode())
    await until(lambda: len({bucket.boot for bucket in told}) == 2)
    await fleet.stop()
    answers = [json.loads(payload)["state"] for one in made for topic, payload in one.published if "restart" in topic]
    assert answers == ["ACKED", "SUCCEEDED"]
    counts = fleet.counts()
    assert (counts.devices_connected, counts.messages_refused) == (1, 0)
    assert (
        counts.readings_acknowledged
        == sum(len(bucket.at_ms) for bucket in told)
        == 2 * len(told) - sum(len(bucket.at_ms) == 1 for bucket in told)
    )
    assert counts.messages_acknowledged == len(told)
