"""The tables of these tests undo a cancelled transaction, although they keep less than moto does."""

from typing import Any

import boto3
import pytest

from tests.integration.backend.tables import table_properties


@pytest.mark.parametrize("table", ["devices", "memberships"])
def test_a_cancelled_transaction_leaves_everything_as_it_was(tables: dict[str, str], table: str) -> None:
    client: Any = boto3.client("dynamodb")
    name = tables[table]
    keys = [each["AttributeName"] for each in table_properties()[table]["KeySchema"]]
    old, new, other = ({key: {"S": f"{table}-{which}"} for key in keys} for which in ("old", "new", "other"))
    before = [{**each, "held": {"M": {"n": {"N": "1"}}}} for each in (old, other)]
    for each in before:
        client.put_item(TableName=name, Item=each)
    update = {"UpdateExpression": "SET held.n = :two", "ExpressionAttributeValues": {":two": {"N": "2"}}}
    never = {
        "TableName": name,
        "Key": {key: {"S": "absent"} for key in keys},
        "ConditionExpression": f"attribute_exists({keys[0]})",
    }
    with pytest.raises(client.exceptions.TransactionCanceledException):
        client.transact_write_items(
            TransactItems=[
                {"Update": {"TableName": name, "Key": old, **update}},
                {"Put": {"TableName": name, "Item": new}},
                {"Delete": {"TableName": name, "Key": other}},
                {"ConditionCheck": never},
            ]
        )
    found = [client.get_item(TableName=name, Key=each).get("Item") for each in (old, other, new)]
    assert found == [*before, None]
    client.transact_write_items(TransactItems=[{"Update": {"TableName": name, "Key": old, **update}}])
    assert client.get_item(TableName=name, Key=old)["Item"]["held"] == {"M": {"n": {"N": "2"}}}
