"""The configuration on DynamoDB: one item."""

import json
from collections.abc import Mapping
from typing import Any

from backend.adapters.dynamo import translated
from backend.models.items import ConfigurationModel

NAME = "current"


class DynamoConfigurations:
    """Where the configuration is stored."""

    def __init__(self, table: str) -> None:
        ConfigurationModel.bind(table)

    def find(self) -> tuple[int, Mapping[str, Any]] | None:
        """Return version and settings; None if none were ever stored."""
        with translated():
            try:
                item = ConfigurationModel.get(NAME)
            except ConfigurationModel.DoesNotExist:
                return None
        return int(item.version), json.loads(item.settings)

    def put(self, version: int, settings: Mapping[str, Any]) -> None:
        """Store a version that is one more than the stored one."""
        row = ConfigurationModel(NAME, version=version, settings=json.dumps(dict(settings)))
        before = ConfigurationModel.version == version - 1
        with translated("The configuration is at another version."):
            row.save(ConfigurationModel.name.does_not_exist() if version == 1 else before)
