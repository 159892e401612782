"""The front's own HTTP: whatever the bytes and however they come, the answers are those that aiohttp's path gives."""

import asyncio
import json
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta

import pytest

from infra.local import front as front_module
from infra.local import sigv4
from infra.local.clock import ManualClock
from infra.local.config import Ports, Settings
from infra.local.credentials import Credentials, KeyStore
from infra.local.dynamodb import Dynamo
from infra.local.front import Front
from infra.local.front_door import MAX_BODY_SIZE, Door
from infra.local.front_identity import Doorkeeper
from infra.local.refusals import refuse
from infra.local.wire import SOURCE_IP_HEADER, Caller, Response
from tests.unit.dynamodb.local import START

TARGET = "x-amz-target: DynamoDB_20120810.PutItem"
INVOKE = "POST /2015-03-31/functions/one/invocations HTTP/1.1"


def plain(body=b"{}", *lines, start="POST / HTTP/1.1"):
    """A request as an SDK sends it."""
    return "\r\n".join([start, "Host: h", TARGET, *lines, f"Content-Length: {len(body)}", "\r\n"]).encode() + body


OTHERS = {
    "another method": b"GET / HTTP/1.1\r\nHost: h\r\n\r\n",
    "an older version": plain(start="POST / HTTP/1.0"),
    "a query": plain(start="POST /?a=b HTTP/1.1"),
    "another path": plain(start="POST /bucket HTTP/1.1"),
    "another service": plain().replace(b"DynamoDB_20120810", b"DynamoDBStreams_20120810"),
    "chunks": f"POST / HTTP/1.1\r\nHost: h\r\n{TARGET}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n".encode(),
    "no length": f"POST / HTTP/1.1\r\nHost: h\r\n{TARGET}\r\n\r\n".encode(),
    "a length that is none": f"POST / HTTP/1.1\r\nHost: h\r\n{TARGET}\r\nContent-Length: +2\r\n\r\n{{}}".encode(),
    "a length beyond the bound": f"POST / HTTP/1.1\r\n{TARGET}\r\nContent-Length: {MAX_BODY_SIZE + 1}\r\n\r\n".encode(),
    "two lengths": plain(b"{}", "Content-Length: 2"),
    "a header twice": plain(b"{}", "x-a: 1", "X-A: 2"),
    "a folded header": plain(b"{}", "x-a: 1", " 2"),
    "a bare line feed": plain().replace(b"Host: h\r\n", b"Host: h\n"),
    "a control character": plain(b"{}", "x-a: \x01"),
    "no ASCII": plain(b"{}", "x-a: ü"),
    "a name with a blank": plain(b"{}", "x a: 1"),
    "expects to be asked": plain(b"{}", "Expect: 100-continue"),
    "wants to end": plain(b"{}", "Connection: close"),
    "wants another protocol": plain(b"{}", "Upgrade: h2c", "Connection: upgrade"),
    "compressed": plain(b"{}", "Content-Encoding: gzip"),
    "from a browser": plain(b"{}", "Origin: http://a"),
    "a head beyond the bound": plain(b"{}", f"x-a: {'a' * 9_000}"),
    "a head beyond the bound that does not end": b"POST / HTTP/1.1\r\nx-a: " + b"a" * 9_000,
    "no HTTP": b"\x16\x03\x01\x02\x00",
}


class Link:
    """A transport that keeps what is written."""

    def __init__(self):
        self.written, self.closed, self.reading, self.protocol = b"", False, True, None

    def write(self, data):
        self.written += data

    def close(self):
        self.closed = True

    def is_closing(self):
        return self.closed

    def pause_reading(self):
        self.reading = False

    def resume_reading(self):
        self.reading = True

    def get_extra_info(self, _name):
        return ("127.0.0.1", 1)

    def set_protocol(self, protocol):
        self.protocol = protocol


class Other(asyncio.Protocol):
    """What a connection is handed over to."""

    def __init__(self):
        self.received = b""

    def data_received(self, data):
        self.received += data


