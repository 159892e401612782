"""The command line: run one device from a configuration file, or give it an identity first."""

import asyncio
import logging
import random
import signal
from pathlib import Path
from typing import Annotated, Any

import typer
import typer.core

from device_client.config import ClaimSettings, DeviceSettings
from device_client.connection.backoff import full_jitter_s
from device_client.connection.mqtt import MqttConnection
from device_client.device import Device, build_device
from device_client.errors import ConfigurationError, DeviceError, NotConnectedError
from device_client.features import provisioning

_LOGGER = logging.getLogger(__name__)
FORMER = "the certificate of before stays active until somebody says otherwise, which a device may not"


class _RunUnlessTold(typer.core.TyperGroup):
    """Takes ``fieldline-device config.json`` for ``fieldline-device run config.json``."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Put ``run`` before arguments that begin with no command."""
        told = not args or args[0] in {*self.commands, "--help"}
        return super().parse_args(ctx, args if told else ["run", *args])


app = typer.Typer(
    cls=_RunUnlessTold,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="The Fieldline reference device.",
)


@app.command()
def run(
    config: Annotated[Path, typer.Argument(help="JSON configuration; see 'A device' in the README.")],
    seconds: Annotated[float, typer.Option(help="Stop after so many seconds; 0 runs until interrupted.")] = 0.0,
    seed: Annotated[int | None, typer.Option(help="Of the simulated sensors.")] = None,
) -> None:
    """Run one device until interrupted; what is not acknowledged by then is sent at the next start."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    try:
        asyncio.run(_run(DeviceSettings.load(config), seconds, seed))
    except DeviceError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


@app.command()
def provision(
    claim: Annotated[Path, typer.Argument(help="JSON claim; see 'A device' in the README.")],
    name: Annotated[str, typer.Option(help="Of the configuration to write, beside the claim.")] = "device.json",
    attempts: Annotated[int, typer.Option(min=1, help="How often to try where it could work later.")] = 5,
    again: Annotated[bool, typer.Option("--again", help="Replace the identity that is there.")] = False,  # noqa: FBT002 - typer's way
) -> None:
    """Trade the claim of the fleet for an identity of the device's own; then it can run."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s")
    path = claim.parent / name
    try:
        if path.exists() and not again:
            raise ConfigurationError(f"{path} is there already: run it, or give --again to replace the identity")
        former = provisioning.find_certificate_id(path)
        asyncio.run(_provision(ClaimSettings.load(claim), path, attempts))
    except DeviceError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if former:
        typer.echo(f"{FORMER}: aws iot update-certificate --certificate-id {former} --new-status INACTIVE", err=True)
    typer.echo(path)


async def _provision(claim: ClaimSettings, path: Path, attempts: int) -> None:
    for attempt in range(1, attempts + 1):
        try:
            own = await provisioning.provision(claim, path, connect=MqttConnection)
        except DeviceError as error:
            if not error.retryable or attempt == attempts:
                raise
            wait_s = full_jitter_s(attempt, random.Random())  # noqa: S311 - a pause, not a secret
            _LOGGER.warning("%s; again in %.1f s", error, wait_s)
            await asyncio.sleep(wait_s)
        else:
            await provisioning.try_out(own, connect=MqttConnection)
            return


async def _run(settings: DeviceSettings, seconds: float, seed: int | None) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stopping.set)
    if seconds:
        loop.call_later(seconds, stopping.set)
    dice = random.Random(seed)  # noqa: S311 - physics, not secrets
    while not stopping.is_set():
        await _run_until_it_restarts(settings, dice, stopping)


async def _run_until_it_restarts(settings: DeviceSettings, dice: random.Random, stopping: asyncio.Event) -> None:
    restarting = asyncio.Event()
    device, telemetry = build_device(settings, MqttConnection(settings), dice=dice, reboot=restarting.set)
    starting = asyncio.create_task(_start(device))
    ends = [asyncio.create_task(event.wait()) for event in (stopping, restarting)]
    await asyncio.wait([starting, *ends], return_when=asyncio.FIRST_COMPLETED)
    if starting.done():
        starting.result()
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
    for task in (starting, *ends):  # told to stop, it does not wait until there is a connection
        task.cancel()
    await asyncio.gather(starting, *ends, return_exceptions=True)
    await device.stop()
    _LOGGER.info("acknowledged %d readings", telemetry.counts.readings_acknowledged)


async def _start(device: Device) -> None:
    try:
        await device.start()
    except NotConnectedError as error:
        _LOGGER.warning("%s; measuring on, and trying on", error)


if __name__ == "__main__":
    app()
