"""The original mobile-backend contract, replayed as its clients send it: payloads are DynamoDB's, items plain JSON.

The blueprint hands its payload to DynamoDB's document client; its own example creates, reads and updates by
``AttributeUpdates``. (AWS Lambda developer guide, "Tutorial: Using Lambda with API Gateway", the sample requests.)
"""

from typing import Any, Protocol

import pytest

from backend.services.mobile import ConditionalCheckFailedException
from tests.integration.backend.world import Person, World


def _nested(call: str, times: int) -> str:
    return f"SET m = {call * times}n{')' * times}"


class Send(Protocol):
    def __call__(self, operation: Any, table: str | None = "notes", /, **payload: Any) -> Any: ...


@pytest.fixture
def ann(world: World) -> Person:
    return world.person("ann")


@pytest.fixture(params=["invocation", "http"])
def send(world: World, ann: Person, request: pytest.FixtureRequest) -> Send:
    """Both ways in: what is refused is raised, with the words of the answer."""
    ann("POST", "/v1/me/identity", {"id_token": f"id-token-of-{ann.user}"})
    identity = world.identities.tied[ann.user]

    def invoke(operation: Any, table: str | None = "notes", /, **payload: Any) -> Any:
        envelope = {"operation": operation, "payload": payload, **({"tableName": table} if table else {})}
        if request.param == "invocation":
            return world.invoke(identity, envelope)
        answer = ann("POST", "/v1/mobile", envelope)
        if answer.status != 200:
            raise AssertionError(f"{answer.status} {answer.json['detail']}")
        return answer.json["result"]

    return invoke


def test_the_sample_requests_of_the_tutorial_are_answered_as_there(send: Send) -> None:
    item = {"id": "1234ABCD", "number": 5}
    assert send("create", Item=item) == {}
    assert send("read", Key={"id": "1234ABCD"}) == {"Item": item}
    assert send("update", Key={"id": "1234ABCD"}, AttributeUpdates={"number": {"Value": 10}}) == {}
    assert send("list") == {"Items": [{"id": "1234ABCD", "number": 10}], "Count": 1, "ScannedCount": 1}
    assert send("delete", Key={"id": "1234ABCD"}) == {}
    assert send("read", Key={"id": "1234ABCD"}) == {}
    assert send("echo", None, somekey1="somevalue1") == {"somekey1": "somevalue1"}
    assert send("ping", None) == "pong"


def test_a_table_named_in_the_payload_alone_is_that_table(send: Send) -> None:
    """The blueprint sets ``payload.TableName`` from ``tableName``; clients that set it themselves were served too."""
    assert send("create", None, TableName="notes", Item={"id": "a"}) == {}
    assert send("read", "notes", TableName="settings", Key={"id": "a"}) == {"Item": {"id": "a"}}
    assert send("read", None, TableName="settings", Key={"id": "a"}) == {}


def test_attribute_updates_put_delete_and_add(send: Send) -> None:
    send("create", Item={"id": "a", "n": 1, "old": True})
    updates = {"n": {"Action": "ADD", "Value": 2}, "old": {"Action": "DELETE"}, "new": {"Action": "PUT", "Value": [1]}}
    new = {"id": "a", "n": 3, "new": [1]}
    assert send("update", Key={"id": "a"}, AttributeUpdates=updates, ReturnValues="ALL_NEW") == {"Attributes": new}
    for wrong in ({"Action": "SWAP", "Value": 1}, {"Action": "PUT"}, {"Action": "ADD", "Value": "1"}, 7):
        with pytest.raises(Exception, match=r"AttributeUpdates\.n"):
            send("update", Key={"id": "a"}, AttributeUpdates={"n": wrong})


