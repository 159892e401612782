"""A shadow at its doors: who is not allowed changes nothing, and a will gets in by a rule."""

import asyncio
import json
import ssl
from http.client import HTTPSConnection

import pytest

from tests.integration.front.process import services
from tests.integration.iot_devices.test_hook_in_lambda import gateway
from tests.integration.iot_devices.test_sdk import PREFIX, save, statement
from tests.integration.iot_mqtt.conftest import Identity, running
from tests.integration.iot_mqtt.raw import Wire, tls
from tests.unit.iot_mqtt import wire
from tests.unit.iot_mqtt.harness import ALLOW_ALL

OTHERS = "$aws/things/other/shadow"


@pytest.fixture(scope="module")
def local(tmp_path_factory):
    with running(tmp_path_factory.mktemp("doors")) as local:
        yield local
        local.iot.close()
        local.data.close()


def state_of(local, thing):
    return json.loads(local.data.get_thing_shadow(thingName=thing)["payload"].read())["state"]


@pytest.fixture
def device(local):
    """A device that may use the shadow of the thing it is attached to, and another thing that has one too."""
    name = local.name("lamp")
    own = "$aws/things/${iot:Connection.Thing.ThingName}/shadow"
    document = {
        "Version": "2012-10-17",
        "Statement": [
            statement("iot:Connect", "client/${iot:Connection.Thing.ThingName}"),
            statement(["iot:Publish", "iot:Receive"], f"topic/{own}/*"),
            statement("iot:Subscribe", f"topicfilter/{own}/*"),
            statement(["iot:GetThingShadow", "iot:UpdateThingShadow", "iot:DeleteThingShadow"], f"thing/{name}"),
            {"Effect": "Allow", "Action": "iot:ListNamedShadowsForThing", "Resource": "*"},
        ],
    }
    identity = local.identity(name, document)
    local.data.update_thing_shadow(thingName="other", payload='{"state":{"reported":{"a":1}}}')["payload"].read()
    return name, identity


@pytest.mark.parametrize("v5", [False, True])
@pytest.mark.parametrize("operation", ["update", "delete", "get"])
async def test_the_shadow_of_another_thing_stays_as_it_is_over_mqtt(local, device, operation, v5):
    name, identity = device
    async with Wire.open(local.ports["mqtt"], tls(local, identity), v5=v5) as client:
        client.writer.write(wire.connect(name, v5=v5))
        assert (await client.get()).codes == [0]
        payload = b'{"state":{"reported":{"a":2}}}'
        client.writer.write(wire.publish(f"{OTHERS}/{operation}", payload, qos=1, v5=v5))
        answer = await client.get()
        assert (answer.codes == [0x87]) if v5 else answer is None
    assert state_of(local, "other") == {"reported": {"a": 1}}


def test_the_shadow_of_another_thing_stays_as_it_is_over_https(local, device):
    name, identity = device
    context = ssl.create_default_context(cafile=local.ca)
    context.load_cert_chain(identity.certificate, identity.key)
    context.set_alpn_protocols(["x-amzn-http-ca"])
    https = HTTPSConnection("localhost", local.ports["https"], context=context, timeout=60)

    def ask(method, path, body=None):
        https.request(method, path, body=body)
        answer = https.getresponse()
        return answer.status, json.loads(answer.read()), answer.headers["x-amzn-errortype"]

    update = '{"state":{"reported":{"a":2}}}'
    for method, body in (("GET", None), ("POST", update), ("DELETE", None)):
        status, told, kind = ask(method, "/things/other/shadow", body)
        assert (status, told["message"], kind) == (403, "Forbidden", "ForbiddenException")
        assert ask(method, f"/things/{name}/shadow?name=config", body)[0] == 403  # its policy knows the classic one
    https.request("POST", f"/things/{name}/shadow", body=b"x" * 2**21)
    answer = https.getresponse()
    assert (answer.status, answer.headers["x-amzn-errortype"]) == (413, "RequestEntityTooLargeException")
    answer.read()
    status, told, kind = ask("POST", f"/things/{name}/shadow", "rubbish")
    assert (status, told["message"], kind) == (400, "Invalid JSON", "InvalidRequestException")
    assert ask("POST", f"/things/{name}/shadow", update)[1]["version"] == 1
    assert ask("GET", f"/things/{name}/shadow")[1]["state"] == {"reported": {"a": 2}}
    listing = f"/api/things/shadow/ListNamedShadowsForThing/{name}?nextToken=&pageSize="  # as the page writes it
    assert ask("GET", listing)[1]["results"] == []
    https.close()
    assert state_of(local, "other") == {"reported": {"a": 1}}


