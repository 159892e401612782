"""What of CloudFormation is carried, from the declarations: ``python -m infra.local.template.table`` writes it down."""

from pathlib import Path
from typing import Any, cast

from infra.local.template.kinds import KINDS, REFUSED
from infra.local.template.kinds.kind import Kind

TABLE = Path(__file__).with_name("TABLE.md")
HEAD = """# Resource types and properties

Written by `python -m infra.local.template.table`; a test fails when it is stale. Carried properties are made through
the local cloud's AWS APIs and seen there; a refused type or property is an error that names the logical id. `!` marks a
property whose change replaces the resource, which is refused for types that hold data (**bold**).

| type | carried | refused | `GetAtt` |
|---|---|---|---|
"""


def schema_of(kind: Kind) -> dict[str, Any]:
    """Return CloudFormation's own description of a type, as cfn-lint ships it."""
    from cfnlint.schema.manager import PROVIDER_SCHEMA_MANAGER

    return cast("dict[str, Any]", PROVIDER_SCHEMA_MANAGER.get_resource_schema("us-east-1", kind.type).schema)


def settable(schema: dict[str, Any]) -> set[str]:
    """Return the properties that a template may set."""
    read_only = {path.removeprefix("/properties/") for path in schema.get("readOnlyProperties", [])}
    return set(schema["properties"]) - read_only


def build_table() -> str:
    """Return the whole document."""
    rows = [_row(kind) for _, kind in sorted(KINDS.items())]
    refused = [f"| {name} | | everything: {reason} | |" for name, reason in sorted(REFUSED.items())]
    return HEAD + "\n".join([*rows, *refused, "| any other type | | everything | |"]) + "\n"


def _row(kind: Kind) -> str:
    carried = " ".join(f"{name}!" if name in kind.replaces else name for name in sorted(kind.carried))
    refused = " ".join(sorted(settable(schema_of(kind)) - kind.carried)) or "—"
    name = f"**{kind.type}**" if kind.stateful else kind.type
    return f"| {name} | {carried} | {refused} | {' '.join(sorted(kind.attributes)) or '—'} |"


if __name__ == "__main__":
    TABLE.write_text(build_table())