class Opened:
    """A connection to a door whose requests are answered when ``answering`` is set."""

    def __init__(self):
        self.link, self.other, self.doors, self.bodies = Link(), Other(), set(), []
        self.answering = asyncio.Event()
        self.answering.set()
        self.door = Door(self._serve, lambda: self.other, self.doors)
        self.door.connection_made(self.link)

    async def _serve(self, _head, body, _source_ip):
        await self.answering.wait()
        self.bodies.append(body)
        return Response(body=body)

    async def receive(self, *parts):
        for part in parts:
            (self.link.protocol or self.door).data_received(part)
        await self.settle()

    async def settle(self):
        while self.door.task is not None:
            await asyncio.sleep(0)

    @property
    def answers(self):
        return self.link.written.count(b"HTTP/1.1 200 OK\r\n")


@pytest.mark.parametrize("name", OTHERS)
async def test_what_is_not_plain_is_handed_over_whole_also_behind_a_plain_request(name):
    for before in (b"", plain(b"1")):
        opened = Opened()
        await opened.receive(before + OTHERS[name])
        assert opened.other.received == OTHERS[name]
        assert (opened.answers, opened.doors) == (1 if before else 0, set())


async def test_requests_are_answered_in_order_wherever_their_bytes_are_cut():
    stream = plain(b"1") + plain(b"", start=INVOKE) + plain(b"333") + OTHERS["chunks"] + plain(b"4")
    whole = Opened()
    await whole.receive(stream)
    assert (whole.bodies, whole.answers) == ([b"1", b"", b"333"], 3)
    for at in range(len(stream)):
        opened = Opened()
        await opened.receive(stream[:at])
        await opened.receive(stream[at:])
        assert opened.bodies == whole.bodies, at
        assert opened.other.received == OTHERS["chunks"] + plain(b"4"), at
    single = Opened()
    await single.receive(*(bytes([byte]) for byte in stream))
    await single.receive()
    assert (single.bodies, single.other.received) == (whole.bodies, whole.other.received)


async def test_a_client_that_does_not_read_is_answered_nothing_more_and_one_that_sends_on_is_held_back():
    opened = Opened()
    opened.door.pause_writing()
    await opened.receive(plain(b"1"), plain(b"2" * 100_000))
    assert (opened.bodies, opened.link.reading) == ([], False)
    opened.door.resume_writing()
    await opened.settle()
    assert ([len(body) for body in opened.bodies], opened.link.reading) == ([1, 100_000], True)


async def test_a_body_that_never_ends_is_never_served_and_one_that_has_come_is_served_though_nobody_hears_of_it():
    cut = Opened()
    await cut.receive(plain(b"12345")[:-1])
    cut.door.connection_lost(None)
    assert (cut.bodies, cut.doors) == ([], set())
    gone = Opened()
    gone.answering.clear()
    gone.door.data_received(plain(b"1") + plain(b"2"))
    await asyncio.sleep(0)
    gone.door.connection_lost(ConnectionResetError())
    gone.link.close()
    gone.answering.set()
    await gone.settle()
    assert (gone.bodies, gone.link.written) == ([b"1"], b"")


async def test_a_door_that_closes_answers_what_it_has_begun_and_no_more():
    opened = Opened()
    opened.answering.clear()
    opened.door.data_received(plain(b"1") + plain(b"2"))
    opened.door.close()
    assert not opened.link.closed
    opened.answering.set()
    await opened.settle()
    assert (opened.bodies, opened.answers, opened.link.closed) == ([b"1"], 1, True)


async def test_an_answer_with_a_line_break_in_a_header_is_not_sent(caplog):
    link = Link()

    async def serve(*_):
        return Response(headers={"x-a": "1\r\nx-b: 2"})

    door = Door(serve, Other, set())
    door.connection_made(link)
    door.data_received(plain())
    while door.task is not None:
        await asyncio.sleep(0)
    assert (link.written, link.closed, "cannot be sent" in caplog.text) == (b"", True, True)


# Both paths, over sockets


