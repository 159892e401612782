"""A small client of the documented Runtime API, where awslambdaric has no wheel (outside Linux).

Same contract as awslambdaric 4: context, error documents, text log lines; what it lacks is SnapStart, JSON log format
and multi-concurrency. ("Using the Lambda runtime API for custom runtimes", "Using the Lambda context object").
"""

import http.client
import importlib
import json
import logging
import os
import sys
import time
import traceback
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

_BASE = "/2018-06-01/runtime/"
_CLIENT = ("installation_id", "app_title", "app_version_name", "app_version_code", "app_package_name")
_request_id = ""


class Context:
    """What a handler gets beside its event."""

    def __init__(self, headers: Any, environment: Any) -> None:
        self.aws_request_id = headers["Lambda-Runtime-Aws-Request-Id"]
        self.invoked_function_arn = headers["Lambda-Runtime-Invoked-Function-Arn"]
        self.log_group_name = environment.get("AWS_LAMBDA_LOG_GROUP_NAME")
        self.log_stream_name = environment.get("AWS_LAMBDA_LOG_STREAM_NAME")
        self.function_name = environment.get("AWS_LAMBDA_FUNCTION_NAME")
        self.function_version = environment.get("AWS_LAMBDA_FUNCTION_VERSION")
        self.memory_limit_in_mb = environment.get("AWS_LAMBDA_FUNCTION_MEMORY_SIZE")
        identity = json.loads(headers.get("Lambda-Runtime-Cognito-Identity") or "{}")
        self.identity = SimpleNamespace(
            cognito_identity_id=identity.get("cognitoIdentityId"),
            cognito_identity_pool_id=identity.get("cognitoIdentityPoolId"),
        )
        self.client_context = _client_context(headers.get("Lambda-Runtime-Client-Context"))
        self._deadline_ms = int(headers["Lambda-Runtime-Deadline-Ms"])

    def get_remaining_time_in_millis(self) -> int:
        """Return how long the handler may still run."""
        return max(0, self._deadline_ms - int(time.time() * 1000))  # noqa: TID251 - the worker's own clock

    def log(self, message: object) -> None:
        """Write to the function's log."""
        sys.stdout.write(str(message))


def main(arguments: list[str]) -> None:
    """Serve invocations of the handler named by ``arguments[1]`` until the process is ended."""
    environment = os.environ  # noqa: TID251 - a worker's configuration is its environment
    sys.stdout.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]  # a text stream
    sys.stderr.reconfigure(line_buffering=True, write_through=True)  # type: ignore[union-attr]  # a text stream
    _set_up_logging()
    connection = http.client.HTTPConnection(environment["AWS_LAMBDA_RUNTIME_API"])
    try:
        handler = _load(arguments[1])
    except Exception as error:  # noqa: BLE001 - the worker's edge: told to the Runtime API
        document = _init_error(arguments[1], error)
        _post(connection, "init/error", document)
        sys.exit(1)
    while True:
        _serve_one(connection, handler, environment)


def _serve_one(connection: http.client.HTTPConnection, handler: Any, environment: Any) -> None:
    global _request_id  # noqa: PLW0603 - the log lines of one worker carry its current request
    connection.request("GET", f"{_BASE}invocation/next")
    response = connection.getresponse()
    body = response.read()
    _request_id = response.headers["Lambda-Runtime-Aws-Request-Id"]
    environment["_X_AMZN_TRACE_ID"] = response.headers.get("Lambda-Runtime-Trace-Id", "")
    try:
        result = handler(json.loads(body), Context(response.headers, environment))
        answer, kind = _dump(result), "response"
    except Exception as error:  # noqa: BLE001 - the handler's edge: told to the Runtime API
        frames = traceback.extract_tb(error.__traceback__)[1:]
        document = _error_document(error, traceback.format_list(frames))
        answer, kind = json.dumps(document).encode(), "error"
    _post(connection, f"invocation/{_request_id}/{kind}", answer)


def _post(connection: http.client.HTTPConnection, call: str, body: bytes) -> None:
    connection.request("POST", _BASE + call, body)
    connection.getresponse().read()


def _load(handler: str) -> Any:
    module, _, function = handler.rpartition(".")
    return getattr(importlib.import_module(module.replace("/", ".")), function)


def _dump(result: object) -> bytes:
    def other(value: object) -> object:
        if isinstance(value, Decimal):
            return int(value) if value == value.to_integral_value() else float(value)
        raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")

    try:
        return json.dumps(result, default=other, ensure_ascii=False).encode()
    except (TypeError, ValueError) as error:
        raise MarshalError(f"Unable to marshal response: {error}") from error


class MarshalError(Exception):
    """The handler's answer is not JSON: ``Runtime.MarshalError``."""


def _error_document(error: BaseException, stack: list[str]) -> dict[str, Any]:
    kind = "Runtime.MarshalError" if isinstance(error, MarshalError) else type(error).__name__
    document = {"errorMessage": str(error), "errorType": kind, "requestId": _request_id, "stackTrace": stack}
    lines = [f"[ERROR] {kind}: {error}", "Traceback (most recent call last):", *"".join(stack).splitlines()]
    sys.stdout.write("\r".join(lines) + "\n")
    return document


def _init_error(handler: str, error: Exception) -> bytes:
    module, _, function = handler.rpartition(".")
    document = _error_document(error, traceback.format_tb(error.__traceback__)[1:])
    if isinstance(error, ImportError):
        document |= {
            "errorType": "Runtime.ImportModuleError",
            "errorMessage": f"Unable to import module '{module}': {error}",
        }
    elif isinstance(error, SyntaxError):
        document |= {
            "errorType": "Runtime.UserCodeSyntaxError",
            "errorMessage": f"Syntax error in module '{module}': {error}",
        }
    elif isinstance(error, AttributeError) and f"attribute '{function}'" in str(error):
        document |= {
            "errorType": "Runtime.HandlerNotFound",
            "errorMessage": f"Handler '{function}' missing on module '{module}'",
        }
    return json.dumps(document).encode()


def _client_context(header: str | None) -> SimpleNamespace | None:
    if not header:
        return None
    given = json.loads(header)
    client = given.get("client")
    return SimpleNamespace(
        custom=given.get("custom"),
        env=given.get("env"),
        client=SimpleNamespace(**{name: client.get(name) for name in _CLIENT}) if client else None,
    )


def _set_up_logging() -> None:
    logging.Formatter.converter = time.gmtime
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        logging.Formatter(
            "[%(levelname)s]\t%(asctime)s.%(msecs)03dZ\t%(aws_request_id)s\t%(message)s", "%Y-%m-%dT%H:%M:%S"
        )
    )
    handler.addFilter(_name_request)
    logging.getLogger().addHandler(handler)


def _name_request(record: logging.LogRecord) -> bool:
    record.aws_request_id = _request_id
    return True
