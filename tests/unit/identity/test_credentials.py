"""Temporary credentials: judged without a store, by any process that shares the secret, until the clock passes them."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from infra.local.clock import ManualClock
from infra.local.config import Settings
from infra.local.credentials import KeyStore
from infra.local.sigv4 import SignatureError, Verified
from infra.local.wire import Caller

ROLE = "arn:aws:iam::123456789012:role/reader"
CALLER = Caller(
    arn="arn:aws:sts::123456789012:assumed-role/reader/session",
    kind="cognito",
    cognito_identity_id="us-east-1:1",
    cognito_identity_pool_id="us-east-1:2",
)


@pytest.fixture
def clock():
    return ManualClock(datetime(2026, 1, 1, tzinfo=UTC))


def store(clock, secret="shared"):
    return KeyStore(Settings(state_dir=Path(), service_secret=secret, secret_access_key="owner's"), clock)


def signed_by(credentials):
    return Verified(
        access_key_id=credentials.access_key_id,
        region="us-east-1",
        service="dynamodb",
        session_token=credentials.session_token,
        presigned=False,
    )


def test_another_process_with_the_same_secret_finds_who_they_were_issued_to(clock):
    issued = store(clock).issue(CALLER, ROLE, timedelta(hours=1), role_id="AROA1")
    record = store(clock).authenticate(signed_by(issued))
    assert record.caller == CALLER
    assert (record.role_arn, record.user_id) == (ROLE, "AROA1:session")
    assert record.secret_access_key == issued.secret_access_key
    assert record.expires_at == issued.expires_at == clock.now() + timedelta(hours=1)


def test_another_local_cloud_does_not_know_them(clock):
    issued = store(clock).issue(CALLER, ROLE, timedelta(hours=1))
    assert store(clock, "another").find(issued.access_key_id, issued.session_token) is None


def test_they_expire_by_the_clock(clock):
    keys = store(clock)
    issued = keys.issue(CALLER, ROLE, timedelta(hours=1))
    clock.move(timedelta(hours=1))
    with pytest.raises(SignatureError) as refused:
        keys.authenticate(signed_by(issued))
    assert refused.value.kind == "ExpiredToken"


@pytest.mark.parametrize(
    "spoil", [lambda t: None, lambda t: "", lambda t: "x" + t, lambda t: t[:-8] + "AAAAAAAA", lambda t: "é"]
)
def test_a_touched_token_is_no_token(clock, spoil):
    keys = store(clock)
    issued = keys.issue(CALLER, ROLE, timedelta(hours=1))
    assert keys.find(issued.access_key_id, spoil(issued.session_token)) is None


def test_one_key_s_token_does_not_serve_another_key(clock):
    keys = store(clock)
    one, other = (keys.issue(CALLER, ROLE, timedelta(hours=1)) for _ in range(2))
    assert keys.find(one.access_key_id, other.session_token) is None
    assert one.secret_access_key != other.secret_access_key


def test_the_owner_signs_without_a_token(clock):
    keys = store(clock)
    assert keys.secret_for(keys.owner.access_key_id, None) == "owner's"
    assert keys.secret_for(keys.owner.access_key_id, "token") is None
    assert keys.authenticate(signed_by(keys.owner)).role_arn is None
