"""Phones with identity-pool credentials: role and IoT policy together, guests by their role alone."""

import json
from datetime import timedelta

import awscrt.auth
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


def client(local, monkeypatch, issued, client_id):
    provider = awscrt.auth.AwsCredentialsProvider.new_static(
        issued.access_key_id, issued.secret_access_key, issued.session_token
    )
    monkeypatch.setattr(sdk, "_credentials", lambda _: provider)
    return sdk.Sdk5(local, "sigv4", client_id)


@pytest.fixture
def live(local):
    """A role that lets every phone in, and an IoT policy for one of them."""
    local.aws.iam = details(document(statement("iot:*", "*")))
    identity = f"us-east-1:00000000-0000-0000-0000-00000000000{local.name('')}"
    policy = local.name("live")
    own = document(statement("iot:Connect", "client/${cognito-identity.amazonaws.com:sub}*"))
    local.iot.create_policy(policyName=policy, policyDocument=json.dumps(own))
    local.iot.attach_policy(policyName=policy, target=identity)
    return identity


def test_a_signed_in_identity_needs_role_and_policy(local, monkeypatch, live):
    one = client(local, monkeypatch, phone(local, live), f"{live}-phone")
    assert one.connect() is False
    one.stop()
    stranger = "us-east-1:11111111-1111-1111-1111-111111111111"
    other = client(local, monkeypatch, phone(local, stranger), f"{stranger}-phone")
    with pytest.raises(sdk.Refused, match="135"):
        other.connect()
    other.stop()


def test_a_guest_is_judged_by_its_role_alone(local, monkeypatch, live):
    stranger = "us-east-1:22222222-2222-2222-2222-222222222222"
    one = client(local, monkeypatch, phone(local, stranger, guest=True), "guest")
    assert one.connect() is False
    one.stop()


def test_expired_credentials_do_not_connect(local, monkeypatch, live):
    issued = phone(local, live, lifetime=timedelta(seconds=-1))
    one = client(local, monkeypatch, issued, f"{live}-phone")
    with pytest.raises(sdk.Refused):
        one.connect()
    one.stop()
