"""What the Lambda service is about: configurations, versions, aliases, invocations and their outcomes.

Values, and AWS's errors.
"""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any, Protocol

from infra.local.config import ACCOUNT_ID

LATEST = "$LATEST"
MAX_SYNC_PAYLOAD_BYTES = 6 * 1024 * 1024
"""Of a request and of a response, where AWS's own error speaks of 100 bytes more. ("Lambda quotas")."""
MAX_ASYNC_PAYLOAD_BYTES = 1024 * 1024
"""("Lambda quotas": 1 MB since October 2025)."""
MAX_CONCURRENCY = 1000
"""Of the account, queued invocations included. ("Lambda quotas")."""

_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
QUALIFIER = r"\$LATEST|[a-zA-Z0-9_-]{1,128}"
_REFERENCE = re.compile(
    r"(?:arn:aws:lambda:)?(?:(?P<region>[a-z]{2}(?:-[a-z]+)+-\d):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    rf"(?P<name>[a-zA-Z0-9_-]{{1,64}})(?::(?P<qualifier>{QUALIFIER}))?"
)
"""("Invoke": FunctionName): name, partial or full ARN."""


class LambdaError(Exception):
    """An error that the Lambda API answers: ``code`` as botocore names it, ``status`` of HTTP."""

    def __init__(self, code: str, message: str, status: int = 400, reason: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.reason = reason


class ThrottledError(LambdaError):
    """No concurrency is left: try again later. ("TooManyRequestsException")."""

    def __init__(self, reason: str) -> None:
        super().__init__("TooManyRequestsException", "Rate Exceeded.", 429, reason)


def invalid(message: str) -> LambdaError:
    """Return the error for a parameter AWS (or this local cloud, which then says so) does not take."""
    return LambdaError("InvalidParameterValueException", message)


def malformed(value: object, parameter: str, constraint: str) -> LambdaError:
    """Return the error for a parameter that the API's own model does not let through."""
    shown = "null" if value is None else f"'{value}'"
    message = f"1 validation error detected: Value {shown} at '{parameter}' failed to satisfy constraint: {constraint}"
    return LambdaError("ValidationException", message)


def not_found(what: str, arn: str) -> LambdaError:
    """Return the error for a resource that does not exist."""
    return LambdaError("ResourceNotFoundException", f"{what} not found: {arn}", 404)


class Credentials(Protocol):
    """The temporary credentials a worker runs under."""

    @property
    def access_key_id(self) -> str: ...  # noqa: D102 - named by what it is
    @property
    def secret_access_key(self) -> str: ...  # noqa: D102 - named by what it is
    @property
    def session_token(self) -> str | None: ...  # noqa: D102 - named by what it is
    @property
    def expires_at(self) -> datetime | None: ...  # noqa: D102 - named by what it is


CredentialsForRole = Callable[[str, str], Awaitable[Credentials]]
"""(role ARN, session name) to credentials, taken as lambda.amazonaws.com takes a role."""


Allows = Callable[[str, str, str], Awaitable[bool]]
"""(role ARN, action, resource ARN): whether the role may.

Asked where a service acts under a role without signing anything.
"""
SEND_ACTIONS = {"sqs": "sqs:SendMessage", "sns": "sns:Publish", "lambda": "lambda:InvokeFunction"}
"""What a role needs for an event to reach a queue, a topic, a function."""


async def allow_all(_role_arn: str, _action: str, _resource: str) -> bool:
    """Let every role do everything: IAM is off."""
    return True


class Aws(Protocol):
    """Calls of AWS services made as the account's owner, by boto3's method names."""

    async def call(self, service: str, operation: str, **params: Any) -> dict[str, Any]:
        """Return what the operation answers; raise as botocore does."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """One version of a function, or ``$LATEST``."""

    name: str
    region: str
    role: str
    handler: str
    runtime: str
    task_root: Path
    code_sha256: str
    code_size_bytes: int
    last_modified: str
    revision_id: str
    version: str = LATEST
    description: str = ""
    timeout_s: int = 3
    memory_mb: int = 128
    environment: Mapping[str, str] = field(default_factory=dict)
    dead_letter_arn: str | None = None
    architectures: tuple[str, ...] = ("x86_64",)
    tracing_mode: str = "PassThrough"
    log_group: str = ""
    log_format: str = "Text"
    application_log_level: str | None = None
    system_log_level: str | None = None
    ephemeral_mb: int = 512

    @property
    def function_arn(self) -> str:
        """Return the ARN without a version."""
        return f"arn:aws:lambda:{self.region}:{ACCOUNT_ID}:function:{self.name}"

    @property
    def arn(self) -> str:
        """Return the ARN as GetFunctionConfiguration has it: published versions are qualified."""
        return self.function_arn if self.version == LATEST else f"{self.function_arn}:{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Alias:
    """A name for a version, or for two by weight. ("Lambda function aliases", "weighted")."""

    name: str
    version: str
    description: str
    revision_id: str
    additional: tuple[tuple[str, float], ...] = ()
    """(version, share between 0 and 1); the rest goes to ``version``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AsyncConfig:
    """How asynchronous events of a function or qualifier are retried. ("Configuring error handling")."""

    retries: int = 2
    max_age_s: int = 21_600
    on_success_arn: str | None = None
    on_failure_arn: str | None = None
    last_modified: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """What a name, ARN or alias stands for at this moment."""

    configuration: Configuration
    invoked_arn: str
    qualifier: str | None
    reserved_concurrency: int | None
    async_config: AsyncConfig


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How one run of a handler ended."""

    payload: bytes
    function_error: str | None = None
    """``Unhandled`` where the handler raised, timed out or died; None where it answered."""
    log_tail: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class InvokeResult:
    """What Invoke answers. ``status``: 200 synchronous, 202 asynchronous, 204 dry run."""

    status: int
    payload: bytes = b""
    function_error: str | None = None
    log_tail: bytes = b""
    version: str = LATEST
    request_id: str = ""


def check_name(name: str) -> str:
    """Return a function's name as CreateFunction takes it.

    Raises:
        LambdaError: it is not one.
    """
    name, qualifier = split_reference(name)
    if qualifier or not _NAME.fullmatch(name):
        raise malformed(name, "functionName", f"Member must satisfy regular expression pattern: {_NAME.pattern}")
    return name


def split_reference(reference: str, region: str | None = None) -> tuple[str, str | None]:
    """Return (name, qualifier or None) of a name, a partial or a full ARN.

    Raises:
        LambdaError: it is none of these, or means a function of another account or (where ``region`` is given) region.
    """
    match = _REFERENCE.fullmatch(reference)
    if not match:
        raise malformed(
            reference, "functionName", f"Member must satisfy regular expression pattern: {_REFERENCE.pattern}"
        )
    if match["account"] not in (None, ACCOUNT_ID):
        raise LambdaError("AccessDeniedException", f"{reference} is of another account than {ACCOUNT_ID}", 403)
    if region and match["region"] not in (None, region):
        message = f"Functions from '{match['region']}' are not reachable in this region ('{region}')"
        raise LambdaError("ResourceNotFoundException", message, 404)
    return match["name"], match["qualifier"]
