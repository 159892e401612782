"""The MQTT door: who shows a valid access token listens to their own topics, and nobody else listens to anything."""

import base64
import hmac
import json
from collections.abc import Mapping
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from backend.domain.access import live_policy
from backend.domain.tokens import verify
from backend.errors import UnauthenticatedError
from backend.services.doorkeeper import Doorkeeper
from tests.unit.backend.fakes import NOW, FakeProfiles, ManualClock

ISSUER, CLIENT = "https://cognito-idp.us-east-1.amazonaws.com/us-east-1_pool", "client-1"
KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
OTHER_KEY = rsa.generate_private_key(public_exponent=65537, key_size=2048)
KEYS = {"k1": json.loads(RSAAlgorithm.to_jwk(KEY.public_key()))}
NOW_S = NOW.timestamp()
GOOD = {"sub": "user-1", "iss": ISSUER, "client_id": CLIENT, "token_use": "access", "exp": int(NOW_S) + 600}


class Keys:
    """Keys that were changed behind our back."""

    def __init__(self) -> None:
        self.read = 0

    def current(self) -> Mapping[str, Mapping[str, str]]:
        return {}

    def refreshed(self) -> Mapping[str, Mapping[str, str]]:
        self.read += 1
        return KEYS


def token(key: Any = KEY, kid: str = "k1", **changes: Any) -> str:
    claims = {name: value for name, value in {**GOOD, **changes}.items() if value is not None}
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": kid})


def part(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).decode().rstrip("=")


def confused() -> str:
    """Return a token signed HS256 with the public key as secret."""
    pem = KEY.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    signed = f"{part({'alg': 'HS256', 'kid': 'k1'})}.{part(GOOD)}"
    signature = hmac.new(pem, signed.encode(), "sha256").digest()
    return f"{signed}.{base64.urlsafe_b64encode(signature).decode().rstrip('=')}"


REFUSED: dict[str, Any] = {
    "nothing": "",
    "no token": "password",
    "three dots of nothing": "a.b.c",
    "expired at this moment": token(exp=int(NOW_S)),
    "without an end": token(exp=None),
    "of another pool": token(iss=ISSUER + "x"),
    "of another client": token(client_id="client-2"),
    "an ID token": token(token_use="id"),
    "of nobody": token(sub=None),
    "signed by another key": token(key=OTHER_KEY),
    "of an unknown key": token(kid="k2"),
    "signed by the public key": confused(),
    "unsigned": f"{part({'alg': 'none', 'kid': 'k1'})}.{part(GOOD)}.",
    "changed after signing": ".".join([token().split(".")[0], part({**GOOD, "sub": "user-2"}), token().split(".")[2]]),
    "a list": f"{part([])}.{part([])}.{part([])}",
    "too long": "a" * 9_000,
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_access_token_of_this_app_is_refused(name: str) -> None:
    with pytest.raises(UnauthenticatedError):
        verify(REFUSED[name], KEYS, issuer=ISSUER, client=CLIENT, now_s=NOW_S)


def test_a_good_token_says_who_it_is() -> None:
    assert verify(token(), KEYS, issuer=ISSUER, client=CLIENT, now_s=NOW_S)["sub"] == "user-1"


def test_keys_are_read_anew_once_for_a_key_that_is_not_known() -> None:
    keys = Keys()
    keeper = Doorkeeper(keys=keys, closed=FakeProfiles(), issuer=ISSUER, client=CLIENT, clock=ManualClock())
    admitted = keeper.admit(token())
    assert (admitted.user, admitted.seconds, keys.read) == ("user-1", 600, 1)


def test_a_connection_ends_with_the_token_within_what_aws_allows() -> None:
    keeper = Doorkeeper(keys=Keys(), closed=FakeProfiles(), issuer=ISSUER, client=CLIENT, clock=ManualClock())
    assert keeper.admit(token(exp=int(NOW_S) + 10)).seconds == 300
    assert keeper.admit(token(exp=int(NOW_S) + 10**6)).seconds == 86_400


def test_a_token_that_outlives_its_account_opens_no_connection() -> None:
    closed = FakeProfiles()
    keeper = Doorkeeper(keys=Keys(), closed=closed, issuer=ISSUER, client=CLIENT, clock=ManualClock())
    assert keeper.admit(token()).user == "user-1"
    closed.closed.add("user-1")
    with pytest.raises(UnauthenticatedError):
        keeper.admit(token())


def test_the_policy_is_the_same_for_everybody_but_for_the_name() -> None:
    ann, bob = (live_policy(user, stage="dev", arn_prefix="arn:aws:iot:r:a") for user in ("ann", "bob"))
    assert json.dumps(ann).replace("ann", "bob") == json.dumps(bob)
    assert len(json.dumps(ann)) < 2_048
