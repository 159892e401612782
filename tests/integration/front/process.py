"""The services process, started as the supervisor starts it."""

import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path

import boto3
from botocore.config import Config

from infra.local.clock import SharedClock
from infra.local.config import Ports, Settings
from tests.performance.processes import tree
from tests.ports import ports

ONCE = Config(retries={"total_max_attempts": 1}, max_pool_connections=60)


class Running:
    def __init__(self, settings, process, ready_s):
        self.settings, self.process, self.ready_s = settings, process, ready_s

    def client(self, service, credentials=None, **changes):
        given = {
            "aws_access_key_id": self.settings.access_key_id,
            "aws_secret_access_key": self.settings.secret_access_key,
            "endpoint_url": self.settings.endpoint_url,
            "region_name": self.settings.region,
            "config": ONCE,
        }
        if credentials:
            given |= {
                "aws_access_key_id": credentials["AccessKeyId"],
                "aws_secret_access_key": credentials["SecretAccessKey"],
                "aws_session_token": credentials["SessionToken"],
            }
        return boto3.client(service, **{**given, **changes})

    def move_clock(self, seconds):
        SharedClock(self.settings.state_dir).move(timedelta(seconds=seconds))


@contextmanager
def services(state_dir, block, **changes):
    """A running services process; left, it has ended by itself and nothing of it is left."""
    settings = Settings(state_dir=state_dir, ports=Ports(**ports(block)), service_secret="shared", **changes)
    settings.save()
    started = time.perf_counter()
    with (state_dir / "services.log").open("w") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "infra.local.services", "--state-dir", str(state_dir)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=os.environ
            | {"AWS_PROFILE": "nobody", "AWS_ENDPOINT_URL": "http://127.0.0.1:1"},  # of a developer's shell
        )
    try:
        line = process.stdout.readline()
        assert line, (state_dir / "services.log").read_text()[-3_000:]
        assert json.loads(line)["ready"] is True
        yield Running(settings, process, time.perf_counter() - started)
        pids = tree(process.pid)
    finally:
        process.stdin.close()
        try:
            process.wait(60)
        finally:
            process.kill()
            process.stdout.close()
    assert process.returncode == 0, (state_dir / "services.log").read_text()[-3_000:]
    assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]
