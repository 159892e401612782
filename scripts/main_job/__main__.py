"""``scripts/demo``: the command line of the main job."""

import asyncio
import json
import logging
import time
from pathlib import Path
from typing import Annotated

import typer

from infra.local import config
from infra.local.cli import parse_ports
from infra.local.cloud import CloudError, LocalCloud, build_settings
from scripts.main_job.run import MainJob, Plan, is_whole
from scripts.main_job.screen import CONSOLE, tell

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    *,
    devices: Annotated[int, typer.Option(min=1, help="How many.")] = 5,
    seconds: Annotated[float, typer.Option(min=0, help="End by itself after so long; 0 runs until Ctrl-C.")] = 0.0,
    json_path: Annotated[Path | None, typer.Option("--json", help="Write the summary here as JSON.")] = None,
    sample_every: Annotated[float, typer.Option(min=0.001, help="Seconds between readings of a device.")] = 1.0,
    flush_readings: Annotated[int, typer.Option(min=1, max=1000, help="Readings a bucket.")] = 5,
    port: Annotated[list[str] | None, typer.Option(help="NAME=NUMBER, as scripts/cloud up has it.")] = None,
    state_dir: Annotated[Path | None, typer.Option(help="Where the local cloud keeps its files.")] = None,
    workers: Annotated[int, typer.Option(min=1, help="Lambda environments alive at once.")] = 8,
    seed: Annotated[int, typer.Option(help="Of the simulated sensors.")] = 1,
) -> None:
    """Run real devices and a real phone user against the backend, on this machine, and count every reading."""
    logging.basicConfig(level=logging.WARNING, format="%(name)s: %(message)s")
    plan = Plan(
        devices=devices, seconds=seconds,
        sample_every_s=sample_every, flush_readings=flush_readings, seed=seed,
    )  # fmt: skip
    settings = build_settings(
        (state_dir or config.state_dir()).resolve(), ports=parse_ports(port or []), workers=workers
    )
    started = time.monotonic()
    try:
        _check_writable(json_path)
        made: list[str] = []
        with LocalCloud(settings, made.append) as cloud:
            ready_s = time.monotonic() - started
            tell(f"ready in {ready_s:.1f} s: infra/template.yaml is deployed, {len(made)} resources")
            summary = asyncio.run(MainJob(plan, cloud).run())
    except CloudError as error:
        tell(f"error: {error}")
        raise typer.Exit(1) from error
    summary["ready_s"] = round(ready_s, 2)
    print(json.dumps(summary, indent=2))
    if json_path is not None:
        json_path.write_text(json.dumps(summary, indent=2) + "\n")
    if not is_whole(summary, plan.devices):
        CONSOLE.print("[red]something was lost, doubled or not readable: see the summary above[/red]")
        raise typer.Exit(1)


def _check_writable(path: Path | None) -> None:
    """Find out now, not when all is done and counted, that the summary cannot be written."""
    try:
        if path is not None:
            path.open("a").close()
    except OSError as error:
        message = f"{path} cannot be written: {error.strerror}; name another file: --json FILE"
        raise CloudError(message) from error


if __name__ == "__main__":
    app(prog_name="scripts/demo")
