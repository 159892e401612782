"""A stage for tests: Functions with small handlers in a directory of their own, and hand-written AWS around it."""

import asyncio
import json
import textwrap
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.credentials import Credentials
from infra.local.functions import Functions
from infra.local.wire import Caller, Request

OWNER = Caller(arn="arn:aws:iam::123456789012:root")
ROLE = "arn:aws:iam::123456789012:role/tester"
_SESSION = boto3.Session(region_name="us-east-1", aws_access_key_id="a", aws_secret_access_key="s")
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)

HANDLERS = '''
import json, os, signal, subprocess, sys, time
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

CALLS = 0
RECORD = Path(__file__).parent / ".record"


def _note(what):
    with RECORD.open("a") as file:
        file.write(json.dumps(what) + "\\n")


def echo(event, context):
    global CALLS
    CALLS += 1
    return {
        "event": event,
        "calls": CALLS,
        "pid": os.getpid(),
        "request_id": context.aws_request_id,
        "arn": context.invoked_function_arn,
        "version": context.function_version,
        "memory": context.memory_limit_in_mb,
        "log_group": context.log_group_name,
        "log_stream": context.log_stream_name,
        "remaining_ms": context.get_remaining_time_in_millis(),
        "identity": [context.identity.cognito_identity_id, context.identity.cognito_identity_pool_id],
        "client": context.client_context and [
            context.client_context.client and context.client_context.client.installation_id,
            context.client_context.custom,
            context.client_context.env,
        ],
    }


def environment(event, context):
    return dict(os.environ)


def clock(event, context):
    return {
        "time": time.time(),
        "time_ns": time.time_ns(),
        "now": datetime.now(timezone.utc).timestamp(),
        "utcnow": datetime.utcnow().replace(tzinfo=timezone.utc).timestamp(),
        "today": date.today().isoformat(),
        "gmtime": time.strftime("%Y-%m-%d", time.gmtime()),
        "strftime": time.strftime("%Y-%m-%d"),
        "exact": type(datetime.now()) is datetime,
        "remaining_ms": context.get_remaining_time_in_millis(),
    }


def act(event, context):
    """Do what the event says; every run is noted first."""
    event = event if isinstance(event, dict) else {}
    _note({"event": event, "id": context.aws_request_id, "pid": os.getpid()})
    if "fail_below" in event and len(RECORD.read_text().splitlines()) < event["fail_below"]:
        raise ValueError("not yet")
    if event.get("print"):
        print(event["print"])
    if event.get("flood"):
        for _ in range(event["flood"]):
            sys.stdout.write("x" * 1023 + "\\n")
    if event.get("sleep"):
        time.sleep(event["sleep"])
    if event.get("memory_mb"):
        hold = [bytearray(1024 * 1024) for _ in range(event["memory_mb"])]
        for block in hold:
            block[::4096] = b"x" * len(block[::4096])
        time.sleep(5)
    if event.get("fork"):
        child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
        return child.pid
    if event.get("kill"):
        os.kill(os.getpid(), signal.SIGKILL)
    if event.get("exit") is not None:
        os._exit(event["exit"])
    if event.get("raise"):
        raise ValueError(event["raise"])
    if event.get("big"):
        return "x" * event["big"]
    if event.get("unserialisable"):
        return object()
    if event.get("finish"):
        _note({"finished": event["n"]})
    return event.get("answer", "done")
'''


