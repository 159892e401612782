"""Each thing that doctor looks at, broken once: it is found, and the cure is said."""

import importlib.metadata
import socket
from pathlib import Path

import pytest
from typer.testing import CliRunner

from infra.local.cli import app
from infra.local.config import Ports
from infra.local.doctor import Machine, examine
from tests.ports import ports

BROKEN = {
    "Python 3.10.4": ({"python": (3, 10, 4)}, "PYTHON="),
    "Python 3.15.0": ({"python": (3, 15, 0)}, "PYTHON="),
    "256 open files allowed": ({"open_files": lambda: 256}, "ulimit -n 4096"),
    "12 MB free at ": ({"free_bytes": lambda _path: 12_000_000}, "make room"),
}


def problems(state_dir: Path, chosen: Ports, machine: Machine | None = None) -> dict[str, str]:
    found = examine(chosen, state_dir, running=False, machine=machine)
    return {finding.what: finding.problem for finding in found if finding.problem}


def test_a_machine_as_it_should_be_has_no_problem(tmp_path):
    assert problems(tmp_path / "not" / "there", Ports(**ports(60)), Machine(open_files=lambda: 4096)) == {}


@pytest.mark.parametrize("what", BROKEN)
def test_what_is_broken_is_named_with_its_cure(tmp_path, what):
    changed, cure = BROKEN[what]
    machine = Machine(**{"open_files": lambda: 4096, **changed})
    ((found, problem),) = problems(tmp_path, Ports(**ports(60)), machine).items()
    assert found.startswith(what)
    assert cure in problem


def test_what_is_not_as_locked_is_named(tmp_path):
    lock = tmp_path / "lock"
    lock.write_text("one==1.0 \\\n    --hash=x\ntwo==2.0 ; sys_platform == 'linux' \\\nthree==3.0 \\\n")

    def installed(name):
        if name == "three":
            raise importlib.metadata.PackageNotFoundError(name)
        return {"one": "1.1"}[name]

    machine = Machine(open_files=lambda: 4096, lock=lock, installed=installed)
    ((_, problem),) = problems(tmp_path / "state", Ports(**ports(60)), machine).items()
    assert "one 1.1 where the lock says 1.0; three nothing where the lock says 3.0" in problem
    assert "rm -rf .venv" in problem


def test_every_port_that_is_taken_or_chosen_twice_is_named_with_another(tmp_path):
    chosen = Ports(**ports(60))
    machine = Machine(open_files=lambda: 4096)
    with socket.create_server(("127.0.0.1", chosen.mqtt)), socket.create_server(("127.0.0.1", chosen.aws)):
        found = problems(tmp_path, chosen, machine)
    assert set(found) == {f"port {chosen.mqtt} (mqtt)", f"port {chosen.aws} (aws)"}
    assert f"--port mqtt={chosen.mqtt + 10_000}" in found[f"port {chosen.mqtt} (mqtt)"]
    twice = problems(tmp_path, Ports(aws=chosen.aws, http_api=chosen.aws, mqtt=chosen.mqtt), machine)
    assert "chosen twice" in twice[f"port {chosen.aws} (http_api)"]


def test_a_directory_of_somebody_elses_is_named(tmp_path):
    (tmp_path / "thesis.txt").write_text("mine")
    ((_, problem),) = problems(tmp_path, Ports(**ports(60)), Machine(open_files=lambda: 4096)).items()
    assert "choose another --state-dir" in problem


def test_a_state_directory_that_cannot_be_looked_into_is_named(tmp_path):
    file = tmp_path / "file"
    file.touch()
    found = problems(file, Ports(**ports(60)), Machine(open_files=lambda: 4096))
    assert found.pop(f"files go to {file}")
    ((_, problem),) = found.items()
    assert "cannot be looked into: Not a directory" in problem
    assert "choose another --state-dir" in problem


def test_a_state_directory_that_cannot_be_made_is_named_by_up(tmp_path):
    file = tmp_path / "file"
    file.touch()
    result = CliRunner().invoke(app, ["up", "--state-dir", str(file / "sub")])
    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert "choose another --state-dir" in result.output
