"""Phones with identity-pool credentials: role and IoT policy together, guests by their role alone."""

import json
from datetime import timedelta

import pytest

from infra.local.clock import SharedClock
from infra.local.credentials import KeyStore
from infra.local.wire import Caller
from tests.integration.iot_mqtt import sdk
from tests.unit.iot_mqtt.harness import document, statement
from tests.unit.iot_mqtt.test_iam_roles import ROLE, details


def phone(local, identity_id, *, guest=False, lifetime=timedelta(hours=1)):
    keys = KeyStore(local.settings, SharedClock(local.settings.state_dir))
    arn = f"{ROLE.replace('iam', 'sts').replace('role/', 'assumed-role/')}/CognitoIdentityCredentials"
    caller = Caller(arn=arn, kind="cognito", cognito_identity_id=identity_id, cognito_guest=guest)
    return keys.issue(caller, ROLE, lifetime)


def sign_up(local, *documents):
    """An identity under a role that allows everything, and IoT policies of its own."""
    local.aws.iam = details(document(statement("iot:*", "*")))
    identity = f"us-east-1:00000000-0000-0000-0000-{local.name(''):0>12}"
    for one in documents:
        policy = local.name("live")
        local.iot.create_policy(policyName=policy, policyDocument=json.dumps(one))
        local.iot.attach_policy(policyName=policy, target=identity)
    return identity


@pytest.fixture
def live(local):
    return sign_up(local, document(statement("iot:Connect", "client/${cognito-identity.amazonaws.com:sub}*")))


def test_a_signed_in_identity_needs_role_and_policy(local, live):
    one = sdk.Sdk5(local, "sigv4", f"{live}-phone", issued=phone(local, live))
    assert one.connect() is False
    one.stop()
    stranger = "us-east-1:11111111-1111-1111-1111-111111111111"
    other = sdk.Sdk5(local, "sigv4", f"{stranger}-phone", issued=phone(local, stranger))
    with pytest.raises(sdk.Refused, match="135"):
        other.connect()
    other.stop()


def test_a_guest_is_judged_by_its_role_alone(local, live):
    stranger = "us-east-1:22222222-2222-2222-2222-222222222222"
    one = sdk.Sdk5(local, "sigv4", "guest", issued=phone(local, stranger, guest=True))
    assert one.connect() is False
    one.stop()


def test_expired_credentials_do_not_connect(local, live):
    issued = phone(local, live, lifetime=timedelta(seconds=-1))
    one = sdk.Sdk5(local, "sigv4", f"{live}-phone", issued=issued)
    with pytest.raises(sdk.Refused):
        one.connect()
    one.stop()
