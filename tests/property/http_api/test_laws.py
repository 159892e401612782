"""Laws of the HTTP API: routing does not depend on order, bodies survive the event, no altered token is good."""

import base64
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.http_api.events import Call, build_event, read_answer
from infra.local.http_api.openapi import JwtAuthorizer, Route
from infra.local.http_api.routing import Match, find_route
from infra.local.http_api.tokens import TokenRefusedError, verify
from tests.unit.http_api.conftest import ISSUER, NOW, Pool

SEGMENTS = st.sampled_from(["a", "b", "{x}"])
PATHS = st.builds(
    lambda parts, greedy: "/" + "/".join([*parts, *(["{proxy+}"] if greedy else [])]),
    st.lists(SEGMENTS, min_size=1, max_size=3),
    st.booleans(),
)
KEYS = st.one_of(st.just("$default"), st.builds("{} {}".format, st.sampled_from(["GET", "POST", "ANY"]), PATHS))
ASKED = st.lists(st.sampled_from(["a", "b", "c", ""]), min_size=1, max_size=4).map(lambda parts: "/" + "/".join(parts))


@given(st.lists(KEYS, min_size=1, max_size=8, unique=True), st.sampled_from(["GET", "POST"]), ASKED, st.randoms())
def test_the_route_found_does_not_depend_on_the_order_of_the_routes(
    keys: list[str], method: str, path: str, random: Any
):
    routes = [Route(key=key, function_arn="f", timeout_s=1) for key in keys]
    shuffled = random.sample(routes, len(routes))
    first, second = find_route(routes, method, path), find_route(shuffled, method, path)
    assert (first is None) == (second is None)
    if first is not None and second is not None:
        # two templates that differ in nothing but a variable's name do not exist side by side on API Gateway
        assert (first.route.key, first.parameters) == (second.route.key, second.parameters)
        assert first.route.method in {method, "ANY"}


@given(st.lists(KEYS, max_size=8), st.sampled_from(["GET", "POST"]), ASKED)
def test_default_is_only_for_what_nothing_else_takes(keys: list[str], method: str, path: str):
    routes = [Route(key=key, function_arn="f", timeout_s=1) for key in [*keys, "$default"]]
    others = [route for route in routes if route.key != "$default"]
    found, other = find_route(routes, method, path), find_route(others, method, path)
    assert found is not None
    assert (found.route.key == "$default") == (other is None)


def call(body: bytes, kind: str) -> Call:
    return Call(
        api_id="a", region="us-east-1", stage="$default", method="POST", raw_path="/x", raw_query="",
        headers=(("content-type", kind),), body=body, source_ip="127.0.0.1", protocol="HTTP/1.1", request_id="r",
        at=datetime(2026, 1, 1, tzinfo=UTC),
    )  # fmt: skip


@given(st.binary(max_size=200), st.sampled_from(["application/json", "text/plain", "image/png", "", "x;y", "a/b+json"]))
def test_every_body_can_be_had_back_from_the_event_and_from_an_answer(body: bytes, kind: str):
    match = Match(Route(key="POST /x", function_arn="f", timeout_s=1), {})
    event = build_event(call(body, kind), match, None, {})
    text = event.get("body", "")
    assert (base64.b64decode(text) if event["isBase64Encoded"] else text.encode()) == body
    encoded = base64.b64encode(body).decode()
    assert read_answer(f'{{"statusCode":200,"isBase64Encoded":true,"body":"{encoded}"}}'.encode()).body == body


AUTHORIZER = JwtAuthorizer(name="j", identity_source=(), issuer=ISSUER, audience=("app",))
POOL = Pool()
GOOD = POOL.token()


def test_the_token_that_is_altered_below_is_good():
    assert verify(GOOD, AUTHORIZER, POOL.jwks, NOW)["sub"] == "u1"


@given(st.integers(0, len(GOOD) - 1), st.sampled_from("AZaz09-_.="))
def test_no_altered_token_is_accepted_as_something_else(place: int, character: str):
    altered = GOOD[:place] + character + GOOD[place + 1 :]
    try:
        claims = verify(altered, AUTHORIZER, POOL.jwks, NOW)
    except TokenRefusedError:
        return
    assert claims == verify(GOOD, AUTHORIZER, POOL.jwks, NOW)  # the spare bits at the end of a base64 part say nothing


@given(st.text(max_size=60))
def test_any_text_is_refused_as_a_token_and_never_breaks(text: str):
    with pytest.raises(TokenRefusedError):
        verify(text, AUTHORIZER, POOL.jwks, NOW)
