"""AWS Lambda's resource types."""

import io
import zipfile
from typing import Any

from infra.local.template.kinds.kind import Arguments, Kind, Work


def _function(arguments: Arguments) -> Arguments:
    code = arguments.get("Code", {})
    return {**arguments, "Code": {**code, "ZipFile": _zipped(code["ZipFile"])}} if "ZipFile" in code else arguments


def _zipped(source: str) -> bytes:
    """Return inline source as CloudFormation packs it: one file, ``index.py``."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        archive.writestr(zipfile.ZipInfo("index.py"), source)
    return buffer.getvalue()


def _code(work: Work, _value: Any) -> None:
    arguments = _function(
        {name: work.properties[name] for name in ("Code", "Architectures") if name in work.properties}
    )
    code = arguments.pop("Code")
    work.call("update_function_code", FunctionName=work.ref, **code, **arguments)


def _concurrency(work: Work, value: Any) -> None:
    if value is None:
        work.call("delete_function_concurrency", FunctionName=work.ref)
    else:
        work.call("put_function_concurrency", FunctionName=work.ref, ReservedConcurrentExecutions=value)


def _alias(arguments: Arguments) -> Arguments:
    weights = arguments.get("RoutingConfig", {}).get("AdditionalVersionWeights", [])
    routes = {weight["FunctionVersion"]: weight["FunctionWeight"] for weight in weights}
    return {**arguments, "RoutingConfig": {"AdditionalVersionWeights": routes}}


KINDS = (
    Kind(
        type="AWS::Lambda::Function",
        service="lambda",
        takes="FunctionName! PackageType! Code Handler Runtime Role Description Timeout MemorySize Environment"
        " TracingConfig DeadLetterConfig Architectures EphemeralStorage Layers LoggingConfig Tags"
        " ReservedConcurrentExecutions",
        name="FunctionName",
        create="create_function",
        ref="FunctionName",
        attributes={"Arn": "FunctionArn"},
        key={"FunctionName": "Ref"},
        update="update_function_configuration",
        delete="delete_function",
        adapt=_function,
        parts={"ReservedConcurrentExecutions": _concurrency},
        changes={"Code": _code, "Architectures": _code},
    ),
    Kind(
        type="AWS::Lambda::Permission",
        service="lambda",
        takes="Action! EventSourceToken! FunctionName! Principal! PrincipalOrgID! SourceAccount! SourceArn!",
        name="StatementId",
        create="add_permission",
        ref="Properties.StatementId",
        attributes={"Id": "Properties.StatementId"},
        key={"FunctionName": "Properties.FunctionName", "StatementId": "Ref"},
        delete="remove_permission",
    ),
    Kind(
        type="AWS::Lambda::EventSourceMapping",
        service="lambda",
        takes="EventSourceArn! StartingPosition! StartingPositionTimestamp! BatchSize BisectBatchOnFunctionError"
        " DestinationConfig Enabled FilterCriteria FunctionName FunctionResponseTypes"
        " MaximumBatchingWindowInSeconds MaximumRecordAgeInSeconds MaximumRetryAttempts ParallelizationFactor"
        " ScalingConfig Tags TumblingWindowInSeconds",
        create="create_event_source_mapping",
        ref="UUID",
        attributes={
            "Id": "UUID",
            "EventSourceMappingArn": "arn:aws:lambda:{Region}:{Account}:event-source-mapping:{Ref}",
        },
        key={"UUID": "Ref"},
        update="update_event_source_mapping",
        delete="delete_event_source_mapping",
    ),
    Kind(
        type="AWS::Lambda::EventInvokeConfig",
        service="lambda",
        takes="FunctionName! Qualifier! DestinationConfig MaximumEventAgeInSeconds MaximumRetryAttempts",
        create="put_function_event_invoke_config",
        ref="FunctionArn",
        key={"FunctionName": "Properties.FunctionName", "Qualifier": "Properties.Qualifier"},
        update="put_function_event_invoke_config",
        whole=True,
        delete="delete_function_event_invoke_config",
    ),
    Kind(
        type="AWS::Lambda::Version",
        service="lambda",
        takes="FunctionName! CodeSha256! Description!",
        create="publish_version",
        ref="FunctionArn",
        attributes={"FunctionArn": "FunctionArn", "Version": "Version"},
        key={"FunctionName": "Ref"},
        delete="delete_function",
    ),
    Kind(
        type="AWS::Lambda::Alias",
        service="lambda",
        takes="FunctionName! Name! FunctionVersion Description RoutingConfig",
        create="create_alias",
        ref="AliasArn",
        attributes={"AliasArn": "AliasArn"},
        key={"FunctionName": "Properties.FunctionName", "Name": "Properties.Name"},
        update="update_alias",
        delete="delete_alias",
        adapt=_alias,
    ),
)
