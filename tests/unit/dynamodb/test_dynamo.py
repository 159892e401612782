"""What moto's DynamoDB lacks, seen through the API."""

import asyncio
import base64
import gc
import tracemalloc
from datetime import timedelta

import pytest

from tests.unit.dynamodb.local import START, Local, RefusedError, item

STREAMS = "DynamoDBStreams_20120810"

ALL = "NEW_AND_OLD_IMAGES"
KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}


@pytest.fixture
def local():
    return Local()


async def refusal(call):
    with pytest.raises(RefusedError) as caught:
        await call
    return caught.value


# Values


async def test_numbers_come_back_in_their_shortest_form_and_binaries_unharmed(local):
    await local.table()
    binary = base64.b64encode(bytes(range(256))).decode()
    values = {
        "n": {"N": "01.500"},
        "big": {"N": "1" * 38},
        "zero": {"N": "-0.0"},
        "b": {"B": binary},
        "bs": {"BS": [binary]},
    }
    await local(
        "PutItem", TableName="things", Item={**KEY, **values, "m": {"M": {"N": {"N": "2.0"}, "B": {"S": "text"}}}}
    )
    found = (await local("GetItem", TableName="things", Key={"pk": {"S": "a"}, "sk": {"N": "1.0"}}))["Item"]
    assert (found["n"], found["zero"], found["big"]) == ({"N": "1.5"}, {"N": "0"}, {"N": "1" * 38})
    assert (found["b"], found["bs"]) == ({"B": binary}, {"BS": [binary]})
    assert found["m"] == {"M": {"N": {"N": "2"}, "B": {"S": "text"}}}


async def test_a_number_of_more_than_38_digits_is_refused(local):
    await local.table()
    error = await refusal(local("PutItem", TableName="things", Item={**KEY, "n": {"N": "1" * 39}}))
    assert error.code == "ValidationException"


@pytest.mark.parametrize(
    "key",
    [
        {"pk": {"S": "a"}},
        {"pk": {"S": "a"}, "sk": {"S": "1"}},
        {**KEY, "more": {"S": "x"}},
        {"pk": {"L": [{"S": "a"}]}, "sk": {"N": "1"}},
    ],
)
@pytest.mark.parametrize("operation", ["GetItem", "DeleteItem", "UpdateItem"])
async def test_a_key_that_is_not_the_schemas_is_refused(local, operation, key):
    await local.table()
    error = await refusal(local(operation, TableName="things", Key=key))
    assert str(error) == "The provided key element does not match the schema"


async def test_an_item_whose_index_key_has_another_type_is_refused_and_not_stored(local):
    await local.table(index="g")
    error = await refusal(local("PutItem", TableName="things", Item={**KEY, "g": {"N": "1"}}))
    assert "Type mismatch for Index Key g Expected: S Actual: N IndexName: by_g" in str(error)
    assert (await local("Scan", TableName="things"))["Count"] == 0


async def test_what_is_not_carried_is_refused_by_name(local):
    await local.table()
    for call, name in [
        (local("ExecuteStatement", Statement="SELECT * FROM things"), "dynamodb:ExecuteStatement"),
        (local("PutItem", TableName="things", Item=KEY, Expected={}), "PutItem with Expected"),
    ]:
        assert name in str(await refusal(call))


# Reading


async def test_pages_of_a_query_hold_together_in_both_directions_and_through_an_index(local):
    await local.table(index="g")
    for n in range(25):
        await local("PutItem", TableName="things", Item=item("a", n, g="x" if n % 2 else "y"))
    for forward in (True, False):
        for params, expected in [
            ({"KeyConditionExpression": "pk = :v AND sk BETWEEN :l AND :h"}, [*range(3, 22)]),
            ({"KeyConditionExpression": "g = :v AND sk > :l", "IndexName": "by_g"}, [*range(5, 25, 2)]),
        ]:
            values = {":v": {"S": "x" if "IndexName" in params else "a"}, ":l": {"N": "3"}, ":h": {"N": "21"}}
            if "IndexName" in params:
                del values[":h"]
            read, start = [], {}
            while True:
                page = await local(
                    "Query", TableName="things", **params, ExpressionAttributeValues=values, Limit=4,
                    ScanIndexForward=forward, **start,
                )  # fmt: skip
                read += [int(each["sk"]["N"]) for each in page["Items"]]
                if "LastEvaluatedKey" not in page:
                    break
                start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
            assert read == (expected if forward else expected[::-1])


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        ("= :n", [3]), ("< :n", [0, 1, 2]), ("<= :n", [0, 1, 2, 3]), ("> :n", [4, 5]), (">= :n", [3, 4, 5]),
        ("BETWEEN :n AND :n", [3]),
    ],
)  # fmt: skip
@pytest.mark.parametrize("index", [{}, {"IndexName": "by_g"}])
async def test_a_comparison_ends_where_it_says(local, condition, expected, index):
    await local.table(index="g")
    for n in range(6):
        await local("PutItem", TableName="things", Item=item("a", n, g="a"))
    key = "g" if index else "pk"
    page = await local(
        "Query", TableName="things", KeyConditionExpression=f"{key} = :v AND sk {condition}",
        ExpressionAttributeValues={":v": {"S": "a"}, ":n": {"N": "3"}}, **index,
    )  # fmt: skip
    assert [int(each["sk"]["N"]) for each in page["Items"]] == expected


