"""The pre-provisioning hook as a real function: both processes, the SDK at the door, Lambda behind it."""

import json
import subprocess
import sys
from contextlib import contextmanager

import pytest
from awsiot import V2ServiceException, iotidentity
from botocore.exceptions import ClientError

from tests.integration.front.process import services
from tests.integration.iot_devices.test_sdk import CLAIM, DEVICE, OPTIONS, PREFIX, TEMPLATE, WAIT_S, connected, save

HANDLER = """
import time


def handle(event, _context):
    what = event["parameters"]["SerialNumber"].partition("-")[0]
    if what == "late":
        time.sleep(6)
    if what == "raising":
        raise RuntimeError("no list to ask")
    if what == "rubbish":
        return "rubbish"
    return {"allowProvisioning": what in ("allowed", "late")}
"""
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"Service": ["lambda.amazonaws.com"]}}],
}


class World:
    """A local cloud without a template: a hook, a fleet template, a claim."""

    def __init__(self, running, ports, folder):
        self.running, self.ports = running, ports
        self.ca = running.settings.state_dir / "ca" / "ca.pem"
        self.iot, self.functions, iam = (running.client(name) for name in ("iot", "lambda", "iam"))
        role = iam.create_role(RoleName="hook", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
        allowed = {"Effect": "Allow", "Action": "iot:*", "Resource": "*"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [allowed]})
        iam.put_role_policy(RoleName="hook", PolicyName="provision", PolicyDocument=document)
        iam.close()
        code = folder / "code"
        code.mkdir()
        (code / "hook.py").write_text(HANDLER)
        function = self.functions.create_function(
            FunctionName="hook",
            Role=role,
            Runtime="python3.13",
            Handler="hook.handle",
            Timeout=10,
            Code={"S3Bucket": "local-directory", "S3Key": str(code)},
        )
        self.iot.create_policy(policyName="device", policyDocument=json.dumps(DEVICE))
        self.iot.create_policy(policyName="claim", policyDocument=json.dumps(CLAIM))
        self.iot.create_provisioning_template(
            templateName="fleet",
            templateBody=json.dumps(TEMPLATE),
            enabled=True,
            provisioningRoleArn=role,
            preProvisioningHook={"targetArn": function["FunctionArn"]},
        )
        made = self.iot.create_keys_and_certificate(setAsActive=True)
        self.iot.attach_policy(policyName="claim", target=made["certificateArn"])
        self.claim = save(folder, "claim", made["certificatePem"], made["keyPair"]["PrivateKey"])

    def allow_the_hook(self):
        self.functions.add_permission(
            FunctionName="hook",
            StatementId="iot",
            Action="lambda:InvokeFunction",
            Principal="iot.amazonaws.com",
            SourceArn=f"{PREFIX}:provisioningtemplate/fleet",
        )

    def provision(self, serial):
        """Return (certificate id, thing name or the error's code)."""
        with connected(self, 5, f"new-{serial}", *self.claim) as (protocol, _):
            client = iotidentity.IotIdentityClientV2(protocol, OPTIONS)
            made = client.create_keys_and_certificate(iotidentity.CreateKeysAndCertificateRequest()).result(WAIT_S)
            asked = iotidentity.RegisterThingRequest(
                template_name="fleet",
                certificate_ownership_token=made.certificate_ownership_token,
                parameters={"SerialNumber": serial},
            )
            try:
                return made.certificate_id, client.register_thing(asked).result(WAIT_S).thing_name
            except V2ServiceException as error:
                return made.certificate_id, error.modeled_error.error_code

    def status(self, certificate_id):
        try:
            asked = self.iot.describe_certificate(certificateId=certificate_id)
        except ClientError as error:
            return error.response["Error"]["Code"]
        return asked["certificateDescription"]["status"]

    def close(self):
        self.iot.close()
        self.functions.close()


@contextmanager
def gateway(state_dir):
    """The gateway process beside a running services process; yields its ports."""
    command = [sys.executable, "-m", "infra.local.iot.main", "--state-dir", str(state_dir)]
    with (state_dir / "gateway.log").open("w") as log:
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True)
    assert process.stdin
    assert process.stdout
    try:
        line = process.stdout.readline()
        assert line, (state_dir / "gateway.log").read_text()
        yield json.loads(line)["ports"]
    finally:
        process.stdin.close()
        assert process.wait(10) == 0
        process.stdout.close()


@pytest.fixture
def world(tmp_path):
    with services(tmp_path, block=60) as running, gateway(tmp_path) as ports:
        world = World(running, ports, tmp_path)
        yield world
        world.close()


def test_a_thing_exists_only_where_the_function_allowed_it_and_unused_certificates_go(world):
    not_permitted, code = world.provision("allowed-0")
    assert code == "ACCESS_DENIED"  # the function's resource policy does not know AWS IoT yet
    world.allow_the_hook()
    allowed, thing = world.provision("allowed-1")
    assert thing == "device-allowed-1"
    unused = [not_permitted]
    for serial in ("refused-1", "raising-1", "rubbish-1", "late-1"):
        certificate_id, code = world.provision(serial)
        assert code == "ACCESS_DENIED", serial
        unused.append(certificate_id)
    assert [one["thingName"] for one in world.iot.list_things()["things"]] == [thing]
    assert [world.status(one) for one in unused] == ["PENDING_ACTIVATION"] * 5
    world.running.move_clock(3600)
    assert [world.status(one) for one in unused] == ["ResourceNotFoundException"] * 5
    assert world.status(allowed) == "ACTIVE"
