"""WebSocket, custom authentication and HTTPS on the port AWS serves on 443."""

import asyncio
import base64
import json
from datetime import UTC, datetime, timedelta

import aiohttp
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from infra.local.clock import SharedClock
from infra.local.credentials import KeyStore
from tests.integration.iot_mqtt.raw import Wire, tls
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import ALLOW_ALL, document, statement


def presigned(local, *, secret=None, service="iotdevicegateway", region="us-east-1", at=None, host=None) -> str:
    """The URL AWS documents for MQTT over WebSocket, signed by hand; ``host`` as it is signed."""
    import hashlib
    import hmac
    from urllib.parse import quote

    settings = local.settings
    at = at or datetime.now(UTC)
    stamp, date = at.strftime("%Y%m%dT%H%M%SZ"), at.strftime("%Y%m%d")
    scope = f"{date}/{region}/{service}/aws4_request"
    address = f"localhost:{local.ports['https']}"
    query = (
        f"X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential={quote(f'{settings.access_key_id}/{scope}', safe='')}"
        f"&X-Amz-Date={stamp}&X-Amz-SignedHeaders=host"
    )
    empty = hashlib.sha256(b"").hexdigest()
    canonical = f"GET\n/mqtt\n{query}\nhost:{host or address}\n\nhost\n{empty}"
    text = f"AWS4-HMAC-SHA256\n{stamp}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{secret or settings.secret_access_key}".encode()
    for part in (date, region, service, "aws4_request"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    return f"wss://{address}/mqtt?{query}&X-Amz-Signature={signature}"


class Socket:
    """MQTT in WebSocket frames."""

    def __init__(self, socket, v5=False):
        self.socket, self.v5, self._rest, self._got = socket, v5, b"", []

    async def send(self, *packets):
        await self.socket.send_bytes(b"".join(packets))

    async def get(self):
        while not self._got:
            message = await self.socket.receive(timeout=60)
            if message.type is not aiohttp.WSMsgType.BINARY:
                return None
            self._got, self._rest = wire.read(self._rest + message.data, v5=self.v5)
        return self._got.pop(0)


@pytest.fixture
async def http():
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.mark.parametrize("host", [None, "localhost"], ids=["host with port", "host alone, as on port 443"])
async def test_a_signed_websocket_url_connects_and_carries_messages(local, http, host):
    async with http.ws_connect(presigned(local, host=host), ssl=tls(local), protocols=["mqtt"]) as raw:
        client = Socket(raw)
        await client.send(wire.connect("ws1"))
        assert (await client.get()).codes == [0]
        await client.send(wire.subscribe("w/1"), wire.publish("w/1", b"hello", qos=1, pid=3))
        kinds = [(await client.get()).kind for _ in range(3)]
        assert sorted(kinds) == [3, 4, 9]


async def test_a_websocket_message_too_large_is_the_clients_error(local, http):
    async with http.ws_connect(presigned(local), ssl=tls(local), protocols=["mqtt"]) as watching:
        watcher = Socket(watching)
        await watcher.send(wire.connect(local.name("watcher")))
        assert (await watcher.get()).codes == [0]
        name = local.name("large")
        await watcher.send(wire.subscribe(f"$aws/events/presence/disconnected/{name}"))
        assert (await watcher.get()).codes == [1]
        async with http.ws_connect(presigned(local), ssl=tls(local), protocols=["mqtt"]) as raw:
            client = Socket(raw)
            await client.send(wire.connect(name))
            assert (await client.get()).codes == [0]
            await client.send(wire.publish("w/large", b"x" * 400_000, qos=1))
            assert await client.get() is None
        assert json.loads((await watcher.get()).payload)["disconnectReason"] == "CLIENT_ERROR"


@pytest.mark.parametrize(
    "broken",
    [
        {"secret": "forged"},
        {"service": "iotdata"},
        {"region": "eu-west-1"},
        {"host": "elsewhere"},
        {"at": datetime.now(UTC) - timedelta(hours=1)},
        {"at": datetime.now(UTC) + timedelta(hours=1)},
    ],
    ids=["forged", "wrong service", "wrong region", "wrong host", "expired", "not yet"],
)
async def test_a_bad_signature_does_not_upgrade(local, http, broken):
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(presigned(local, **broken), ssl=tls(local), protocols=["mqtt"])
    assert refused.value.status == 403


async def test_an_unsigned_url_does_not_connect(local, http):
    if local.iot.list_authorizers(status="ACTIVE")["authorizers"]:
        async with http.ws_connect(presigned(local).partition("?")[0], ssl=tls(local), protocols=["mqtt"]) as raw:
            client = Socket(raw)
            await client.send(wire.connect("ws2"))
            assert (await client.get()).codes == [5]
        return
    with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
        await http.ws_connect(presigned(local).partition("?")[0], ssl=tls(local), protocols=["mqtt"])
    assert refused.value.status == 403


# -- custom authentication

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:auth"


@pytest.fixture
def key():
    return rsa.generate_private_key(65537, 2048)


def signed(key, token):
    return base64.b64encode(key.sign(token.encode(), padding.PKCS1v15(), hashes.SHA256())).decode()


@pytest.fixture
def authorizer(local, key):
    """An authorizer that lets in whoever has the password, to topics of its own."""
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    name = local.name("authorizer")
    local.iot.create_authorizer(
        authorizerName=name,
        authorizerFunctionArn=FUNCTION,
        tokenKeyName="Token",
        tokenSigningPublicKeys={"k1": public.decode()},
        status="ACTIVE",
    )
    local.aws.answer = lambda event: good()
    local.aws.calls.clear()
    return name


def good(**changes):
    return {
        "isAuthenticated": True,
        "principalId": "user1",
        "policyDocuments": [ALLOW_ALL],
        "disconnectAfterInSeconds": 3600,
        "refreshAfterInSeconds": 300,
    } | changes


def username(name, key, token="t1", signature=None):
    from urllib.parse import quote

    signature = signature or signed(key, token)
    return f"me?x-amz-customauthorizer-name={name}&Token={token}&x-amz-customauthorizer-signature={quote(signature)}"


async def test_the_authorizer_sees_what_was_presented_and_its_policy_holds(local, key, authorizer):
    only = document(statement("iot:Connect", "*"), statement("iot:Publish", "topic/mine/*"))
    local.aws.answer = lambda event: good(policyDocuments=[json.dumps(only)])
    async with Wire.open(local.ports["https"], tls(local, alpn="mqtt")) as client:
        client.writer.write(wire.connect("custom1", username=username(authorizer, key), password=b"secret"))
        assert (await client.get()).codes == [0]
        client.writer.write(wire.publish("mine/1", qos=1, pid=5))
        assert (await client.get()).pid == 5
        client.writer.write(wire.publish("theirs/1", qos=1, pid=6))
        assert await client.get() is None
    headers, event = local.aws.calls[0]
    assert event["token"] == "t1"
    assert event["signatureVerified"] is True
    assert event["protocols"] == ["tls", "mqtt"]
    assert event["protocolData"]["tls"] == {"serverName": "localhost"}
    assert event["protocolData"]["mqtt"]["password"] == base64.b64encode(b"secret").decode()
    assert event["protocolData"]["mqtt"]["clientId"] == "custom1"
    assert headers["x-fieldline-service"] == "iot.amazonaws.com"
    assert headers["x-fieldline-source-arn"].endswith(f":authorizer/{authorizer}")


async def test_a_broken_token_signature_is_refused_without_asking_the_function(local, key, authorizer):
    other = rsa.generate_private_key(65537, 2048)
    async with Wire.open(local.ports["https"], tls(local, alpn="mqtt")) as client:
        client.writer.write(wire.connect("custom2", username=username(authorizer, key, signature=signed(other, "t1"))))
        assert (await client.get()).codes == [5]
    assert not local.aws.calls


@pytest.mark.parametrize(
    "answer",
    [
        b"not json",
        {},
        [],
        good(isAuthenticated="true"),
        good(isAuthenticated=False),
        good(principalId="with space"),
        good(principalId=""),
        good(policyDocuments=[]),
        good(policyDocuments=[ALLOW_ALL] * 11),
        good(policyDocuments=["{"]),
        good(disconnectAfterInSeconds=299),
        good(refreshAfterInSeconds=86_401),
        good(refreshAfterInSeconds=True),
    ],
)
async def test_an_authorizer_that_answers_rubbish_lets_nobody_in(local, key, authorizer, answer):
    local.aws.answer = lambda event: answer
    async with Wire.open(local.ports["https"], tls(local, alpn="mqtt"), v5=True) as client:
        client.writer.write(wire.connect("custom3", v5=True, username=username(authorizer, key)))
        assert (await client.get()).codes == [0x87]


async def test_an_authorizer_that_fails_or_is_late_lets_nobody_in(local, key, authorizer):
    import threading

    released = threading.Event()

    def late(_event):
        released.wait(8)
        return good()

    local.aws.answer = late
    async with Wire.open(local.ports["https"], tls(local, alpn="mqtt")) as client:
        client.writer.write(wire.connect("custom4", username=username(authorizer, key)))
        assert (await client.get()).codes == [5]
    released.set()
    local.aws.answer, local.aws.function_error = (lambda _: good()), True
    try:
        async with Wire.open(local.ports["https"], tls(local, alpn="mqtt")) as client:
            client.writer.write(wire.connect("custom4", username=username(authorizer, key)))
            assert (await client.get()).codes == [5]
    finally:
        local.aws.function_error = False
    assert any("more than 5 s" in entry.get("refused", "") for entry in local.denials())


async def test_a_websocket_takes_custom_authentication_at_connect(local, key, authorizer, http):
    url = f"wss://localhost:{local.ports['https']}/mqtt?x-amz-customauthorizer-name={authorizer}"
    async with http.ws_connect(url, ssl=tls(local), protocols=["mqtt"]) as raw:
        client = Socket(raw, v5=True)
        await client.send(wire.connect("custom5", v5=True, username=username(authorizer, key), password=b"jwt"))
        assert (await client.get()).codes == [0]
    event = local.aws.calls[0][1]
    assert event["protocols"] == ["tls", "http", "mqtt"]
    assert event["protocolData"]["http"]["headers"]["upgrade"].lower() == "websocket"


@pytest.mark.parametrize("head", [b"GET /mqtt?a=\x86 HTTP/1.1", b"POST /topics/a HTTP/1.1\r\nX \xff: y", b"\0" * 50])
async def test_what_is_no_http_is_answered_400_without_a_traceback(local, head):
    context = tls(local, alpn="http/1.1")
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", local.ports["https"], ssl=context, server_hostname="localhost"
    )
    writer.write(head + b"\r\nHost: x\r\n\r\n")
    assert b" 400 " in await asyncio.wait_for(reader.readline(), 5)
    writer.close()
    await writer.wait_closed()  # the gateway's log is searched for tracebacks when it ends


