"""``scripts/cloud`` as a person uses it: up, look at it, build on it, down."""

import json
import subprocess
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from infra.local.config import ROOT
from tests.e2e.test_demo import _await_none
from tests.ports import ports

pytestmark = pytest.mark.e2e
SCRIPTS = ROOT / "scripts"


def run(script: str, *arguments: str, state_dir: Path, status: int = 0) -> subprocess.CompletedProcess[str]:
    command = [str(SCRIPTS / script), *arguments, "--state-dir", str(state_dir)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert done.returncode == status, (command, done.stdout, done.stderr)
    return done


@pytest.fixture(scope="module")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """One that was left running by the command, and is stopped by it."""
    where = tmp_path_factory.mktemp("commanded") / "state"
    chosen = [f"--port={name}={number}" for name, number in ports(5).items()]
    assert run("cloud", "up", *chosen, state_dir=where).stdout.startswith("ready in ")
    yield where
    assert run("cloud", "down", state_dir=where).stdout == "stopped\n"
    assert _await_none(where) == []


def test_what_is_not_running_says_how_to_start_it(tmp_path: Path):
    for script, arguments in (("cloud", ["status"]), ("cloud", ["env"]), ("cloud", ["inbox"]), ("simulate", [])):
        told = run(script, *arguments, state_dir=tmp_path, status=1).stderr
        assert "scripts/cloud up" in told, (script, told)
    assert run("cloud", "down", state_dir=tmp_path).stdout == "nothing was running\n"


def test_it_runs_once_only(state_dir: Path):
    assert "scripts/cloud down" in run("cloud", "up", state_dir=state_dir, status=1).stderr


def test_its_environment_is_all_that_an_sdk_needs(state_dir: Path):
    exported = run("cloud", "env", state_dir=state_dir).stdout
    shown = subprocess.run(
        ["bash", "-c", f"{exported}\nexec env"],
        capture_output=True,
        text=True,
        check=True,
        env={"PATH": "/usr/bin:/bin"},
    ).stdout
    known = dict(line.partition("=")[::2] for line in shown.splitlines())
    iot = boto3.client(
        "iot",
        endpoint_url=known["AWS_ENDPOINT_URL"],
        region_name=known["AWS_REGION"],
        aws_access_key_id=known["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=known["AWS_SECRET_ACCESS_KEY"],
    )
    assert iot.describe_endpoint(endpointType="iot:Data-ATS")["endpointAddress"].startswith("127.0.0.1")
    status = json.loads(run("cloud", "status", "--json", state_dir=state_dir).stdout)
    assert status["running"]
    assert known["FIELDLINE_UserPoolId"] == status["outputs"]["UserPoolId"]


def test_simulated_devices_run_against_it_and_are_taken_up_again(state_dir: Path):
    for devices, provisioned in (2, 2), (3, 1):
        pace = ["--seconds=2", "--sample-every=0.2", "--flush-readings=2"]
        told = run("simulate", f"--devices={devices}", *pace, state_dir=state_dir).stderr
        assert told.count("claim secret") == provisioned
        last = told.splitlines()[-1]
        assert int(last.split()[0]) >= devices, last
    assert "REPORT RequestId" in run("cloud", "logs", "telemetry", state_dir=state_dir).stdout
