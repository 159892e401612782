"""PutItem without moto: nothing else comes of it than by moto, which carries every put with a condition."""

import asyncio

import pytest

from tests.unit.dynamodb.local import Local, RefusedError, item

ITEMS = {
    "text, number, set, document": item("p", 1, g="g", n=7.50)
    | {"s": {"SS": ["a"]}, "m": {"M": {"l": {"L": [{"NULL": True}, {"B": "aa=="}]}}}, "b": {"BOOL": False}},
    "outside of the index": item("p", 1),
    "without a key": {"pk": {"S": "p"}},
    "a key of another type": {"pk": {"S": "p"}, "sk": {"S": "1"}},
    "an index key of another type": item("p", 1, g=1),
    "an index key that is null": item("p", 1) | {"g": {"NULL": True}},
    "an empty key": item("", 1),
    "an empty index key": item("p", 1, g=""),
    "a long partition key": item("p" * 2_048, 1),
    "a partition key too long": item("p" * 2_049, 1),
    "an index key too long": item("p", 1, g="g" * 2_049),
    "too big": item("p", 1, text="x" * 410_000),
    "as big as can be": item("p", 1, text="x" * 409_000),
    "an empty text": item("p", 1, text=""),
}


async def outcome(given, **asked):
    """What is answered, what stands in table and index, what was written to the stream, at what capacity."""
    local = Local()
    await local.table(index="g", stream="NEW_AND_OLD_IMAGES")
    await local("PutItem", TableName="things", Item=item("p", 1, g="old"))
    try:
        reply = await local("PutItem", TableName="things", Item=given, ReturnConsumedCapacity="INDEXES", **asked)
    except RefusedError as refused:
        reply = {"refused": refused.document}
    await asyncio.sleep(0)  # records follow the write
    scans = [await local("Scan", TableName="things", **index) for index in ({}, {"IndexName": "by_g"})]
    return reply, scans, local.records


@pytest.mark.parametrize("name", ITEMS)
async def test_a_put_does_and_refuses_what_it_does_by_moto(name):
    assert await outcome(ITEMS[name]) == await outcome(ITEMS[name], ConditionExpression="attribute_not_exists(nobody)")
