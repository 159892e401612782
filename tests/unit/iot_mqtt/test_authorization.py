"""Grants: which policies are asked for which kind of principal, and how often."""

import pytest

from infra.local.iot.message import Principal, Thing
from infra.local.iot.mqtt.authorization import Authorizer
from infra.local.iot.mqtt.denials import DenialLog
from infra.local.iot.policy import Decision
from tests.unit.iot_mqtt.harness import ARN, FakePrincipals, document, statement

TOPIC = document(statement("iot:Publish", "topic/a"))


def authorizer(principals, *, role_allows=True):
    def role_decision(principal, action, resource, context):
        return Decision(allowed=role_allows, by="role")

    return Authorizer(
        principals=principals,
        denials=DenialLog(None, lambda: 0.0),
        arn_prefix=ARN,
        certificate_facts=lambda der: {"Subject.CommonName": (der.decode(),)},
        role_decision=role_decision,
    )


@pytest.mark.parametrize(
    ("kind", "role_allows", "attached", "allowed"),
    [
        ("cognito", True, True, True),
        ("cognito", True, False, False),
        ("cognito", False, True, False),
        ("iam", True, False, True),
        ("iam", False, True, False),
        ("certificate", False, True, True),
        ("certificate", True, False, False),
    ],
)
def test_signed_in_identities_need_role_and_policy_and_others_their_own(kind, role_allows, attached, allowed):
    principals = FakePrincipals()
    principals.default = [TOPIC] if attached else []
    principal = Principal(kind=kind, id="p", cognito_identity_id="us-east-1:1" if kind == "cognito" else None)
    grants = authorizer(principals, role_allows=role_allows).grants(principal, "c", "192.0.2.1")
    assert grants.may_publish("a") == allowed


def test_thing_and_certificate_facts_resolve_variables():
    principals = FakePrincipals()
    principals.things["t1"] = Thing(name="t1", attributes={"room": "r1"})
    names = ["topic/${iot:Connection.Thing.ThingName}/${iot:Connection.Thing.Attributes[room]}"]
    principals.default = [
        document(statement("iot:Publish", [*names, "topic/cn/${iot:Certificate.Subject.CommonName}"]))
    ]
    principal = Principal(kind="certificate", id="p", certificate_der=b"name")
    made = authorizer(principals)
    assert made.grants(principal, "t1", "").may_publish("t1/r1")
    assert made.grants(principal, "t1", "").may_publish("cn/name")
    assert not made.grants(principal, "other", "").may_publish("t1/r1")
    assert not made.grants(principal, None, "").may_publish("t1/r1")


def test_a_decision_is_made_once_until_it_is_forgotten_and_refusals_are_written_each_time():
    asked = []

    class Counting(FakePrincipals):
        def documents(self, principal, client_id=None):
            asked.append((principal.id, client_id))
            return super().documents(principal)

    principals = Counting()
    principals.default = [TOPIC]
    made = authorizer(principals)
    grants = made.grants(Principal(kind="certificate", id="p"), "c", "")
    assert [grants.may_publish("a") for _ in range(3)] == [True] * 3
    assert [grants.may_publish("b") for _ in range(3)] == [False] * 3
    assert asked == [("p", "c")]
    assert made.denials.total == 3
    assert "no thing of this certificate" in made.denials.entries()[0]["missing"]
    principals.default = []
    grants.forget()
    assert not grants.may_publish("a")
    assert asked == [("p", "c")] * 2


def test_a_broken_document_is_ignored_and_said():
    principals = FakePrincipals()
    principals.default = [{"Version": "2008-10-17", "Statement": []}, TOPIC]
    made = authorizer(principals)
    assert made.grants(Principal(kind="certificate", id="p"), "c", "").may_publish("a")
    assert "ignored" in made.denials.entries()[0]
