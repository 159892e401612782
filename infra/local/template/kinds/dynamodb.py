"""Amazon DynamoDB's resource types."""

from typing import Any

from infra.local.template.kinds.kind import Arguments, Kind, Work


def _table(arguments: Arguments) -> Arguments:
    """Return CreateTable's arguments: CloudFormation leaves out that a stream is enabled, and names SSE its way."""
    adapted = dict(arguments)
    if "StreamSpecification" in adapted:
        adapted["StreamSpecification"] = {"StreamEnabled": True, **adapted["StreamSpecification"]}
    if "SSESpecification" in adapted:
        rest = dict(adapted["SSESpecification"])
        adapted["SSESpecification"] = {"Enabled": rest.pop("SSEEnabled"), **rest}
    return adapted


def _stream(work: Work, value: Any) -> None:
    stream = {"StreamEnabled": True, **value} if value else {"StreamEnabled": False}
    if value and work.was.get("StreamSpecification"):
        work.call("update_table", TableName=work.ref, StreamSpecification={"StreamEnabled": False})
    work.call("update_table", TableName=work.ref, StreamSpecification=stream)


def _expiry(work: Work, value: Any) -> None:
    """Switch off first what is on: DynamoDB takes no other attribute, and nothing twice."""
    was = work.was.get("TimeToLiveSpecification", {})
    off = [{**was, "Enabled": False}] if was.get("Enabled") else []
    for wanted in (*off, *([value] if value and value["Enabled"] else [])):
        work.call("update_time_to_live", TableName=work.ref, TimeToLiveSpecification=wanted)


def _point_in_time(work: Work, value: Any) -> None:
    wanted = value or {"PointInTimeRecoveryEnabled": False}
    work.call("update_continuous_backups", TableName=work.ref, PointInTimeRecoverySpecification=wanted)


def _indexes(work: Work, value: Any) -> None:
    """Add and remove global indexes, one a call as DynamoDB wants it."""
    wanted = {index["IndexName"]: index for index in value or []}
    was = {index["IndexName"]: index for index in work.was.get("GlobalSecondaryIndexes", [])}
    attributes = work.properties["AttributeDefinitions"]
    for name, index in was.items():
        if wanted.get(name) != index:
            work.call("update_table", TableName=work.ref, GlobalSecondaryIndexUpdates=[{"Delete": {"IndexName": name}}])
    for name, index in wanted.items():
        if was.get(name) != index:
            updates = [{"Create": index}]
            work.call(
                "update_table", TableName=work.ref, AttributeDefinitions=attributes, GlobalSecondaryIndexUpdates=updates
            )


KINDS = (
    Kind(
        type="AWS::DynamoDB::Table",
        service="dynamodb",
        takes="TableName! KeySchema! LocalSecondaryIndexes! AttributeDefinitions BillingMode"
        " DeletionProtectionEnabled GlobalSecondaryIndexes OnDemandThroughput PointInTimeRecoverySpecification"
        " ProvisionedThroughput SSESpecification StreamSpecification TableClass Tags TimeToLiveSpecification",
        name="TableName",
        create="create_table",
        ref="Properties.TableName",
        attributes={
            "Arn": "(TableDescription || Table).TableArn",
            "StreamArn": "(TableDescription || Table).LatestStreamArn",
        },
        key={"TableName": "Ref"},
        read="describe_table",
        update="update_table",
        delete="delete_table",
        adapt=_table,
        parts={"TimeToLiveSpecification": _expiry, "PointInTimeRecoverySpecification": _point_in_time},
        changes={
            "StreamSpecification": _stream,
            "GlobalSecondaryIndexes": _indexes,
            "AttributeDefinitions": lambda _work, _value: None,  # sent with the index that needs them
        },
        stateful=True,
    ),
)
