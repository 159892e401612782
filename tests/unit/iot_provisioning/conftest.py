"""A registry with one fleet provisioning template, and a device that holds a claim."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.iot.certificates import CertificateAuthority
from infra.local.iot.control import IotApi
from infra.local.iot.errors import IotError
from infra.local.iot.message import Message, Principal
from infra.local.iot.provisioning import Provisioning
from infra.local.iot.registry import Registry
from tests.unit.iot_devices.fakes import FakeBroker

POLICY = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iot:*", "Resource": "*"}]}
HOOK = "arn:aws:lambda:us-east-1:123456789012:function:allow-list"
TEMPLATE = {
    "Parameters": {
        "SerialNumber": {"Type": "String"},
        "Location": {"Type": "String", "Default": "hall"},
        "AWS::IoT::Certificate::Id": {"Type": "String"},
    },
    "Mappings": {"Urls": {"hall": {"url": "https://hall"}, "attic": {"url": "https://attic"}}},
    "Resources": {
        "thing": {
            "Type": "AWS::IoT::Thing",
            "Properties": {
                "ThingName": {"Fn::Join": ["-", ["lamp", {"Ref": "SerialNumber"}]]},
                "AttributePayload": {"serial": {"Ref": "SerialNumber"}, "location": {"Ref": "Location"}},
                "ThingTypeName": "bulb",
                "ThingGroups": ["fleet"],
            },
        },
        "certificate": {
            "Type": "AWS::IoT::Certificate",
            "Properties": {"CertificateId": {"Ref": "AWS::IoT::Certificate::Id"}, "Status": "Active"},
        },
        "policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "device"}},
    },
    "DeviceConfiguration": {
        "url": {"Fn::FindInMap": ["Urls", {"Ref": "Location"}, "url"]},
        "where": {"Fn::Sub": ["${place}/${SerialNumber}/${!kept}", {"place": {"Ref": "Location"}}]},
        "first": {"Fn::Select": ["0", {"Fn::Split": ["-", {"Ref": "SerialNumber"}]}]},
    },
}


class Fleet:
    """Provisioning behind fakes: a broker that remembers, a hook that answers what a test says."""

    def __init__(self, tmp_path):
        self.clock = ManualClock(datetime(2026, 5, 1, tzinfo=UTC))
        settings = Settings(state_dir=tmp_path)
        self.registry = Registry(settings, self.clock, CertificateAuthority(tmp_path / "ca"))
        self.call = IotApi(self.registry).call
        self.broker = FakeBroker()
        self.events: list[Any] = []
        self.forbidden: set[str] = set()
        self.hook: Any = lambda event: {"allowProvisioning": True}
        self.provisioning = Provisioning(
            self.registry, self._carry_out, self.broker, self._invoke, judge=self._role, hook_timeout_s=0.05
        )
        self.call("CreateThingType", {"thingTypeName": "bulb"})
        self.call("CreateThingGroup", {"thingGroupName": "fleet"})
        self.call("CreatePolicy", {"policyName": "device", "policyDocument": json.dumps(POLICY)})

    async def _role(self, role_arn):
        assert role_arn.endswith("role/provisioning")
        return lambda operation, ask: f"iot:{operation}" if operation in self.forbidden else ""

    def _carry_out(self, operation, ask):
        return self.call(operation, ask)

    async def _invoke(self, function_arn, payload, source_arn):
        event = json.loads(payload)
        self.events.append((function_arn, source_arn, event))
        answer = self.hook(event)
        if asyncio.iscoroutine(answer):
            answer = await answer
        if isinstance(answer, Exception):
            raise answer
        return answer if isinstance(answer, bytes) else json.dumps(answer).encode()

    def create(self, body=None, name="fleet", **more):
        ask = {"templateName": name, "templateBody": json.dumps(body or TEMPLATE), "enabled": True}
        ask["provisioningRoleArn"] = "arn:aws:iam::123456789012:role/provisioning"
        return self.call("CreateProvisioningTemplate", {**ask, **more})

    async def ask(self, topic, document):
        """Return (outcome, document) of one request over MQTT."""
        payload = document if isinstance(document, bytes) else json.dumps(document).encode()
        topic = f"$aws/{topic}"
        assert self.provisioning.accepts(topic)
        claim = Principal(kind="certificate", id="claim-id")
        self.provisioning.receive(Message(topic=topic, payload=payload, client_id="device", principal=claim))
        async with asyncio.timeout(60):
            while not self.broker.sent:
                await asyncio.sleep(0)
        ((client, message),) = self.broker.sent
        self.broker.sent.clear()
        assert client == "device"
        assert not self.broker.published
        assert message.topic.startswith(f"{topic}/")
        return message.topic.rpartition("/")[2], json.loads(message.payload)

    async def claim(self):
        """Return a certificate that a claim asked for."""
        outcome, made = await self.ask("certificates/create/json", b"")
        assert outcome == "accepted"
        return made

    async def register(self, made, template="fleet", **parameters):
        document = {"certificateOwnershipToken": made["certificateOwnershipToken"], "parameters": parameters}
        return await self.ask(f"provisioning-templates/{template}/provision/json", document)

    def things(self):
        return [thing["thingName"] for thing in self.call("ListThings", {})["things"]]

    def status(self, made):
        """Return the certificate's status, None if it is gone."""
        try:
            asked = self.call("DescribeCertificate", {"certificateId": made["certificateId"]})
        except IotError:
            return None
        return asked["certificateDescription"]["status"]


@pytest.fixture
async def fleet(tmp_path):
    fleet = Fleet(tmp_path)
    yield fleet
    await fleet.provisioning.stop()
