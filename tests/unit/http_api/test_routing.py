"""Which route serves a request; the worked table of "Working with routes for HTTP APIs" among the cases."""

import pytest

from infra.local.http_api.openapi import Route
from infra.local.http_api.routing import find_route

GUIDE = ("GET /pets/dog/1", "GET /pets/dog/{id}", "GET /pets/{proxy+}", "ANY /{proxy+}", "$default")


def routes(*keys: str) -> list[Route]:
    return [Route(key=key, function_arn="f", timeout_s=1) for key in keys]


@pytest.mark.parametrize(
    ("method", "path", "key", "parameters"),
    [
        ("GET", "/pets/dog/1", "GET /pets/dog/1", {}),
        ("GET", "/pets/dog/2", "GET /pets/dog/{id}", {"id": "2"}),
        ("GET", "/pets/cat/1", "GET /pets/{proxy+}", {"proxy": "cat/1"}),
        ("POST", "/test/5", "ANY /{proxy+}", {"proxy": "test/5"}),
        ("POST", "/pets/dog/1", "ANY /{proxy+}", {"proxy": "pets/dog/1"}),
        ("GET", "/", "$default", {}),
        ("GET", "/pets/dog/a%2Fb", "GET /pets/dog/{id}", {"id": "a/b"}),
    ],
)
def test_the_most_specific_route_wins(method: str, path: str, key: str, parameters: dict[str, str]):
    for order in (GUIDE, tuple(reversed(GUIDE))):
        match = find_route(routes(*order), method, path)
        assert match is not None
        assert (match.route.key, match.parameters) == (key, parameters)


def test_a_method_of_its_own_goes_before_any():
    match = find_route(routes("ANY /x", "GET /x"), "GET", "/x")
    assert match is not None
    assert match.route.key == "GET /x"


@pytest.mark.parametrize("path", ["/x", "/x/", "/x/1/2", "/y/1", ""])
def test_what_no_route_matches_finds_none(path: str):
    assert find_route(routes("GET /x/{id}", "GET /y/{id}/z"), "GET", path) is None


def test_a_greedy_variable_takes_at_least_one_character():
    assert find_route(routes("GET /x/{proxy+}"), "GET", "/x/") is None
    assert find_route(routes("GET /x/{proxy+}"), "GET", "/x") is None