# -- HTTPS publish and the data plane


async def test_a_device_publishes_over_https_within_its_policy(local, http):
    name = local.name()
    device = local.identity(name, document(statement("iot:Publish", "topic/h/*")))
    watcher = local.identity(local.name())
    async with Wire.open(local.ports["mqtt"], tls(local, watcher)) as client:
        client.writer.write(wire.connect(local.name("w")))
        assert (await client.get()).codes == [0]
        client.writer.write(wire.subscribe("h/1"))
        assert (await client.get()).codes == [1]
        base = f"https://localhost:{local.ports['https']}"
        context = tls(local, device, alpn="x-amzn-http-ca")
        async with http.post(f"{base}/topics/h/1?qos=1", data=b"over http", ssl=context) as answer:
            assert answer.status == 200
            assert (await answer.json())["message"] == "OK"
            assert answer.headers["x-amzn-requestid"]
        got = await client.get()
        assert (got.topic, got.payload) == ("h/1", b"over http")
        for path in ("/topics/other?qos=1", "/topics/h/1?retain=true", "/topics/?qos=1"):
            async with http.post(base + path, data=b"x", ssl=context) as answer:
                assert answer.status == 403
        for path in (f"/things/{name}/shadow", f"/things/{name}/jobs"):
            async with http.get(base + path, ssl=context) as answer:
                assert answer.status == 403
    assert local.denials()[-1]["refused"] == "no such request of the data plane here"


