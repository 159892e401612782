"""What AWS refuses before it looks at an item, in AWS's words; and what of it moto would have let pass."""

import json

import pytest

from infra.local.wire import Request
from tests.unit.dynamodb.local import Local, RefusedError, item

KEY = {"pk": {"S": "a"}, "sk": {"N": "1"}}
PUT = {"PutRequest": {"Item": item("a", 1)}}
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_IMAGE"}


@pytest.fixture
async def local():
    made = Local()
    await made.table(index="g", projection={"ProjectionType": "KEYS_ONLY"})
    await made("PutItem", TableName="things", Item=item("a", 1, g="x", v="y"))
    return made


def named(**values):
    return {f":{name}": {"N": str(value)} if isinstance(value, int) else {"S": value} for name, value in values.items()}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ({}, "is empty"),
        ({"Q": "x"}, "is empty"),
        ({"S": "a", "N": "1"}, "more than one datatypes"),
        ({"BOOL": "true"}, "BOOL is a bool"),
        ({"NULL": False}, "Null attribute value types must have the value of true"),
        ({"SS": []}, "may not be empty"),
        ({"SS": ["a", "a"]}, "Input collection [a, a] contains duplicates"),
        ({"NS": ["1", "1.0"]}, "contains duplicates"),
        ({"N": "1_0"}, "cannot be converted to a numeric value: 1_0"),
        ({"N": ""}, "cannot be converted to a numeric value"),
        ({"N": "1e126"}, "Number overflow"),
        ({"N": "-1e-131"}, "Number underflow"),
        ({"L": [{"M": {"x": {"N": "NaN"}}}]}, "cannot be converted"),
    ],
)
async def test_a_value_that_is_none_is_refused(local, value, message):
    with pytest.raises(RefusedError) as refused:
        await local("PutItem", TableName="things", Item=item("a", 1) | {"x": value})
    assert refused.value.code == "ValidationException"
    assert message in str(refused.value)


@pytest.mark.parametrize(
    "value", ["9.9999999999999999999999999999999999999E+125", "1E-130", "-0", "+5", "007.50", ".5"]
)
async def test_numbers_at_their_limits_are_kept(local, value):
    await local("PutItem", TableName="things", Item=item("a", 2) | {"x": {"N": value}})
    stored = (await local("GetItem", TableName="things", Key=item("a", 2)))["Item"]["x"]["N"]
    assert float(stored) == float(value)


async def test_an_item_is_of_400_kb_and_not_a_byte_more(local):
    around = len("pk") + len("a") + len("sk") + 2 + len("x")
    full = {"S": "v" * (400 * 1024 - around)}
    await local("PutItem", TableName="things", Item=item("a", 2) | {"x": full})
    with pytest.raises(RefusedError, match="Item size has exceeded"):
        await local("PutItem", TableName="things", Item=item("a", 2) | {"x": {"S": full["S"] + "v"}})
    with pytest.raises(RefusedError, match="Item size to update has exceeded"):
        await local(
            "UpdateItem",
            TableName="things",
            Key=item("a", 2),
            UpdateExpression="SET y = :v",
            ExpressionAttributeValues=named(v="z"),
        )


async def test_lists_and_maps_nest_32_levels_deep(local):
    def nested(levels):
        value = {"S": "x"}
        for _ in range(levels):
            value = {"L": [value]}
        return item("a", 2) | {"x": value}

    await local("PutItem", TableName="things", Item=nested(32))
    with pytest.raises(RefusedError, match="Nesting Levels"):
        await local("PutItem", TableName="things", Item=nested(33))


async def test_sums_are_exact_to_38_digits_and_refused_beyond(local):
    async def add(amount):
        params = {"UpdateExpression": "ADD n :v", "ExpressionAttributeValues": {":v": {"N": amount}}}
        reply = await local("UpdateItem", TableName="things", Key=KEY, ReturnValues="UPDATED_NEW", **params)
        return reply["Attributes"]["n"]["N"]

    assert await add("12345678901234567890123456789012345.5") == "12345678901234567890123456789012345.5"
    assert await add("0.001") == "12345678901234567890123456789012345.501"
    with pytest.raises(RefusedError, match="38 significant digits"):
        await add("0.00001")


