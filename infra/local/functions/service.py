"""The Lambda service of the local cloud, composed.

What exists, who may call it, workers, the asynchronous queue, logs.
"""

import asyncio
import json
import logging
import random
import uuid
from collections import Counter
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any

from infra.local.clock import Clock
from infra.local.config import ACCOUNT_ID, Settings
from infra.local.functions import policy
from infra.local.functions.asynchronous import AsyncQueue, Event
from infra.local.functions.catalog import Catalog
from infra.local.functions.code import Watch
from infra.local.functions.environment import build_environment
from infra.local.functions.logs import Logs
from infra.local.functions.model import (
    LATEST,
    MAX_ASYNC_PAYLOAD_BYTES,
    MAX_CONCURRENCY,
    MAX_SYNC_PAYLOAD_BYTES,
    SEND_ACTIONS,
    Allows,
    Aws,
    Configuration,
    CredentialsForRole,
    InvokeResult,
    LambdaError,
    Target,
    ThrottledError,
    allow_all,
    invalid,
)
from infra.local.functions.pool import Pool
from infra.local.functions.processes import Warden
from infra.local.functions.schedules.rules import Rules
from infra.local.functions.schedules.scheduler import Scheduler
from infra.local.functions.schedules.targets import Targets
from infra.local.functions.sources.readers import Readers
from infra.local.functions.timers import Shifts, Timers
from infra.local.functions.worker import Invocation, Port, Worker
from infra.local.wire import Caller, Request, Response

_log = logging.getLogger(__name__)

_NO_ROLE = "The role defined for the function cannot be assumed by Lambda."
SERVICE = Caller(arn="lambda.amazonaws.com", kind="lambda")
"""Lambda itself: event sources and destinations, which act under a function's own role and ask no resource policy."""


def _new_id() -> str:
    """Return a request id; it names and protects nothing, so it need not ask the kernel for randomness."""
    return str(uuid.UUID(int=random.getrandbits(128), version=4))