class Served:
    """A front with real tables, and functions that answer what they are told; table "closed" is refused to roles."""

    def __init__(self, tmp_path):
        self.settings = Settings(state_dir=tmp_path, ports=Ports(aws=0, gateway=1))
        self.keys = KeyStore(self.settings, ManualClock(START))
        caller = Caller(arn="arn:aws:sts::123456789012:assumed-role/r/s", kind="role")
        self.role, self.expired = (
            self.keys.issue(caller, "arn:aws:iam::123456789012:role/r", timedelta(hours=hours)) for hours in (1, -1)
        )
        self.waiting, self.go_on = asyncio.Event(), asyncio.Event()
        keeper = Doorkeeper(self.settings, self.keys, self._authorize, ManualClock(START))
        dynamo = Dynamo(self.settings, ManualClock(START))
        self.front = Front(self.settings, keeper, {"dynamodb": dynamo.handle, "lambda": self._invoke})

    async def _authorize(self, request, _record):
        await asyncio.sleep(0)
        return refuse(request, "AccessDenied", "no") if b"closed" in request.body else None

    async def _invoke(self, request):
        if request.body == b"wait":
            self.waiting.set()
            await self.go_on.wait()
        if request.body == b"break":
            raise RuntimeError("planted")
        status = 204 if request.body == b"nothing" else 202
        seen = {"X-Amz-Log-Result": "aa==", "x-seen-ip": request.headers[SOURCE_IP_HEADER]}
        return Response(status=status, headers=seen, body=request.body)

    def signed(self, operation, body, *, service="dynamodb", credentials=None, **headers):
        """The bytes of a signed request."""
        path = "/2015-03-31/functions/one/invocations" if service == "lambda" else "/"
        kind = "application/x-amz-json-1.0"
        sent = {"host": "h", "content-type": kind, "x-amz-target": f"DynamoDB_20120810.{operation}", **headers}
        sent |= sigv4.sign(
            "POST", path, "", sent, body,
            credentials=credentials or self.keys.owner, service=service, region="us-east-1", now=datetime.now(UTC),
        )  # fmt: skip
        lines = [f"{name}: {value}\r\n" for name, value in sent.items()]
        return f"POST {path} HTTP/1.1\r\n{''.join(lines)}content-length: {len(body)}\r\n\r\n".encode() + body

    @asynccontextmanager
    async def connection(self):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        yield reader, writer
        writer.close()
        await writer.wait_closed()

    async def ask(self, request, *, through_aiohttp=False):
        """Return (status line, headers, body); the connection was handed over before, where that is asked for."""
        async with self.connection() as (reader, writer):
            if through_aiohttp:
                writer.write(b"OPTIONS / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n")
                assert (await answer_of(reader))[0].startswith("HTTP/1.1 200")
                assert not self.front._doors
            writer.write(request)
            found = await answer_of(reader)
            assert through_aiohttp or self.front._doors
            return found


async def answer_of(reader):
    head = (await reader.readuntil(b"\r\n\r\n")).decode()
    start, *lines = head.rstrip().split("\r\n")
    headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines)}
    return start, headers, await reader.readexactly(int(headers.get("content-length", 0)))


