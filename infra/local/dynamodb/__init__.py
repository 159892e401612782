"""What moto's DynamoDB lacks: indexes, isolation, streams, TTL, capacity, idempotence. The door is `Dynamo`."""

from infra.local.dynamodb import conditions, corrections
from infra.local.dynamodb.service import Dynamo

conditions.apply()
corrections.apply()

__all__ = ["Dynamo"]
