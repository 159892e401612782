"""What holds of all routes alike: one effect by an idempotency key, versions, pages, refusals, calls from a browser.

Every test walks the whole document, so that a new route keeps the conventions or fails.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from backend.openapi import build
from tests.integration.backend.deployed import deployed
from tests.integration.backend.gateway import Gateway, serving
from tests.integration.backend.matrix.cells import FIXED, Operation, operations
from tests.integration.backend.matrix.rows import rows_of
from tests.integration.backend.matrix.scene import Scene, make_scene
from tests.integration.backend.world import Reply, World

DOCUMENT = build()
OPERATIONS = operations(DOCUMENT)
DESCRIBED = {
    described["operationId"]: described for methods in DOCUMENT["paths"].values() for described in methods.values()
}
BY_METHOD = {
    method: [name for name, operation in OPERATIONS.items() if operation.method == method]
    for method in ("GET", "POST", "PATCH", "PUT", "DELETE")
}
ORIGIN = {"origin": "https://app.example.com"}


def parameters(name: str, where: str) -> set[str]:
    return {each["name"] for each in DESCRIBED[name]["parameters"] if each["in"] == where}


@pytest.fixture(scope="module")
def whole(world: World) -> Scene:
    return make_scene(world)


@pytest.fixture
def scene(whole: Scene) -> Iterator[Scene]:
    yield whole
    whole.start.restore()


@pytest.fixture(scope="module")
def gateway() -> Iterator[Gateway]:
    with serving() as made:
        yield made


def ask(scene: Scene, operation: Operation, body: Any = None, **headers: str) -> Reply:
    """Ask a route as the owner, of what is theirs, as its row in the matrix has it."""
    row = rows_of(operation.name)[0]
    values = {name: scene.value(name, "own", "owner") for name in operation.names(row)}
    values["secret"] = scene.world.secrets[scene.own.thing]
    path = operation.path.format(**{**values, **FIXED})
    if body is None:
        body = row.body(values) if callable(row.body) else row.body
    query = row.query.format(**values)
    return scene.own.owner(operation.method, f"{path}?{query}" if query else path, body, **headers)


@pytest.mark.parametrize("name", BY_METHOD["POST"])
def test_every_post_has_one_effect_and_one_answer_to_one_key(scene: Scene, name: str) -> None:
    operation = OPERATIONS[name]
    assert "Idempotency-Key" in parameters(name, "header")
    first = ask(scene, operation, idempotency_key="k")
    again = ask(scene, operation, idempotency_key="k")
    assert first.status == operation.done
    assert (again.status, again.text) == (first.status, first.text)
    assert again.headers["idempotency-replayed"] == "true"
    assert "idempotency-replayed" not in first.headers
    assert ask(scene, operation, "[]", idempotency_key="k").status == 422
    assert ask(scene, operation, idempotency_key="x" * 129).status == 400


def test_only_posts_take_a_key() -> None:
    assert {name for name in OPERATIONS if "Idempotency-Key" in parameters(name, "header")} == set(BY_METHOD["POST"])


@pytest.mark.parametrize("name", BY_METHOD["PATCH"])
def test_every_patch_goes_by_the_version_it_is_based_on(scene: Scene, name: str) -> None:
    operation = OPERATIONS[name]
    assert "If-Match" in parameters(name, "header")
    before = ask(scene, operation)
    assert before.status == 200
    etag = before.headers["etag"]
    assert etag == f'"{before.json["version"]}"'
    for stale in ('"999"', '"0"', "nonsense", f"W/{etag}", '"' + "9" * 40 + '"'):
        refused = ask(scene, operation, if_match=stale)
        assert (refused.status, refused.json["type"]) == (412, "urn:fieldline:problem:precondition-failed"), stale
    after = ask(scene, operation, if_match=etag)
    assert after.status == 200
    assert after.headers["etag"] != etag
    assert ask(scene, operation, if_match=etag).status == 412
    assert ask(scene, operation, if_match="*").status == 200
    if "get" in DOCUMENT["paths"][operation.path]:
        reading = next(each for each in OPERATIONS.values() if (each.method, each.path) == ("GET", operation.path))
        current = ask(scene, reading).headers["etag"]
        assert ask(scene, operation, if_match=current).status == 200


@pytest.mark.parametrize("name", [*BY_METHOD["PUT"], *BY_METHOD["DELETE"]])
def test_what_is_not_based_on_a_version_says_so_and_what_is_looks_at_it(scene: Scene, name: str) -> None:
    refused = ask(scene, OPERATIONS[name], if_match='"999"')
    by_version = "If-Match" in parameters(name, "header")
    assert refused.status in ({409, 412} if by_version else {412}), refused
    assert ask(scene, OPERATIONS[name], if_match="*").status == OPERATIONS[name].done


def test_every_list_comes_in_pages() -> None:
    schemas = DOCUMENT["components"]["schemas"]
    for name in BY_METHOD["GET"]:
        content = DESCRIBED[name]["responses"][str(OPERATIONS[name].done)]["content"]["application/json"]["schema"]
        answer = schemas[content["$ref"].rpartition("/")[2]]["properties"]
        if content["$ref"].endswith("Page"):
            assert {"limit", "cursor"} <= parameters(name, "query"), name
            assert "next_cursor" in answer, name


@pytest.mark.parametrize("name", [name for name in OPERATIONS if "requestBody" in DESCRIBED[name]])
def test_a_body_that_is_none_is_refused_with_its_reason(scene: Scene, name: str) -> None:
    for body in ("", "{", "[]", "null", '"x"', "[" * 5000, '{"a": NaN}', '{"a": 1, "a": 1}', '{"no_such_field": 1}'):
        refused = ask(scene, OPERATIONS[name], body)
        assert refused.status == 400, (body, refused)
        assert refused.headers["content-type"] == "application/problem+json"
        assert all(set(each) == {"field", "problem"} for each in refused.json["errors"])
        assert refused.json["errors"], body


@pytest.mark.parametrize("name", [name for name in OPERATIONS if parameters(name, "query")])
def test_a_question_that_is_none_is_refused_with_its_reason(scene: Scene, name: str) -> None:
    operation = OPERATIONS[name]
    path = re.sub(r"\{(\w+)\}", lambda found: {**FIXED, "thing": scene.own.thing, "room": scene.own.room}[found[1]],
                  operation.path)  # fmt: skip
    for asked in ("limit=0", "limit=101", "limit=x", "cursor=", "no_such=1"):
        refused = scene.own.owner("GET", f"{path}?{asked}")
        assert refused.status == 400, (asked, refused)
        assert asked.partition("=")[0] in {each["field"] for each in refused.json["errors"]}


def test_every_refusal_of_the_gateway_is_documented(gateway: Gateway) -> None:
    for operation in OPERATIONS.values():
        path = operation.path.format(thing="t", room="r", user="u", command="c", invitation="i", table="t", item="i")
        assert gateway.call(operation.method, path).status == 401
        assert {"401", "404", "413", "429", "431", "500", "503"} <= set(DESCRIBED[operation.name]["responses"])


def test_a_browser_may_call_every_route_with_every_header_it_takes(gateway: Gateway) -> None:
    for operation in OPERATIONS.values():
        path = operation.path.format(thing="t", room="r", user="u", command="c", invitation="i", table="t", item="i")
        wanted = {"authorization", "content-type"} | {each.lower() for each in parameters(operation.name, "header")}
        asked = {
            **ORIGIN,
            "access-control-request-method": operation.method,
            "access-control-request-headers": ",".join(sorted(wanted)),
        }
        preflight = gateway.call("OPTIONS", path, **asked)
        assert preflight.status == 204, (path, preflight)
        assert preflight.headers["access-control-allow-origin"] == "*"
        assert operation.method in preflight.headers["access-control-allow-methods"].split(",")
        allowed = {each.strip() for each in preflight.headers["access-control-allow-headers"].split(",")}
        assert wanted <= allowed, operation
        refused = gateway.call(operation.method, path, **ORIGIN)
        assert refused.headers["access-control-allow-origin"] == "*", "a browser must be able to read a refusal"


def test_a_browser_may_read_every_header_that_an_answer_means_something_by() -> None:
    cors = deployed().api()["x-amazon-apigateway-cors"]
    meaningful = {"etag", "idempotency-replayed", "location", "retry-after"}
    assert {each.lower() for each in cors["exposeHeaders"]} == meaningful
    assert json.dumps(cors["allowOrigins"]) == '["*"]'
    assert "allowCredentials" not in cors, "never with any origin"