@pytest.mark.parametrize(
    ("params", "message"),
    [
        (
            {"FilterExpression": "status = :v"},
            "Invalid FilterExpression: Attribute name is a reserved keyword; reserved",
        ),
        (
            {"FilterExpression": "#v = :v"},
            "attribute name used in the document path is not defined; attribute name: #v",
        ),
        ({"FilterExpression": "v = :w"}, "attribute value used in expression is not defined; attribute value: :w"),
        ({"FilterExpression": "v = = :v"}, "Invalid FilterExpression, KeyConditionExpression: Syntax error"),
        ({"FilterExpression": "foo(v, :v)"}, "Invalid function name; function: foo"),
        ({"FilterExpression": ""}, "Invalid FilterExpression: The expression can not be empty"),
        ({"FilterExpression": "sk = :v"}, "can only contain non-primary key attributes: Primary key attribute: sk"),
        ({"FilterExpression": "begins_with(v, :n)", "values": {"n": 1}}, "Incorrect operand type for operator or func"),
        ({"FilterExpression": "attribute_type(v, :v)"}, "Invalid attribute type name found; type: y"),
        ({"FilterExpression": "v BETWEEN :v AND :w", "values": {"w": "a"}}, "requires upper bound to be greater"),
        ({"FilterExpression": "v BETWEEN :v AND :w", "values": {"w": 1}}, "requires same data type"),
        ({}, "Value provided in ExpressionAttributeValues unused in expressions: keys: {:v}"),
        ({"KeyConditionExpression": "pk = :p AND sk > :v AND sk < :v"}, "must only contain one condition per key"),
        ({"KeyConditionExpression": "pk = :p OR sk = :v"}, "Invalid operator used in KeyConditionExpression: OR"),
        ({"KeyConditionExpression": "pk = :p AND size(sk) = :v"}, "Invalid function name; function: size"),
        ({"FilterExpression": "v = :v", "ProjectionExpression": "v, v.w"}, "Two document paths overlap"),
        ({"FilterExpression": "v = :v", "Limit": 0}, "Member must have value greater than or equal to 1"),
        ({"FilterExpression": "v = :v", "IndexName": "none"}, "The table does not have the specified index: none"),
        ({"FilterExpression": "v = :v", "ExclusiveStartKey": KEY | {"g": {"S": "x"}}}, "starting key is invalid"),
        ({"FilterExpression": "v = :v", "ExpressionAttributeNames": {}}, "ExpressionAttributeNames must not be empty"),
        ({"FilterExpression": "v = :v", "ExpressionAttributeNames": {"#n": "v"}}, "Names unused in expressions"),
    ],
)
async def test_a_query_that_cannot_hold_is_refused(local, params, message):
    values = named(p="a", v="y", **params.get("values", {}))
    asked = {"KeyConditionExpression": "pk = :p", "ExpressionAttributeValues": values, **params}
    asked.pop("values", None)
    if "values" in params and ":v" not in params["FilterExpression"].replace(")", " ").split():
        del values[":v"]
    with pytest.raises(RefusedError) as refused:
        await local("Query", TableName="things", **asked)
    assert refused.value.code == "ValidationException"
    assert message in str(refused.value)


@pytest.mark.parametrize(
    ("condition", "inside", "outside"),
    [
        ("sk = :b", [5], [4, 6]),
        ("sk < :b", [4], [5, 6]),
        ("sk <= :b", [5], [6]),
        ("sk > :b", [6], [5, 4]),
        ("sk >= :b", [5], [4]),
        ("sk BETWEEN :b AND :c", [5, 7], [4, 8]),
    ],
)
async def test_a_query_goes_on_after_a_key_of_its_range_and_after_no_other(local, condition, inside, outside):
    values = named(p="a", b=5, c=7)
    if ":c" not in condition:
        del values[":c"]
    asked = {"KeyConditionExpression": f"pk = :p AND {condition}", "ExpressionAttributeValues": values}
    for sk in inside:
        await local("Query", TableName="things", ExclusiveStartKey=item("a", sk), **asked)
    for sk in outside:
        with pytest.raises(RefusedError, match="outside query boundaries based on provided conditions"):
            await local("Query", TableName="things", ExclusiveStartKey=item("a", sk), **asked)


