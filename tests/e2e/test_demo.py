"""The main job by its command: what it counts, that it says so when it cannot start, and that it leaves nothing."""

import json
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

from typer.testing import CliRunner

from infra.local.config import ROOT
from scripts.main_job.__main__ import app
from tests.ports import ports

_DEMO = [str(ROOT / "scripts" / "demo")]


def _options(state_dir: Path, block: int) -> list[str]:
    chosen = [f"--port={name}={number}" for name, number in ports(block).items()]
    return ["--state-dir", str(state_dir), *chosen]


def _processes_of(state_dir: Path) -> list[str]:
    """Return the command lines of all processes that carry the state directory's name."""
    found = subprocess.run(["ps", "-ax", "-ww", "-o", "pid=,command="], capture_output=True, text=True, check=True)
    return [line for line in found.stdout.splitlines() if str(state_dir) in line]


def _await_none(state_dir: Path, within_s: float = 60.0) -> list[str]:
    deadline = time.monotonic() + within_s
    while (left := _processes_of(state_dir)) and time.monotonic() < deadline:
        time.sleep(0.1)
    return left


def test_ten_devices_lose_nothing_and_their_user_reads_it_all(tmp_path: Path):
    summary_path = tmp_path / "out.json"
    size = ["--devices", "10", "--seconds", "10"]
    command = [*_DEMO, *size, "--json", summary_path.name, *_options(tmp_path / "state", 3)]
    done = subprocess.run(  # called from elsewhere: the paths are the caller's
        command, cwd=tmp_path, capture_output=True, text=True, timeout=360, check=False
    )
    assert done.returncode == 0, done.stderr[-4_000:]
    summary = json.loads(summary_path.read_text())
    assert summary["devices_connected"] == 10
    assert summary["readings_lost"] == summary["readings_duplicated"] == 0
    assert summary["readings_stored"] == summary["readings_acknowledged"] >= 10 * 8
    assert summary["messages_acknowledged"] >= 10
    assert summary["mobile"] == {
        "signed_in": True,
        "devices_listed": 10,
        "readings_read": summary["readings_acknowledged"],
    }
    assert summary["latency_ms"]["p50"] > 0
    assert _await_none(tmp_path / "state") == []


def test_ctrl_c_ends_it_in_order_and_leaves_no_process(tmp_path: Path):
    state_dir = tmp_path / "state"
    with subprocess.Popen(
        [*_DEMO, "--devices", "2", *_options(state_dir, 3)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    ) as demo:  # fmt: skip
        assert demo.stderr is not None
        for line in demo.stderr:
            if "sign-in:" in line:
                break
        os.killpg(demo.pid, signal.SIGINT)
        out, err = demo.communicate(timeout=180)
    assert demo.returncode in (0, 1), err[-2_000:]  # 1 when it was ended before the first bucket
    assert json.loads(out)["readings_lost"] == 0
    assert _await_none(state_dir) == []


def test_killed_the_hard_way_it_leaves_no_process_either(tmp_path: Path):
    state_dir = tmp_path / "state"
    with subprocess.Popen(
        [*_DEMO, "--devices", "2", *_options(state_dir, 3)],
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as demo:  # fmt: skip
        assert demo.stderr is not None
        for line in demo.stderr:
            if "sign-in:" in line:
                break
        demo.kill()
        demo.stderr.close()
    assert _await_none(state_dir) == []


def test_a_summary_that_cannot_be_written_is_said_before_anything_is_started(tmp_path: Path):
    done = CliRunner().invoke(
        app, ["--json", str(tmp_path / "no" / "out.json"), "--state-dir", str(tmp_path / "state")]
    )
    assert done.exit_code == 1
    [line] = done.stderr.strip().splitlines()
    assert "No such file or directory" in line
    assert "--json FILE" in line
    assert not (tmp_path / "state").exists()


def test_a_taken_port_is_one_line_with_its_cure(tmp_path: Path):
    chosen = ports(3)
    with socket.socket() as taken:
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        taken.bind(("127.0.0.1", chosen["mqtt"]))
        taken.listen()
        done = subprocess.run([*_DEMO, *_options(tmp_path / "state", 3)], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    [line] = done.stderr.strip().splitlines()
    assert str(chosen["mqtt"]) in line
    assert "--port mqtt=" in line