@pytest.fixture
async def served(tmp_path):
    made = Served(tmp_path)
    made.port = await made.front.start()
    key = {"KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}], "BillingMode": "PAY_PER_REQUEST"}
    key["AttributeDefinitions"] = [{"AttributeName": "pk", "AttributeType": "S"}]
    await made.ask(made.signed("CreateTable", json.dumps({"TableName": "things"} | key).encode()))
    yield made
    made.go_on.set()
    await made.front.stop()


def document(**members):
    return json.dumps({"TableName": "things", **members}).encode()


CALLS = {
    "a put": ("PutItem", document(Item={"pk": {"S": "a"}, "n": {"N": "1"}})),
    "a get": ("GetItem", document(Key={"pk": {"S": "a"}})),
    "a page": ("Scan", document(ReturnConsumedCapacity="TOTAL")),
    "an update that is refused": ("UpdateItem", document(Key={"pk": {"S": "a"}}, UpdateExpression="SET")),
    "a condition that fails": (
        "PutItem",
        document(Item={"pk": {"S": "b"}}, ConditionExpression="attribute_exists(pk)"),
    ),
    "no table": ("GetItem", json.dumps({"TableName": "nothing", "Key": {"pk": {"S": "a"}}}).encode()),
    "no operation": ("Guess", b"{}"),
    "no JSON": ("PutItem", b"{"),
    "no text": ("PutItem", b"\xff\xfe"),
    "an empty body": ("ListTables", b""),
    "a big body": ("PutItem", document(Item={"pk": {"S": "x" * 1_000_000}})),
    "what is nested too deeply": ("PutItem", b"[" * 100_000),
}


@pytest.mark.parametrize("name", CALLS)
async def test_dynamodb_answers_the_same_by_both_paths(served, name):
    await assert_same(served, served.signed(*CALLS[name]))


@pytest.mark.parametrize("body", [b"1", b"nothing", b"break"])
async def test_an_invocation_is_answered_the_same_by_both_paths(served, body):
    await assert_same(served, served.signed("", body, service="lambda"))


async def test_a_role_is_judged_the_same_by_both_paths(served):
    closed = json.dumps({"TableName": "closed", "Key": {"pk": {"S": "a"}}}).encode()
    for body, credentials, wanted in (
        (CALLS["a get"][1], served.role, b"{}"),
        (closed, served.role, b"AccessDeniedException"),
        (CALLS["a get"][1], served.expired, b"ExpiredTokenException"),
    ):
        _, _, answered = await assert_same(served, served.signed("GetItem", body, credentials=credentials))
        assert wanted in answered


async def test_a_bad_signature_is_refused_the_same_by_both_paths(served):
    good = served.signed(*CALLS["a get"])
    wrong = Credentials(access_key_id=served.keys.owner.access_key_id, secret_access_key="wrong")
    for bad in (
        served.signed(*CALLS["a get"], credentials=wrong),
        good.replace(b'"a"', b'"b"'),
        good.replace(b"x-amz-date", b"x-my-date"),
        good.replace(b"Credential=AKIA", b"Credential=ASIA"),
        good.replace(b"authorization", b"something"),
        good.replace(b"\r\ncontent-length", b"\r\nx-amz-late: 1\r\ncontent-length"),
    ):
        start, _, body = await assert_same(served, bad)
        assert start.startswith("HTTP/1.1 4"), body


async def assert_same(served, request):
    mine, theirs = await served.ask(request), await served.ask(request, through_aiohttp=True)
    for _, headers, _ in (mine, theirs):
        assert len(headers.pop("x-amzn-requestid")) == 32
        assert headers.pop("date").endswith("GMT")
    assert mine == theirs
    return mine


async def test_requests_of_all_kinds_alternate_on_one_connection(served):
    plain_one, other = served.signed(*CALLS["a put"]), b"OPTIONS / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n"
    chunked = served.signed("ListTables", b"").replace(b"content-length: 0", b"transfer-encoding: chunked")
    async with served.connection() as (reader, writer):
        writer.write(plain_one * 3 + other + plain_one + chunked + b"0\r\n\r\n" + plain_one)
        found = [(await answer_of(reader))[0] for _ in range(7)]
    assert found == ["HTTP/1.1 200 OK"] * 7


async def test_a_stop_waits_for_an_answer_but_not_for_ever(served, monkeypatch):
    async with served.connection() as (reader, writer), served.connection() as (idle, _):
        writer.write(served.signed("", b"wait", service="lambda"))
        await served.waiting.wait()
        stopping = asyncio.create_task(served.front.stop())
        assert await idle.read() == b""
        served.go_on.set()
        assert (await answer_of(reader))[2] == b"wait"
        assert await reader.read() == b""
        await stopping
    monkeypatch.setattr(front_module, "_STOP_TIMEOUT_S", 0.01)
    served.waiting.clear()
    served.go_on.clear()
    served.port = await served.front.start()
    async with served.connection() as (reader, writer):
        writer.write(served.signed("", b"wait", service="lambda"))
        await served.waiting.wait()
        await served.front.stop()
        assert await reader.read() == b""
