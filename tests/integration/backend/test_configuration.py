"""The configuration: taken up without a restart, and a safe default whatever is wrong with the table."""

import json
import os
from collections.abc import Iterator
from typing import Any

import boto3
import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError, EndpointConnectionError, ReadTimeoutError

from backend import bootstrap
from backend.domain.configuration import RELOAD_AFTER
from backend.handlers import registry
from tests.integration.backend.world import Person, World

DEFAULT = {"version": 0, "minimum_app_version": "0", "maintenance_message": ""}


@pytest.fixture(autouse=True)
def a_fresh_container(world: World) -> Iterator[None]:
    """Forget what was read, as a new container has read nothing yet."""
    bootstrap.configuration.cache_clear()
    _table().delete_item(Key={"name": "current"})
    yield
    _table().delete_item(Key={"name": "current"})
    bootstrap.configuration.cache_clear()
    assert world


@pytest.fixture
def ann(world: World) -> Person:
    return world.person("ann")


def _table() -> Any:
    return boto3.resource("dynamodb", region_name="us-east-1").Table(os.environ["CONFIG_TABLE"])


def configure(version: int, **settings: Any) -> None:
    registry.handler({"operation": "configure", "version": version, "settings": settings}, None)


def seen(person: Person) -> Any:
    reply = person("GET", "/v1/config")
    assert reply.status == 200, reply.text
    return reply.json


def test_without_any_the_default_is_served(ann: Person) -> None:
    assert seen(ann) == DEFAULT


def test_a_new_version_is_taken_up_within_a_minute_without_a_restart(world: World, ann: Person) -> None:
    configure(1, maintenance_message="Back at noon")
    assert seen(ann)["maintenance_message"] == "Back at noon"
    configure(2, minimum_app_version="3.1")
    assert seen(ann)["version"] == 1
    world.clock.move(seconds=RELOAD_AFTER.total_seconds())
    assert seen(ann) == {"version": 2, "minimum_app_version": "3.1", "maintenance_message": ""}


def _refused(code: str) -> Exception:
    return ClientError({"Error": {"Code": code, "Message": "no"}}, "GetItem")


BROKEN = [
    _refused("ProvisionedThroughputExceededException"),
    _refused("AccessDeniedException"),
    _refused("ResourceNotFoundException"),
    _refused("InternalServerError"),
    EndpointConnectionError(endpoint_url="https://dynamodb"),
    ReadTimeoutError(endpoint_url="https://dynamodb"),
]


@pytest.fixture
def out_of_reach(monkeypatch: pytest.MonkeyPatch) -> list[Exception]:
    """Whatever stands in this list is what every read of the table ends in."""
    errors: list[Exception] = []
    call = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def failing(self: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        if errors and operation == "GetItem" and params["TableName"] == os.environ["CONFIG_TABLE"]:
            raise errors[0]
        return call(self, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", failing)
    return errors


@pytest.mark.parametrize("error", BROKEN, ids=str)
def test_out_of_reach_the_default_is_served_and_afterwards_what_is_stored(
    world: World, ann: Person, out_of_reach: list[Exception], error: Exception
) -> None:
    configure(1, maintenance_message="Back at noon")
    out_of_reach.append(error)
    assert seen(ann) == DEFAULT
    assert ann("GET", f"/v1/devices/{world.device(ann)}").json["status"] == "never"
    out_of_reach.clear()
    assert seen(ann) == DEFAULT, "it is not asked at each call"
    world.clock.move(seconds=RELOAD_AFTER.total_seconds())
    assert seen(ann)["maintenance_message"] == "Back at noon"
    out_of_reach.append(error)
    world.clock.move(seconds=RELOAD_AFTER.total_seconds())
    assert seen(ann)["maintenance_message"] == "Back at noon", "what was known last stays"


@pytest.mark.parametrize(
    "stored",
    [
        {"version": 1, "settings": "{not json"},
        {"version": 1, "settings": json.dumps(["a list"])},
        {"version": 1, "settings": json.dumps({"presence_grace_s": -1})},
        {"version": 1, "settings": json.dumps({"presence_grace_s": "soon"})},
        {"version": 1},
        {"settings": "{}"},
    ],
)
def test_what_is_stored_and_makes_no_sense_is_not_taken_up(ann: Person, stored: dict[str, Any]) -> None:
    _table().put_item(Item={"name": "current", **stored})
    assert seen(ann) == DEFAULT


def test_settings_of_a_newer_version_of_the_code_are_kept_and_not_looked_at(ann: Person) -> None:
    _table().put_item(Item={"name": "current", "version": 7, "settings": json.dumps({"colour": "red"})})
    assert seen(ann)["version"] == 7


def test_a_version_is_stored_once_and_only_after_the_one_before(ann: Person) -> None:
    configure(1, maintenance_message="one")
    for version in (1, 3):
        with pytest.raises(Exception, match="another version"):
            configure(version, maintenance_message="lost")
    with pytest.raises(Exception, match="presence_grace_s"):
        configure(2, presence_grace_s=-1)
    assert seen(ann)["maintenance_message"] == "one"


def test_a_table_that_hangs_does_not_keep_people_waiting() -> None:
    from backend.models.items import ConfigurationModel

    meta = ConfigurationModel.Meta
    assert meta.connect_timeout_seconds + meta.read_timeout_seconds <= 2
    assert meta.max_retry_attempts == 0
