"""Who is let through: JWT and Lambda authorizers, and what the gateway answers to the others."""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import rsa

from tests.unit.http_api.conftest import ISSUER, NOW, Invoked, Pool, Served, document, function_uri, operation

SECURED = {
    "/x": {"get": operation(security={"Jwt": []})},
    "/scoped": {"get": operation(security={"Jwt": ["things/read", "things/write"]})},
    "/open": {"get": operation(security={"NONE": []})},
}


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_the_claims_of_a_good_token_reach_the_function_as_text(served: Served, pool: Pool):
    await served.load(document(SECURED))
    claims: dict[str, Any] = {"email_verified": True, "cognito:groups": ["a", "b"], "auth_time": 17}
    status, _, _ = await served.call("GET", "/x", headers=bearer(pool.token(**claims)))
    assert status == 200
    jwt_context = served.functions.events[0][1]["requestContext"]["authorizer"]["jwt"]
    assert jwt_context["scopes"] is None
    assert jwt_context["claims"] == {
        "iss": ISSUER, "aud": "app", "sub": "u1", "iat": str(NOW.timestamp() - 5), "exp": str(NOW.timestamp() + 3600),
        "email_verified": "true", "cognito:groups": "[a b]", "auth_time": "17",
    }  # fmt: skip


async def test_an_access_token_is_judged_by_its_client_id_and_a_bare_token_is_taken(served: Served, pool: Pool):
    await served.load(document(SECURED))
    token = pool.token(aud=None, client_id="app")
    assert (await served.call("GET", "/x", headers={"authorization": token}))[0] == 200
    assert (await served.call("GET", "/x", headers=bearer(pool.token(aud="other", client_id="app"))))[0] == 401


def _hs256_with_the_public_key(pool: Pool) -> str:
    def part(value: Any) -> bytes:
        return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=")

    signed = (
        part({"alg": "HS256", "kid": "k1"}) + b"." + part({"iss": ISSUER, "aud": "app", "exp": NOW.timestamp() + 60})
    )
    signature = hmac.new(pool.public_pem, signed, hashlib.sha256).digest()
    return (signed + b"." + base64.urlsafe_b64encode(signature).rstrip(b"=")).decode()


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (lambda pool: pool.token(exp=NOW.timestamp()), "expired"),
        (lambda pool: pool.token(exp=None), "expired"),
        (lambda pool: pool.token(exp="tomorrow"), "malformed"),
        (lambda pool: pool.token(nbf=NOW.timestamp() + 60), "not yet valid"),
        (lambda pool: pool.token(iat=NOW.timestamp() + 60), "not yet valid"),
        (lambda pool: pool.token(iss=ISSUER.replace("AbC", "XyZ")), "issuer"),
        (lambda pool: pool.token(aud="another app"), "audience"),
        (lambda pool: pool.token(kid="k2"), "signing key"),
        (lambda pool: pool.token(key=rsa.generate_private_key(public_exponent=65537, key_size=2048)), "signature"),
        (lambda pool: pool.token(algorithm="RS384"), "signing method RS384"),
        (lambda pool: pool.token(algorithm="none", key=""), "signing method none"),
        (_hs256_with_the_public_key, "signing method HS256"),
        (lambda pool: pool.token()[:-4] + "AAAA", "signature"),
        (lambda _pool: "a.b.c", "malformed"),
        (lambda _pool: "nonsense", "malformed"),
    ],
)
async def test_a_bad_token_is_401_with_the_reason_in_the_challenge(served: Served, pool: Pool, bad, says: str):
    await served.load(document(SECURED))
    status, headers, body = await served.call("GET", "/x", headers=bearer(bad(pool)))
    assert (status, body) == (401, b'{"message":"Unauthorized"}')
    assert headers["www-authenticate"].startswith('Bearer scope="" error="invalid_token" error_description="')
    assert says in headers["www-authenticate"]
    assert served.functions.events == []


async def test_what_a_token_claims_of_itself_cannot_write_into_the_answers_headers(served: Served):
    await served.load(document(SECURED))
    header = base64.urlsafe_b64encode(b'{"alg":"x\\" evil=\\"\\r\\nset-cookie: a","kid":"k1"}').rstrip(b"=").decode()
    status, headers, _ = await served.call("GET", "/x", headers=bearer(f"{header}.e30.AAAA"))
    assert status == 401
    assert headers["www-authenticate"].count('"') == 6
    assert "evil" not in headers["www-authenticate"]
    assert "set-cookie" not in headers


async def test_no_token_is_401_and_an_open_route_needs_none(served: Served):
    await served.load(document(SECURED))
    status, headers, body = await served.call("GET", "/x")
    assert (status, headers["www-authenticate"], body) == (401, "Bearer", b'{"message":"Unauthorized"}')
    assert (await served.call("GET", "/open"))[0] == 200