@pytest.mark.parametrize(("cached", "asked"), [(False, 3), (True, 1)])
async def test_a_custom_authorizer_lets_https_publish_and_is_asked_each_time_unless_cached(
    local, key, authorizer, http, cached, asked
):
    local.iot.update_authorizer(authorizerName=authorizer, enableCachingForHttp=cached)
    only = document(statement("iot:Publish", "topic/mine/*"))
    local.aws.answer = lambda event: good(policyDocuments=[only])
    headers = {
        "x-amz-customauthorizer-name": authorizer,
        "x-amz-customauthorizer-signature": signed(key, "t1"),
        "token": "t1",
    }
    base, context = f"https://localhost:{local.ports['https']}/topics", tls(local)
    for topic, status in (("mine/1", 200), ("theirs/1", 403), ("mine/2", 200)):
        async with http.post(f"{base}/{topic}?qos=1", data=b"x", headers=headers, ssl=context) as answer:
            assert answer.status == status
            await answer.read()
    assert len(local.aws.calls) == asked
    event = local.aws.calls[0][1]
    assert (event["protocols"], event["token"], event["signatureVerified"]) == (["tls", "http"], "t1", True)
    headers["x-amz-customauthorizer-signature"] = signed(rsa.generate_private_key(65537, 2048), "t1")
    async with (
        aiohttp.ClientSession() as another,
        another.post(f"{base}/mine/3", data=b"x", headers=headers, ssl=context) as answer,
    ):
        assert answer.status == 403
    assert len(local.aws.calls) == asked