async def test_a_prefix_matches_texts_and_no_numbers(local):
    await local.table(sort="S")
    for name in ("aa", "ab", "abc", "ac"):
        await local("PutItem", TableName="things", Item=item("a", name))
    query = {"TableName": "things", "KeyConditionExpression": "pk = :v AND begins_with(sk, :p)"}
    page = await local("Query", **query, ExpressionAttributeValues={":v": {"S": "a"}, ":p": {"S": "ab"}})
    assert [each["sk"]["S"] for each in page["Items"]] == ["ab", "abc"]
    await local.table("numbers")
    query["TableName"] = "numbers"
    error = await refusal(local("Query", **query, ExpressionAttributeValues={":v": {"S": "a"}, ":p": {"N": "1"}}))
    assert error.code == "ValidationException"


async def test_a_page_ends_at_a_megabyte_before_the_filter_is_applied(local):
    await local.table()
    for n in range(4):
        await local("PutItem", TableName="things", Item=item("a", n, text="x" * 390_000))
    page = await local(
        "Scan", TableName="things", FilterExpression="sk > :n", ExpressionAttributeValues={":n": {"N": "1"}}
    )
    assert (page["ScannedCount"], page["Count"]) == (2, 0)
    assert page["LastEvaluatedKey"] == {"pk": {"S": "a"}, "sk": {"N": "1"}}


async def test_an_index_shows_only_what_it_projects_and_only_items_with_its_keys(local):
    await local.table(index="g", projection={"ProjectionType": "INCLUDE", "NonKeyAttributes": ["n"]})
    await local("PutItem", TableName="things", Item=item("a", 1, g="x", n=5, other="o"))
    await local("PutItem", TableName="things", Item=item("a", 2, n=5))
    page = await local(
        "Query",
        TableName="things",
        IndexName="by_g",
        KeyConditionExpression="g = :v",
        ExpressionAttributeValues={":v": {"S": "x"}},
    )
    assert page["Items"] == [item("a", 1, g="x", n=5)]