@pytest.mark.parametrize(
    ("returned", "wanted"),
    [
        ("NONE", None),
        ("ALL_OLD", {"id": "a", "n": 1, "m": 1, "rest": 0}),
        ("UPDATED_OLD", {"n": 1, "m": 1}),
        ("ALL_NEW", {"id": "a", "n": 2, "m": 1, "rest": 0}),
        ("UPDATED_NEW", {"n": 2, "m": 1}),
    ],
)
def test_an_update_returns_what_the_client_asks_for(send: Send, returned: str, wanted: Any) -> None:
    send("create", Item={"id": "a", "n": 1, "m": 1, "rest": 0})
    values = {":one": 1}
    answer = send(
        "update", Key={"id": "a"}, UpdateExpression="ADD n :one SET #m = :one", ReturnValues=returned,
        ExpressionAttributeNames={"#m": "m"}, ExpressionAttributeValues=values,
    )  # fmt: skip
    assert answer == ({} if wanted is None else {"Attributes": wanted})


@pytest.mark.parametrize(
    ("expression", "wanted"),
    [
        ("set n = if_not_exists(n, :zero) + :one", {"n": 6}),
        ("SET seen = if_not_exists ( seen , :zero ) + :one", {"seen": 1}),
        ("SET tags = list_append(if_not_exists(tags, :none), :more)", {"tags": ["a", "b"]}),
        ("SET new = list_append(:more, if_not_exists(new, :none)), n = :one", {"new": ["b"], "n": 1}),
        ("SET copy = n, n = n - :one Remove tags", {"copy": 5, "n": 4, "tags": None}),
        ("SET #set = :one ADD n :add", {"set": 1, "n": 7}),
    ],
)
def test_update_expressions_are_read_as_dynamodb_reads_them(
    send: Send, expression: str, wanted: dict[str, Any]
) -> None:
    item = {"id": "a", "n": 5, "tags": ["a"]}
    send("create", Item=item)
    send(
        "update", Key={"id": "a"}, UpdateExpression=expression, ExpressionAttributeNames={"#set": "set"},
        ExpressionAttributeValues={":zero": 0, ":one": 1, ":none": [], ":more": ["b"], ":add": 2},
    )  # fmt: skip
    kept = {name: value for name, value in {**item, **wanted}.items() if value is not None}
    assert send("read", Key={"id": "a"}) == {"Item": kept}


def test_what_was_there_before_is_returned_to_who_asks(send: Send) -> None:
    assert send("create", Item={"id": "a", "n": 1}, ReturnValues="ALL_OLD") == {}
    assert send("create", Item={"id": "a", "n": 2}, ReturnValues="ALL_OLD") == {"Attributes": {"id": "a", "n": 1}}
    assert send("delete", Key={"id": "a"}, ReturnValues="ALL_OLD") == {"Attributes": {"id": "a", "n": 2}}
    assert send("delete", Key={"id": "a"}, ReturnValues="ALL_OLD") == {}


def test_an_update_makes_an_item_that_is_not_there(send: Send) -> None:
    assert send("update", Key={"id": "a"}) == {}
    assert send("read", Key={"id": "a"}) == {"Item": {"id": "a"}}


@pytest.mark.parametrize(
    "spelled",
    [
        {"ConditionExpression": "attribute_not_exists(id)"},
        {"ConditionExpression": "attribute_not_exists ( #key )", "ExpressionAttributeNames": {"#key": "id"}},
    ],
)
def test_a_conditional_create_fails_where_the_item_is(send: Send, spelled: dict[str, Any]) -> None:
    assert send("create", Item={"id": "a", "n": 1}, **spelled) == {}
    with pytest.raises(Exception, match="The conditional request failed"):
        send("create", Item={"id": "a", "n": 2}, **spelled)
    assert send("read", Key={"id": "a"}) == {"Item": {"id": "a", "n": 1}}
    send("delete", Key={"id": "a"})
    assert send("create", Item={"id": "a", "n": 3}, **spelled) == {}


@pytest.mark.parametrize("operation", ["update", "delete"])
def test_a_conditional_update_or_delete_touches_only_what_is_there(send: Send, operation: str) -> None:
    exists = {"ConditionExpression": "attribute_exists(id)"}
    with pytest.raises(Exception, match="The conditional request failed"):
        send(operation, Key={"id": "a"}, **exists)
    assert send("read", Key={"id": "a"}) == {}
    send("create", Item={"id": "a"})
    assert send(operation, Key={"id": "a"}, **exists) == {}