@pytest.mark.parametrize("v5", [False, True])
async def test_what_exceeds_ten_requests_in_flight_is_refused_and_the_connection_stays(local, device, v5):
    name, identity = device
    topic = f"$aws/things/{name}/shadow/update"
    async with Wire.open(local.ports["mqtt"], tls(local, identity), v5=v5) as client:
        client.writer.write(wire.connect(name, v5=v5))
        assert (await client.get()).codes == [0]
        client.writer.write(wire.subscribe(f"{topic}/accepted", f"{topic}/rejected", v5=v5))
        await client.get()
        client.writer.write(wire.publish(topic, b'{"state":{"reported":{"a":1}}}', v5=v5) * 13)
        answers = []
        while len(answers) < 13:
            packet = await client.get()
            client.writer.write(wire.puback(packet.pid))
            answers.append(json.loads(packet.payload))
    assert sorted(answer.get("version", 0) for answer in answers) == [0, 0, 0, *range(1, 11)]
    assert [answer["code"] for answer in answers if "code" in answer] == [429] * 3


class Cloud:
    """Both processes, and one device that may do everything."""

    def __init__(self, running, ports, folder):
        self.ports, self.ca, self.clients = ports, running.settings.state_dir / "ca" / "ca.pem", []
        self.client = lambda name: self.clients.append(running.client(name)) or self.clients[-1]
        iot = self.client("iot")
        made = iot.create_keys_and_certificate(setAsActive=True)
        iot.create_policy(policyName="all", policyDocument=json.dumps(ALLOW_ALL))
        iot.attach_policy(policyName="all", target=made["certificateArn"])
        self.device = Identity(*save(folder, "device", made["certificatePem"], made["keyPair"]["PrivateKey"]), "", "")


@pytest.fixture
def cloud(tmp_path):
    with services(tmp_path, block=62) as running, gateway(tmp_path) as ports:
        cloud = Cloud(running, ports, tmp_path)
        yield cloud
        for client in cloud.clients:
            client.close()


async def test_a_will_that_a_rule_republishes_to_the_shadow_is_taken_up(cloud):
    # Page "Device Shadow service: detecting a thing is connected": a will cannot name a shadow's topic, a rule can.
    trust = {"Effect": "Allow", "Principal": {"Service": "iot.amazonaws.com"}, "Action": "sts:AssumeRole"}
    may = {"Effect": "Allow", "Action": "iot:Publish", "Resource": f"{PREFIX}:topic/$aws/things/*"}
    iam = cloud.client("iam")
    role = iam.create_role(RoleName="bridge", AssumeRolePolicyDocument=policy(trust))["Role"]["Arn"]
    iam.put_role_policy(RoleName="bridge", PolicyName="bridge", PolicyDocument=policy(may))
    republish = {"topic": "$$aws/things/${topic(3)}/shadow/update", "roleArn": role, "qos": 1}
    rule = {"sql": "SELECT * FROM 'my/things/+/update'", "actions": [{"republish": republish}]}
    cloud.client("iot").create_topic_rule(ruleName="bridge", topicRulePayload=rule)
    document = b'{"state":{"reported":{"connected":"false"}}}'
    async with Wire.open(cloud.ports["mqtt"], tls(cloud, cloud.device)) as client:
        client.writer.write(wire.connect("myLightBulb", will=("my/things/myLightBulb/update", document, 1, False)))
        assert (await client.get()).codes == [0]
    data = cloud.client("iot-data")
    async with asyncio.timeout(60):
        while True:
            try:
                got = await asyncio.to_thread(data.get_thing_shadow, thingName="myLightBulb")
            except data.exceptions.ResourceNotFoundException:
                await asyncio.sleep(0.05)
            else:
                break
    assert json.loads(got["payload"].read())["state"] == {"reported": {"connected": "false"}}


def policy(one):
    return json.dumps({"Version": "2012-10-17", "Statement": [one]})
