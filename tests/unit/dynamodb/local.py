"""DynamoDB without a port: boto3's documents in, documents out."""

import json
from datetime import UTC, datetime
from pathlib import Path

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.dynamodb import Dynamo
from infra.local.wire import Request

START = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class RefusedError(Exception):
    def __init__(self, document):
        super().__init__(document.get("message") or document.get("Message"))
        self.document = document
        self.code = document["__type"].rpartition("#")[2]


class Local:
    """One account's tables under a clock that stands still."""

    def __init__(self):
        self.clock = ManualClock(START)
        self.dynamo = Dynamo(Settings(state_dir=Path("unused")), self.clock)
        self.records = []
        self.dynamo.on_records(lambda _table, _stream, records: self.records.extend(records))

    async def __call__(self, operation, *, target="DynamoDB_20120810", **document):
        request = Request(
            service="dynamodb",
            method="POST",
            path="/",
            headers={"x-amz-target": f"{target}.{operation}"},
            body=json.dumps(document).encode(),
        )
        response = await self.dynamo.handle(request)
        reply = json.loads(response.body)
        if response.status != 200:
            raise RefusedError(reply)
        return reply

    async def table(self, name="things", *, sort="N", index=None, stream=None, projection=None):
        attributes = {"pk": "S"} | ({"sk": sort} if sort else {}) | ({index: "S"} if index else {})
        extra = {}
        if index:
            keys = [{"AttributeName": index, "KeyType": "HASH"}]
            if sort:
                keys.append({"AttributeName": "sk", "KeyType": "RANGE"})
            extra["GlobalSecondaryIndexes"] = [
                {"IndexName": f"by_{index}", "KeySchema": keys, "Projection": projection or {"ProjectionType": "ALL"}}
            ]
        if stream:
            extra["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream}
        schema = [{"AttributeName": "pk", "KeyType": "HASH"}]
        if sort:
            schema.append({"AttributeName": "sk", "KeyType": "RANGE"})
        await self(
            "CreateTable",
            TableName=name,
            KeySchema=schema,
            AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in attributes.items()],
            BillingMode="PAY_PER_REQUEST",
            **extra,
        )
        return name


def item(pk, sk=None, **attributes):
    """An item whose numbers are numbers and texts texts."""
    values = {"pk": pk} | ({"sk": sk} if sk is not None else {}) | attributes
    return {name: {"S": value} if isinstance(value, str) else {"N": str(value)} for name, value in values.items()}