class Functions:
    """AWS Lambda. Every method belongs to the event loop that called ``start``."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock,
        aws: Aws,
        credentials_for_role: CredentialsForRole,
        *,
        allows: Allows = allow_all,
        new_id: Callable[[], str] = _new_id,
        random_share: Callable[[], float] = random.random,
        tick_s: float = 0.2,
    ) -> None:
        """``allows`` is asked what a role may where Lambda acts under it: event sources, dead letters, destinations.

        ``tick_s``: real seconds between two looks at the movable clock while something waits for it.
        """
        self._settings = settings
        self._clock = clock
        self._shifts = Shifts(clock)
        self._credentials_for_role = credentials_for_role
        self._allows = allows
        self._new_id = new_id
        self.aws = aws
        self.timers = Timers(clock, tick_s)
        self.catalog = Catalog(settings.region, clock, new_id, random_share, self._retire)
        self.unpack_into = settings.state_dir / "code"
        self._logs = Logs(settings.state_dir / "logs", clock, aws, allows)
        self._warden = Warden()
        self._code = Watch()
        self._port = Port(
            write=self._logs.write,
            time=clock.time,
            ready=self._became_ready,
            idle=self._became_idle,
            died=self._died,
            guard=self._warden.guard,
        )
        self.pool = Pool(settings.workers, self._make_worker, self._environment, self._stamp)
        self.queue = AsyncQueue(clock, self.timers, aws, self.catalog.resolve, self._run_event, allows)
        self.queue.invoke = lambda arn, payload: self.invoke_async(arn, payload, caller=SERVICE)
        self.sources = Readers(
            self.catalog,
            self.timers,
            clock,
            aws,
            run=self.invoke_for_source,
            send=self._send_for_source,
            new_id=new_id,
            allows=allows,
            check_destination=self.check_destination,
        )
        targets = Targets(aws, self._invoke_target, self.timers, allows, self._spawn)
        self.rules = Rules(settings.region, self.timers, targets)
        self.scheduler = Scheduler(settings.region, self.timers, targets)
        self._tasks: set[asyncio.Task[None]] = set()
        self._running: Counter[str] = Counter()
        self._held = 0
        """Invocations that somebody holds a connection for."""

    async def start(self) -> None:
        """Start logs, timers and the warden; workers start when they are needed."""
        self._warden.start()
        self._logs.start()
        self.timers.start()
        self.pool.start()

    async def stop(self) -> None:
        """Kill the workers, write the last logs."""
        self.rules.stop()
        self.scheduler.stop()
        for task in list(self._tasks):
            task.cancel()
        await self.sources.stop()
        await self.timers.stop()
        await self.queue.stop()
        await self.pool.stop()
        await self._logs.stop()
        self._warden.stop()

    async def handle(self, request: Request) -> Response:
        """Answer one call of the Lambda API."""
        from infra.local.functions.api import handle

        return await handle(self, request)

    async def invoke(
        self,
        reference: str,
        payload: bytes,
        *,
        caller: Caller,
        qualifier: str | None = None,
        cognito_identity: tuple[str, str] | None = None,
        client_context: str | None = None,
        log_tail: bool = False,
    ) -> InvokeResult:
        """Run a function and return what it answered.

        ``cognito_identity`` is (identity id, pool id), by default the caller's own; ``client_context`` is JSON text.

        Raises:
            ThrottledError: no concurrency is left.
            LambdaError: no such function, not allowed, or too large.
        """
        target = self.admit(reference, payload, caller, qualifier, MAX_SYNC_PAYLOAD_BYTES)
        if cognito_identity is None and caller.cognito_identity_id:
            cognito_identity = (caller.cognito_identity_id, caller.cognito_identity_pool_id or "")
        return await self._run(
            target, payload, self._new_id(), client_context=client_context, identity=cognito_identity, log_tail=log_tail
        )

    async def invoke_async(
        self, reference: str, payload: bytes, *, caller: Caller, qualifier: str | None = None
    ) -> InvokeResult:
        """Queue an event; from the return on it is acknowledged, whatever happens to workers.

        Raises:
            LambdaError: no such function, not allowed, or too large.
        """
        return self.enqueue(reference, payload, caller=caller, qualifier=qualifier)

    def enqueue(self, reference: str, payload: bytes, *, caller: Caller, qualifier: str | None = None) -> InvokeResult:
        """Do what ``invoke_async`` does, for callers that are not coroutines."""
        target = self.admit(reference, payload, caller, qualifier, MAX_ASYNC_PAYLOAD_BYTES)
        event = Event(
            request_id=self._new_id(),
            reference=f"{target.configuration.name}:{target.qualifier or LATEST}",
            payload=payload or b"{}",
            accepted_at=self._clock.time(),
        )
        self.queue.add(event)
        return InvokeResult(status=202, version=target.configuration.version, request_id=event.request_id)

    async def invoke_for_source(self, reference: str, payload: bytes) -> InvokeResult:
        """Run a function on a batch that Lambda read itself; raises as ``invoke`` does."""
        return await self._run(self.catalog.resolve(reference), payload, self._new_id(), background=True)

    def on_records(self, table_arn: str, stream_arn: str, records: Sequence[Mapping[str, Any]]) -> None:
        """Take the records of a table's stream, in its order."""
        self.sources.receive(table_arn, stream_arn, records)

    def on_s3_event(self, function_arn: str, event: Mapping[str, Any]) -> None:
        """Take an event that S3 sends to a function; S3 retries nothing itself, the queue here does."""
        caller = _s3(event["Records"][0]["s3"]["bucket"]["arn"])
        try:
            self.enqueue(function_arn, json.dumps(event, default=str).encode(), caller=caller)
        except LambdaError as error:
            _log.warning("S3's event for %s was refused: %s", function_arn, error)

    def admits_s3(self, function_arn: str, bucket_arn: str) -> bool:
        """Say whether a function is there and its policy lets S3 call it for a bucket."""
        try:
            self.admit(function_arn, b"{}", _s3(bucket_arn), None, MAX_ASYNC_PAYLOAD_BYTES)
        except LambdaError:
            return False
        return True

    def admit(self, reference: str, payload: bytes, caller: Caller, qualifier: str | None, limit_bytes: int) -> Target:
        """Return what is to run, once it exists, the caller may and the payload is one."""
        target = self.catalog.resolve(reference, qualifier)
        statements = self.catalog.get(reference).policies.get(target.qualifier, {})
        policy.check(tuple(statements.values()), caller, target.invoked_arn, ACCOUNT_ID)
        if len(payload) > limit_bytes:
            raise LambdaError(
                "RequestTooLargeException",
                f"Request must be smaller than {limit_bytes} bytes for the InvokeFunction operation",
                413,
            )
        try:
            json.loads(payload or b"{}", parse_constant=_no_constant)
        except ValueError as error:
            message = f"Could not parse request body into json: {error}"
            raise LambdaError("InvalidRequestContentException", message) from error
        return target

    async def _run_event(self, target: Target, payload: bytes, request_id: str) -> InvokeResult:
        return await self._run(target, payload, request_id, background=True)

    async def _run(
        self,
        target: Target,
        payload: bytes,
        request_id: str,
        *,
        client_context: str | None = None,
        identity: tuple[str, str] | None = None,
        log_tail: bool = False,
        background: bool = False,
    ) -> InvokeResult:
        name = target.configuration.name
        self._throttle(target, background=background)
        invocation = Invocation(
            request_id=request_id,
            configuration=target.configuration,
            invoked_arn=target.invoked_arn,
            payload=payload or b"{}",
            done=asyncio.get_running_loop().create_future(),
            background=background,
            client_context=client_context,
            cognito_identity=_identity_header(identity) if identity else None,
        )
        if log_tail:
            invocation.log.tail = bytearray()
        self._running[name] += 1
        self._held += not background
        try:
            outcome = await self.pool.run(invocation)
        finally:
            self._running[name] -= 1
            self._held -= not background
        return InvokeResult(
            status=200,
            payload=outcome.payload,
            function_error=outcome.function_error,
            log_tail=outcome.log_tail,
            version=target.configuration.version,
            request_id=request_id,
        )

    def _throttle(self, target: Target, *, background: bool) -> None:
        """("Lambda: function scaling": reserved concurrency; the account's own for those who hold a connection)."""
        reserved = target.reserved_concurrency
        if reserved is not None and self._running[target.configuration.name] >= reserved:
            raise ThrottledError("ReservedFunctionConcurrentInvocationLimitExceeded")
        if not background and self._held >= MAX_CONCURRENCY:
            raise ThrottledError("ConcurrentInvocationLimitExceeded")

    async def check_role(self, name: str, role_arn: str, dead_letter_arn: str | None) -> None:
        """Refuse a role that Lambda may not take, or that may not send to the dead-letter queue. ("CreateFunction").

        Raises:
            LambdaError: it is one.
        """
        try:
            await self._credentials_for_role(role_arn, name)
        except Exception as error:
            raise invalid(_NO_ROLE) from error
        if dead_letter_arn:
            service = dead_letter_arn.split(":")[2]
            if service not in {"sqs", "sns"}:
                raise invalid(f"The provided dead letter target {dead_letter_arn} is not a queue or a topic")
            action = SEND_ACTIONS[service]
            if not await self._allows(role_arn, action, dead_letter_arn):
                call, where = action.partition(":")[2], service.upper()
                raise invalid(f"The provided execution role does not have permissions to call {call} on {where}")

    async def check_destination(self, role_arn: str, arn: str) -> None:
        """Refuse a destination that the function's role may not send to. ("PutFunctionEventInvokeConfig").

        Raises:
            LambdaError: it may not.
        """
        service = arn.split(":")[2]
        if service not in SEND_ACTIONS:
            raise invalid(f"A destination {arn} is not carried by the local cloud")
        action = SEND_ACTIONS[service]
        if not await self._allows(role_arn, action, arn):
            call = action.partition(":")[2]
            raise invalid(f"The function's execution role does not have permissions to call {call} on {arn}")

    async def _send_for_source(self, reference: str, arn: str, body: str) -> None:
        await self.queue.send(self.catalog.resolve(reference).configuration.role, arn, body)

    async def _invoke_target(self, arn: str, payload: bytes, caller: Caller) -> None:
        self.enqueue(arn, payload, caller=caller)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    # The pool is made of what these are given to.

    def _retire(self, function_arn: str) -> None:
        self.pool.retire(function_arn)

    def _became_ready(self, worker: Worker) -> None:
        self.pool.became_ready(worker)

    def _became_idle(self, worker: Worker) -> None:
        self.pool.became_idle(worker)

    def _died(self, worker: Worker) -> None:
        self.pool.died(worker)

    def _make_worker(self, configuration: Configuration) -> Worker:
        stream = self._logs.open_stream(configuration, uuid.uuid4().hex)
        return Worker(configuration, self._stamp(configuration), stream, self._port)

    def _stamp(self, configuration: Configuration) -> object:
        """Return what a worker depends on; a new hour too, since its credentials expire."""
        return (
            configuration.revision_id,
            self._code.fingerprint(configuration),
            self._shifts.current(),
        )

    async def _environment(self, worker: Worker) -> Mapping[str, str]:
        """Return a worker's whole environment: nothing is inherited. ("Defined runtime environment variables")."""
        configuration = worker.configuration
        try:
            credentials = await self._credentials_for_role(configuration.role, configuration.name)
        except Exception as error:
            raise LambdaError("AccessDeniedException", _NO_ROLE, 403) from error
        offset_s = self._shifts.current()[0]
        return build_environment(
            configuration, credentials, worker.stream.name, endpoint_url=self._settings.endpoint_url, offset_s=offset_s
        )


def _s3(bucket_arn: str) -> Caller:
    return Caller(arn="s3.amazonaws.com", kind="service", source_arn=bucket_arn)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _identity_header(identity: tuple[str, str]) -> str:
    return json.dumps({"cognitoIdentityId": identity[0], "cognitoIdentityPoolId": identity[1]})