async def test_nobody_publishes_over_https_without_credentials(local, http):
    url = f"https://localhost:{local.ports['https']}/topics/h/1"
    async with http.post(url, data=b"x", ssl=tls(local)) as answer:
        assert answer.status == 403


async def test_the_owner_publishes_with_a_signature(local, http):
    from infra.local import sigv4

    keys = KeyStore(local.settings, SharedClock(local.settings.state_dir))
    headers = {"host": f"localhost:{local.ports['https']}"}
    headers |= sigv4.sign(
        "POST", "/topics/o/1", "qos=1", headers, b"x",
        credentials=keys.owner, service="iotdata", region="us-east-1", now=datetime.now(UTC),
    )  # fmt: skip
    url = f"https://localhost:{local.ports['https']}/topics/o/1?qos=1"
    async with http.post(url, data=b"x", headers=headers, ssl=tls(local)) as answer:
        assert answer.status == 200
    async with http.post(url, data=b"y", headers=headers, ssl=tls(local)) as answer:
        assert answer.status == 403


async def test_the_data_plane_cuts_a_connection(local):
    name = local.name()
    device = local.identity(name)
    async with Wire.open(local.ports["https"], tls(local, device, alpn="x-amzn-mqtt-ca"), v5=True) as client:
        client.writer.write(wire.connect(name, v5=True))
        assert (await client.get()).codes == [0]
        await asyncio.to_thread(local.data.delete_connection, clientId=name)
        assert (await client.get()).codes == [0x98]
        assert await client.get() is None