async def test_a_query_of_an_index_goes_on_within_its_range_whatever_the_key_in_the_table(local):
    asked = {"IndexName": "by_g", "KeyConditionExpression": "g = :g AND sk > :b"}
    asked["ExpressionAttributeValues"] = named(g="x", b=5)
    await local("Query", TableName="things", ExclusiveStartKey=item("a", 6, g="x"), **asked)
    with pytest.raises(RefusedError, match="outside query boundaries"):
        await local("Query", TableName="things", ExclusiveStartKey=item("z", 5, g="x"), **asked)


async def test_what_a_global_index_does_not_hold_cannot_be_asked_of_it(local):
    asked = {"IndexName": "by_g", "KeyConditionExpression": "g = :g", "ExpressionAttributeValues": named(g="x")}
    assert (await local("Query", TableName="things", ProjectionExpression="sk", **asked))["Items"] == [
        {"sk": {"N": "1"}}
    ]
    with pytest.raises(RefusedError, match=r"index by_g does not project \[v\]"):
        await local("Query", TableName="things", ProjectionExpression="sk, v", **asked)


@pytest.mark.parametrize(
    ("operation", "params", "message"),
    [
        ("BatchWriteItem", {"RequestItems": {}}, "length greater than or equal to 1"),
        ("BatchWriteItem", {"RequestItems": {"things": []}}, "length greater than or equal to 1"),
        ("BatchWriteItem", {"RequestItems": {"things": [{}]}}, "one request an entry"),
        ("BatchWriteItem", {"RequestItems": {"things": [PUT, {"DeleteRequest": {"Key": KEY}}]}}, "duplicates"),
        (
            "BatchWriteItem",
            {"RequestItems": {"things": [{"PutRequest": {"Item": item("a", n)}} for n in range(26)]}},
            "Too many items requested for the BatchWriteItem call",
        ),
        ("BatchGetItem", {"RequestItems": {"things": {"Keys": []}}}, "length greater than or equal to 1"),
        (
            "BatchGetItem",
            {"RequestItems": {"things": {"Keys": [item("a", n) for n in range(101)]}}},
            "Too many items requested for the BatchGetItem call",
        ),
        ("TransactWriteItems", {"TransactItems": []}, "length greater than or equal to 1"),
        (
            "TransactWriteItems",
            {"TransactItems": [{"Delete": {"TableName": "things", "Key": KEY}}], "ClientRequestToken": "t" * 37},
            "length from 1 to 36",
        ),
        (
            "TransactGetItems",
            {"TransactItems": [{"Get": {"TableName": "things", "Key": KEY}}] * 2},
            "multiple operations on one item",
        ),
        ("CreateTable", {"TableName": "ab"}, "at least 3 characters long"),
        ("UpdateTable", {"TableName": "things"}, "At least one of"),
    ],
)
async def test_limits_hold_for_batches_transactions_and_names(local, operation, params, message):
    if operation == "CreateTable":
        params = params | {
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
        }
    with pytest.raises(RefusedError) as refused:
        await local(operation, **params)
    assert message in str(refused.value)


async def test_what_an_item_makes_impossible_cancels_the_transaction_with_its_reason(local):
    update = {"UpdateExpression": "SET x = nothing + :v", "ExpressionAttributeValues": named(v=1)}
    with pytest.raises(RefusedError) as refused:
        await local(
            "TransactWriteItems",
            TransactItems=[
                {"Put": {"TableName": "things", "Item": item("b", 1)}},
                {"Update": {"TableName": "things", "Key": KEY, **update}},
                {"Put": {"TableName": "things", "Item": {"pk": {"S": "c"}}}},
            ],
        )
    assert refused.value.code == "TransactionCanceledException"
    reasons = refused.value.document["CancellationReasons"]
    assert [reason["Code"] for reason in reasons] == ["None", "ValidationError", "ValidationError"]
    assert reasons[1]["Message"] == "The provided expression refers to an attribute that does not exist in the item"
    assert "Missing the key sk in the item" in reasons[2]["Message"]
    assert "Item" not in await local("GetItem", TableName="things", Key=item("b", 1))


