"""``scripts/simulate``: devices against the local cloud that is running, for whoever builds on it.

Each device is provisioned once: its configuration stands beside its certificate, and a later run takes it up again.
"""

import asyncio
import json
import logging
import signal
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from device_client.config import DeviceSettings, TelemetrySettings
from device_client.connection.mqtt import MqttConnection
from device_client.simulator.fleet import Fleet
from infra.local.cli import load_running, outputs_of
from infra.local.cloud import CloudError
from scripts.main_job.factory import Device, Operator
from scripts.main_job.screen import tell

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
EVERY_S = 10.0


@app.command()
def main(
    *,
    devices: Annotated[int, typer.Option(min=1, help="How many.")] = 3,
    seconds: Annotated[float, typer.Option(min=0, help="End by itself after so long; 0 runs until Ctrl-C.")] = 0.0,
    prefix: Annotated[str, typer.Option(help="Of the things' names.")] = "sim",
    sample_every: Annotated[float, typer.Option(min=0.001, help="Seconds between readings of a device.")] = 1.0,
    flush_readings: Annotated[int, typer.Option(min=1, max=1000, help="Readings a bucket.")] = 10,
    seed: Annotated[int, typer.Option(help="Of the simulated sensors.")] = 1,
    state_dir: Annotated[Path | None, typer.Option(help="Where the local cloud keeps its files.")] = None,
) -> None:
    """Provision simulated devices, print the secrets they are claimed by, and run them."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    settings = load_running(state_dir)
    operator = Operator(settings, outputs_of(settings))
    pace = TelemetrySettings(sample_every_s=sample_every, flush_readings=flush_readings)
    things = [f"{prefix}-{number:04d}" for number in range(devices)]
    folder = settings.state_dir / "devices"
    folder.mkdir(exist_ok=True)
    try:
        fresh = operator.provision([thing for thing in things if not _config(folder, thing).exists()], pace, folder)
    except CloudError as error:
        tell(f"error: {error}")
        raise typer.Exit(1) from error
    for device in fresh:
        _keep(device, folder)
        tell(f"  {device.settings.thing}  claim secret {device.secret}")
    known = [DeviceSettings.load(_config(folder, thing)) for thing in things]
    tell(f"running {len(known)} devices; their configurations are in {folder}. Ctrl-C ends it.")
    asyncio.run(_run(known, seed, seconds))


def _config(folder: Path, thing: str) -> Path:
    return folder / f"{thing}.json"


def _keep(device: Device, folder: Path) -> None:
    """Write a device's configuration as ``fieldline-device`` reads it."""
    document = asdict(device.settings)
    text = json.dumps({name: str(value) if isinstance(value, Path) else value for name, value in document.items()})
    _config(folder, device.settings.thing).write_text(text)


async def _run(known: list[DeviceSettings], seed: int, seconds: float) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    if seconds:
        loop.call_later(seconds, stopping.set)
    fleet = Fleet(known, connect=MqttConnection, seed=seed, remember=False)
    for failure in await fleet.start():
        tell(f"  {failure}")
    while not stopping.is_set():
        _count(fleet)
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_S)
        except TimeoutError:
            continue
    await fleet.stop()
    _count(fleet)


def _count(fleet: Fleet) -> None:
    counts = fleet.counts()
    tell(f"  {counts.messages_acknowledged} messages, {counts.readings_acknowledged} readings acknowledged")


if __name__ == "__main__":
    app(prog_name="scripts/simulate")
