"""The private port of the gateway process with its device services, served for boto3 on a port of its own."""

import asyncio
import threading
from datetime import UTC, datetime

import boto3
import pytest
from aiohttp import web
from botocore.config import Config

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.iot.certificates import CertificateAuthority
from infra.local.iot.control import DataPlane, IotApi, build_app
from infra.local.iot.jobs import Jobs
from infra.local.iot.provisioning import Provisioning
from infra.local.iot.registry import Registry
from infra.local.iot.shadow import Shadows
from tests.unit.iot_devices.fakes import FakeBroker, FakeRetained

SECRET = "s3cret"
SESSION = boto3.Session()
"""One for all tests: it keeps the service models."""


async def no_hook(*asked):
    raise AssertionError(asked)


class Served:
    """The rooms behind the port, and boto3 clients for it."""

    def __init__(self, tmp_path):
        self.clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
        self.settings = Settings(state_dir=tmp_path)
        self.authority = CertificateAuthority(tmp_path / "ca")
        self.registry = Registry(self.settings, self.clock, self.authority)
        self.broker = FakeBroker()
        self.retained = FakeRetained()
        self.shadows = Shadows(self.broker, self.clock)
        self.port = 0

    def handlers(self):
        data = DataPlane(self.broker, self.retained, self.shadows, [self.shadows])
        iot = IotApi(self.registry)
        self.provisioning = Provisioning(self.registry, iot.call, self.broker, no_hook)
        return {"iot": iot.handle, "iotdata": data.handle, "iot-jobs-data": Jobs().handle}

    def client(self, name, service, secret=SECRET):
        client = SESSION.client(
            name,
            endpoint_url=f"http://127.0.0.1:{self.port}",
            region_name="us-east-1",
            aws_access_key_id="a",
            aws_secret_access_key="b",
            config=Config(retries={"total_max_attempts": 1}),
        )

        def sign(request, **_):
            request.headers["x-fieldline-service"] = service
            request.headers["x-fieldline-secret"] = secret

        client.meta.events.register("before-sign.*.*", sign)
        return client


@pytest.fixture
def served(tmp_path):
    served = Served(tmp_path)
    ready, stop = threading.Event(), threading.Event()

    async def serve():
        runner = web.AppRunner(build_app(served.handlers(), secret=SECRET))
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        served.port = runner.addresses[0][1]
        ready.set()
        await asyncio.to_thread(stop.wait)
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    assert ready.wait(10)
    yield served
    stop.set()
    thread.join(10)


@pytest.fixture
def iot(served):
    client = served.client("iot", "iot")
    yield client
    client.close()


@pytest.fixture
def data(served):
    client = served.client("iot-data", "iotdata")
    yield client
    client.close()
