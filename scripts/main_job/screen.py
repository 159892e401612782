"""What the person at the terminal sees: the doors, the lines to try, and the live tables."""

import json
import statistics
from typing import Any

from rich.console import Console, Group
from rich.table import Table

from device_client.simulator.fleet import FleetCounts
from infra.local import config
from infra.local.cli import endpoints
from scripts.main_job.factory import Device
from scripts.main_job.phone import Phone

CONSOLE = Console(stderr=True, highlight=False)


def tell(line: str) -> None:
    """Print a line as it is: whatever stands in it, and however long, so that it can be copied."""
    CONSOLE.print(line, markup=False, soft_wrap=True)


def show_doors(settings: config.Settings, phone: Phone, spare: Device) -> None:
    """Print the endpoints and lines that work as printed, as the phone and as a device of its own."""
    for name, where in endpoints(settings).items():
        tell(f"  {name:<28} {where}")
    device = spare.settings
    topic = f"$aws/rules/{device.stage}_telemetry/dt/{device.stage}/{device.thing}/telemetry"
    reading = '{"v":1,"boot":"00c0ffee","seq":0,"t0":\'$(date +%s)\'000,"dt":[0],"m":{"temperature_c":[21.5]}}'
    files = f"--cafile '{device.ca}' --cert '{device.certificate}' --key '{device.private_key}'"
    tell(f"\nTry it, as the phone and as the device {device.thing}:")
    tell(f"  curl -H 'authorization: Bearer {phone.token}' http://127.0.0.1:{settings.ports.http_api}/v1/devices")
    tell(f"  mosquitto_pub -h 127.0.0.1 -p {device.port} {files} -i {device.thing} -q 1 -t '{topic}' -m '{reading}'")
    tell(f"  sign-in: {phone.email} / {phone.password}\n")


def build_tables(counts: FleetCounts, devices: int, stored: int, latencies_ms: list[float], latest: Any) -> Group:
    """Return the live tables.

    Args:
        counts: what the devices know.
        devices: how many should be online.
        stored: readings that stand in the table.
        latencies_ms: from a reading's instant to its being read from the table.
        latest: the newest readings as the phone reads them through the HTTP API, by thing.
    """
    p50, p99 = percentiles(latencies_ms)
    totals = Table(title="Fieldline, live (Ctrl-C ends it)", title_justify="left")
    for column in ("devices online", "messages acknowledged", "readings stored", "device to table p50 / p99"):
        totals.add_column(column, justify="right")
    totals.add_row(
        f"{counts.devices_connected} of {devices}",
        str(counts.messages_acknowledged),
        f"{stored} of {counts.readings_acknowledged} acknowledged",
        "no message yet" if p50 is None else f"{p50:.0f} / {p99:.0f} ms",
    )
    readings = Table(title="latest readings, through the HTTP API", title_justify="left")
    readings.add_column("thing")
    readings.add_column("reading")
    for thing, answer in latest.items():
        readings.add_row(thing, json.dumps(answer["reading"]) if answer["reading"] else "none yet")
    return Group(totals, readings)


def percentiles(values: list[float]) -> tuple[float | None, float | None]:
    """Return the 50th and the 99th percentile; None for both where there are no values."""
    if len(values) < 2:  # noqa: PLR2004 - quantiles of one value say nothing
        return (values[0], values[0]) if values else (None, None)
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return round(cuts[49], 1), round(cuts[98], 1)
