"""Configurations, aliases and settings as the Lambda API shows them. Pure."""

from typing import Any

from infra.local.functions.catalog import Function
from infra.local.functions.model import Alias, Configuration


def configuration(shown: Configuration, arn: str | None = None) -> dict[str, Any]:
    """("FunctionConfiguration"); ``arn`` is the one it was asked for by, with its qualifier."""
    document = {
        "FunctionName": shown.name,
        "FunctionArn": arn or shown.arn,
        "Runtime": shown.runtime,
        "Role": shown.role,
        "Handler": shown.handler,
        "CodeSize": shown.code_size_bytes,
        "Description": shown.description,
        "Timeout": shown.timeout_s,
        "MemorySize": shown.memory_mb,
        "LastModified": shown.last_modified,
        "CodeSha256": shown.code_sha256,
        "Version": shown.version,
        "TracingConfig": {"Mode": shown.tracing_mode},
        "RevisionId": shown.revision_id,
        "State": "Active",
        "LastUpdateStatus": "Successful",
        "PackageType": "Zip",
        "Architectures": list(shown.architectures),
        "EphemeralStorage": {"Size": shown.ephemeral_mb},
        "LoggingConfig": _logging(shown),
    }
    if shown.environment:
        document["Environment"] = {"Variables": dict(shown.environment)}
    if shown.dead_letter_arn:
        document["DeadLetterConfig"] = {"TargetArn": shown.dead_letter_arn}
    return document


def versions(function: Function) -> list[dict[str, Any]]:
    """Return ``$LATEST`` and the published versions, each by its qualified ARN."""
    listed = (function.latest, *function.versions.values())
    return [configuration(each, f"{each.function_arn}:{each.version}") for each in listed]


def alias(function: Function, shown: Alias) -> dict[str, Any]:
    """("AliasConfiguration")."""
    document: dict[str, Any] = {
        "AliasArn": f"{function.latest.function_arn}:{shown.name}",
        "Name": shown.name,
        "FunctionVersion": shown.version,
        "Description": shown.description,
        "RevisionId": shown.revision_id,
    }
    if shown.additional:
        document["RoutingConfig"] = {"AdditionalVersionWeights": dict(shown.additional)}
    return document


def async_config(function: Function, qualifier: str) -> dict[str, Any]:
    """("FunctionEventInvokeConfig")."""
    shown = function.async_configs[qualifier]
    return {
        "LastModified": shown.last_modified,
        "FunctionArn": f"{function.latest.function_arn}:{qualifier}",
        "MaximumRetryAttempts": shown.retries,
        "MaximumEventAgeInSeconds": shown.max_age_s,
        "DestinationConfig": {
            "OnSuccess": {"Destination": shown.on_success_arn} if shown.on_success_arn else {},
            "OnFailure": {"Destination": shown.on_failure_arn} if shown.on_failure_arn else {},
        },
    }


def _logging(shown: Configuration) -> dict[str, Any]:
    document = {"LogFormat": shown.log_format, "LogGroup": shown.log_group}
    if shown.application_log_level:
        document["ApplicationLogLevel"] = shown.application_log_level
    if shown.system_log_level:
        document["SystemLogLevel"] = shown.system_log_level
    return document
