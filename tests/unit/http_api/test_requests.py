"""What a function is given, what its answer means, and what API Gateway answers itself."""

import asyncio
import base64
import io
import json
from datetime import timedelta
from typing import Any

import pytest

from tests.unit.http_api.conftest import Invoked, Served, document, operation

UNAVAILABLE = (503, b'{"message":"Service Unavailable"}')
BROKEN = (500, b'{"message":"Internal Server Error"}')


async def test_the_event_is_payload_format_2_with_every_field_of_the_documented_shape(served: Served):
    api_id = await served.load(document({"/v1/{thing}/x": {"post": operation()}}), stageVariables={"colour": "blue"})
    await served.call(
        "POST",
        "/v1/a%20b/x?p=1&p=2&q=%C3%A9&empty=",
        data=b'{"a":1}',
        headers=[("Content-Type", "application/json"), ("X-Two", "1"), ("X-Two", "2"), ("Cookie", "a=1; b=2")],
    )
    name, event, caller = served.functions.events[0]
    assert name == "f"
    assert (caller.kind, caller.arn) == ("service", "apigateway.amazonaws.com")
    assert caller.source_arn == f"arn:aws:execute-api:us-east-1:123456789012:{api_id}/$default/POST/v1/{{thing}}/x"
    headers = event.pop("headers")
    assert headers["x-two"] == "1,2"
    assert headers["x-forwarded-for"] == "127.0.0.1"
    assert headers["x-amzn-trace-id"].startswith("Root=1-")
    assert "cookie" not in headers
    agent = headers["user-agent"]
    assert event == {
        "version": "2.0",
        "routeKey": "POST /v1/{thing}/x",
        "rawPath": "/v1/a b/x",
        "rawQueryString": "p=1&p=2&q=%C3%A9&empty=",
        "cookies": ["a=1", "b=2"],
        "queryStringParameters": {"p": "1,2", "q": "é", "empty": ""},
        "pathParameters": {"thing": "a b"},
        "stageVariables": {"colour": "blue"},
        "requestContext": {
            "accountId": "123456789012",
            "apiId": api_id,
            "domainName": f"{api_id}.execute-api.us-east-1.amazonaws.com",
            "domainPrefix": api_id,
            "http": {
                "method": "POST", "path": "/v1/a b/x", "protocol": "HTTP/1.1", "sourceIp": "127.0.0.1",
                "userAgent": agent,
            },
            "requestId": "request-1",
            "routeKey": "POST /v1/{thing}/x",
            "stage": "$default",
            "time": "14/Mar/2026:15:09:26 +0000",
            "timeEpoch": 1773500966000,
        },
        "body": '{"a":1}',
        "isBase64Encoded": False,
    }  # fmt: skip


async def test_what_a_request_does_not_have_is_left_out_of_the_event(served: Served):
    await served.load(document({"/x": {"get": operation()}}))
    await served.call("GET", "/x")
    event = served.functions.events[0][1]
    assert not event.keys() & {"body", "cookies", "queryStringParameters", "pathParameters", "stageVariables"}
    assert "authorizer" not in event["requestContext"]


@pytest.mark.parametrize(
    ("kind", "body", "encoded"),
    [
        ("application/json; charset=utf-8", b"{}", False),
        ("text/plain", b"x", False),
        ("application/problem+json", b"{}", False),
        ("application/x-www-form-urlencoded", b"a=1", True),
        ("application/octet-stream", b"\x00\xff", True),
        ("text/plain", b"\xff", True),
    ],
)
async def test_a_body_is_text_or_base64_by_its_content_type(served: Served, kind: str, body: bytes, encoded: bool):
    await served.load(document({"/x": {"post": operation()}}))
    await served.call("POST", "/x", data=body, headers={"content-type": kind})
    event = served.functions.events[0][1]
    assert event["isBase64Encoded"] is encoded
    assert (base64.b64decode(event["body"]) if encoded else event["body"].encode()) == body


async def test_a_named_stage_stands_before_the_path_and_in_the_raw_path(served: Served):
    _, made = await served.control("PUT", "/v2/apis", {"body": json.dumps(document({"/x": {"get": operation()}}))})
    await served.control("POST", f"/v2/apis/{made['apiId']}/stages", {"stageName": "dev"})
    assert (await served.call("GET", "/dev/x"))[0] == 200
    assert served.functions.events[0][1]["rawPath"] == "/dev/x"
    assert (await served.call("GET", "/x"))[0] == 404


