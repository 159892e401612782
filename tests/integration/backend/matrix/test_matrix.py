"""Who may do what with whose: asked of every route and every topic, by everybody, of everything; nothing leaks."""

from collections.abc import Callable
from copy import deepcopy

import pytest

from backend.openapi import build
from tests.integration.backend.deployed import ARN, deployed
from tests.integration.backend.gateway import serving
from tests.integration.backend.matrix import cells, cursors, live, nobody, topics
from tests.integration.backend.matrix.rows import ROWS
from tests.integration.backend.matrix.scene import ROLES, Scene, make_scene
from tests.integration.backend.world import World

Record = Callable[[str, object], None]


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return make_scene(world)


def test_every_route_has_a_row() -> None:
    assert cells.without_row() == set(), "say in matrix/rows.py who may; its docstring says how"


def test_a_new_route_fails_until_its_row_is_written() -> None:
    document = deepcopy(build())
    document["paths"]["/v1/devices/{thing}/secrets"] = {
        "get": {**document["paths"]["/v1/devices/{thing}"]["get"], "operationId": "secrets"}
    }
    assert cells.without_row(document) == {"secrets"}


def test_the_template_opens_the_routes_that_the_matrix_asks_about() -> None:
    opened = {(method.upper(), path) for path, methods in deployed().api()["paths"].items() for method in methods}
    assert opened == {(operation.method, operation.path) for operation in cells.operations().values()}


def test_every_topic_of_the_template_has_a_row() -> None:
    assert topics.without_row(topics.Policies.of(deployed())) == set(), "say in matrix/topics.py whose it is"


def test_a_new_topic_fails_until_its_row_is_written() -> None:
    policies = deepcopy(topics.Policies.of(deployed()))
    policies.device["Statement"][1]["Resource"].append(f"{ARN}topic/dt/dev/${{iot:Connection.Thing.ThingName}}/log")
    assert topics.without_row(policies) == {("iot:Publish", "topic/dt/dev/{thing}/log")}


def test_every_kind_of_live_message_has_a_row() -> None:
    assert live.kinds() == set(live.ROWS), "say in matrix/live.py when it is sent"


@pytest.mark.timeout(600)
def test_no_route_gives_anything_away(scene: Scene, record_property: Record) -> None:
    report = cells.judge(scene)
    record_property("matrix", ("routes", report.cells))
    assert report.leaks == []
    assert report.cells == len(list(cells.cells())) > len(ROWS) * len(ROLES)


def test_every_row_more_is_so_many_cells_more() -> None:
    every, but_one = len(list(cells.cells())), len(list(cells.cells(set(ROWS) - {"get_device"})))
    assert every - but_one == len(ROLES) * 3


@pytest.mark.timeout(600)
def test_nobody_is_let_in_anywhere(scene: Scene, record_property: Record) -> None:
    with serving() as gateway:
        count, wrong = nobody.judge(gateway, scene)
        assert gateway.call("GET", "/v1/me", authorization=f"Bearer {gateway.token('ann')}").status != 401
    record_property("matrix", ("nobody", count))
    assert wrong == []
    assert count > len(ROWS)


def test_no_topic_gives_anything_away(record_property: Record) -> None:
    count, wrong = topics.judge(topics.Policies.of(deployed()))
    record_property("matrix", ("topics", count))
    assert wrong == []
    assert count > len(topics.ROWS) * len(topics.PRINCIPALS)


def test_phones_without_an_identity_of_their_own_get_no_credentials() -> None:
    cloud = deployed().cloud
    assert cloud.arguments("create_identity_pool")["AllowUnauthenticatedIdentities"] is False
    assert set(cloud.arguments("set_identity_pool_roles")["Roles"]) == {"authenticated"}


@pytest.mark.timeout(600)
def test_nobody_hears_of_what_they_may_not_see(scene: Scene, record_property: Record) -> None:
    count, wrong = live.judge(scene)
    record_property("matrix", ("live", count))
    assert wrong == []
    assert count >= len(live.ROWS) * len(ROLES) * 6


@pytest.mark.timeout(600)
def test_no_cursor_serves_anybody_but_whom_it_was_given_to(scene: Scene, record_property: Record) -> None:
    count, wrong = cursors.judge(scene)
    record_property("matrix", ("cursors", count))
    assert wrong == []
    assert count > len(cursors.lists()) * 10
