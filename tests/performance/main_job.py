"""The whole path: device → gateway → rule → function → table, at a steady rate, and what it costs."""

import asyncio
import os
import statistics
import subprocess
import tempfile
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

from device_client.config import TelemetrySettings
from device_client.connection.mqtt import MqttConnection
from device_client.simulator.fleet import Fleet
from infra.local.cloud import LocalCloud, build_settings
from infra.local.config import ROOT
from scripts.main_job.factory import Device, Operator
from scripts.main_job.ledger import Ledger
from tests.performance.cold_start import cold_starts
from tests.performance.processes import cpu_s, ended_children_cpu_s, tree
from tests.ports import ports

_DRAIN_S = 60.0
_STARTS = 3
_CLOUD = str(ROOT / "scripts" / "cloud")
_STEP = 1.25
"""By how much each step of a ramp is faster than the one before."""
_STEPS = 12
_KEPT_UP_S = 5.0
"""A rate is held when what was acknowledged is in the table so soon after the last message: no queue has grown."""


def run(devices: str = "50", rate: str = "200", seconds: str = "60", ramp: str = "0") -> dict[str, Any]:
    """Hold ``rate`` messages/s from ``devices`` devices for ``seconds``; then measure start-up and cold starts.

    A message is a bucket of one reading: the worst case of the path, as every reading pays for the whole of it.
    ``ramp``: seconds that each faster rate is then tried for, until one is not held; 0 for none.
    """
    with tempfile.TemporaryDirectory() as folder:
        first_s, *ready_s = [_start_up(Path(folder) / "start") for _ in range(1 + _STARTS)]
        with LocalCloud(build_settings(Path(folder) / "state", ports=ports(2))) as cloud:
            operator = Operator(cloud.settings, cloud.outputs)
            things = [f"bench-{number:04d}" for number in range(int(devices))]
            made = operator.provision(things, TelemetrySettings(), Path(folder))
            path = asyncio.run(_drive(cloud, operator, made, float(rate), float(seconds)))
            held_per_s = _ramp(cloud, operator, made, float(rate), float(ramp)) if path["held"] else 0.0
            cold = cold_starts(cloud, operator)
    return {
        "whole_path": {"devices": len(things), "seconds": float(seconds), **path},
        **({"most_held_per_s": round(held_per_s, 1)} if float(ramp) else {}),
        "start_to_ready_s": {
            "median": round(statistics.median(ready_s), 2),
            "runs": _STARTS,
            "first": round(first_s, 2),  # translates the template
        },
        "cold_start_cpu_ms": cold,
    }


def _start_up(state_dir: Path) -> float:
    """Return the seconds from the command to its "ready", environment made, as a person would wait."""
    where = ["--state-dir", str(state_dir)]
    chosen = [f"--port={name}={number}" for name, number in ports(2).items()]
    started = time.monotonic()
    subprocess.run([_CLOUD, "up", *where, *chosen], check=True, capture_output=True, timeout=120)
    ready_s = time.monotonic() - started
    subprocess.run([_CLOUD, "down", *where], check=True, capture_output=True, timeout=60)
    return ready_s


def _ramp(cloud: LocalCloud, operator: Operator, devices: list[Device], rate: float, seconds: float) -> float:
    """Return the highest rate held, each tried for ``seconds``."""
    for _ in range(_STEPS if seconds else 0):
        if not asyncio.run(_drive(cloud, operator, devices, rate * _STEP, seconds))["held"]:
            break
        rate *= _STEP
    return rate


async def _drive(
    cloud: LocalCloud, operator: Operator, devices: list[Device], rate: float, seconds: float
) -> dict[str, Any]:
    pace = TelemetrySettings(sample_every_s=len(devices) / rate, flush_readings=1)
    settings = [replace(device.settings, telemetry=pace) for device in devices]
    fleet = Fleet(settings, connect=MqttConnection, seed=1, connects_per_s=50)
    failures = await fleet.start()
    before, started = _cpu(cloud), time.monotonic()
    acknowledged_before = fleet.counts().messages_acknowledged
    await asyncio.sleep(seconds)
    elapsed_s = time.monotonic() - started
    messages = fleet.counts().messages_acknowledged - acknowledged_before
    spent = {name: spent_s - before[name] for name, spent_s in _cpu(cloud).items()}
    await fleet.stop()
    counts = fleet.counts()
    ledger = Ledger(operator.client("dynamodb"), cloud.outputs["ReadingsTableName"])
    promised = {ledger.key(bucket) for bucket in counts.buckets}
    stored: Counter[tuple[str, str]] = Counter()
    deadline = time.monotonic() + _DRAIN_S
    things = [device.settings.thing for device in devices]
    while time.monotonic() < deadline:
        stored = await asyncio.to_thread(ledger.items, things)
        if not promised - set(stored):
            break
        await asyncio.sleep(1.0)
    drained_s = time.monotonic() - started - elapsed_s
    lost = len(promised - set(stored))
    return {
        "wanted_per_s": rate,
        "held": not lost and drained_s < _KEPT_UP_S and messages >= 0.98 * rate * elapsed_s,
        "connected": counts.devices_connected,
        "refused_to_connect": failures,
        "messages_acknowledged": counts.messages_acknowledged,
        "messages_per_s": round(messages / elapsed_s, 1),
        "messages_lost": lost,
        "drain_s": round(drained_s, 1),
        "cpu_ms_per_message": {name: round(1_000 * spent_s / max(1, messages), 3) for name, spent_s in spent.items()},
        "cpu_utilisation": {
            name: round(spent_s / elapsed_s / (os.cpu_count() or 1), 3)
            for name, spent_s in [*spent.items(), ("all", sum(spent.values()))]
        },
    }


def _cpu(cloud: LocalCloud) -> dict[str, float]:
    """Return the CPU seconds of each process so far.

    Workers are what the services process started; the devices are this process.
    """
    pids = cloud.pids()
    workers = [pid for pid in tree(pids["services"]) if pid != pids["services"]]
    spent_s = sum(map(cpu_s, workers)) + ended_children_cpu_s(pids["services"])
    return {**{name: cpu_s(pid) for name, pid in pids.items()}, "workers": spent_s, "devices": time.process_time()}
