import pytest

from tests.integration.front.process import services


@pytest.fixture(scope="module")
def cloud(tmp_path_factory):
    with services(tmp_path_factory.mktemp("services"), block=40) as running:
        yield running


def make_table(client, name, *, index=None, stream=None, sort=True):
    attributes = {"pk": "S"} | ({"sk": "N"} if sort else {}) | ({index: "S"} if index else {})
    extra = {}
    if index:
        schema = [{"AttributeName": index, "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]
        extra["GlobalSecondaryIndexes"] = [
            {"IndexName": "by_index", "KeySchema": schema, "Projection": {"ProjectionType": "ALL"}}
        ]
    if stream:
        extra["StreamSpecification"] = {"StreamEnabled": True, "StreamViewType": stream}
    client.create_table(
        TableName=name,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            *([{"AttributeName": "sk", "KeyType": "RANGE"}] if sort else []),
        ],
        AttributeDefinitions=[{"AttributeName": key, "AttributeType": kind} for key, kind in attributes.items()],
        BillingMode="PAY_PER_REQUEST",
        **extra,
    )