async def test_a_token_expires_by_the_movable_clock(served: Served, pool: Pool):
    await served.load(document(SECURED))
    token = pool.token()
    assert (await served.call("GET", "/x", headers=bearer(token)))[0] == 200
    served.clock.move(timedelta(hours=2))
    assert (await served.call("GET", "/x", headers=bearer(token)))[0] == 401


async def test_a_route_with_scopes_wants_one_of_them(served: Served, pool: Pool):
    await served.load(document(SECURED))
    assert (await served.call("GET", "/scoped", headers=bearer(pool.token(scope="a things/read"))))[0] == 200
    assert served.functions.events[0][1]["requestContext"]["authorizer"]["jwt"]["scopes"] == ["a", "things/read"]
    status, headers, body = await served.call("GET", "/scoped", headers=bearer(pool.token(scope="a")))
    assert (status, body) == (403, b'{"message":"Forbidden"}')
    assert 'error="insufficient_scope"' in headers["www-authenticate"]


def with_authorizer(
    *, simple: bool = True, ttl: int = 0, source: tuple[str, ...] = ("$request.header.x-key",)
) -> dict[str, Any]:
    authorizer = {
        "type": "request", "authorizerUri": function_uri("guard"), "authorizerPayloadFormatVersion": "2.0",
        "identitySource": list(source), "enableSimpleResponses": simple, "authorizerResultTtlInSeconds": ttl,
    }  # fmt: skip
    scheme = {"type": "apiKey", "in": "header", "name": "x", "x-amazon-apigateway-authorizer": authorizer}
    paths = {path: {"get": operation(security={"Guard": []})} for path in ("/a", "/b")}
    return document(paths, schemes={"Guard": scheme})


async def test_a_lambda_authorizer_gets_format_2_and_its_context_reaches_the_function(served: Served):
    api_id = await served.load(with_authorizer())
    served.functions.handlers["guard"] = lambda _event: {"isAuthorized": True, "context": {"partner": 7}}
    assert (await served.call("GET", "/a?p=1", headers={"x-key": "k"}))[0] == 200
    (name, asked, caller), (_, event, _) = served.functions.events
    assert name == "guard"
    assert caller.source_arn == f"arn:aws:execute-api:us-east-1:123456789012:{api_id}/authorizers/Guard"
    assert {key: asked[key] for key in ("version", "type", "routeArn", "identitySource", "routeKey", "rawPath")} == {
        "version": "2.0", "type": "REQUEST", "identitySource": ["k"], "routeKey": "GET /a", "rawPath": "/a",
        "routeArn": f"arn:aws:execute-api:us-east-1:123456789012:{api_id}/$default/GET/a",
    }  # fmt: skip
    assert "body" not in asked
    assert event["requestContext"]["authorizer"] == {"lambda": {"partner": 7}}


async def test_a_lambda_authorizer_of_format_1_is_asked_as_rest_apis_ask(served: Served):
    asked_for = with_authorizer(simple=False)
    scheme = asked_for["components"]["securitySchemes"]["Guard"]["x-amazon-apigateway-authorizer"]
    scheme["authorizerPayloadFormatVersion"] = "1.0"
    api_id = await served.load(asked_for, stageVariables={"v": "1"})
    served.functions.handlers["guard"] = lambda event: policy(("Allow", event["methodArn"]))
    status, _, _ = await served.call("GET", "/a?p=1&p=2", headers={"x-key": "k", "user-agent": "test"})
    assert status == 200
    (_, asked, _), (_, event, _) = served.functions.events
    headers = asked.pop("headers")
    assert headers["x-key"] == "k"
    assert asked == {
        "version": "1.0",
        "type": "REQUEST",
        "methodArn": f"arn:aws:execute-api:us-east-1:123456789012:{api_id}/$default/GET/a",
        "identitySource": "k",
        "authorizationToken": "k",
        "resource": "/a",
        "path": "/a",
        "httpMethod": "GET",
        "queryStringParameters": {"p": "1,2"},
        "pathParameters": {},
        "stageVariables": {"v": "1"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": api_id,
            "httpMethod": "GET",
            "identity": {"sourceIp": "127.0.0.1", "userAgent": "test"},
            "path": "/a",
            "requestId": "request-1",
            "resourceId": "GET /a",
            "resourcePath": "/a",
            "stage": "$default",
        },
    }
    assert event["version"] == "2.0"
    assert event["requestContext"]["authorizer"] == {"lambda": {"k": "v"}}


async def test_simple_answers_do_not_go_with_format_1(served: Served):
    asked_for = with_authorizer(simple=True)
    scheme = asked_for["components"]["securitySchemes"]["Guard"]["x-amazon-apigateway-authorizer"]
    scheme["authorizerPayloadFormatVersion"] = "1.0"
    status, answer = await served.control("PUT", "/v2/apis", {"body": json.dumps(asked_for)})
    assert status == 400
    assert "enableSimpleResponses" in answer["message"]


