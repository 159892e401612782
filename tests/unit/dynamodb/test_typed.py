"""Values are compared with their types: what Python takes for equal is not always so on AWS."""

import base64

import pytest

from tests.unit.dynamodb.local import Local, RefusedError, item


def binary(value):
    return {"B": base64.b64encode(value).decode()}


HELD = {
    "one": {"N": "1"}, "yes": {"BOOL": True}, "nothing": {"NULL": True}, "phrase": {"S": "10"},
    "octets": binary(b"\x01\x02\x03"),
    "listing": {"L": [{"N": "1"}, {"M": {"a": {"BOOL": True}}}]},
    "texts": {"SS": ["a", "b"]}, "numbers": {"NS": ["1", "2"]},
}  # fmt: skip


@pytest.fixture
async def local():
    made = Local()
    await made.table()
    await made("PutItem", TableName="things", Item=item("a", 1) | HELD)
    return made


@pytest.mark.parametrize(
    ("condition", "value", "holds"),
    [
        ("one = :v", {"N": "1"}, True),
        ("one = :v", {"BOOL": True}, False),
        ("one <> :v", {"BOOL": True}, True),
        ("yes = :v", {"N": "1"}, False),
        ("yes IN (:v)", {"N": "1"}, False),
        ("yes IN (:v)", {"BOOL": True}, True),
        ("nothing = :v", {"NULL": True}, True),
        ("nowhere = :v", {"NULL": True}, False),
        ("nowhere <> :v", {"NULL": True}, True),
        ("nowhere IN (:v)", {"NULL": True}, False),
        ("one = :v", {"S": "1"}, False),
        ("listing = :v", {"L": [{"N": "1.0"}, {"M": {"a": {"BOOL": True}}}]}, True),
        ("listing = :v", {"L": [{"BOOL": True}, {"M": {"a": {"N": "1"}}}]}, False),
        ("contains(listing, :v)", {"BOOL": True}, False),
        ("contains(listing, :v)", {"M": {"a": {"BOOL": True}}}, True),
        ("contains(numbers, :v)", {"N": "2"}, True),
        ("contains(numbers, :v)", {"BOOL": True}, False),
        ("contains(numbers, :v)", {"S": "2"}, False),
        ("contains(phrase, :v)", {"S": "0"}, True),
        ("contains(phrase, :v)", {"N": "0"}, False),
        ("texts = :v", {"SS": ["b", "a"]}, True),
        ("begins_with(octets, :v)", binary(b"\x01\x02"), True),
        ("begins_with(octets, :v)", binary(b"\x02"), False),
        ("begins_with(octets, :v)", {"S": "AQ"}, False),
        ("phrase < :v", {"S": "9"}, True),
        ("one < :v", {"S": "9"}, False),
        ("one < yes OR numbers <= texts OR listing >= listing OR :v = one", {"S": "9"}, False),
        ("size(texts) = :v", {"N": "2"}, True),
        ("size(nowhere) = :v", {"NULL": True}, False),
        ("size(octets) > one AND phrase <> :v", {"S": "9"}, True),
        ("one BETWEEN yes AND :v", {"N": "2"}, False),
    ],
)
async def test_another_type_is_never_equal_and_what_is_missing_is_nothing(local, condition, value, holds):
    found = await local("Scan", TableName="things", FilterExpression=condition, ExpressionAttributeValues={":v": value})
    assert (found["Count"] == 1) is holds


@pytest.mark.parametrize(
    ("condition", "value", "message"),
    [
        ("one < :v", {"BOOL": True}, "operator or function: <, operand type: BOOL"),
        (":v >= one", {"SS": ["a"]}, "operator or function: >=, operand type: SS"),
        ("one BETWEEN :v AND :v", {"NULL": True}, "operator or function: BETWEEN, operand type: NULL"),
    ],
)
async def test_what_has_no_order_cannot_be_asked_for_more_or_less(local, condition, value, message):
    with pytest.raises(RefusedError) as refused:
        await local("Scan", TableName="things", FilterExpression=condition, ExpressionAttributeValues={":v": value})
    assert str(refused.value).startswith("Invalid FilterExpression: Incorrect operand type")
    assert str(refused.value).endswith(message)


@pytest.mark.parametrize(("count", "refused"), [(100, False), (101, True)])
async def test_an_in_takes_a_hundred_operands(local, count, refused):
    values = {f":v{each}": {"N": str(each)} for each in range(count)}
    asked = {"FilterExpression": f"one IN ({', '.join(values)})", "ExpressionAttributeValues": values}
    if not refused:
        assert (await local("Scan", TableName="things", **asked))["Count"] == 1
        return
    with pytest.raises(RefusedError, match="provided with too many operands; number of operands: 101"):
        await local("Scan", TableName="things", **asked)


async def test_a_value_that_is_set_is_of_one_sum_at_most(local):
    update = {"TableName": "things", "Key": item("a", 1)}
    await local("UpdateItem", UpdateExpression="SET x = one + one, y = one - one", **update)
    with pytest.raises(RefusedError, match='Invalid UpdateExpression: Syntax error; token: "-", near: "one - one"'):
        await local("UpdateItem", UpdateExpression="SET x = one + one - one", **update)


async def test_a_transaction_of_a_table_that_is_not_there_is_not_cancelled_but_refused(local):
    put = {"Put": {"TableName": "things", "Item": item("b", 1)}}
    nowhere = {"Delete": {"TableName": "nowhere", "Key": item("b", 1)}}
    with pytest.raises(RefusedError) as refused:
        await local("TransactWriteItems", TransactItems=[put, nowhere])
    assert refused.value.code == "ResourceNotFoundException"


async def test_keys_that_a_batch_leaves_can_be_asked_for_as_they_come(local):
    for at in range(43):
        await local("PutItem", TableName="things", Item=item("big", at, v="x" * 399_000))
    asked = {
        "Keys": [item("big", at) for at in range(43)],
        "ConsistentRead": True,
        "ProjectionExpression": "#s",
        "ExpressionAttributeNames": {"#s": "v"},
    }
    reply = await local("BatchGetItem", RequestItems={"things": asked})
    left = reply["UnprocessedKeys"]["things"]
    assert len(left["Keys"]) + len(reply["Responses"]["things"]) == 43
    assert left == asked | {"Keys": left["Keys"]}
