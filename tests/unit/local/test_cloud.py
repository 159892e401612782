"""Starting the local cloud says what is wrong and how to cure it, in one line."""

import fcntl
import os
import socket
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.clock import SharedClock
from infra.local.cloud import (
    CloudError,
    build_settings,
    check_nobody_lives_in,
    check_ports,
    empty_state_dir,
    supervisor_pid,
)
from infra.local.config import Ports, Settings, forget_client_environment
from infra.local.durations import parse_duration


def test_a_taken_port_is_named_with_the_option_that_cures_it():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            CloudError, match=rf"port {port} \(mqtt\).*--port mqtt={port + (10_000 if port < 55_536 else -10_000)}"
        ):
            check_ports(Ports(aws=29_001, mqtt=port, https=29_002, http_api=29_003, gateway=29_004))


def test_a_proxy_or_a_profile_of_the_shell_reaches_no_process_of_ours(monkeypatch):
    for name in ("HTTP_PROXY", "https_proxy", "ALL_PROXY", "AWS_PROFILE", "AWS_ENDPOINT_URL_S3"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("PROXY_OF_MINE", "kept")
    for name in [name for name in os.environ if name.startswith("AWS_") or name.lower().endswith("_proxy")]:
        monkeypatch.setenv(name, os.environ[name])  # so that all are there again afterwards
    forget_client_environment()
    assert [name for name in os.environ if "PROXY" in name.upper() or name.startswith("AWS_")] == ["PROXY_OF_MINE"]


def test_a_port_chosen_twice_is_refused():
    with pytest.raises(CloudError, match="chosen twice"):
        check_ports(Ports(aws=29_001, mqtt=29_001))


def test_a_directory_with_other_files_is_never_emptied(tmp_path):
    (tmp_path / "thesis.txt").write_text("years of work")
    with pytest.raises(CloudError, match="choose another --state-dir"):
        empty_state_dir(tmp_path)
    assert (tmp_path / "thesis.txt").exists()


def test_what_an_earlier_local_cloud_left_is_removed(tmp_path):
    state_dir = tmp_path / "state"
    build_settings(state_dir).save()
    (state_dir / "logs").mkdir()
    (state_dir / "logs" / "gateway.log").write_text("old")
    (state_dir / "translations").mkdir()
    empty_state_dir(state_dir)
    assert [entry.name for entry in state_dir.iterdir()] == ["translations"]


def test_a_directory_in_which_a_local_cloud_runs_is_not_taken_from_under_it(tmp_path):
    check_nobody_lives_in(tmp_path / "absent")
    Settings(state_dir=tmp_path).save()
    check_nobody_lives_in(tmp_path)
    with (tmp_path / "settings.json").open() as running:
        fcntl.flock(running, fcntl.LOCK_EX)
        with pytest.raises(CloudError, match=r"a local cloud runs in .*scripts/cloud down, or Ctrl-C.*--state-dir"):
            check_nobody_lives_in(tmp_path)
    check_nobody_lives_in(tmp_path)


def test_settings_come_back_as_they_were_saved_and_only_their_owner_may_read_them(tmp_path):
    settings = build_settings(tmp_path / "state", ports={"mqtt": 18_883}, stage="prod", iam=False)
    settings.save()
    assert Settings.load(tmp_path / "state") == settings
    assert (tmp_path / "state" / "settings.json").stat().st_mode & 0o077 == 0


def test_no_supervisor_where_none_was_started(tmp_path):
    assert supervisor_pid(tmp_path) is None
    (tmp_path / "supervisor.pid").write_text("not a number")
    assert supervisor_pid(tmp_path) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("+2d", timedelta(days=2)),
        ("-30s", timedelta(seconds=-30)),
        ("+1h30m", timedelta(minutes=90)),
        ("90m", timedelta(minutes=90)),
        ("+1.5h", timedelta(minutes=90)),
    ],
)
def test_durations_as_people_type_them(text, expected):
    assert parse_duration(text) == expected


@pytest.mark.parametrize("text", ["", "+", "2", "d", "2 days", "+2x", "1h-30m"])
def test_what_is_no_duration_is_refused(text):
    with pytest.raises(ValueError, match="is no duration"):
        parse_duration(text)


def test_moving_the_clock_moves_it_in_every_process_that_shares_the_directory(tmp_path):
    mine, theirs = SharedClock(tmp_path), SharedClock(tmp_path)
    assert abs(theirs.time() - datetime.now(UTC).timestamp()) < 1
    mine.move(timedelta(days=2))
    assert theirs.offset_s() == 172_800
    theirs.move(timedelta(days=-1))
    assert mine.offset_s() == 86_400