async def test_an_answer_is_remembered_for_five_minutes_where_nothing_else_is_said(served: Served):
    asked_for = with_authorizer()
    del asked_for["components"]["securitySchemes"]["Guard"]["x-amazon-apigateway-authorizer"][
        "authorizerResultTtlInSeconds"
    ]
    await served.load(asked_for)
    served.functions.handlers["guard"] = lambda _event: {"isAuthorized": True}
    for _ in range(2):
        await served.call("GET", "/a", headers={"x-key": "k"})
    served.clock.move(timedelta(seconds=300))
    await served.call("GET", "/a", headers={"x-key": "k"})
    assert [name for name, _, _ in served.functions.events].count("guard") == 2


async def test_a_missing_identity_source_is_401_and_the_authorizer_is_not_asked(served: Served):
    await served.load(with_authorizer())
    status, headers, body = await served.call("GET", "/a")
    assert (status, body) == (401, b'{"message":"Unauthorized"}')
    assert "www-authenticate" not in headers
    assert served.functions.events == []


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        ({"isAuthorized": False}, 403),
        ({"isAuthorized": "yes"}, 500),
        ({}, 500),
        (None, 500),
        (Invoked(b"{}", "Unhandled"), 500),
        (Invoked(b'{"errorMessage": "Unauthorized", "errorType": "Exception"}', "Unhandled"), 401),
        (Invoked(b'{"errorMessage": "Unauthorized!", "errorType": "Exception"}', "Unhandled"), 500),
    ],
)
async def test_what_an_authorizer_answers_decides(served: Served, answer: Any, status: int):
    await served.load(with_authorizer())
    served.functions.handlers["guard"] = lambda _event: answer
    got = await served.call("GET", "/a", headers={"x-key": "k"})
    message = {401: "Unauthorized", 403: "Forbidden", 500: "Internal Server Error"}[status]
    assert (got[0], json.loads(got[2])) == (status, {"message": message})


def policy(*statements: tuple[str, str], action: Any = "execute-api:Invoke") -> dict[str, Any]:
    made = [{"Effect": effect, "Action": action, "Resource": resource} for effect, resource in statements]
    return {"principalId": "p", "policyDocument": {"Version": "2012-10-17", "Statement": made}, "context": {"k": "v"}}


@pytest.mark.parametrize(
    ("answer", "status"),
    [
        (policy(("Allow", "*")), 200),
        (policy(("Allow", "arn:aws:execute-api:us-east-1:123456789012:*/$default/GET/a")), 200),
        (policy(("Allow", "arn:aws:execute-api:us-east-1:123456789012:*/$default/GET/b")), 403),
        (policy(("Allow", "*"), ("Deny", "*/GET/a")), 403),
        (policy(("Allow", "*"), action="execute-api:*"), 200),
        (policy(("Allow", "*"), action="s3:*"), 403),
        ({"principalId": "p"}, 500),
        ({"isAuthorized": True}, 500),
    ],
)
async def test_an_authorizer_may_answer_with_a_policy(served: Served, answer: Any, status: int):
    await served.load(with_authorizer(simple=False))
    served.functions.handlers["guard"] = lambda _event: answer
    assert (await served.call("GET", "/a", headers={"x-key": "k"}))[0] == status


async def test_an_answer_is_remembered_for_its_identity_until_its_time_is_up(served: Served):
    await served.load(with_authorizer(ttl=60))
    served.functions.handlers["guard"] = lambda event: {"isAuthorized": event["identitySource"] == ["good"]}

    async def asked(key: str, path: str = "/a") -> tuple[int, int]:
        before = sum(name == "guard" for name, _, _ in served.functions.events)
        status, _, _ = await served.call("GET", path, headers={"x-key": key})
        return status, sum(name == "guard" for name, _, _ in served.functions.events) - before

    assert await asked("good") == (200, 1)
    assert await asked("good") == (200, 0)
    assert await asked("good", "/b") == (200, 0)  # one answer covers every route
    assert await asked("bad") == (403, 1)
    assert await asked("bad") == (403, 0)
    served.clock.move(timedelta(seconds=60))
    assert await asked("good") == (200, 1)


async def test_a_route_key_among_the_identity_sources_keeps_the_answers_of_routes_apart(served: Served):
    await served.load(with_authorizer(ttl=60, source=("$request.header.x-key", "$context.routeKey")))
    served.functions.handlers["guard"] = lambda event: {"isAuthorized": event["routeKey"] == "GET /a"}
    assert (await served.call("GET", "/a", headers={"x-key": "k"}))[0] == 200
    assert (await served.call("GET", "/b", headers={"x-key": "k"}))[0] == 403


async def test_importing_again_forgets_what_authorizers_said(served: Served):
    api_id = await served.load(with_authorizer(ttl=60))
    served.functions.handlers["guard"] = lambda _event: {"isAuthorized": True}
    await served.call("GET", "/a", headers={"x-key": "k"})
    await served.control("PUT", f"/v2/apis/{api_id}", {"body": json.dumps(with_authorizer(ttl=60))})
    await served.call("GET", "/a", headers={"x-key": "k"})
    assert sum(name == "guard" for name, _, _ in served.functions.events) == 2
