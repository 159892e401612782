"""Templates with anything anywhere: refused when stored, or a device gets all of it or nothing; never a defect."""

import asyncio
import copy
import json
from collections import Counter

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.iot.errors import IotError
from tests.unit.iot_provisioning.conftest import POLICY, TEMPLATE, Fleet

TEXTS = st.sampled_from(
    ["", "x", "lamp-1", "fleet", "bulb", "device", "ACTIVE", json.dumps(POLICY), "a b", "${SerialNumber}", "${"]
)
FUNCTIONS = ["Ref", "Fn::Join", "Fn::Select", "Fn::Split", "Fn::Sub", "Fn::FindInMap", "Fn::Nope"]
REFERENCES = st.sampled_from([{"Ref": name} for name in ("SerialNumber", "Location", "AWS::IoT::Certificate::Id")])
ANYTHING = st.recursive(
    TEXTS | REFERENCES | st.none() | st.booleans() | st.integers(-1, 2),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from([*FUNCTIONS, "a"]), inner, min_size=1, max_size=1)
        | inner.map(lambda one: {"Fn::Join": ["-", [one, "x"]]})
        | inner.map(lambda one: {"Fn::Select": ["0", [one]]})
        | inner.map(lambda one: {"Fn::Sub": ["${a}", {"a": one}]})
        | inner.map(lambda one: {"Fn::FindInMap": ["Urls", one, "url"]})
    ),
    max_leaves=4,
)
HOW = st.sampled_from(["REPLACE", "MERGE", "FAIL", "DO_NOTHING"])
SETTINGS = st.dictionaries(st.sampled_from(["AttributePayload", "THING_GROUPS", "ThingTypeName"]), HOW, max_size=2)


def places(value, way=()):
    """Yield the way to everything in a document."""
    for key in value if isinstance(value, dict) else range(len(value)) if isinstance(value, list) else ():
        yield (*way, key)
        yield from places(value[key], (*way, key))


@st.composite
def templates(draw):
    template = copy.deepcopy(TEMPLATE)
    template["Resources"]["thing"]["OverrideSettings"] = draw(SETTINGS)
    for _ in range(draw(st.integers(0, 2))):
        *way, last = draw(st.sampled_from(list(places(template))))
        place = template
        for key in way:
            place = place[key]
        place[last] = copy.deepcopy(draw(ANYTHING))  # what is sampled is one object, and the next change goes into it
    return template


async def provision(fleet, template):
    """Return what became of a device: refused, rejected or accepted."""
    try:
        fleet.create(template)
    except IotError:
        return "refused"
    made, before = await fleet.claim(), seen(fleet)
    outcome, answer = await fleet.register(made, SerialNumber="1")
    if outcome == "rejected":
        assert answer["statusCode"] in {400, 404, 409}, answer
        assert seen(fleet) == before
        assert fleet.status(made) == "PENDING_ACTIVATION"
    return outcome


def seen(fleet):
    policies = fleet.call("ListPolicies", {})["policies"]
    return fleet.call("ListThings", {})["things"], [one["policyName"] for one in policies]


def test_a_device_gets_all_of_a_template_or_nothing(tmp_path):
    outcomes: Counter[str] = Counter()

    @settings(max_examples=300, deadline=None, database=None, suppress_health_check=list(HealthCheck))
    @given(template=templates(), known=st.booleans())
    def whole_or_nothing(template, known):
        async def one():
            fleet = Fleet(tmp_path)
            if known:
                fleet.call("CreateThing", {"thingName": "lamp-1", "attributePayload": {"attributes": {"old": "1"}}})
            outcomes[await provision(fleet, template)] += 1
            await fleet.provisioning.stop()

        asyncio.run(one())

    whole_or_nothing()
    assert set(outcomes) == {"refused", "rejected", "accepted"}
