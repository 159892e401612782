"""``scripts/test`` as a process of its own, with stand-ins for what it runs."""

import contextlib
import os
import select
import shutil
import signal
import subprocess
from pathlib import Path

import pytest

SCRIPTS = Path(__file__).parents[3] / "scripts"
STAND_INS = {
    "scripts/environment": 'FIELDLINE_ROOT=$PWD; PATH="$PWD/bin:$PATH"',
    "scripts/check": "#!/usr/bin/env bash\necho said by check\nbash -c 'touch begun; sleep $CHECK_TAKES'\nexit $CHECK",
    "bin/pytest": "#!/usr/bin/env bash\ntrap 'exit 2' INT\nuntil [ -e begun ]; do sleep 0.01; done\n"
    'echo said by pytest "$@"\nsleep $TESTS_TAKE\nexit $TESTS',
}


@pytest.fixture
def started(tmp_path):
    """Starts the gate, its check and its tests ending as told."""
    begun = []
    for name, text in STAND_INS.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n")
        path.chmod(0o755)
    shutil.copy(SCRIPTS / "test", tmp_path / "scripts")
    (tmp_path / "tmp").mkdir()

    def start(*, tests="0", check="0", tests_take="0", check_takes="0", **options):
        told = {"TESTS": tests, "CHECK": check, "TESTS_TAKE": tests_take, "CHECK_TAKES": check_takes}
        environment = {**os.environ, **told, "TMPDIR": str(tmp_path / "tmp")}
        command, pipe = ["scripts/test", "-k", "one"], subprocess.PIPE
        begun.append(
            subprocess.Popen(
                command, cwd=tmp_path, env=environment, stdout=pipe, stderr=pipe, start_new_session=True, **options
            )
        )
        return begun[-1]

    yield start
    for process in begun:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.communicate()


@pytest.mark.parametrize(("tests", "check", "code"), [("0", "0", 0), ("1", "0", 1), ("0", "3", 3), ("5", "3", 5)])
def test_the_gate_fails_where_the_tests_or_the_check_do_and_shows_what_both_say(started, tests, check, code):
    gate = started(tests=tests, check=check)
    out, err = gate.communicate(timeout=60)
    assert gate.returncode == code
    assert out.decode().splitlines() == ["said by pytest -m not long -n 3 --dist loadfile -k one", "said by check"]
    assert (b"scripts/check failed" in err) == (check != "0")


def test_ctrl_c_ends_the_gate_at_once_and_every_process_of_its_check(started, tmp_path):
    alive, held = os.pipe()
    gate = started(tests_take="600", check_takes="600", pass_fds=(held,))
    os.close(held)
    assert gate.stdout.readline().startswith(b"said by pytest")
    os.killpg(gate.pid, signal.SIGINT)
    ended, *_ = select.select([alive], [], [], 60)  # readable when nobody holds the other end any more
    os.close(alive)
    assert ended
    assert gate.wait(timeout=60) == 128 + signal.SIGINT
    assert list((tmp_path / "tmp").iterdir()) == []