class FakeAws:
    """Calls made as the owner: what was asked, in order; a queue is a list."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, dict[str, Any]]] = []
        self.sent = asyncio.Event()

    async def call(self, service: str, operation: str, **params: Any) -> Any:
        self.calls.append((service, operation, params))
        if service in {"sqs", "sns"}:
            self.sent.set()
        if operation == "get_queue_url":
            return {"QueueUrl": f"http://queue/{params['QueueName']}"}
        return {}

    def messages(self, operation: str = "send_message") -> list[dict[str, Any]]:
        """Return what was sent to queues or topics."""
        return [params for _, name, params in self.calls if name == operation]

    def log_lines(self) -> list[str]:
        """Return what was put into log groups."""
        puts = [params for _, name, params in self.calls if name == "put_log_events"]
        return [event["message"] for params in puts for event in params["logEvents"]]


async def credentials_for_role(role_arn: str, session_name: str) -> Credentials:
    """Return credentials that name what they were asked for; one role there is not."""
    if role_arn.endswith("/nobody"):
        raise PermissionError(role_arn)
    return Credentials(access_key_id="ASIATEST", secret_access_key=role_arn, session_token=session_name)


class Stage:
    """Functions, started, with handlers to invoke."""

    def __init__(self, tmp_path: Path, *, workers: int = 2, clock: Any = None, aws: Any = None, **ports: Any) -> None:
        self.code = tmp_path / "code"
        self.code.mkdir()
        (self.code / "app.py").write_text(HANDLERS)
        self.state = tmp_path / "state"
        self.state.mkdir()
        self.clock: Any = clock or ManualClock(datetime.now(UTC))
        self.aws: Any = aws or FakeAws()
        self.settings = Settings(state_dir=self.state, workers=workers)
        self.functions = Functions(self.settings, self.clock, self.aws, credentials_for_role, tick_s=0.01, **ports)
        self.record = self.code / ".record"  # hidden: a file that changes beside the code is new code
        self._clients: dict[str, Any] = {}
        self._caller = OWNER

    async def __aenter__(self):
        await self.functions.start()
        return self

    async def __aexit__(self, *_error):
        await self.functions.stop()
        for client in self._clients.values():
            client.close()

    async def create(self, name: str, handler: str = "app.act", **settings: Any) -> Any:
        """Create a function over the handlers' directory."""
        given: dict[str, Any] = {
            "Role": ROLE,
            "Runtime": "python3.13",
            "Code": {"S3Bucket": "local-directory", "S3Key": str(self.code)},
            "Timeout": 60,
        }
        return await self.call("create_function", FunctionName=name, Handler=handler, **given | settings)

    async def call(self, operation: str, *, service: Any = "lambda", caller: Caller = OWNER, **params: Any) -> Any:
        """Call an API of the room as boto3 does, through its serializers and parsers."""
        client = self._clients.get(service) or self._clients.setdefault(service, self._client(service))
        self._caller = caller
        reply = await asyncio.to_thread(getattr(client, operation), **params)
        if operation == "invoke":
            reply["Payload"] = reply["Payload"].read()
        return reply

    def _client(self, service: Any) -> Any:
        loop = asyncio.get_running_loop()
        handle = {
            "lambda": self.functions.handle,
            "events": self.functions.rules.handle,
            "scheduler": self.functions.scheduler.handle,
        }[service]
        client: Any = _SESSION.client(service)

        def answer(request: Any, **_event: Any) -> AWSResponse:
            path, _, query = request.url.partition("amazonaws.com")[2].partition("?")
            sent = Request(
                service=service,
                method=request.method,
                path=path,
                query=query,
                headers={k.lower(): v.decode() if isinstance(v, bytes) else v for k, v in request.headers.items()},
                body=request.body.encode() if isinstance(request.body, str) else request.body or b"",
                caller=self._caller,
            )
            reply = asyncio.run_coroutine_threadsafe(handle(sent), loop).result(60)
            return AWSResponse(request.url, reply.status, HTTPHeaders.from_dict(reply.headers), _Raw(reply.body))

        client.meta.events.register("before-send", answer)
        return client

    async def invoke(self, name: str, event: object = None, **options: Any) -> Any:
        """Invoke straight, and return (answer or error document, result)."""
        result = await self.functions.invoke(name, json.dumps(event or {}).encode(), caller=OWNER, **options)
        return json.loads(result.payload or b"null"), result

    def runs(self) -> list[Any]:
        """Return what ``act`` noted, in order."""
        if not self.record.exists():
            return []
        return [json.loads(line) for line in self.record.read_text().splitlines()]

    def rewrite(self, source: str) -> None:
        """Put other code in place."""
        (self.code / "app.py").write_text(textwrap.dedent(source))


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_options):
        yield self._body

    def read(self, *_amount) -> bytes:
        body, self._body = self._body, b""
        return body


async def until_runs(stage: Stage, count: int) -> None:
    """Return once the handler has run that often in all."""
    await until(lambda: len(stage.runs()) >= count)


async def until(condition: Callable[[], object], deadline_s: float = 60.0) -> None:
    """Return once the condition holds; fail when it does not in time."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, "it did not come to pass in time"
        await asyncio.sleep(0.01)


def alive(pid: int) -> bool:
    """Say whether a process runs (a zombie does not)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):  # the second when it is reaped between the opening and the reading
        return False
