"""``scripts/cloud deploy``: bring a running local cloud to what the template says now."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.local.config import Settings, state_dir
from infra.local.template.errors import TemplateError
from infra.local.template.lint import TEMPLATE
from infra.local.template.stack import deploy


def deploy_command(
    template: Annotated[Path, typer.Argument(help="A SAM or CloudFormation template.")] = TEMPLATE,
    parameter: Annotated[list[str] | None, typer.Option("--parameter", "-p", help="Name=Value, once for each.")] = None,
) -> None:
    """Deploy the template into the running local cloud, in place: what is the same stays, what changed is named."""
    console = Console(soft_wrap=True)
    try:
        settings = Settings.load(state_dir())
    except FileNotFoundError:
        raise _failed(console, "no local cloud is running; cure: scripts/cloud up") from None
    if not template.is_file():
        raise _failed(console, f"there is no template {template}")
    wrong = [pair for pair in parameter or [] if "=" not in pair]
    if wrong:
        raise _failed(console, f"--parameter takes Name=Value, not {wrong[0]}")
    lines: list[str] = []

    def report(line: str) -> None:
        lines.append(line)
        console.print(line, highlight=False, markup=False)

    try:
        given = dict(pair.split("=", 1) for pair in parameter or [])
        stack = deploy(template, parameters=given, settings=settings, report=report)
    except TemplateError as error:
        raise _failed(console, str(error)) from None
    for name, value in sorted(stack.outputs.items()):
        console.print(f"{name} = {value}", highlight=False, markup=False)
    console.print(f"{len(lines)} of {len(stack.resources)} resources changed", highlight=False)


def _failed(console: Console, cause: str) -> typer.Exit:
    console.print(f"error: {cause}", style="red", highlight=False, markup=False)
    return typer.Exit(1)