async def test_a_transaction_under_a_known_token_costs_reads(local):
    asked = {"TransactItems": [{"Put": {"TableName": "things", "Item": item("a", 1)}}], "ClientRequestToken": "t"}
    used = [
        (await local("TransactWriteItems", ReturnConsumedCapacity="TOTAL", **asked))["ConsumedCapacity"][0]
        for _ in range(2)
    ]
    assert "WriteCapacityUnits" in used[0]
    assert used[1] == {"TableName": "things", "CapacityUnits": 2.0, "ReadCapacityUnits": 2.0}


async def test_a_batch_of_reads_costs_by_the_consistency_of_each_table(local):
    keys = {"Keys": [item("a", n) for n in range(3)]}
    for consistent, units in ((False, 1.5), (True, 3.0)):
        reply = await local(
            "BatchGetItem",
            RequestItems={"things": {**keys, "ConsistentRead": consistent}},
            ReturnConsumedCapacity="TOTAL",
        )
        assert reply["ConsumedCapacity"] == [{"TableName": "things", "CapacityUnits": units}]


async def test_an_update_of_a_table_that_is_refused_leaves_it_as_it_was(local):
    before = (await local("DescribeTable", TableName="things"))["Table"]
    again = {
        "IndexName": "by_g",
        "KeySchema": [{"AttributeName": "g", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    with pytest.raises(RefusedError, match="already exists"):
        await local(
            "UpdateTable",
            TableName="things",
            AttributeDefinitions=[{"AttributeName": "g", "AttributeType": "N"}],
            GlobalSecondaryIndexUpdates=[{"Create": again}],
        )
    assert (await local("DescribeTable", TableName="things"))["Table"] == before


async def test_an_update_that_is_refused_half_way_leaves_no_index_behind(local):
    await local("UpdateTable", TableName="things", StreamSpecification=STREAM)
    before = (await local("DescribeTable", TableName="things"))["Table"]
    late = {
        "IndexName": "late",
        "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
    }
    with pytest.raises(RefusedError):
        await local(
            "UpdateTable",
            TableName="things",
            AttributeDefinitions=[{"AttributeName": "h", "AttributeType": "S"}],
            GlobalSecondaryIndexUpdates=[{"Create": late}],
            StreamSpecification=STREAM,
        )
    assert (await local("DescribeTable", TableName="things"))["Table"] == before


async def test_an_update_that_is_refused_half_way_leaves_an_index_as_it_was(local):
    late = {
        "IndexName": "late",
        "KeySchema": [{"AttributeName": "h", "KeyType": "HASH"}],
        "Projection": {"ProjectionType": "ALL"},
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
    }
    defined = [{"AttributeName": "h", "AttributeType": "S"}]
    create = [{"Create": late}]
    await local("UpdateTable", TableName="things", AttributeDefinitions=defined, GlobalSecondaryIndexUpdates=create)
    await local("UpdateTable", TableName="things", StreamSpecification=STREAM)
    before = (await local("DescribeTable", TableName="things"))["Table"]
    more = {"ReadCapacityUnits": 7, "WriteCapacityUnits": 7}
    update = [{"Update": {"IndexName": "late", "ProvisionedThroughput": more}}]
    with pytest.raises(RefusedError):
        await local("UpdateTable", TableName="things", GlobalSecondaryIndexUpdates=update, StreamSpecification=STREAM)
    assert (await local("DescribeTable", TableName="things"))["Table"] == before


async def test_ttl_is_switched_once_and_for_one_attribute(local):
    def wanted(enabled, name="expires"):
        return {"TimeToLiveSpecification": {"Enabled": enabled, "AttributeName": name}}

    with pytest.raises(RefusedError, match="already disabled"):
        await local("UpdateTimeToLive", TableName="things", **wanted(enabled=False))
    await local("UpdateTimeToLive", TableName="things", **wanted(enabled=True))
    with pytest.raises(RefusedError, match="already enabled"):
        await local("UpdateTimeToLive", TableName="things", **wanted(enabled=True))
    with pytest.raises(RefusedError, match="current AttributeName is expires"):
        await local("UpdateTimeToLive", TableName="things", **wanted(enabled=True, name="other"))


NESTED = {"M": {"a": {"N": "1"}, "b": {"N": "2"}, "l": {"L": [{"N": "1"}, {"N": "2"}, {"N": "3"}]}}}


@pytest.mark.parametrize(
    ("expression", "old", "new"),
    [
        ("SET v = :y", {"v": {"S": "y"}}, {"v": {"S": "y"}}),  # nothing changed: given back all the same
        ("SET w = :y", None, {"w": {"S": "y"}}),
        ("REMOVE v", {"v": {"S": "y"}}, None),
        ("REMOVE nothing", None, None),
        ("SET m.a = :n", {"m": {"M": {"a": {"N": "1"}}}}, {"m": {"M": {"a": {"N": "9"}}}}),
        (
            "SET #m.l[1] = :n, #m.b = if_not_exists(#m.b, :n)",
            {"m": {"M": {"l": {"L": [{"N": "2"}]}, "b": {"N": "2"}}}},
            {"m": {"M": {"l": {"L": [{"N": "9"}]}, "b": {"N": "2"}}}},
        ),
        ("ADD n :n DELETE s :s", {"s": {"SS": ["a", "b"]}}, {"n": {"N": "9"}, "s": {"SS": ["b"]}}),
        ("SET l = list_append(:l, :l), v = :y", {"v": {"S": "y"}}, {"l": {"L": [{"N": "1"}] * 2}, "v": {"S": "y"}}),
    ],
)
async def test_an_update_gives_back_what_it_names_changed_or_not(local, expression, old, new):
    values = {":y": {"S": "y"}, ":n": {"N": "9"}, ":s": {"SS": ["a"]}, ":l": {"L": [{"N": "1"}]}}
    used = {name: value for name, value in values.items() if name in expression}
    for mode, expected in (("UPDATED_OLD", old), ("UPDATED_NEW", new)):
        await local(
            "PutItem", TableName="things", Item=item("a", 1, g="x", v="y") | {"m": NESTED, "s": {"SS": ["a", "b"]}}
        )
        reply = await local(
            "UpdateItem",
            TableName="things",
            Key=KEY,
            UpdateExpression=expression,
            ReturnValues=mode,
            **({"ExpressionAttributeValues": used} if used else {}),
            **({"ExpressionAttributeNames": {"#m": "m"}} if "#m" in expression else {}),
        )
        assert reply.get("Attributes") == expected


async def test_an_update_without_an_expression_makes_an_item_of_its_key(local):
    reply = await local("UpdateItem", TableName="things", Key=item("new", 1), ReturnValues="ALL_NEW")
    assert reply["Attributes"] == item("new", 1)


async def answer_to(body):
    headers = {"x-amz-target": "DynamoDB_20120810.PutItem"}
    answer = await Local().dynamo.handle(
        Request(service="dynamodb", method="POST", path="/", headers=headers, body=body)
    )
    return answer.status, json.loads(answer.body)["__type"]


@pytest.mark.parametrize("body", [b"{", b"[]", b"null", b"1", b'"TableName"', b"[" * 100_000])
async def test_a_body_that_is_no_document_is_the_callers_error(body):
    assert await answer_to(body) == (400, "com.amazon.coral.service#SerializationException")


async def test_a_document_nested_deeper_than_can_be_looked_at_is_the_callers_error():
    status, _ = await answer_to(b'{"TableName":"things","Other":' + b"[" * 600 + b"]" * 600 + b"}")
    assert status == 400
