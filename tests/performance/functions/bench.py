"""Warm invocations through the Lambda API with 1 and 50 callers, a cold start, an asynchronous burst with four workers.

``room``: the service alone, called in its own process. ``http``: a whole services process, by signed requests.
"""

import asyncio
import json
import tempfile
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any

import aiohttp
import boto3
import uvloop

from infra.local import sigv4
from infra.local.clock import SharedClock
from infra.local.cloud import LocalCloud, build_settings
from infra.local.config import Settings
from infra.local.credentials import Credentials
from infra.local.functions import Functions
from infra.local.wire import Caller, Request
from tests.performance.processes import cpu_s
from tests.ports import ports

OWNER = Caller(arn="arn:aws:iam::123456789012:root")
HANDLER = "import json\ndef handler(event, context):\n    return {'n': event['n']}\n"
NAME = "bench"
PATH = f"/2015-03-31/functions/{NAME}/invocations"


class _NoAws:
    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        return {}


async def _credentials(_role_arn: str, _session: str) -> Credentials:
    return Credentials(access_key_id="ASIA", secret_access_key="s", session_token="t")


def _function(code: Path) -> bytes:
    code.mkdir(parents=True, exist_ok=True)
    (code / "app.py").write_text(HANDLER)
    role = "arn:aws:iam::123456789012:role/bench"
    where = {"S3Bucket": "local-directory", "S3Key": str(code)}
    given = {"FunctionName": NAME, "Role": role, "Handler": "app.handler", "Runtime": "python3.13", "Code": where}
    return json.dumps({**given, "MemorySize": 256, "Timeout": 30}).encode()


async def _rate(invoke: Callable[[int], Awaitable[None]], callers: int, seconds: float) -> tuple[float, float]:
    """Return (invocations a second, median latency in ms) of so many callers at once."""
    latencies: list[float] = []
    end = time.perf_counter() + seconds

    async def caller() -> None:
        while (began := time.perf_counter()) < end:
            await invoke(len(latencies))
            latencies.append(time.perf_counter() - began)

    began = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(callers)))
    return round(len(latencies) / (time.perf_counter() - began)), round(median(latencies) * 1000, 2)


async def room(seconds: float, burst: int) -> dict[str, Any]:
    """Return the figures of the service alone."""
    place = Path(tempfile.mkdtemp(prefix="fieldline-bench-"))
    settings = Settings(state_dir=place / "state", workers=4)
    settings.state_dir.mkdir()
    functions = Functions(settings, SharedClock(settings.state_dir), _NoAws(), _credentials)
    await functions.start()

    async def invoke(number: int) -> None:
        body = b'{"n": %d}' % number
        answer = await functions.handle(Request(service="lambda", method="POST", path=PATH, body=body, caller=OWNER))
        assert answer.body == body, answer

    made = await functions.handle(
        Request(
            service="lambda", method="POST", path="/2015-03-31/functions", body=_function(place / "code"), caller=OWNER
        )
    )
    assert made.status == 201, made
    cold = []
    for _ in range(5):
        began = time.perf_counter()
        await invoke(0)
        cold.append(time.perf_counter() - began)
        functions.pool.retire(json.loads(made.body)["FunctionArn"])
        while functions.pool.workers:
            await asyncio.sleep(0.01)
    await asyncio.gather(*(invoke(number) for number in range(8)))
    one, one_ms = await _rate(invoke, 1, seconds)
    cpu = time.process_time()
    fifty, fifty_ms = await _rate(invoke, 50, seconds)
    cpu_us = (time.process_time() - cpu) / (fifty * seconds) * 1e6
    handled, burst_s = await _burst(functions, burst)
    figures = {
        "warm_per_s": {"1": one, "50": fifty},
        "warm_median_ms": {"1": one_ms, "50": fifty_ms},
        "our_cpu_us_per_invoke": round(cpu_us),
        "cold_start_ms": round(median(cold) * 1000),
        "burst": {"events": burst, "handled": handled, "seconds": round(burst_s, 2)},
        "workers": {"bound": settings.workers, "most_alive": functions.pool.most_alive},
    }
    await functions.stop()
    return figures


async def _burst(functions: Functions, events: int) -> tuple[int, float]:
    """Return how many events of a burst were handled, by the log's END lines, and in how long."""
    await asyncio.sleep(1)  # the log file is written twice a second
    log = functions.unpack_into.parent / "logs" / f"{NAME}.log"
    before = log.read_text().count("END RequestId")
    began = time.perf_counter()
    for number in range(events):
        functions.enqueue(NAME, b'{"n": %d}' % number, caller=OWNER)
    while functions.queue.open_events:
        await asyncio.sleep(0.005)
    took = time.perf_counter() - began
    await asyncio.sleep(1)
    return log.read_text().count("END RequestId") - before, took


def _make_role(settings: Settings) -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam = boto3.client(
        "iam",
        region_name=settings.region,
        endpoint_url=settings.endpoint_url,
        aws_access_key_id=settings.access_key_id,
        aws_secret_access_key=settings.secret_access_key,
    )
    trust = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    iam.create_role(RoleName="bench", AssumeRolePolicyDocument=trust)


async def http(settings: Settings, pid: int, seconds: float) -> dict[str, Any]:
    """Return the figures through signed HTTP requests."""
    owner = Credentials(access_key_id=settings.access_key_id, secret_access_key=settings.secret_access_key)
    host = f"127.0.0.1:{settings.ports.aws}"

    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=50)) as session:

        async def call(path: str, body: bytes) -> bytes:
            headers = {"host": host}
            now = datetime.now(UTC)
            headers |= sigv4.sign(
                "POST", path, "", headers, body, credentials=owner, service="lambda", region="us-east-1", now=now
            )
            async with session.post(f"http://{host}{path}", data=body, headers=headers) as answer:
                text = await answer.read()
                assert answer.status < 300, text
                return text

        async def invoke(number: int) -> None:
            body = b'{"n": %d}' % number
            assert await call(PATH, body) == body

        await asyncio.to_thread(_make_role, settings)
        await call("/2015-03-31/functions", _function(settings.state_dir / "bench"))
        await asyncio.gather(*(invoke(number) for number in range(8)))
        one, one_ms = await _rate(invoke, 1, seconds)
        cpu = cpu_s(pid)
        fifty, fifty_ms = await _rate(invoke, 50, seconds)
        cpu_us = (cpu_s(pid) - cpu) / (fifty * seconds) * 1e6
    return {
        "http_warm_per_s": {"1": one, "50": fifty},
        "http_warm_median_ms": {"1": one_ms, "50": fifty_ms},
        "http_services_cpu_us_per_invoke": round(cpu_us),
    }


def run(seconds: str = "4", events: str = "1000") -> dict[str, Any]:
    """Return the figures as one document; ``seconds`` of each measurement, ``events`` in the burst."""
    figures = uvloop.run(room(float(seconds), int(events)))
    state = Path(tempfile.mkdtemp(prefix="fieldline-bench-"))
    with LocalCloud(build_settings(state, ports=ports(46))) as cloud:
        figures |= uvloop.run(http(cloud.settings, cloud.pids()["services"], float(seconds)))
    return figures