def test_a_failed_condition_bears_dynamodbs_name(world: World, ann: Person) -> None:
    """Lambda reports the class of what is raised as ``errorType``, by which clients of the blueprint tell it."""
    ann("POST", "/v1/me/identity", {"id_token": f"id-token-of-{ann.user}"})
    identity = world.identities.tied[ann.user]
    create = {"operation": "create", "tableName": "notes"}
    payload = {"Item": {"id": "a"}, "ConditionExpression": "attribute_not_exists(id)"}
    world.invoke(identity, {**create, "payload": payload})
    with pytest.raises(ConditionalCheckFailedException):
        world.invoke(identity, {**create, "payload": payload})


@pytest.mark.parametrize(
    ("operation", "payload", "named"),
    [
        ("list", {"FilterExpression": "n > :n"}, "FilterExpression"),
        ("list", {"IndexName": "by_change"}, "IndexName"),
        ("list", {"Limit": 0}, "Limit"),
        ("list", {"ExclusiveStartKey": {"id": "made up"}}, "cursor"),
        ("create", {"Item": {"n": 1}}, r"Item\.id"),
        ("create", {"Item": {"id": 7}}, r"Item\.id"),
        ("create", {"Item": {"id": "a"}, "ConditionExpression": "n = :n"}, "ConditionExpression"),
        ("create", {"Item": {"id": "a"}, "Expected": {"id": {"Exists": False}}}, "Expected"),
        ("read", {"Key": {"id": "a", "owner": "somebody"}}, "Key"),
        ("read", {"Key": {"id": "a"}, "ProjectionExpression": "n"}, "ProjectionExpression"),
        ("update", {"Key": {"id": "a"}, "AttributeUpdates": {"id": {"Value": "b"}}}, "the key"),
        ("update", {"Key": {"id": "a"}, "AttributeUpdates": {}, "UpdateExpression": "REMOVE n"}, "AttributeUpdates"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "DELETE n :n"}, "DELETE"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "SET m = missing"}, "missing"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "SET n = n + n + n"}, "is not carried"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "SET m = list_append(n, n)"}, "two lists"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "SET m = if_not_exists(n)"}, "two arguments"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "SET a.b = n"}, "top-level"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": _nested("if_not_exists(m, ", 2_000)}, "longer than 4096"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": _nested("list_append(n,", 272)}, "two lists"),
        ("update", {"Key": {"id": "a"}, "UpdateExpression": "SET #n = :n"}, "ExpressionAttribute"),
        ("delete", {"Key": {"id": "a"}, "ReturnValues": "ALL_NEW"}, "ReturnValues"),
    ],
)
def test_what_is_not_carried_is_refused_by_name_and_changes_nothing(
    send: Send, operation: str, payload: dict[str, Any], named: str
) -> None:
    send("create", Item={"id": "a", "n": 1})
    with pytest.raises(Exception, match=named):
        send(operation, **payload)
    assert send("list")["Items"] == [{"id": "a", "n": 1}]


def test_a_list_asks_on_where_the_last_page_ended(send: Send) -> None:
    for number in range(5):
        send("create", Item={"id": f"item-{number}"})
    found, start, pages = [], {}, 0
    while True:
        page = send("list", Limit=2, **start)
        found += [item["id"] for item in page["Items"]]
        pages += 1
        if "LastEvaluatedKey" not in page:
            break
        start = {"ExclusiveStartKey": page["LastEvaluatedKey"]}
    assert (found, pages) == ([f"item-{number}" for number in range(5)], 3)
    assert len(send("list", Limit=1000)["Items"]) == 5


@pytest.mark.parametrize("operation", ["drop", "CREATE", "", None, 7, ["create"], {"a": 1}])
def test_an_unknown_operation_is_named(send: Send, operation: Any) -> None:
    with pytest.raises(Exception, match='Unrecognized operation "'):
        send(operation)
