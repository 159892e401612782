"""``scripts/cloud explain``: why the device gateway refused somebody. AWS only closes the socket."""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from infra.local import config
from infra.local.iot.mqtt.denials import FILE_NAME

_SHOWN_STATEMENTS = 8


def explain(
    *,
    client: Annotated[str, typer.Option(help="Only refusals of this MQTT client id.")] = "",
    principal: Annotated[str, typer.Option(help="Only those of this certificate, identity or authorizer id.")] = "",
    last: Annotated[int, typer.Option(help="How many, the newest last.")] = 10,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, as they were written.")] = False,
    state_dir: Annotated[Path | None, typer.Option(help="Where the local cloud keeps its files.")] = None,
) -> None:
    """Show who was refused what by the device gateway, the statements considered, and what is missing."""
    path = (state_dir or config.state_dir()) / FILE_NAME
    if not path.parent.exists():
        typer.echo(f"error: no local cloud has run in {path.parent}; start one: scripts/cloud up", err=True)
        raise typer.Exit(1)
    wanted = {"client_id": client, "principal": principal}
    lines = path.read_text().splitlines() if path.exists() else []
    found = [entry for entry in map(json.loads, lines) if _matches(entry, wanted)][-last:]
    if not found:
        typer.echo("nothing was refused")
    for entry in found:
        typer.echo(json.dumps(entry) if as_json else "\n".join(describe(entry)))


def describe(entry: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines that tell one refusal."""
    who = entry.get("client_id") or entry.get("source_ip") or "somebody"
    yield f"{entry['at']:.3f}  {who} ({entry.get('principal_kind') or 'principal'} {entry.get('principal')})"
    if "refused" in entry:
        yield f"    refused: {entry['refused']}"
    else:
        yield f"    refused: {entry.get('action')} on {entry.get('resource')}"
        yield f"    missing: {entry.get('missing')}"
        yield from _statements(entry.get("considered", ()), entry.get("by"))


def _statements(considered: Iterable[Mapping[str, Any]], by: str | None) -> Iterator[str]:
    listed = list(considered)
    for one in listed[:_SHOWN_STATEMENTS]:
        outcome = f"does not apply: {one['mismatch']}" if one["mismatch"] else "applies"
        yield f"      {one['effect']:5} {one['statement']}: {outcome}"
    if len(listed) > _SHOWN_STATEMENTS:
        yield f"      and {len(listed) - _SHOWN_STATEMENTS} more (--json shows all)"
    if not listed:
        yield f"      {'no policy is attached to this principal' if by == 'default' else by}"


def _matches(entry: Mapping[str, Any], wanted: Mapping[str, str]) -> bool:
    return all(not value or entry.get(name) == value for name, value in wanted.items())
