"""Any sequence of control-plane requests is answered with a result or an error of AWS's, never with a defect."""

import asyncio
import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest
from botocore import xform_name
from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, StructureShape
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.iot.certificates import CertificateAuthority
from infra.local.iot.control import IotApi
from infra.local.iot.provisioning import Provisioning
from infra.local.iot.registry import Registry
from infra.local.wire import Caller, Request
from tests.unit.iot_devices.fakes import FakeBroker
from tests.unit.iot_provisioning.conftest import POLICY, TEMPLATE

MODEL = ServiceModel(Loader().load_service_model("iot", "service-2"), "iot")
ACCOUNT = "arn:aws:iot:us-east-1:123456789012"
NAMES = ["a", "b", "fleet", "device", "none"]
TEXTS = {
    "policyDocument": [json.dumps(POLICY), "{", "[" * 2000],
    "templateBody": [json.dumps(TEMPLATE), json.dumps({**TEMPLATE, "Resources": {}}), "x"],
    "policyVersionId": ["1", "2", "9"],
    "resourceArn": [f"{ACCOUNT}:policy/a", f"{ACCOUNT}:thinggroup/a", f"{ACCOUNT}:thingtype/none", "x"],
    "provisioningRoleArn": [f"{ACCOUNT}:role/provisioning-role"],
    "targetArn": [f"{ACCOUNT}:function"],
}
"""What a member of that name takes, beside a name."""
RUBBISH = st.recursive(
    st.none() | st.booleans() | st.integers(-2, 300) | st.sampled_from([*NAMES, "", "${", "\U0001f600", "x" * 200]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["Ref", "Fn::Sub", "a"]), inner, max_size=2)
    ),
    max_leaves=4,
)


def served(registry):
    """Return the operations somebody carries; the rest is refused by name before it is looked at."""
    rooms = registry._rooms
    return [name for name in MODEL.operation_names if any(hasattr(room, xform_name(name)) for room in rooms)]


def value(shape, name, certificate):
    """Mostly what the shape takes, now and then anything."""
    fitting = fit(shape, name, certificate)
    return st.integers(0, 19).flatmap(lambda dice: fitting if dice else RUBBISH)


def fit(shape, name, certificate):
    if isinstance(shape, StructureShape):
        members = {one: value(member, one, certificate) for one, member in shape.members.items()}
        required = {one: members.pop(one) for one in shape.required_members}
        return st.fixed_dictionaries(required, optional=members)
    if isinstance(shape, ListShape):
        return st.lists(value(shape.member, name, certificate), min_size=1, max_size=2)
    if isinstance(shape, MapShape):
        return st.dictionaries(st.sampled_from(NAMES), value(shape.value, name, certificate), max_size=2)
    if shape.type_name == "string":
        return st.sampled_from(texts(shape, name, certificate))
    return st.booleans() if shape.type_name == "boolean" else st.integers(0, 4)


def texts(shape, name, certificate):
    if name == "certificateId":
        return [certificate.rpartition("/")[2]]
    if name in {"principal", "target"}:
        return [certificate, f"{ACCOUNT}:thinggroup/a", "us-east-1:identity", "x"]
    return getattr(shape, "enum", None) or TEXTS.get(name, NAMES)


@st.composite
def requests(draw, names, certificate):
    operation = MODEL.operation_model(draw(st.sampled_from(names)))
    path, query, headers, body = operation.http["requestUri"], [], {}, {}
    shape = operation.input_shape
    for name, member in shape.members.items() if shape else ():
        where, wire = member.serialization.get("location"), member.serialization.get("name", name)
        if name not in shape.required_members and draw(st.booleans()):
            continue
        drawn = draw(value(member, name, certificate))
        if where == "uri":
            path = path.replace(f"{{{wire}}}", quote(str(drawn) or "a", safe=""))
        elif where == "querystring":
            query.append((wire, str(drawn)))
        elif where == "header":
            headers[wire.lower()] = str(drawn)
        else:
            body[wire] = drawn
    return Request(
        service="iot", method=operation.http["method"], path=path, query=urlencode(query),
        headers=headers, body=json.dumps(body).encode(), caller=Caller(arn="owner", kind="owner"),
    )  # fmt: skip


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    return CertificateAuthority(tmp_path_factory.mktemp("ca"))


class World:
    """A registry in which there is one of everything, and its API."""

    def __init__(self, authority):
        registry = Registry(Settings(state_dir=Path()), ManualClock(datetime(2026, 5, 1, tzinfo=UTC)), authority)
        self.api = IotApi(registry)
        Provisioning(registry, self.api.call, FakeBroker(), self._no_hook)
        self.operations = served(registry)
        self.certificate = self.api.call("CreateKeysAndCertificate", {"setAsActive": False})["certificateArn"]
        role = f"{ACCOUNT}:role/provisioning-role"
        for operation, ask in (
            ("CreateThingType", {"thingTypeName": "a"}),
            ("CreateThing", {"thingName": "a", "thingTypeName": "a"}),
            ("CreateThingGroup", {"thingGroupName": "a"}),
            ("CreateThingGroup", {"thingGroupName": "b", "parentGroupName": "a"}),
            ("AddThingToThingGroup", {"thingName": "a", "thingGroupName": "b"}),
            ("CreatePolicy", {"policyName": "a", "policyDocument": json.dumps(POLICY)}),
            ("AttachPolicy", {"policyName": "a", "target": self.certificate}),
            ("AttachThingPrincipal", {"thingName": "a", "principal": self.certificate}),
            ("CreateAuthorizer", {"authorizerName": "a", "authorizerFunctionArn": "f", "signingDisabled": True}),
            ("CreateProvisioningTemplate",
             {"templateName": "a", "templateBody": json.dumps(TEMPLATE), "provisioningRoleArn": role}),
        ):  # fmt: skip
            self.api.call(operation, ask)

    async def _no_hook(self, *asked):
        raise AssertionError(asked)

    async def ask(self, requests):
        return [(await self.api.handle(request)).status for request in requests]


def run(authority, examples):
    @settings(max_examples=examples, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(data=st.data())
    def answered(data):
        world = World(authority)
        asked = data.draw(st.lists(requests(world.operations, world.certificate), min_size=1, max_size=30))
        assert set(asyncio.run(world.ask(asked))) <= {200, 400, 404, 406, 409, 410, 501}

    answered()


def test_any_requests_are_answered(authority):
    run(authority, 150)


@pytest.mark.long
@pytest.mark.timeout(3600)
def test_a_hundred_thousand_requests_are_answered(authority):
    run(authority, 8000)
