"""The template's tables, in moto within this process, or in the cloud that AWS_ENDPOINT_URL names."""

import os
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import boto3
import yaml
from moto import mock_aws

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
    with mock_aws(), _made() as names:
        yield names


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
