"""A metric, a command and a route, made in a copy of the tree as the README says, work from end to end there.

The code is taken out of the README itself, so that it cannot say what does not work.
"""

import os
import re
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent, indent

import pytest

from infra.local.config import ROOT
from tests.ports import ports

pytestmark = [pytest.mark.e2e, pytest.mark.local_only]
TYPE, ACTIONS = "backend/device_types/thermostat.json", "device_client/hardware/thermostat.py"
DOOR, SCHEMAS, TEMPLATE = "backend/handlers/devices.py", "backend/schemas/devices.py", "infra/template.yaml"
MOST_FILES = 3
COPIED = ("backend", "device_client", "infra", "scripts", "tests", "pyproject.toml", "README.md")
FENCED = re.compile(r"```\w*\n(.*?)```", re.DOTALL)


@dataclass(frozen=True)
class Change:
    """One piece of code of the README, and where it goes."""

    file: str
    code: str
    before: str
    """It stands before the first line that begins so, which it replaces where it says the same at greater length."""


def screens() -> dict[str, list[str]]:
    """Return what the README shows for each kind of change: the pieces of code, in order."""
    section = (ROOT / "README.md").read_text("utf-8").partition("## Changing it\n")[2].partition("\n## ")[0]
    parts = re.split(r"^\*\*(A \w+)\*\*", section, flags=re.MULTILINE)[1:]
    return {name: FENCED.findall(text) for name, text in zip(parts[::2], parts[1::2], strict=True)}


def changes() -> dict[str, list[Change]]:
    """Return the changes, kind by kind."""
    shown = screens()
    (metric,), (described, done) = shown["A metric"], shown["A command"]
    door, schema, event = shown["A route"]
    return {
        "metric": [Change(TYPE, f"{metric.strip()},\n", '    "temperature_c":')],
        "command": [
            Change(TYPE, f"{described.strip()},\n", '    "identify":'),
            Change(ACTIONS, done, '    return {"identify"'),
        ],
        "route": [
            Change(DOOR, f"{door}\n\n", "def handler("),
            Change(SCHEMAS, f"{schema}\n\n", "class DeviceChanges("),
            Change(TEMPLATE, event, "        Claim: {Type: HttpApi"),
        ],
    }


def make(root: Path, change: Change) -> None:
    """Make one change in a tree."""
    path = root / change.file
    lines = path.read_text("utf-8").splitlines(keepends=True)
    (at, *others) = [number for number, line in enumerate(lines) if line.startswith(change.before)]
    assert not others, f"{change.file}: {change.before} stands more than once"
    imports = "".join(line for line in change.code.splitlines(keepends=True) if line.startswith("from "))
    depth = re.match(" *", lines[at])
    assert depth is not None
    code = indent(dedent(change.code.replace(imports, "", 1).lstrip("\n")), depth[0])
    last = code.rstrip("\n").splitlines()[-1]
    replaced = last.startswith(change.before)
    assert not replaced or lines[at].rstrip("}\n") in last, "the README's line no longer holds what the file's does"
    lines[at : at + replaced] = [code]
    if imports:
        first = next(number for number, line in enumerate(lines) if line.startswith("from backend.schemas"))
        lines.insert(first, imports)
    path.write_text("".join(lines), "utf-8")


def test_each_change_touches_three_files_at_most_and_none_of_the_local_cloud() -> None:
    for kind, made in changes().items():
        files = {change.file for change in made}
        assert len(files) <= MOST_FILES, kind
        assert not any(file.startswith("infra/local") for file in files)


def test_what_the_readme_shows_works_in_a_copy_of_the_tree(tmp_path: Path) -> None:
    root = tmp_path / "copy"
    ignored = shutil.ignore_patterns("__pycache__", ".mypy_cache", ".ruff_cache")
    root.mkdir()
    for name in COPIED:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, root / name, ignore=ignored)
        else:
            shutil.copy(source, root / name)
    for made in changes().values():
        for change in made:
            make(root, change)
    first = min(ports(30).values())
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "AWS_"))},
        "PYTHONPATH": str(root),
        "FIELDLINE_TEST_PORTS": str(first),
    }
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/e2e/changed_tree.py"]
    run = subprocess.run(command, cwd=root, env=environment, capture_output=True, text=True, timeout=360, check=False)
    assert run.returncode == 0, run.stdout[-6000:] + run.stderr[-2000:]
    assert "3 passed" in run.stdout
