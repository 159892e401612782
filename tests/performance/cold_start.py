"""Cold start of each handler: CPU of a fresh process from its first instruction to the answer of its first event."""

import base64
import json
import statistics
import subprocess
import sys
import time
from typing import Any

from infra.local.cloud import LocalCloud
from infra.local.config import ROOT
from scripts.main_job.factory import Operator

_RUNS = 5
_PROGRAM = """
import importlib, json, sys, time
module, _, name = sys.argv[1].rpartition(".")
class Context:
    function_name = memory_limit_in_mb = invoked_function_arn = aws_request_id = "bench"
    identity = client_context = None
    def get_remaining_time_in_millis(self): return 10000
getattr(importlib.import_module(module), name)(json.loads(sys.argv[2]), Context())
sys.stderr.write("\\nCPU " + str(time.process_time()))
"""


_BARE = "import sys, time; sys.stderr.write('CPU ' + str(time.process_time()))"


def _route_event(route_key: str) -> dict[str, Any]:
    method, _, path = route_key.partition(" ")
    claims = {"sub": "00000000-0000-0000-0000-000000000000", "token_use": "access", "username": "bench"}
    return {
        "version": "2.0", "routeKey": route_key, "rawPath": path, "rawQueryString": "", "headers": {},
        "requestContext": {
            "accountId": "123456789012", "apiId": "bench", "domainName": "bench", "requestId": "bench",
            "stage": "$default",
            "routeKey": route_key, "time": "x", "timeEpoch": 0,
            "http": {"method": method, "path": path, "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1", "userAgent": "b"},
            "authorizer": {"jwt": {"claims": claims, "scopes": None}},
        },
        "isBase64Encoded": False,
    }  # fmt: skip


def _telemetry_event() -> dict[str, Any]:
    now_ms = time.time_ns() // 1_000_000
    bucket = {
        "v": 1,
        "boot": "00c01d",
        "seq": now_ms % 100_000,
        "t0": now_ms,
        "dt": [0],
        "m": {"temperature_c": [21.0]},
    }
    body = base64.b64encode(json.dumps(bucket).encode()).decode()
    return {"body": body, "thing": "bench-0000", "principal": "bench", "received_ms": now_ms}


def _events() -> dict[str, Any]:
    """Return a first event by the function's name without the stage; each makes it speak to its table."""
    register = {"operation": "register", "devices": [{"thing": f"cold-{time.time_ns()}", "type": "thermostat"}]}
    return {"telemetry": _telemetry_event(), "devices": _route_event("GET /v1/devices"), "registry": register}


def cold_starts(cloud: LocalCloud, operator: Operator) -> dict[str, Any]:
    """Return the median CPU milliseconds of each handler's first event, beside a bare interpreter's."""
    functions = operator.client("lambda")
    bare = statistics.median(_cpu_ms([sys.executable, "-c", _BARE], {}, times=_RUNS))
    found: dict[str, Any] = {"bare_interpreter": bare, "runs": _RUNS}
    for name in _events():
        function = f"fieldline-{cloud.settings.stage}-{name}"
        configuration = functions.get_function_configuration(FunctionName=function)
        environment = {
            **configuration["Environment"]["Variables"],
            "AWS_ENDPOINT_URL": cloud.settings.endpoint_url,
            "AWS_ACCESS_KEY_ID": cloud.settings.access_key_id,
            "AWS_SECRET_ACCESS_KEY": cloud.settings.secret_access_key,
            "AWS_REGION": cloud.settings.region,
            "AWS_DEFAULT_REGION": cloud.settings.region,
            "AWS_LAMBDA_FUNCTION_NAME": function,
        }
        runs = []
        for _ in range(_RUNS):
            command = [sys.executable, "-c", _PROGRAM, configuration["Handler"], json.dumps(_events()[name])]
            runs += _cpu_ms(command, environment, times=1)
        found[name] = round(statistics.median(runs), 1)
    return found


def _cpu_ms(command: list[str], environment: dict[str, str], *, times: int) -> list[float]:
    found = []
    for _ in range(times):
        answer = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, check=False)
        if answer.returncode:
            raise RuntimeError(answer.stderr[-2_000:])
        found.append(1_000 * float(answer.stderr.rpartition("CPU ")[2]))
    return found
