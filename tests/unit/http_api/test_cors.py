"""Cross-origin requests, as browsers make them."""

from tests.unit.http_api.conftest import Served, document, operation

CORS = {
    "allowOrigins": ["https://app.example", "http://*"],
    "allowMethods": ["GET", "POST"],
    "allowHeaders": ["authorization"],
    "exposeHeaders": ["etag"],
    "maxAge": 600,
    "allowCredentials": True,
}
SECURED = {"/x": {"get": operation(security={"Jwt": []})}, "/open": {"get": operation()}}
PREFLIGHT = {"access-control-request-method": "GET", "access-control-request-headers": "authorization"}


def cross(headers: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name.startswith("access-control-")}


async def test_a_preflight_is_answered_without_route_authorizer_or_function(served: Served):
    await served.load(document(SECURED, **{"x-amazon-apigateway-cors": CORS}))
    headers = {**PREFLIGHT, "origin": "https://app.example"}
    status, answered, body = await served.call("OPTIONS", "/x", headers=headers)
    assert (status, body) == (204, b"")
    assert cross(answered) == {
        "access-control-allow-origin": "https://app.example",
        "access-control-allow-methods": "GET,POST",
        "access-control-allow-headers": "authorization",
        "access-control-max-age": "600",
        "access-control-allow-credentials": "true",
    }
    assert served.functions.events == []


async def test_a_preflight_of_a_stranger_gets_no_permission(served: Served):
    await served.load(document(SECURED, **{"x-amazon-apigateway-cors": CORS}))
    status, answered, _ = await served.call("OPTIONS", "/x", headers={**PREFLIGHT, "origin": "https://evil.example"})
    assert status == 204
    assert cross(answered) == {}


async def test_the_gateways_headers_replace_the_functions(served: Served):
    await served.load(document(SECURED, **{"x-amazon-apigateway-cors": CORS}))
    own = {"Access-Control-Allow-Origin": "*", "access-control-allow-methods": "DELETE", "ETag": "1"}
    served.functions.handlers["f"] = lambda _event: {"statusCode": 200, "headers": own}
    _, answered, _ = await served.call("GET", "/open", headers={"origin": "http://anything.example"})
    assert cross(answered) == {
        "access-control-allow-origin": "http://anything.example",
        "access-control-expose-headers": "etag",
        "access-control-allow-credentials": "true",
    }
    assert answered["etag"] == "1"
    assert cross((await served.call("GET", "/open"))[1]) == {}


async def test_a_refusal_can_be_read_by_the_page_that_caused_it(served: Served):
    await served.load(document(SECURED, **{"x-amazon-apigateway-cors": CORS}))
    status, answered, _ = await served.call("GET", "/x", headers={"origin": "https://app.example"})
    assert (status, answered["access-control-allow-origin"]) == (401, "https://app.example")


async def test_without_cors_the_function_speaks_for_itself(served: Served):
    await served.load(document(SECURED))
    served.functions.handlers["f"] = lambda _event: {"statusCode": 200, "headers": {"Access-Control-Allow-Origin": "*"}}
    assert (await served.call("GET", "/open"))[1]["access-control-allow-origin"] == "*"
    assert (await served.call("OPTIONS", "/open", headers={**PREFLIGHT, "origin": "https://a.b"}))[0] == 404
