"""One run of the main job, from the first certificate to the last reading read back."""

import asyncio
import contextlib
import signal
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import aiohttp
from rich.console import Group
from rich.live import Live

from device_client.config import TelemetrySettings
from device_client.connection.mqtt import MqttConnection
from device_client.simulator.fleet import Acknowledged, Fleet
from infra.local.cloud import LocalCloud
from scripts.main_job.factory import Device, Operator
from scripts.main_job.ledger import DRAIN_TIMEOUT_S, Ledger
from scripts.main_job.phone import Phone
from scripts.main_job.screen import CONSOLE, build_tables, percentiles, show_doors, tell

PROBES_AT_ONCE = 4
SPARE = "thermostat-spare"
"""A device that is provisioned and claimed but not run: the printed ``mosquitto_pub`` line takes its place."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What the demo was asked to do."""

    devices: int
    seconds: float
    sample_every_s: float
    flush_readings: int
    seed: int


class MainJob:
    """One run of the main job."""

    def __init__(self, plan: Plan, cloud: LocalCloud) -> None:
        self._plan = plan
        self._settings = cloud.settings
        self._outputs = cloud.outputs
        self._operator = Operator(cloud.settings, cloud.outputs)
        self._phone = Phone(cloud.settings, cloud.outputs, self._operator)
        self._ledger = Ledger(self._operator.client("dynamodb"), cloud.outputs["ReadingsTableName"])
        self._probes = ThreadPoolExecutor(PROBES_AT_ONCE)
        self._probing = 0
        self._stopping = asyncio.Event()
        self._devices: list[Device] = []
        self._things: list[str] = []
        self._latest: dict[str, Any] = {}

    async def run(self) -> dict[str, Any]:
        """Run it; return the summary."""
        folder = self._settings.state_dir / "devices"
        folder.mkdir(parents=True, exist_ok=True)
        things = [f"thermostat-{number:04d}" for number in range(self._plan.devices)]
        pace = TelemetrySettings(sample_every_s=self._plan.sample_every_s, flush_readings=self._plan.flush_readings)
        *self._devices, self._spare = await asyncio.to_thread(self._operator.provision, [*things, SPARE], pace, folder)
        self._things = things
        tell(f"provisioned {len(self._devices)} devices, each with a certificate of its own")
        await asyncio.to_thread(self._phone.sign_up)
        await asyncio.to_thread(self._phone.sign_in)
        tell(f"{self._phone.email} signed up, confirmed and signed in (SRP)")
        async with aiohttp.ClientSession() as http:
            for device in [*self._devices, self._spare]:
                claim = {"thing": device.settings.thing, "secret": device.secret}
                await self._phone.call(http, "POST", "/v1/devices/claim", json=claim)
            tell(f"{self._phone.email} claimed {len(self._devices)} devices")
            self._catch_signals()
            show_doors(self._settings, self._phone, self._spare)
            fleet = self._build_fleet()
            try:
                await self._watch(fleet, http)
            finally:
                await fleet.stop()
            return await self._settle(fleet, http)

    def _catch_signals(self) -> None:
        """From here on Ctrl-C ends the run in order: devices empty their outboxes, everything is counted."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stopping.set)

    def _build_fleet(self) -> Fleet:
        return Fleet(
            [device.settings for device in self._devices],
            connect=MqttConnection,
            seed=self._plan.seed,
            on_acknowledged=self._on_acknowledged,
        )

    def _on_acknowledged(self, bucket: Acknowledged) -> None:
        if self._probing < PROBES_AT_ONCE and len(bucket.at_ms) == self._plan.flush_readings:
            self._probing += 1
            done = asyncio.get_running_loop().run_in_executor(self._probes, self._ledger.probe, bucket)
            done.add_done_callback(self._on_probed)

    def _on_probed(self, done: "asyncio.Future[None]") -> None:
        self._probing -= 1
        if not done.cancelled() and (error := done.exception()) is not None:
            CONSOLE.print(f"[red]reading the table failed: {error}[/red]")

    async def _watch(self, fleet: Fleet, http: aiohttp.ClientSession) -> None:
        loop = asyncio.get_running_loop()
        for failure in await fleet.start():
            CONSOLE.print(f"[red]{failure}[/red]", soft_wrap=True)
        ends_at = loop.time() + self._plan.seconds if self._plan.seconds else float("inf")
        with Live(console=CONSOLE, auto_refresh=False) if CONSOLE.is_terminal else contextlib.nullcontext() as live:
            while not self._stopping.is_set() and loop.time() < ends_at:
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), min(1.0, max(0.0, ends_at - loop.time())))
                if live is not None:
                    live.update(await self._look(fleet, http), refresh=True)

    async def _look(self, fleet: Fleet, http: aiohttp.ClientSession) -> Group:
        """See what is in the table, and what the phone sees: the newest reading of a few of its devices."""
        for thing in self._things[:5]:
            self._latest[thing] = await self._phone.call(http, "GET", f"/v1/devices/{thing}/readings/latest")
        await asyncio.to_thread(self._ledger.look, self._things)
        counts = fleet.counts()
        readings = sum(len(bucket.at_ms) for bucket in counts.buckets if self._ledger.key(bucket) in self._ledger.seen)
        return build_tables(counts, len(self._devices), readings, self._ledger.latencies_ms, self._latest)

    async def _settle(self, fleet: Fleet, http: aiohttp.ClientSession) -> dict[str, Any]:
        """Wait until everything acknowledged is in the table, then have the phone read it back."""
        counts = fleet.counts()
        promised = Counter({self._ledger.key(bucket): len(bucket.at_ms) for bucket in counts.buckets})
        deadline = time.monotonic() + DRAIN_TIMEOUT_S
        stored = await asyncio.to_thread(self._ledger.items, self._things)
        while any(key not in stored for key in promised) and time.monotonic() < deadline:
            await asyncio.sleep(0.1)
            stored = await asyncio.to_thread(self._ledger.items, self._things)
        await asyncio.to_thread(self._probes.shutdown)
        read = await self._read_back(http)
        expected = Counter({(bucket.thing, at_ms): 0 for bucket in counts.buckets for at_ms in bucket.at_ms})
        expected.update((bucket.thing, at_ms) for bucket in counts.buckets for at_ms in bucket.at_ms)
        p50, p99 = percentiles(self._ledger.latencies_ms)
        listed = {item["thing"] for item in await self._phone.pages(http, "/v1/devices")}
        return {
            "devices_connected": counts.devices_connected,
            "messages_acknowledged": counts.messages_acknowledged,
            "readings_acknowledged": counts.readings_acknowledged,
            "readings_stored": sum(size for key, size in promised.items() if key in stored),
            "readings_duplicated": sum((read - expected)[key] for key in expected),
            "readings_lost": sum((expected - read).values()),
            "latency_ms": {"p50": p50, "p99": p99, "probes": len(self._ledger.latencies_ms)},
            "mobile": {
                "signed_in": bool(self._phone.token),
                "devices_listed": len(listed & set(self._things)),
                "readings_read": sum(read.values()),
            },
        }

    async def _read_back(self, http: aiohttp.ClientSession) -> Counter[tuple[str, int]]:
        """Return how often the phone reads each (thing, instant) through the HTTP API."""
        read: Counter[tuple[str, int]] = Counter()
        for thing in self._things:
            items = await self._phone.pages(http, f"/v1/devices/{thing}/readings", limit="100")
            read.update((thing, int(item["at_ms"])) for item in items)
        return read


def is_whole(summary: dict[str, Any], devices: int) -> bool:
    """Say whether nothing was lost or doubled and the user could read it."""
    mobile = summary["mobile"]
    checks = (
        summary["devices_connected"] == devices,
        summary["readings_acknowledged"] > 0,
        summary["readings_lost"] == summary["readings_duplicated"] == 0,
        summary["readings_stored"] == summary["readings_acknowledged"],
        mobile["signed_in"],
        mobile["devices_listed"] == devices,
        mobile["readings_read"] >= summary["readings_acknowledged"],
    )
    return all(checks)
