"""Fifty clients at once: transactions make and lose nothing, no acknowledged write is missing, none cancelled shows."""

import asyncio
import json
import random
from collections import Counter
from datetime import UTC, datetime

import aiohttp
import pytest

from infra.local import sigv4
from infra.local.credentials import Credentials
from tests.integration.front.conftest import make_table

ACCOUNTS, CLIENTS, OPENING = 12, 50, 1_000


class Client:
    """Signed calls over one session."""

    def __init__(self, session, settings):
        self._session, self._settings = session, settings
        self._credentials = Credentials(
            access_key_id=settings.access_key_id, secret_access_key=settings.secret_access_key
        )

    async def __call__(self, operation, target="DynamoDB_20120810", **document):
        body = json.dumps(document).encode()
        headers = {
            "host": f"127.0.0.1:{self._settings.ports.aws}",
            "x-amz-target": f"{target}.{operation}",
            "content-type": "application/x-amz-json-1.0",
        }
        headers |= sigv4.sign(
            "POST", "/", "", headers, body,
            credentials=self._credentials, service="dynamodb", region=self._settings.region, now=datetime.now(UTC),
        )  # fmt: skip
        async with self._session.post(self._settings.endpoint_url, data=body, headers=headers) as answer:
            return answer.status, await answer.json(content_type=None)


def _add(account, amount, **condition):
    return {
        "Update": {
            "TableName": "accounts",
            "Key": {"pk": {"S": account}},
            "UpdateExpression": "ADD balance :amount",
            "ExpressionAttributeValues": {":amount": {"N": str(amount)}} | condition.pop("values", {}),
            **condition,
        }
    }


async def _move(call, client, turn, shuffle, counts):
    """Move an amount; every second transfer fails on its last condition, after its writes were staged."""
    giver, taker = shuffle.sample(range(ACCOUNTS), 2)
    writes = [
        _add(f"account{giver}", -1),
        _add(f"account{taker}", 1),
        {"Put": {"TableName": "accounts", "Item": {"pk": {"S": f"transfer-{client}-{turn}"}}}},
    ]
    fails = turn % 2 == 1
    name = "attribute_not_exists" if fails else "attribute_exists"
    check = {"TableName": "accounts", "Key": {"pk": {"S": "gate"}}, "ConditionExpression": f"{name}(pk)"}
    writes.append({"ConditionCheck": check})
    status, reply = await call("TransactWriteItems", TransactItems=writes)
    assert status == (400 if fails else 200), reply
    counts["cancelled" if fails else "moved"] += 1


async def _client(call, client, turns, counts):
    shuffle = random.Random(client)
    for turn in range(turns):
        await _move(call, client, turn, shuffle, counts)
        status, reply = await call(
            "UpdateItem", TableName="accounts", Key={"pk": {"S": f"plain{client % 5}"}},
            UpdateExpression="ADD n :one", ExpressionAttributeValues={":one": {"N": "1"}},
        )  # fmt: skip
        assert status == 200, reply
        status, reply = await call("PutItem", TableName="accounts", Item={"pk": {"S": f"put-{client}-{turn}"}})
        assert status == 200, reply


async def _all_records(call):
    streams = "DynamoDBStreams_20120810"
    _, listed = await call("ListStreams", target=streams, TableName="accounts")
    arn = listed["Streams"][0]["StreamArn"]
    _, described = await call("DescribeStream", target=streams, StreamArn=arn)
    shard = described["StreamDescription"]["Shards"][0]["ShardId"]
    _, reply = await call(
        "GetShardIterator", target=streams, StreamArn=arn, ShardId=shard, ShardIteratorType="TRIM_HORIZON"
    )
    records, iterator = [], reply["ShardIterator"]
    while True:
        _, page = await call("GetRecords", target=streams, ShardIterator=iterator)
        if not page["Records"]:
            return records
        records += page["Records"]
        iterator = page["NextShardIterator"]


async def _all_items(call):
    items, start = [], {}
    while True:
        _, page = await call("Scan", TableName="accounts", **start)
        items += page["Items"]
        if "LastEvaluatedKey" not in page:
            return {item["pk"]["S"]: item for item in items}
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}


async def transfers(settings, turns):
    """Return the figures after ``turns`` transfers, counter updates and puts of each client, having checked them."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        call = Client(session, settings)
        await call("PutItem", TableName="accounts", Item={"pk": {"S": "gate"}})
        for number in range(ACCOUNTS):
            item = {"pk": {"S": f"account{number}"}, "balance": {"N": str(OPENING)}}
            await call("PutItem", TableName="accounts", Item=item)
        counts = Counter()
        sums = []

        async def watch():
            keys = [{"Get": {"TableName": "accounts", "Key": {"pk": {"S": f"account{n}"}}}} for n in range(ACCOUNTS)]
            while True:
                _, reply = await call("TransactGetItems", TransactItems=keys)
                sums.append(sum(int(each["Item"]["balance"]["N"]) for each in reply["Responses"]))
                await asyncio.sleep(0.01)

        watcher = asyncio.create_task(watch())
        await asyncio.gather(*(_client(call, number, turns, counts) for number in range(CLIENTS)))
        watcher.cancel()
        items, records = await _all_items(call), await _all_records(call)
    return counts, sums, items, records


def check(turns, counts, sums, items, records):
    names = Counter(each["dynamodb"]["Keys"]["pk"]["S"] for each in records)
    assert counts == {"moved": CLIENTS * -(-turns // 2), "cancelled": CLIENTS * (turns // 2)}
    assert set(sums) == {ACCOUNTS * OPENING}
    assert sum(int(items[f"account{n}"]["balance"]["N"]) for n in range(ACCOUNTS)) == ACCOUNTS * OPENING
    assert sum(int(items[f"plain{n}"]["n"]["N"]) for n in range(5)) == CLIENTS * turns
    assert all(f"put-{client}-{turn}" in items for client in range(CLIENTS) for turn in range(turns))
    done = {f"transfer-{client}-{turn}" for client in range(CLIENTS) for turn in range(0, turns, 2)}
    assert {name for name in items if name.startswith("transfer-")} == done
    assert {name for name in names if name.startswith("transfer-")} == done
    assert sum(count for name, count in names.items() if name.startswith("account")) == ACCOUNTS + 2 * counts["moved"]
    assert sum(count for name, count in names.items() if name.startswith("plain")) == CLIENTS * turns
    numbers = [int(each["dynamodb"]["SequenceNumber"]) for each in records]
    assert numbers == sorted(set(numbers))


@pytest.mark.parametrize("turns", [6, pytest.param(80, marks=[pytest.mark.long, pytest.mark.timeout(900)])])
def test_fifty_clients_neither_make_nor_lose_anything(cloud, turns, capsys):
    dynamo = cloud.client("dynamodb")
    make_table(dynamo, "accounts", sort=False, stream="KEYS_ONLY")
    try:
        counts, sums, items, records = asyncio.run(transfers(cloud.settings, turns))
    finally:
        dynamo.delete_table(TableName="accounts")
    check(turns, counts, sums, items, records)
    with capsys.disabled():
        figures = {
            "clients": CLIENTS,
            **counts,
            "puts": CLIENTS * turns,
            "sums seen": len(sums),
            "records": len(records),
        }
        print(json.dumps(figures))
