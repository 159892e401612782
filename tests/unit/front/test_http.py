"""The front over real sockets: what crosses to the gateway, and what a client sees when we fail."""

import json
from datetime import UTC, datetime

import aiohttp
import pytest
from aiohttp import web

from infra.local import front as front_module
from infra.local import sigv4
from infra.local.clock import ManualClock
from infra.local.config import Ports, Settings
from infra.local.credentials import KeyStore
from infra.local.front import Front
from infra.local.front_identity import Doorkeeper
from infra.local.front_log import AccessLog
from infra.local.wire import Response
from tests.unit.dynamodb.local import START


@pytest.fixture
async def gateway():
    """A gateway that answers what it was sent."""

    async def answer(request):
        document = {"path": request.raw_path, "headers": dict(request.headers), "body": (await request.read()).decode()}
        return web.json_response(document, status=202, headers={"x-amzn-errortype": "None"})

    server = web.Server(answer)
    runner = web.ServerRunner(server)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    yield runner.addresses[0][1]
    await runner.cleanup()


class Served:
    def __init__(self, tmp_path, gateway_port):
        self.settings = Settings(state_dir=tmp_path, ports=Ports(aws=0, gateway=gateway_port), service_secret="shared")
        self.keys = KeyStore(self.settings, ManualClock(START))

    async def start(self):
        async def fail(_request):
            raise RuntimeError("planted")

        async def echo(request):
            return Response(body=request.body, headers={"content-type": request.headers.get("content-type", "")})

        keeper = Doorkeeper(self.settings, self.keys, None, ManualClock(START))
        self.front = Front(self.settings, keeper, {"dynamodb": fail, "s3": echo})
        self.port = await self.front.start()
        return self

    async def send(self, service, method="POST", path="/", query="", body=b"{}", **headers):
        headers = {"host": f"127.0.0.1:{self.port}", **{name.replace("_", "-"): text for name, text in headers.items()}}
        headers |= sigv4.sign(
            method, path, query, headers, body,
            credentials=self.keys.owner, service=service, region="us-east-1", now=datetime.now(UTC),
        )  # fmt: skip
        url = front_module.URL(f"http://127.0.0.1:{self.port}{path}{'?' + query if query else ''}", encoded=True)
        async with (
            aiohttp.ClientSession() as session,
            session.request(method, url, data=body, headers=headers) as answer,
        ):
            return answer.status, dict(answer.headers), await answer.read()


@pytest.fixture
async def served(tmp_path, gateway):
    made = await Served(tmp_path, gateway).start()
    yield made
    await made.front.stop()


async def test_iot_goes_to_the_gateway_with_the_caller_we_established_and_no_other(served):
    path, query = "/things/a%2Fb%20c", "name=x%20y&max=1"
    claimed = json.dumps({"arn": "somebody", "kind": "owner"})
    claims = {"x_fieldline_caller": claimed, "x_fieldline_source_ip": "192.0.2.9"}
    status, headers, body = await served.send("iot", "GET", path, query, b"", **claims)
    seen = json.loads(body)
    received = {name.lower(): value for name, value in seen["headers"].items()}
    assert (status, seen["path"]) == (202, f"{path}?{query}")
    assert received["x-fieldline-service"] == "iot"
    assert received["x-fieldline-secret"] == "shared"
    caller = json.loads(received["x-fieldline-caller"])
    assert (caller["arn"], caller["kind"]) == ("arn:aws:iam::123456789012:root", "owner")
    assert (caller["user_id"], received["x-fieldline-source-ip"]) == ("123456789012", "127.0.0.1")
    assert "authorization" not in received
    assert headers["x-amzn-errortype"] == "None"
    assert len(headers["x-amzn-requestid"]) > 20


async def test_a_defect_of_ours_is_an_internal_failure_and_is_logged(served, caplog):
    status, _, body = await served.send("dynamodb", x_amz_target="DynamoDB_20120810.ListTables")
    assert (status, b"InternalFailure" in body) == (500, True)
    assert "planted" in caplog.text


async def test_a_body_arrives_as_it_was_sent_compressed_or_awaited(served):
    for extra in ({"content_encoding": "gzip"}, {"expect": "100-continue"}):
        status, _, body = await served.send("s3", "PUT", "/b/k", "", b"\x1f\x8bnot really gzip", **extra)
        assert (status, body) == (200, b"\x1f\x8bnot really gzip")


async def test_a_body_beyond_the_bound_is_refused(served, monkeypatch):
    monkeypatch.setattr(front_module, "MAX_BODY_SIZE", 1_000)
    status, _, body = await served.send("s3", "PUT", "/b/k", "", b"x" * 2_000)
    assert (status, b"EntityTooLarge" in body) == (413, True)


async def test_access_logs_are_written_in_order_and_make_their_stream():
    written, streams = [], []

    class Logs:
        async def call(self, _service, operation, **params):
            if operation == "create_log_stream":
                streams.append(params["logGroupName"])
            elif not streams:
                from botocore.exceptions import ClientError

                raise ClientError(
                    {"Error": {"Code": "X", "Message": "The specified log stream does not exist."}}, operation
                )
            else:
                written.extend(event["message"] for event in params["logEvents"])

    log = AccessLog(Logs(), ManualClock(START))
    for line in ("one", "two"):
        log("arn:aws:logs:us-east-1:123456789012:log-group:/api/access:*", line)
    await log.write()
    assert (written, streams) == (["one", "two"], ["/api/access"])