async def test_an_index_on_what_has_no_type_is_refused_and_leaves_the_table_as_it_was(local):
    await local.table()
    create = {"IndexName": "late", "KeySchema": [{"AttributeName": "nowhere", "KeyType": "HASH"}],
              "Projection": {"ProjectionType": "ALL"}}  # fmt: skip
    with pytest.raises(RefusedError, match="not defined in AttributeDefinitions"):
        await local("UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=[{"Create": create}])
    described = (await local("DescribeTable", TableName="things"))["Table"]
    assert "GlobalSecondaryIndexes" not in described or not described["GlobalSecondaryIndexes"]
    await local("PutItem", TableName="things", Item=item("a", 1, nowhere="x"))


async def test_an_index_made_later_holds_what_was_there_before(local):
    await local.table()
    await local("PutItem", TableName="things", Item=item("a", 1, g="x"))
    create = {
        "IndexName": "late",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    attributes = [
        {"AttributeName": name, "AttributeType": kind} for name, kind in {"pk": "S", "sk": "N", "g": "S"}.items()
    ]
    await local(
        "UpdateTable",
        TableName="things",
        AttributeDefinitions=attributes,
        GlobalSecondaryIndexUpdates=[{"Create": create}],
    )
    page = await local(
        "Query",
        TableName="things",
        IndexName="late",
        KeyConditionExpression="g = :v",
        ExpressionAttributeValues={":v": {"S": "x"}},
    )
    assert page["Count"] == 1


async def test_a_condition_of_another_type_than_the_key_is_refused(local):
    await local.table()
    error = await refusal(
        local(
            "Query", TableName="things", KeyConditionExpression="pk = :v", ExpressionAttributeValues={":v": {"N": "1"}}
        )
    )
    assert "Condition parameter type does not match schema type" in str(error)


# Writing


async def test_a_cancelled_transaction_leaves_neither_changes_nor_stream_records(local):
    await local.table(stream=ALL)
    await local("PutItem", TableName="things", Item=item("a", 1, n=1))
    await asyncio.sleep(0)
    local.records.clear()
    update = {
        "TableName": "things",
        "Key": KEY,
        "UpdateExpression": "SET n = n + :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }
    check = {"TableName": "things", "Key": item("z", 9), "ConditionExpression": "attribute_exists(pk)"}
    error = await refusal(
        local(
            "TransactWriteItems",
            TransactItems=[
                {"Update": update},
                {"Put": {"TableName": "things", "Item": item("b", 1)}},
                {"ConditionCheck": check},
            ],
        )
    )
    assert [each["Code"] for each in error.document["CancellationReasons"]] == [
        "None",
        "None",
        "ConditionalCheckFailed",
    ]
    await asyncio.sleep(0)
    assert local.records == []
    assert (await local("Scan", TableName="things"))["Items"] == [item("a", 1, n=1)]


async def test_a_failed_update_leaves_the_item_as_it_was(local):
    await local.table()
    await local("PutItem", TableName="things", Item=item("a", 1, n="text"))
    await refusal(
        local(
            "UpdateItem",
            TableName="things",
            Key=KEY,
            UpdateExpression="SET m = :v ADD n :v",
            ExpressionAttributeValues={":v": {"N": "1"}},
        )
    )
    assert (await local("GetItem", TableName="things", Key=KEY))["Item"] == item("a", 1, n="text")


async def test_a_batch_with_one_bad_item_stores_nothing(local):
    await local.table()
    requests = [{"PutRequest": {"Item": item("a", 1)}}, {"PutRequest": {"Item": {"pk": {"S": "a"}}}}]
    await refusal(local("BatchWriteItem", RequestItems={"things": requests}))
    assert (await local("Scan", TableName="things"))["Count"] == 0


async def test_a_batch_that_names_an_item_twice_is_refused(local):
    await local.table()
    requests = [{"PutRequest": {"Item": item("a", 1, n=1)}}, {"DeleteRequest": {"Key": KEY}}]
    assert "duplicates" in str(await refusal(local("BatchWriteItem", RequestItems={"things": requests})))


async def test_a_transaction_is_repeated_under_its_token_only_after_ten_minutes(local):
    await local.table()
    update = {
        "TableName": "things",
        "Key": KEY,
        "UpdateExpression": "ADD n :one",
        "ExpressionAttributeValues": {":one": {"N": "1"}},
    }

    async def count():
        await local("TransactWriteItems", TransactItems=[{"Update": update}], ClientRequestToken="token")
        return (await local("GetItem", TableName="things", Key=KEY))["Item"]["n"]["N"]

    assert await count() == "1"
    local.clock.move(timedelta(minutes=9))
    assert await count() == "1"
    other = {"Put": {"TableName": "things", "Item": item("b", 1)}}
    error = await refusal(local("TransactWriteItems", TransactItems=[other], ClientRequestToken="token"))
    assert error.code == "IdempotentParameterMismatchException"
    local.clock.move(timedelta(minutes=2))
    assert await count() == "2"


# Streams


async def test_one_record_for_each_real_change_in_order(local):
    await local.table(stream=ALL)
    update = {"UpdateExpression": "SET n = :v", "ExpressionAttributeValues": {":v": {"N": "1"}}}
    await local("UpdateItem", TableName="things", Key=KEY, **update)
    await local("UpdateItem", TableName="things", Key=KEY, **update)
    await local("PutItem", TableName="things", Item=item("a", 1, n=2))
    await local("DeleteItem", TableName="things", Key=KEY)
    await local("DeleteItem", TableName="things", Key=KEY)
    await asyncio.sleep(0)
    assert [each["eventName"] for each in local.records] == ["INSERT", "MODIFY", "REMOVE"]
    assert [each["dynamodb"].get("NewImage") for each in local.records] == [item("a", 1, n=1), item("a", 1, n=2), None]
    assert [each["dynamodb"].get("OldImage") for each in local.records] == [None, item("a", 1, n=1), item("a", 1, n=2)]
    numbers = [int(each["dynamodb"]["SequenceNumber"]) for each in local.records]
    assert numbers == sorted(set(numbers))


async def test_whoever_takes_records_may_write_to_the_table(local):
    await local.table(stream=ALL)
    done = asyncio.Event()
    tasks = []

    async def write_back():
        await local("PutItem", TableName="things", Item=item("copy", 1))
        done.set()

    local.dynamo.on_records(
        lambda _table, _stream, records: (
            tasks.append(asyncio.create_task(write_back()))
            if records[0]["dynamodb"]["Keys"]["pk"] == {"S": "a"}
            else None
        )
    )
    await local("PutItem", TableName="things", Item=item("a", 1))
    await asyncio.wait_for(done.wait(), 5)
    assert (await local("Scan", TableName="things"))["Count"] == 2


async def test_a_reader_of_the_stream_sees_what_was_written_since_its_place(local):
    await local.table(stream="KEYS_ONLY")
    streams = STREAMS
    (stream,) = (await local("ListStreams", target=streams))["Streams"]
    described = (await local("DescribeStream", target=streams, StreamArn=stream["StreamArn"]))["StreamDescription"]
    shard = {"StreamArn": stream["StreamArn"], "ShardId": described["Shards"][0]["ShardId"]}
    latest = await local("GetShardIterator", target=streams, **shard, ShardIteratorType="LATEST")
    for n in range(3):
        await local("PutItem", TableName="things", Item=item("a", n))
    page = await local("GetRecords", target=streams, ShardIterator=latest["ShardIterator"], Limit=2)
    rest = await local("GetRecords", target=streams, ShardIterator=page["NextShardIterator"])
    seen = [each["dynamodb"]["Keys"]["sk"]["N"] for each in page["Records"] + rest["Records"]]
    assert (len(page["Records"]), seen) == (2, ["0", "1", "2"])
    local.clock.move(timedelta(hours=25))
    error = await refusal(local("GetRecords", target=streams, ShardIterator=latest["ShardIterator"]))
    assert error.code == "TrimmedDataAccessException"


# Time to live


async def test_a_record_s_size_is_that_of_its_keys_and_images(local):
    """As in AWS's example of a stream's event. (Lambda developer guide: Using AWS Lambda with Amazon DynamoDB)."""
    await local(
        "CreateTable",
        TableName="example",
        KeySchema=[{"AttributeName": "Id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "Id", "AttributeType": "N"}],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
    )
    key = {"Id": {"N": "101"}}
    for message in ("New item!", "This item has changed"):
        await local("PutItem", TableName="example", Item=key | {"Message": {"S": message}})
    await local("DeleteItem", TableName="example", Key=key)
    await asyncio.sleep(0)
    assert [record["dynamodb"]["SizeBytes"] for record in local.records] == [26, 59, 38]


async def test_a_reader_of_a_stream_that_asks_for_nonsense_is_told(local):
    await local.table(stream="KEYS_ONLY")
    (stream,) = (await local("ListStreams", target=STREAMS))["Streams"]
    shard = (await local("DescribeStream", target=STREAMS, StreamArn=stream["StreamArn"]))["StreamDescription"][
        "Shards"
    ]
    place = {"StreamArn": stream["StreamArn"], "ShardId": shard[0]["ShardId"]}
    latest = await local("GetShardIterator", target=STREAMS, ShardIteratorType="LATEST", **place)
    for operation, params in (
        ("GetShardIterator", place | {"ShardIteratorType": "AT_SEQUENCE_NUMBER"}),
        ("GetShardIterator", place | {"ShardIteratorType": "NEWEST"}),
        ("GetShardIterator", {"ShardIteratorType": "LATEST"}),
        ("GetRecords", {"ShardIterator": latest["ShardIterator"], "Limit": 1001}),
    ):
        with pytest.raises(RefusedError) as refused:
            await local(operation, target=STREAMS, **params)
        assert refused.value.code == "ValidationException"


async def test_what_expired_by_the_clock_goes_with_a_remove_record_of_dynamodbs_own(local):
    await local.table(stream=ALL)
    await local(
        "UpdateTimeToLive", TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    soon, later = (int((START + timedelta(hours=hours)).timestamp()) for hours in (1, 3))
    ancient = int((START - timedelta(days=6 * 366)).timestamp())
    for n, ttl in enumerate([soon, later, ancient]):
        await local("PutItem", TableName="things", Item=item("a", n, ttl=ttl))
    await local("PutItem", TableName="things", Item=item("a", 7, ttl="not a number"))
    await asyncio.sleep(0)
    local.records.clear()
    assert local.dynamo.backend().sweep() == 0
    local.clock.move(timedelta(hours=2))
    assert local.dynamo.backend().sweep() == 1
    await asyncio.sleep(0)
    (record,) = local.records
    assert (record["eventName"], record["dynamodb"]["OldImage"]) == ("REMOVE", item("a", 0, ttl=soon))
    assert record["userIdentity"] == {"type": "Service", "principalId": "dynamodb.amazonaws.com"}
    assert (await local("Scan", TableName="things"))["Count"] == 3


async def test_an_item_whose_expiry_was_put_off_stays(local):
    await local.table()
    await local(
        "UpdateTimeToLive", TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    for hours in (1, 5):
        await local(
            "PutItem", TableName="things", Item=item("a", 1, ttl=int((START + timedelta(hours=hours)).timestamp()))
        )
    local.clock.move(timedelta(hours=2))
    assert local.dynamo.backend().sweep() == 0


async def test_descriptions_of_ttl_and_recovery_are_kept(local):
    await local.table()
    await local(
        "UpdateTimeToLive", TableName="things", TimeToLiveSpecification={"Enabled": True, "AttributeName": "ttl"}
    )
    await local(
        "UpdateContinuousBackups",
        TableName="things",
        PointInTimeRecoverySpecification={"PointInTimeRecoveryEnabled": True},
    )
    ttl = (await local("DescribeTimeToLive", TableName="things"))["TimeToLiveDescription"]
    backups = (await local("DescribeContinuousBackups", TableName="things"))["ContinuousBackupsDescription"]
    assert ttl == {"TimeToLiveStatus": "ENABLED", "AttributeName": "ttl"}
    assert backups["PointInTimeRecoveryDescription"]["PointInTimeRecoveryStatus"] == "ENABLED"


# Capacity


@pytest.mark.parametrize(
    ("operation", "params", "units"),
    [
        ("GetItem", {"Key": KEY}, 1.5),
        ("GetItem", {"Key": KEY, "ConsistentRead": True}, 3.0),
        ("GetItem", {"Key": item("z", 1)}, 0.5),
        ("Query", {"KeyConditionExpression": "pk = :v", "ExpressionAttributeValues": {":v": {"S": "a"}}}, 1.5),
        ("Scan", {"ConsistentRead": True}, 3.0),
        ("PutItem", {"Item": item("b", 1)}, 1.0),
        ("PutItem", {"Item": item("a", 1)}, 10.0),
        ("UpdateItem", {"Key": KEY, "UpdateExpression": "REMOVE txt"}, 10.0),
        ("DeleteItem", {"Key": KEY}, 10.0),
        ("DeleteItem", {"Key": item("z", 1)}, 1.0),
    ],
)
async def test_capacity_follows_size(local, operation, params, units):
    await local.table()
    await local("PutItem", TableName="things", Item=item("a", 1, txt="x" * 9_300))
    reply = await local(operation, TableName="things", ReturnConsumedCapacity="TOTAL", **params)
    assert reply["ConsumedCapacity"] == {"TableName": "things", "CapacityUnits": units}


async def test_a_transaction_costs_twice_and_an_index_its_own_writes(local):
    await local.table(index="g")
    put = {"Put": {"TableName": "things", "Item": item("a", 1, g="x")}}
    reply = await local("TransactWriteItems", TransactItems=[put], ReturnConsumedCapacity="INDEXES")
    (used,) = reply["ConsumedCapacity"]
    assert (used["CapacityUnits"], used["Table"]["CapacityUnits"]) == (4.0, 2.0)
    assert used["GlobalSecondaryIndexes"]["by_g"]["CapacityUnits"] == 2.0
    moved = await local("PutItem", TableName="things", Item=item("a", 1, g="y"), ReturnConsumedCapacity="INDEXES")
    assert moved["ConsumedCapacity"]["GlobalSecondaryIndexes"]["by_g"]["CapacityUnits"] == 2.0


# Memory


async def test_a_counter_updated_again_and_again_fills_no_memory(local):
    await local.table()

    async def add(times):
        for _ in range(times):
            await local(
                "UpdateItem",
                TableName="things",
                Key=KEY,
                UpdateExpression="ADD n :v",
                ExpressionAttributeValues={":v": {"N": "1"}},
            )
        gc.collect()

    await add(50)
    tracemalloc.start()
    try:
        before, _ = tracemalloc.get_traced_memory()
        await add(150)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 60_000
