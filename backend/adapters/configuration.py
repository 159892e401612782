"""The configuration on DynamoDB: one item."""

import json
from collections.abc import Mapping
from typing import Any

from pynamodb.exceptions import PynamoDBException

from backend.adapters.dynamo import translated
from backend.errors import UnavailableError
from backend.models.items import ConfigurationModel

NAME = "current"


class DynamoConfigurations:
    """Where the configuration is stored."""

    def __init__(self, table: str) -> None:
        ConfigurationModel.bind(table)

    def find(self) -> tuple[int, Mapping[str, Any]] | None:
        """Return version and settings; None if none were ever stored.

        Whatever keeps them from being read is the same to who asks: they are out of reach.
        """
        try:
            item = ConfigurationModel.get(NAME)
            version, settings = int(item.version), json.loads(item.settings)
        except ConfigurationModel.DoesNotExist:
            return None
        except (PynamoDBException, TypeError, ValueError) as error:
            raise UnavailableError(f"The configuration cannot be read: {error!r}") from error
        if not isinstance(settings, dict):
            raise UnavailableError("The configuration cannot be read: its settings are no object.")
        return version, settings

    def put(self, version: int, settings: Mapping[str, Any]) -> None:
        """Store a version that is one more than the stored one."""
        row = ConfigurationModel(NAME, version=version, settings=json.dumps(dict(settings)))
        before = ConfigurationModel.version == version - 1
        with translated("The configuration is at another version."):
            row.save(ConfigurationModel.name.does_not_exist() if version == 1 else before)
