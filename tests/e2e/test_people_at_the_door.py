"""Which tokens count at the HTTP API."""

import base64
import hashlib
import hmac
import json
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from jwt.algorithms import RSAAlgorithm

from scripts.main_job.phone import Phone
from tests.e2e.conftest import World


def _parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    return jwt.get_unverified_header(token), jwt.decode(token, options={"verify_signature": False})


def _b64(document: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(document).encode()).rstrip(b"=").decode()


def _jwks(world: World) -> list[dict[str, Any]]:
    from urllib.request import urlopen

    pool = world.outputs["UserPoolId"]
    url = f"{world.cloud.settings.endpoint_url}/{pool}/.well-known/jwks.json"
    with urlopen(url, timeout=60) as answer:
        return json.loads(answer.read())["keys"]


def _unsigned(world: World, token: str) -> str:
    header, claims = _parts(token)
    return f"{_b64({**header, 'alg': 'none'})}.{_b64(claims)}."


def _signed_by_the_public_key(world: World, token: str) -> str:
    """The algorithm confusion: HS256 with the text of the public RSA key as its secret."""
    header, claims = _parts(token)
    [key] = [key for key in _jwks(world) if key["kid"] == header["kid"]]
    public = RSAAlgorithm.from_jwk(key).public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    body = f"{_b64({**header, 'alg': 'HS256'})}.{_b64(claims)}"
    signature = hmac.new(public, body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(signature).rstrip(b'=').decode()}"


def _signed_by_somebody(world: World, token: str) -> str:
    header, claims = _parts(token)
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return jwt.encode(claims, key, algorithm="RS256", headers={"kid": header["kid"]})


def _tampered(world: World, token: str) -> str:
    head, _, signature = token.split(".")
    _, claims = _parts(token)
    return f"{head}.{_b64({**claims, 'sub': 'somebody-else'})}.{signature}"


def _of_another_pool(world: World, _token: str) -> str:
    cognito = world.operator.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName="another")["UserPool"]["Id"]
    client = cognito.create_user_pool_client(
        UserPoolId=pool,
        ClientName="c",
        ExplicitAuthFlows=["ALLOW_ADMIN_USER_PASSWORD_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"],
    )["UserPoolClient"]["ClientId"]
    cognito.admin_create_user(UserPoolId=pool, Username="ada", MessageAction="SUPPRESS")
    cognito.admin_set_user_password(UserPoolId=pool, Username="ada", Password="Fieldline-12345-X", Permanent=True)
    return cognito.admin_initiate_auth(
        UserPoolId=pool,
        ClientId=client,
        AuthFlow="ADMIN_USER_PASSWORD_AUTH",
        AuthParameters={"USERNAME": "ada", "PASSWORD": "Fieldline-12345-X"},
    )["AuthenticationResult"]["AccessToken"]


def _rubbish(_world: World, _token: str) -> str:
    return "not.a.token"


@pytest.mark.parametrize(
    "forge", [_unsigned, _signed_by_the_public_key, _signed_by_somebody, _tampered, _of_another_pool, _rubbish]
)
def test_a_token_that_the_pool_did_not_sign_gets_401(world: World, phone: Phone, forge):
    status, answer = world.http("GET", "/v1/devices", forge(world, phone.token))
    assert (status, answer) == (401, {"message": "Unauthorized"})


def test_the_token_in_good_order_is_taken(world: World, phone: Phone):
    assert world.http("GET", "/v1/devices", phone.token)[0] == 200
