"""A function's settings, from the API's own names to a configuration.

What is not carried here is refused by name. Pure.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from infra.local.functions.model import LATEST, Alias, Configuration, LambdaError, invalid, malformed

_ALIAS = re.compile(r"(?!^[0-9]+$)([a-zA-Z0-9-_]{1,128})")
_RUNTIME = re.compile(r"python3\.\d+")
_ELSEWHERE = {"FunctionName", "Code", "Publish", "Tags", "PackageType", "RevisionId"}
"""Parameters of the same calls that the catalog reads."""
_EMPTY_ONLY = {
    "VpcConfig",
    "Layers",
    "FileSystemConfigs",
    "ImageConfig",
    "KMSKeyArn",
    "SnapStart",
    "CodeSigningConfigArn",
}
"""Settings that only pass where they ask for nothing."""
_RESERVED = {
    *("_HANDLER", "_X_AMZN_TRACE_ID", "AWS_DEFAULT_REGION", "AWS_REGION", "AWS_EXECUTION_ENV", "AWS_ACCESS_KEY"),
    *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR"),
}
_VARIABLE = re.compile(r"[a-zA-Z]([a-zA-Z0-9_])+")
_MAX_ENVIRONMENT_BYTES = 4096
_LOGGING = {
    "LogFormat": "log_format",
    "LogGroup": "log_group",
    "ApplicationLogLevel": "application_log_level",
    "SystemLogLevel": "system_log_level",
}


def configured(before: Configuration, given: Mapping[str, Any]) -> Configuration:
    """Return the configuration with the settings given in the API's own names.

    Raises:
        LambdaError: a setting is out of its range, or not carried here.
    """
    changes: dict[str, Any] = {}
    for name, value in given.items():
        if name in _READERS:
            field, read = _READERS[name]
            changes[field] = read(value)
        elif name == "LoggingConfig":
            changes |= {_LOGGING[key]: setting for key, setting in value.items()}
        elif name in _EMPTY_ONLY:
            _refuse_unless_empty(name, value)
        elif name not in _ELSEWHERE:
            raise invalid(f"{name} is not carried by the local cloud")
    after = replace(before, **changes)
    if not _RUNTIME.fullmatch(after.runtime):
        raise invalid(f"Value {after.runtime} at 'runtime': only Python runtimes are carried by the local cloud")
    return after


def check_alias(alias: Alias) -> None:
    """Refuse an alias that AWS does not make. ("CreateAlias", "Lambda aliases: weighted").

    Raises:
        LambdaError: what is wrong with it.
    """
    if not _ALIAS.fullmatch(alias.name):
        raise malformed(alias.name, "name", f"Member must satisfy regular expression pattern: {_ALIAS.pattern}")
    if not alias.version:
        raise malformed(None, "functionVersion", "Member must not be null")
    if len(alias.additional) > 1:
        raise invalid("Number of items in AdditionalVersionWeights cannot be greater than 1")
    for version, weight in alias.additional:
        if not 0 <= weight <= 1:
            raise malformed(weight, "routingConfig.additionalVersionWeights", "Member must have value between 0 and 1")
        if LATEST in {version, alias.version}:
            raise invalid("$LATEST is not supported for an alias pointing to more than 1 version")
        if version == alias.version:
            raise invalid(
                f"Invalid function version {version}. Function version {version} is already included in routing "
                "configuration."
            )


def _same(value: Any) -> Any:
    return value


def _between(name: str, least: int, most: int) -> Callable[[Any], int]:
    def read(value: Any) -> int:
        if not least <= value <= most:
            raise malformed(value, name, f"Member must have value between {least} and {most}")
        return int(value)

    return read


def _environment(given: Mapping[str, Any]) -> Mapping[str, str]:
    """("Lambda environment variables": names of two characters at least, some reserved; 4 KB in all)."""
    variables: Mapping[str, str] = given.get("Variables") or {}
    if not all(map(_VARIABLE.fullmatch, variables)):
        message = (
            "1 validation error detected: Value at 'environment.variables' failed to satisfy constraint: Map keys "
        )
        rule = f"must satisfy constraint: [Member must satisfy regular expression pattern: {_VARIABLE.pattern}]"
        raise LambdaError("ValidationException", message + rule)
    taken = sorted(name for name in variables if name in _RESERVED or name.startswith("AWS_LAMBDA_"))
    if taken:
        raise invalid(
            "Lambda was unable to configure your environment variables because the environment variables you have "
            "provided contains reserved keys that are currently not supported for modification. "
            f"Reserved keys used in this request: {', '.join(taken)}"
        )
    if sum(len(name) + len(value) for name, value in variables.items()) > _MAX_ENVIRONMENT_BYTES:
        raise invalid("Lambda was unable to configure your environment variables because they exceed 4KB")
    return dict(variables)


def _refuse_unless_empty(name: str, value: Any) -> None:
    asks = any(value.values()) if isinstance(value, dict) else bool(value)
    if asks and value != {"ApplyOn": "None"}:
        raise invalid(f"{name} is not carried by the local cloud")


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "Role": ("role", _same),
    "Handler": ("handler", _same),
    "Runtime": ("runtime", _same),
    "Description": ("description", _same),
    "Timeout": ("timeout_s", _between("timeout", 1, 900)),
    "MemorySize": ("memory_mb", _between("memorySize", 128, 10_240)),
    "Environment": ("environment", _environment),
    "DeadLetterConfig": ("dead_letter_arn", lambda value: value.get("TargetArn") or None),
    "TracingConfig": ("tracing_mode", lambda value: value.get("Mode", "PassThrough")),
    "Architectures": ("architectures", tuple),
    "EphemeralStorage": ("ephemeral_mb", lambda value: value["Size"]),
}
