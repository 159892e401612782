import json
from pathlib import Path
from urllib.parse import quote

import pytest

from infra.local.config import Settings
from infra.local.iot.doors.iam_roles import RolePolicies
from infra.local.iot.message import Principal
from infra.local.iot.policy import Context
from tests.unit.iot_mqtt.harness import ARN, document, statement

ROLE = "arn:aws:iam::123456789012:role/phone"


def details(inline: dict, *, managed: dict | None = None, boundary: dict | None = None) -> str:
    """What IAM answers to GetAccountAuthorizationDetails."""
    attached = boundaries = policies = ""
    for name, one in (("managed", managed), ("boundary", boundary)):
        if one is not None:
            arn = f"arn:aws:iam::123456789012:policy/{name}"
            policies += (
                f"<member><Arn>{arn}</Arn><PolicyVersionList><member><Document>{quote(json.dumps(one))}</Document>"
                "<IsDefaultVersion>true</IsDefaultVersion></member></PolicyVersionList></member>"
            )
            if name == "managed":
                attached = f"<member><PolicyArn>{arn}</PolicyArn></member>"
            else:
                boundaries = (
                    f"<PermissionsBoundary><PermissionsBoundaryArn>{arn}</PermissionsBoundaryArn></PermissionsBoundary>"
                )
    return (
        '<R xmlns="https://iam.amazonaws.com/doc/2010-05-08/"><X><RoleDetailList><member>'
        f"<Arn>{ROLE}</Arn><RolePolicyList><member><PolicyDocument>{quote(json.dumps(inline))}</PolicyDocument></member>"
        f"</RolePolicyList><AttachedManagedPolicies>{attached}</AttachedManagedPolicies>{boundaries}"
        f"</member></RoleDetailList><Policies>{policies}</Policies></X></R>"
    )


CONNECT = document(statement("iot:Connect", "client/${cognito-identity.amazonaws.com:sub}"))
PUBLISH = document(statement("iot:Publish", "topic/a"))


@pytest.mark.parametrize(
    ("loaded", "action", "resource", "allowed"),
    [
        (details(CONNECT), "iot:Connect", "client/us-east-1:1", True),
        (details(CONNECT), "iot:Connect", "client/other", False),
        (details(CONNECT), "iot:Publish", "topic/a", False),
        (details(CONNECT, managed=PUBLISH), "iot:Publish", "topic/a", True),
        (details(CONNECT, managed=PUBLISH, boundary=CONNECT), "iot:Publish", "topic/a", False),
        (details(CONNECT, managed=PUBLISH, boundary=CONNECT), "iot:Connect", "client/us-east-1:1", True),
    ],
)
def test_a_role_may_what_its_policies_and_its_boundary_allow(loaded, action, resource, allowed):
    roles = RolePolicies(Settings(state_dir=Path("unused")))
    roles._load(loaded)
    context = Context(client_id="us-east-1:1", cognito_sub="us-east-1:1")
    principal = Principal(kind="cognito", id="x", role_arn=ROLE)
    decision = roles.decide(principal, action, ARN + resource, context)
    assert decision.allowed == allowed
    assert ROLE in decision.by


def test_a_statement_of_the_role_that_denies_is_told():
    roles = RolePolicies(Settings(state_dir=Path("unused")))
    roles._load(details(document(statement("iot:*", "*"), statement("iot:Publish", "topic/a", effect="Deny"))))
    principal = Principal(kind="iam", id="x", role_arn=ROLE)
    refused = roles.decide(principal, "iot:Publish", ARN + "topic/a", Context())
    assert (refused.denied, refused.considered[0].effect) == (True, "Deny")
    assert not roles.decide(principal, "s3:GetObject", ARN + "topic/b", Context()).denied


def test_the_owner_may_everything_and_an_unknown_role_nothing():
    roles = RolePolicies(Settings(state_dir=Path("unused")))
    assert roles.decide(Principal(kind="iam", id="1"), "iot:Publish", ARN + "topic/a", Context()).allowed
    unknown = Principal(kind="iam", id="1", role_arn=ROLE)
    assert not roles.decide(unknown, "iot:Publish", ARN + "topic/a", Context()).allowed


async def test_without_iam_every_role_may_everything_and_nothing_is_asked():
    roles = RolePolicies(Settings(state_dir=Path("unused"), iam=False))
    await roles.refresh()
    principal = Principal(kind="cognito", id="x", role_arn=ROLE)
    assert roles.decide(principal, "iot:Publish", ARN + "topic/a", Context()).allowed
    assert (await roles.judge(ROLE))("CreateThing", {"thingName": "t"}) == ""
