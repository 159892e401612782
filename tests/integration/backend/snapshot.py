"""All that the backend keeps, as it stands: to compare, and to go back to. For tables in moto within this process."""

import copy
import os
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.core.models import DEFAULT_ACCOUNT_ID
from moto.dynamodb.models import dynamodb_backends

from tests.integration.backend.tables import table_properties
from tests.integration.backend.world import World

Rows = Mapping[tuple[str, str, str], Any]
"""What stands in the tables, by (logical table, hash key, range key)."""


def _tables() -> dict[str, Any]:
    tables = dynamodb_backends[DEFAULT_ACCOUNT_ID]["us-east-1"].tables
    return {name: tables[os.environ[f"{name.upper()}_TABLE"]] for name in table_properties()}


def rows() -> Rows:
    """Return all rows of all tables."""
    found = {}
    for name, table in _tables().items():
        for hash_key, inner in table.items.items():
            ranged = inner.items() if isinstance(inner, dict) else [(None, inner)]
            for range_key, item in ranged:
                found[name, str(hash_key), str(range_key)] = item.to_json()["Attributes"]
    return found


def outside(world: World) -> Any:
    """Return what was done outside the tables: published, cut, desired, deleted."""
    iot = world.iot
    return copy.deepcopy((iot.published, iot.inactive, iot.cut, iot.shadows, world.people.users, world.identities.tied))


@dataclass(frozen=True)
class Snapshot:
    """A state to go back to."""

    world: World
    items: Mapping[str, Any]
    outside: Any

    @classmethod
    def take(cls, world: World) -> "Snapshot":
        return cls(world, {name: copy.deepcopy(dict(table.items)) for name, table in _tables().items()}, outside(world))

    def restore(self) -> None:
        for name, table in _tables().items():
            table.items = defaultdict(dict, copy.deepcopy(self.items[name]))
        iot, world = self.world.iot, self.world
        iot.published, iot.inactive, iot.cut, iot.shadows, world.people.users, world.identities.tied = copy.deepcopy(
            self.outside
        )