@pytest.mark.parametrize(
    ("answer", "status", "kind", "body"),
    [
        ({"message": "hi"}, 200, "application/json", b'{"message": "hi"}'),
        ("hello", 200, "application/json", b"hello"),
        ([1], 200, "application/json", b"[1]"),
        (None, 200, "application/json", b"null"),
        ({"statusCode": 201, "body": "b"}, 201, "text/plain;charset=UTF-8", b"b"),
        ({"statusCode": "404", "headers": {"Content-Type": "a/b"}}, 404, "a/b", b""),
        ({"statusCode": 200, "body": "AP8=", "isBase64Encoded": True}, 200, "text/plain;charset=UTF-8", b"\x00\xff"),
        ({"statusCode": 200, "body": {"no": 1}}, 500, "application/json", BROKEN[1]),
        ({"statusCode": "x"}, 500, "application/json", BROKEN[1]),
        ({"statusCode": 200, "headers": {"a": [1]}}, 500, "application/json", BROKEN[1]),
        ({"statusCode": 200, "headers": {"a": "x\r\nset-cookie: y"}}, 500, "application/json", BROKEN[1]),
        ({"statusCode": 200, "headers": {"a b": "x"}}, 500, "application/json", BROKEN[1]),
        ({"statusCode": 200, "cookies": "a=1"}, 500, "application/json", BROKEN[1]),
        ({"statusCode": 200, "body": "\ud800"}, 200, "text/plain;charset=UTF-8", b"?"),
        ({"statusCode": 200, "cookies": ["a=1\n"]}, 500, "application/json", BROKEN[1]),
        (Invoked(b'{"errorMessage":"boom"}', "Unhandled"), 500, "application/json", BROKEN[1]),
    ],
)
async def test_an_answer_means_what_the_guide_says(served: Served, answer, status, kind, body):
    await served.load(document({"/x": {"get": operation()}}))
    served.functions.handlers["f"] = lambda _event: answer
    got = await served.call("GET", "/x")
    assert (got[0], got[1]["content-type"], got[2]) == (status, kind, body)
    assert got[1]["apigw-requestid"] == "request-1"


@pytest.mark.parametrize("target", ["/x//", "/x/%zz", "/x/%ff", "/x?a=%ff&b=%00&&=", "/x/..%2f..", "/?"])
async def test_an_odd_address_reaches_the_function_or_a_clean_404(served: Served, target: str):
    await served.load(document({"/x": {"get": operation()}, "/x/{proxy+}": {"get": operation()}}))
    reader, writer = await asyncio.open_connection("127.0.0.1", served.api.port)
    writer.write(f"GET {target} HTTP/1.1\r\nhost: a\r\nx: caf\xe9\r\nconnection: close\r\n\r\n".encode("latin-1"))
    status = int((await reader.readline()).split()[1])
    writer.close()
    assert status in {200, 404}


async def test_cookies_of_an_answer_are_one_header_each(served: Served):
    await served.load(document({"/x": {"get": operation()}}))
    served.functions.handlers["f"] = lambda _event: {"statusCode": 200, "cookies": ["a=1", "b=2"]}
    url = f"http://127.0.0.1:{served.api.port}/x"
    async with served._session.get(url) as answer:
        assert answer.headers.getall("set-cookie") == ["a=1", "b=2"]


async def test_what_takes_longer_than_the_integration_allows_is_503(served: Served):
    await served.load(document({"/x": {"get": operation(timeoutInMillis=50)}}))
    served.functions.handlers["f"] = lambda _event: asyncio.Event().wait()
    got = await served.call("GET", "/x")
    assert (got[0], got[2]) == UNAVAILABLE


async def test_a_function_that_took_too_long_goes_on_although_nobody_waits_for_it(served: Served):
    go_on, finished = asyncio.Event(), asyncio.Event()

    async def slow(_event: object) -> None:
        await go_on.wait()
        finished.set()

    await served.load(document({"/x": {"get": operation(timeoutInMillis=50)}}))
    served.functions.handlers["f"] = slow
    assert (await served.call("GET", "/x"))[0] == 503
    go_on.set()
    await asyncio.wait_for(finished.wait(), 60)


class RefusedError(Exception):
    def __init__(self, status: int) -> None:
        super().__init__("no")
        self.status = status


@pytest.mark.parametrize(("status", "answer"), [(429, UNAVAILABLE), (403, BROKEN), (404, BROKEN), (413, BROKEN)])
async def test_what_lambda_refuses_becomes_api_gateways_own_answer(
    served: Served, status: int, answer: tuple[int, bytes]
):
    def refuse(_event: object) -> None:
        raise RefusedError(status)

    await served.load(document({"/x": {"get": operation()}}))
    served.functions.handlers["f"] = refuse
    got = await served.call("GET", "/x")
    assert (got[0], got[2]) == answer


async def test_a_body_beyond_ten_megabytes_is_413_and_reaches_no_function(served: Served):
    await served.load(document({"/x": {"post": operation()}}))
    got = await served.call("POST", "/x", data=io.BytesIO(b"x" * (10 * 1024 * 1024 + 1)))
    assert (got[0], got[2]) == (413, b'{"message":"Request Entity Too Large"}')
    assert (await served.call("POST", "/x", data=io.BytesIO(b"x" * (10 * 1024 * 1024))))[0] == 200
    assert len(served.functions.events) == 1


