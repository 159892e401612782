"""What a user pool's API makes of bodies that no SDK sends."""

import json

import pytest

from infra.local.cognito import idp
from infra.local.wire import Request

DEEP = b'{"ClientMetadata": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"


async def never(_document):
    raise AssertionError("it was carried out")


@pytest.mark.parametrize("body", [b"{", DEEP], ids=["not JSON", "nested too deeply"])
async def test_what_is_no_json_is_the_callers_error(body):
    headers = {"x-amz-target": "AWSCognitoIdentityProviderService.SignUp"}
    request = Request(service="cognito-idp", method="POST", path="/", headers=headers, body=body)
    answer = await idp.answer("cognito-idp", {"SignUp": never}, request)
    assert (answer.status, json.loads(answer.body)["__type"]) == (400, "SerializationException")
