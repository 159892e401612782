"""One whole local cloud for all end-to-end tests, on ports of its own."""

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import pytest

from device_client.config import TelemetrySettings
from infra.local.cloud import LocalCloud, build_settings
from scripts.main_job.factory import Device, Operator
from scripts.main_job.phone import Phone
from tests.ports import ports

WAIT_S = 60.0
WORKERS = 20
"""More than the template has functions, so that none is started again and again as scenarios go from one to another."""


@dataclass
class World:
    """The local cloud and those who act on it."""

    cloud: LocalCloud
    operator: Operator
    folder: Path
    made: int = 0

    @property
    def outputs(self) -> dict[str, str]:
        return self.cloud.outputs

    def phone(self, email: str) -> Phone:
        """Return a user who signed up, confirmed and signed in."""
        phone = Phone(self.cloud.settings, self.outputs, self.operator, email=email)
        phone.sign_up()
        phone.sign_in()
        return phone

    def device(self, name: str = "device") -> Device:
        """Return a freshly provisioned device."""
        self.made += 1
        pace = TelemetrySettings(sample_every_s=0.05, flush_readings=1)
        return self.operator.provision([f"{name}-{self.made:04d}"], pace, self.folder)[0]

    def claimed(self, phone: Phone) -> Device:
        """Return a freshly provisioned device that the user has claimed."""
        device = self.device()
        status, answer = self.http(
            "POST", "/v1/devices/claim", phone.token, {"thing": device.settings.thing, "secret": device.secret}
        )
        assert status in (200, 201), answer
        return device

    def http(self, method: str, path: str, token: str | None, document: Any = None) -> tuple[int, Any]:
        """Call the HTTP API; return status and document."""
        url = f"http://127.0.0.1:{self.cloud.settings.ports.http_api}{path}"
        headers = {"content-type": "application/json"}
        if token is not None:
            headers["authorization"] = f"Bearer {token}"
        body = None if document is None else json.dumps(document).encode()
        try:
            with urlopen(Request(url, method=method, headers=headers, data=body), timeout=WAIT_S) as answer:
                return answer.status, json.loads(answer.read() or b"null")
        except HTTPError as error:
            with error:
                return error.code, json.loads(error.read() or b"null")


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """The local cloud, started once, the template deployed."""
    state_dir = tmp_path_factory.mktemp("cloud") / "state"
    folder = tmp_path_factory.mktemp("devices")
    with LocalCloud(build_settings(state_dir, ports=ports(0), workers=WORKERS)) as cloud:
        yield World(cloud, Operator(cloud.settings, cloud.outputs), folder)


@pytest.fixture(scope="session")
def phone(world: World) -> Phone:
    """A signed-in user."""
    return world.phone("ada@example.com")


def call(world: World, phone: Phone, method: str, path: str, document: Any = None, *, status: int = 200) -> Any:
    """Call the HTTP API as somebody and return the document of an answer of this status."""
    found, answer = world.http(method, path, phone.token, document)
    assert found == status, (method, path, found, answer)
    return answer


def until(world: World, phone: Phone, path: str, wanted: dict[str, Any]) -> dict[str, Any]:
    """Return what stands at ``path`` once it is as wanted."""
    deadline = time.monotonic() + WAIT_S
    while True:
        found: dict[str, Any] = call(world, phone, "GET", path)
        if wanted.items() <= found.items():
            return found
        assert time.monotonic() < deadline, (wanted, found)
        time.sleep(0.2)