async def test_no_route_and_no_api_are_404(served: Served):
    assert (await served.call("GET", "/x"))[2] == b'{"message":"Not Found"}'
    await served.load(document({"/x": {"get": operation()}}))
    assert (await served.call("POST", "/x"))[0] == 404


async def test_a_route_beyond_its_rate_is_429_until_the_clock_fills_its_bucket(served: Served):
    paths = {"/slow": {"get": operation()}, "/free": {"get": operation()}}
    limits = {"GET /slow": {"throttlingRateLimit": 1, "throttlingBurstLimit": 2}}
    await served.load(document(paths), routeSettings=limits)
    assert [(await served.call("GET", "/slow"))[0] for _ in range(3)] == [200, 200, 429]
    assert (await served.call("GET", "/slow"))[2] == b'{"message":"Too Many Requests"}'
    assert (await served.call("GET", "/free"))[0] == 200
    served.clock.move(timedelta(seconds=1))
    assert [(await served.call("GET", "/slow"))[0] for _ in range(2)] == [200, 429]


async def test_the_access_log_is_written_in_the_stages_format(served: Served):
    settings = {
        "destinationArn": "arn:aws:logs:us-east-1:123456789012:log-group:api:*",
        "format": '{"id":"$context.requestId","route":"$context.routeKey","status":$context.status,"x":"$context.no"}',
    }
    await served.load(document({"/x": {"get": operation()}}), accessLogSettings=settings)
    await served.call("GET", "/x")
    assert served.log == [("api", '{"id":"request-1","route":"GET /x","status":200,"x":"-"}')]


@pytest.mark.parametrize(
    ("broken", "names"),
    [
        ({"/x": {"get": operation(type="http_proxy")}}, "aws_proxy"),
        ({"/x": {"get": operation(payloadFormatVersion="1.0")}}, "payloadFormatVersion"),
        ({"/x": {"get": operation(requestParameters={})}}, "requestParameters"),
        ({"/x": {"get": operation(timeoutInMillis=30_001)}}, "timeoutInMillis"),
        ({"/x": {"get": operation(security={"Nobody": []})}}, "Nobody"),
        ({"/x": {"trace": operation()}}, "trace"),
        ({"/x": {"get": {**operation(), "security": [{"Jwt": []}, {"Jwt": []}]}}}, "one authorizer"),
    ],
)
async def test_what_is_not_carried_is_refused_by_name_on_import(served: Served, broken: dict[str, Any], names: str):
    status, answer = await served.control("PUT", "/v2/apis", {"body": json.dumps(document(broken))})
    assert status == 400
    assert names in answer["message"]


async def test_an_operation_that_is_not_carried_says_so(served: Served):
    status, answer = await served.control("POST", "/v2/apis", {"name": "x", "protocolType": "HTTP"})
    assert status == 501
    assert "POST /v2/apis" in answer["message"]


async def test_the_control_plane_lists_what_was_imported(served: Served):
    paths = {"/x": {"get": operation("g", {"Jwt": ["a/b"]})}}
    api_id = await served.load(document(paths))
    routes = (await served.control("GET", f"/v2/apis/{api_id}/routes"))[1]["items"]
    assert [(one["routeKey"], one["authorizationType"], one["authorizationScopes"]) for one in routes] == [
        ("GET /x", "JWT", ["a/b"])
    ]
    assert (await served.control("GET", f"/v2/apis/{api_id}/integrations"))[1]["items"][0]["integrationUri"].endswith(
        ":g"
    )
    assert (await served.control("GET", f"/v2/apis/{api_id}/authorizers"))[1]["items"][0]["name"] == "Jwt"
    assert (await served.control("GET", f"/v2/apis/{api_id}/stages/%24default"))[1]["stageName"] == "$default"
    assert (await served.control("DELETE", f"/v2/apis/{api_id}"))[0] == 204
    assert (await served.control("GET", f"/v2/apis/{api_id}"))[0] == 404


async def test_a_head_that_is_too_long_is_refused_as_json(served: Served):
    await served.load(document({"/x": {"get": operation()}}))
    status, headers, body = await served.call("GET", "/x?q=" + "a" * 10_300)
    assert (status, headers["content-type"]) == (431, "application/json")
    assert json.loads(body) == {"message": "Request Header Fields Too Large"}
    assert (await served.call("GET", "/x?q=" + "a" * 8_800))[0] == 200


async def test_a_line_break_in_a_path_reaches_the_function(served: Served):
    await served.load(document({"/x/{name}": {"get": {**operation(), "parameters": []}}}))
    assert (await served.call("GET", "/x/a%0Ab"))[0] == 200
    assert served.functions.events[-1][1]["pathParameters"] == {"name": "a\nb"}
