import ssl
import subprocess

import pytest

from tests.integration.iot_mqtt.raw import Wire, tls
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import document, statement


@pytest.mark.parametrize("v5", [False, True])
async def test_a_registered_device_connects_over_mutual_tls(local, v5):
    name = local.name()
    async with Wire.open(local.ports["mqtt"], tls(local, local.identity(name)), v5=v5) as client:
        client.writer.write(wire.connect(name, v5=v5))
        assert (await client.get()).codes == [0]
        client.writer.write(wire.subscribe("a/b", v5=v5))
        assert (await client.get()).codes == [1]
        client.writer.write(wire.publish("a/b", b"hello", qos=1, pid=9, v5=v5))
        kinds = {(await client.get()).kind, (await client.get()).kind}
        assert kinds == {3, 4}


async def test_thing_variables_resolve_for_any_client_id_where_the_certificate_has_one_thing_alone(local):
    name = local.name()
    own = statement(["iot:Connect", "iot:Publish"], ["client/*", "topic/${iot:Connection.Thing.ThingName}/x"])
    identity = local.identity(name, document(own))
    for exclusive in (False, True):
        if exclusive:
            attach = local.iot.attach_thing_principal
            attach(thingName=name, principal=identity.arn, thingPrincipalType="EXCLUSIVE_THING")
        async with Wire.open(local.ports["mqtt"], tls(local, identity)) as client:
            client.writer.write(wire.connect("another"))
            assert (await client.get()).codes == [0]
            client.writer.write(wire.publish(f"{name}/x", qos=1, pid=9))
            got = await client.get()
            assert (got and got.pid) == (9 if exclusive else None)


async def test_an_inactive_certificate_is_closed_before_a_connack(local):
    identity = local.identity("off", active=False)
    async with Wire.open(local.ports["mqtt"], tls(local, identity)) as client:
        client.writer.write(wire.connect("off"))
        assert await client.get() is None
    assert [one["refused"] for one in local.denials() if one.get("principal") == identity.id] == [
        "the certificate is not registered, or not ACTIVE"
    ]


async def test_mqtt_without_a_certificate_is_explained_on_the_port_with_alpn(local):
    async with Wire.open(local.ports["https"], tls(local)) as client:
        client.writer.write(wire.connect("nobody"))
        assert await client.get() is None
    assert local.denials()[-1]["refused"] == "no client certificate was shown"


async def refused(port, context) -> bool:
    """Say whether the handshake fails: at once, or (TLS 1.3) with the first read."""
    try:
        async with Wire.open(port, context) as client:
            client.writer.write(wire.connect("x"))
            return await client.reader.read(100) == b""
    except (ssl.SSLError, ConnectionError):
        return True


async def test_no_certificate_fails_the_handshake(local):
    assert await refused(local.ports["mqtt"], tls(local))


@pytest.fixture
def stranger(tmp_path):
    """A certificate that nobody we know has signed."""
    key, certificate = tmp_path / "k", tmp_path / "c"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=x", "-days", "2"]
    subprocess.run(command, check=True, capture_output=True)
    return certificate, key


async def test_a_certificate_of_another_authority_fails_the_handshake(local, stranger):
    context = tls(local)
    context.load_cert_chain(*stranger)
    assert await refused(local.ports["mqtt"], context)
