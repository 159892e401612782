"""Every list of the control and data plane, one item a page: the same as the whole at once."""

import json

import pytest

from tests.integration.iot_devices.test_registry import DOCUMENT

ROLE = "arn:aws:iam::123456789012:role/provisioning"
BODY = json.dumps({"Resources": {"policy": {"Type": "AWS::IoT::Policy", "Properties": {"PolicyName": "p0"}}}})
NUMBERS = range(3)
LISTS = [
    ("list_things", "things", {}),
    ("list_things", "things", {"thingTypeName": "k0"}),
    ("list_thing_types", "thingTypes", {}),
    ("list_thing_groups", "thingGroups", {}),
    ("list_thing_groups_for_thing", "thingGroups", {"thingName": "t0"}),
    ("list_things_in_thing_group", "things", {"thingGroupName": "g0"}),
    ("list_thing_principals", "principals", {"thingName": "t0"}),
    ("list_thing_principals_v2", "thingPrincipalObjects", {"thingName": "t0"}),
    ("list_principal_things", "things", {"principal": ""}),
    ("list_principal_things_v2", "principalThingObjects", {"principal": ""}),
    ("list_certificates", "certificates", {}),
    ("list_certificates", "certificates", {"ascendingOrder": False}),
    ("list_policies", "policies", {}),
    ("list_policies", "policies", {"ascendingOrder": True}),
    ("list_attached_policies", "policies", {"target": ""}),
    ("list_principal_policies", "policies", {"principal": ""}),
    ("list_targets_for_policy", "targets", {"policyName": "p0"}),
    ("list_policy_principals", "principals", {"policyName": "p0"}),
    ("list_authorizers", "authorizers", {}),
    ("list_provisioning_templates", "templates", {}),
    ("list_provisioning_template_versions", "versions", {"templateName": "f0"}),
]


@pytest.fixture
def first(iot):
    """Three of everything; yields the first certificate."""
    certificates = [iot.create_keys_and_certificate()["certificateArn"] for _ in NUMBERS]
    for number in NUMBERS:
        iot.create_thing_type(thingTypeName=f"k{number}")
        iot.create_thing(thingName=f"t{number}", thingTypeName="k0")
        iot.create_policy(policyName=f"p{number}", policyDocument=DOCUMENT)
        iot.create_thing_group(thingGroupName=f"g{number}")
        function = "arn:aws:lambda:us-east-1:123456789012:function:f"
        iot.create_authorizer(authorizerName=f"a{number}", authorizerFunctionArn=function, signingDisabled=True)
        iot.create_provisioning_template(templateName=f"f{number}", provisioningRoleArn=ROLE, templateBody=BODY)
    for one in NUMBERS:
        iot.create_provisioning_template_version(templateName="f0", templateBody=BODY)
        for other in NUMBERS:
            iot.attach_thing_principal(thingName=f"t{one}", principal=certificates[other])
            iot.attach_policy(policyName=f"p{one}", target=certificates[other])
            iot.add_thing_to_thing_group(thingName=f"t{one}", thingGroupName=f"g{other}")
    return certificates[0]


def test_a_list_in_pages_is_the_list(iot, first):
    for operation, key, asked in LISTS:
        ask = {name: value or first for name, value in asked.items()} if "ascendingOrder" not in asked else asked
        whole = getattr(iot, operation)(**ask)[key]
        assert len(whole) >= len(NUMBERS), operation
        pages = list(iot.get_paginator(operation).paginate(**ask, PaginationConfig={"PageSize": 1}))
        assert [len(page[key]) for page in pages] == [1] * len(whole), operation
        assert [page[key][0] for page in pages] == whole, operation


def test_named_shadows_come_25_at_a_time_unless_asked_otherwise(data):
    for number in range(30):
        payload = b'{"state":{"reported":{"a":1}}}'
        data.update_thing_shadow(thingName="t", shadowName=f"s{number:02}", payload=payload)["payload"].read()
    first = data.list_named_shadows_for_thing(thingName="t")
    assert len(first["results"]) == 25
    rest = data.list_named_shadows_for_thing(thingName="t", nextToken=first["nextToken"])
    assert first["results"] + rest["results"] == [f"s{number:02}" for number in range(30)]
    assert "nextToken" not in rest
