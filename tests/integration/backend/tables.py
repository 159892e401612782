"""The template's tables, in moto within this process, or in the cloud that AWS_ENDPOINT_URL names."""

import copy
import os
import uuid
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import pytest
import yaml
from moto import mock_aws
from moto.dynamodb.models import DynamoDBBackend
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

TEMPLATE = Path(__file__).resolve().parents[3] / "infra" / "template.yaml"


class _Loader(yaml.SafeLoader):
    """Reads CloudFormation's short intrinsics as nothing."""


_Loader.add_multi_constructor("!", lambda _loader, _suffix, _node: None)


@cache
def load_template() -> dict[str, Any]:
    """Return the template; what intrinsics stand for is None. Kept: nobody changes it."""
    template: dict[str, Any] = yaml.load(TEMPLATE.read_text("utf-8"), _Loader)
    return template


def table_properties() -> dict[str, dict[str, Any]]:
    """Return the properties of every table of the template, by logical name: ``readings``."""
    resources = load_template()["Resources"]
    return {
        name.removesuffix("Table").lower(): resource["Properties"]
        for name, resource in resources.items()
        if resource["Type"] == "AWS::DynamoDB::Table"
    }


@contextmanager
def cloud_tables() -> Iterator[dict[str, str]]:
    """Make the template's tables under names of their own; yield the names by logical name."""
    if "AWS_ENDPOINT_URL" in os.environ:
        with _made() as names:
            yield names
        return
    credentials = {
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    os.environ.update(credentials)
    with mock_aws(), _quick_transactions(), _made() as names:
        yield names


@contextmanager
def _quick_transactions() -> Iterator[None]:
    """Let moto keep, to roll a transaction back, what the transaction may change; alone it copies whole tables."""
    stock, updated = DynamoDBBackend.transact_write_items, ContextVar[list[Mapping[str, Any]]]("updated")

    def transact(self: DynamoDBBackend, transact_items: list[dict[str, Any]]) -> None:
        updated.set([each["Update"] for each in transact_items if "Update" in each])
        stock(self, transact_items)

    def keep(table: Table, _memo: dict[int, Any]) -> Table:
        kept = copy.copy(table)
        ranged = table.has_range_key
        kept.items = defaultdict(dict, {key: dict(found) if ranged else found for key, found in table.items.items()})
        for update in updated.get():  # an item is changed in place by an update alone
            if update["TableName"] not in {table.name, table.table_arn}:
                continue
            key = DynamoType(update["Key"][table.hash_key_attr])
            if not ranged and key in kept.items:
                kept.items[key] = copy.deepcopy(kept.items[key])
            elif ranged and (end := DynamoType(update["Key"][table.range_key_attr])) in kept.items.get(key, {}):
                kept.items[key][end] = copy.deepcopy(kept.items[key][end])
        return kept

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(DynamoDBBackend, "transact_write_items", transact)
        patch.setattr(Table, "__deepcopy__", keep, raising=False)
        yield


@contextmanager
def _made() -> Iterator[dict[str, str]]:
    client = boto3.client("dynamodb")
    run = uuid.uuid4().hex[:8]
    names = {}
    for name, properties in table_properties().items():
        keys = ("KeySchema", "AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexes", "LocalSecondaryIndexes")
        names[name] = f"contract-{run}-{name}"
        client.create_table(TableName=names[name], **{key: properties[key] for key in keys if key in properties})
    yield names
    for physical in names.values():
        client.delete_table(TableName=physical)
