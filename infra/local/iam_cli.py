"""``scripts/cloud permissions``: per role what is granted, what was used of it, what was refused, what never used."""

import asyncio
import json
from collections import defaultdict
from pathlib import Path
from typing import Annotated, Any

import boto3
import typer
from rich.console import Console
from rich.tree import Tree

from infra.local.config import Settings, state_dir
from infra.local.iam import Statement
from infra.local.iam_roles import Role, RolePolicies

_BY_LAMBDA = ("logs:", "xray:")
"""What Lambda itself does under a function's role, which the door does not see: not called unused."""


def permissions(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document instead of a tree.")] = False,  # noqa: FBT002
) -> None:
    """Show per role what is granted, used, refused and never used since the local cloud came up."""
    settings = Settings.load(state_dir())
    report = build_report(asyncio.run(read_roles(settings)), load_records(settings.state_dir))
    console = Console()
    if as_json:
        console.print_json(data=report)
        return
    for name, role in report.items():
        console.print(_tree(name, role))


def load_records(where: Path) -> list[dict[str, Any]]:
    """Return what was recorded: one entry a role, action, resource and decision."""
    path = where / "permissions.jsonl"
    return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


def build_report(roles: list[Role], records: list[dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the report: what stands under ``never used`` could be taken away without any recorded call failing."""
    by_role: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for record in records:
        by_role[record["role"]].append(record)
    return {role.name: _role_report(role, by_role[role.name]) for role in sorted(roles, key=lambda one: one.name)}


def _role_report(role: Role, records: list[dict[str, Any]]) -> dict[str, Any]:
    calls = [{key: record[key] for key in ("action", "resource")} for record in records if record["allowed"]]
    needed = {record["statements"][0] for record in records if record["allowed"] and len(record["statements"]) == 1}
    shared = [set(record["statements"]) for record in records if record["allowed"] and len(record["statements"]) > 1]
    for statements in shared:  # what several statements allow is held by the first that something else needs too
        if not statements & needed:
            needed.add(min(statements))
    used_actions = {record["action"].lower() for record in records if record["allowed"]}
    return {
        "granted": {one.origin: _grant(one) for one in role.identity if one.allows},
        "used": calls,
        "refused": [
            {key: record[key] for key in ("action", "resource", "reason")}
            for record in records
            if not record["allowed"]
        ],
        "never_used": {
            one.origin: unused
            for one in role.identity
            if one.allows and (unused := _unused(one, needed, used_actions)) is not None
        },
    }


def _unused(statement: Statement, needed: set[str], used_actions: set[str]) -> list[str] | None:
    """Return the actions of a statement that nothing used; None where all were."""
    if all(action.startswith(_BY_LAMBDA) for action in statement.actions):
        return None
    if statement.origin not in needed:
        return list(statement.actions)
    unused = [one for one in statement.actions if "*" not in one and one.lower() not in used_actions]
    return unused or None


def _grant(statement: Statement) -> dict[str, Any]:
    return {"actions": list(statement.actions), "resources": list(statement.resources)}


def _tree(name: str, role: dict[str, Any]) -> Tree:
    tree = Tree(f"[bold]{name}")
    granted = tree.add(f"granted: {len(role['granted'])}")
    for origin, grant in role["granted"].items():
        branch = granted.add(f"{origin}: {', '.join(grant['actions'])}", style="dim")
        for resource in grant["resources"]:
            branch.add(resource)
    for title, style in (("used", "green"), ("refused", "red")):
        branch = tree.add(f"{title}: {len(role[title])}")
        for call in role[title]:
            branch.add(f"{call['action']} on {call['resource']}", style=style)
    unused = tree.add(f"never used: {len(role['never_used'])}")
    for origin, actions in role["never_used"].items():
        unused.add(f"{origin}: {', '.join(actions)}", style="yellow")
    return tree


async def read_roles(settings: Settings) -> list[Role]:
    """Return every role of the running local cloud, with its policies."""
    client: Any = boto3.client(
        "iam",
        endpoint_url=settings.endpoint_url,
        region_name=settings.region,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
    )

    async def call(_service: str, operation: str, **params: Any) -> dict[str, Any]:
        answer: dict[str, Any] = client._make_api_call(operation, params)  # noqa: SLF001 - operations by AWS's names
        return answer

    policies = RolePolicies(call)
    return [await policies.get(role["RoleName"]) for role in (await call("iam", "ListRoles", MaxItems=1000))["Roles"]]
