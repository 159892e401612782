"""Anything may be sent: every answer is one that the document describes, and none says something is wrong on our side.

schemathesis makes requests out of the OpenAPI document, good ones and bad ones, and judges the answers by it; they go
over HTTP through the gateway of the template, with real tokens, to the handlers of this process.
"""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from backend.openapi import build
from tests.integration.backend.gateway import Gateway, serving
from tests.integration.backend.matrix.scene import ROLES, Scene, make_scene
from tests.integration.backend.world import World

CHECKS: Any = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
]
LONG = (pytest.mark.long, pytest.mark.timeout(3600))
QUARTERS = [(1000 * quarter, 5_000) for quarter in range(1, 5)]
"""20,000 requests, in parts that can run one by one."""
A_ROUND = 10
"""Requests to each route before the world is put back as it was."""


@pytest.fixture(scope="module")
def scene(world: World) -> Scene:
    return make_scene(world)


@pytest.fixture(scope="module")
def gateway(world: World) -> Iterator[Gateway]:
    with serving() as made:
        yield made


def _names(scene: Scene) -> dict[str, list[str]]:
    """Return what there is, so that not every name leads nowhere."""
    sides = (scene.own, scene.other)
    return {
        "thing": [side.thing for side in sides],
        "room": [side.room for side in sides],
        "user": [side.guest.user for side in sides],
        "command": [side.command for side in sides],
        "invitation": [side.invitation for side in sides],
        "table": ["notes"],
        "item": ["item-of-owner", "a"],
    }


class Fuzz:
    """Sends what schemathesis makes, as everybody in turn."""

    def __init__(self, scene: Scene, gateway: Gateway) -> None:
        self._scene = scene
        self._gateway = gateway
        self._names = _names(scene)
        self._session = requests.Session()
        self.statuses: dict[str, set[int]] = {}
        self.sent = 0

    def round(self, operation: Any, number: int, examples: int) -> None:
        """Send so many requests to one route, then put the world back."""
        positive = operation.as_strategy(generation_mode=GenerationMode.POSITIVE)
        negative = operation.as_strategy(generation_mode=GenerationMode.NEGATIVE)

        @seed(number)
        @settings(
            max_examples=examples, database=None, deadline=None, phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )  # fmt: skip
        @given(st.one_of(positive, negative), st.sampled_from(ROLES), st.data())
        def send(case: Any, role: str, data: st.DataObject) -> None:
            self._send(case, role, data)

        send()
        self._scene.start.restore()

    def _send(self, case: Any, role: str, data: st.DataObject) -> None:
        for name in case.path_parameters or {}:
            if data.draw(st.integers(0, 3)):
                case.path_parameters[name] = data.draw(st.sampled_from(self._names[name]))
        groups = ["admin"] if role == "admin" else None
        token = self._gateway.token(self._scene.people[role].user, groups=groups)
        response = case.call(
            base_url=self._gateway.url, session=self._session, headers={"authorization": f"Bearer {token}"}
        )
        case.validate_response(response, checks=CHECKS)
        self.sent += 1
        self.statuses.setdefault(case.operation.definition.raw["operationId"], set()).add(response.status_code)


@pytest.mark.parametrize(
    ("first_round", "requests_at_least"),
    [pytest.param(0, 500, marks=pytest.mark.timeout(600)), *(pytest.param(*each, marks=LONG) for each in QUARTERS)],
)
def test_every_answer_is_one_of_the_documented(
    scene: Scene, gateway: Gateway, first_round: int, requests_at_least: int
) -> None:
    fuzz = Fuzz(scene, gateway)
    schema = schemathesis.openapi.from_dict(build())
    found = [result.ok() for result in schema.get_all_operations()]
    number = first_round
    while fuzz.sent < requests_at_least:
        number += 1
        for operation in found:
            fuzz.round(operation, number, A_ROUND)
    print(f"schemathesis: {fuzz.sent:,} requests to {len(found)} routes; all answers are documented")
    assert len(fuzz.statuses) == len(found)
