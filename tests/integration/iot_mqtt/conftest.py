"""The gateway process itself, on ports of its own, its registry filled through the private port."""

import contextlib
import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import boto3
import pytest

from infra.local.config import Ports, Settings
from tests.integration.iot_mqtt.authorizer import FakeAws
from tests.unit.iot_mqtt.harness import ALLOW_ALL


@dataclass
class Identity:
    certificate: Path
    key: Path
    arn: str
    id: str


class Local:
    """A running gateway, and identities to reach it with."""

    def __init__(self, settings: Settings, ports: dict[str, int], aws: FakeAws, pid: int) -> None:
        self.settings = settings
        self.ports = ports
        self.aws = aws
        self.pid = pid
        self.ca = settings.state_dir / "ca" / "ca.pem"
        self._made = 0
        self.iot = self._client("iot")
        self.data = self._client("iot-data")

    def _client(self, name):
        client = boto3.client(
            name,
            endpoint_url=f"http://127.0.0.1:{self.ports['gateway']}",
            region_name="us-east-1",
            aws_access_key_id="x",
            aws_secret_access_key="x",
        )

        def open_door(request, **_):
            request.headers["x-fieldline-secret"] = self.settings.service_secret
            request.headers["x-fieldline-service"] = {"iot": "iot", "iot-data": "iotdata"}[name]

        client.meta.events.register("before-send", open_door)
        return client

    def name(self, prefix="thing"):
        self._made += 1
        return f"{prefix}{self._made}"

    def identity(self, name: str, *documents: dict, active: bool = True) -> Identity:
        """A certificate under policies of its own, attached to a thing of that name."""
        made = self.iot.create_keys_and_certificate(setAsActive=active)
        directory = self.settings.state_dir
        certificate, key = directory / f"{name}.pem", directory / f"{name}.key"
        certificate.write_text(made["certificatePem"])
        key.write_text(made["keyPair"]["PrivateKey"])
        for position, document in enumerate(documents or (ALLOW_ALL,)):
            policy = f"{name}-{position}"
            self.iot.create_policy(policyName=policy, policyDocument=json.dumps(document))
            self.iot.attach_policy(policyName=policy, target=made["certificateArn"])
        self.iot.create_thing(thingName=name)
        self.iot.attach_thing_principal(thingName=name, principal=made["certificateArn"])
        return Identity(certificate, key, made["certificateArn"], made["certificateId"])

    def denials(self) -> list[dict]:
        path = self.settings.state_dir / "denials.jsonl"
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@contextlib.contextmanager
def running(directory: Path, *arguments: str) -> Iterator[Local]:
    with FakeAws() as aws:
        ports = Ports(aws=aws.port, mqtt=0, https=0, http_api=0, gateway=0)
        settings = Settings(state_dir=directory, ports=ports, service_secret="test")
        settings.save()
        command = [sys.executable, "-m", "infra.local.iot.main", "--state-dir", str(directory), *arguments]
        with (directory / "log").open("w") as log:
            process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            ready = process.stdout.readline()
            assert ready, (directory / "log").read_text()
            yield Local(settings, json.loads(ready)["ports"], aws, process.pid)
        finally:
            process.stdin.close()
            assert process.wait(60) == 0
            process.stdout.close()
            assert "Traceback" not in (directory / "log").read_text(), (directory / "log").read_text()


@pytest.fixture(scope="session")
def local(tmp_path_factory) -> Iterator[Local]:
    with running(tmp_path_factory.mktemp("gateway")) as local:
        yield local
