"""A user pool behind a real port, and the real clients that use it."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore import UNSIGNED
from botocore.config import Config

from infra.local.clock import ManualClock
from infra.local.cognito.idp import CognitoIdp
from infra.local.cognito.tokens import SigningKeys
from tests.integration.identity.server import serving

REGION = "us-east-1"
KEYS = [SigningKeys.generate() for _ in range(2)]


@dataclass
class Answer:
    """What a function gave back."""

    payload: bytes = b"{}"
    function_error: str | None = None
    status: int = 200


class Functions:
    """The Functions room, played: each function is a Python callable that takes and gives an event."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []
        self.handlers: dict[str, Callable[[dict[str, Any]], Any]] = {}

    async def __call__(self, arn_or_name, payload, *, caller):
        import json

        event = json.loads(payload)
        self.calls.append((arn_or_name, event))
        assert caller.kind == "service"
        assert caller.source_arn.endswith(event["userPoolId"])
        try:
            return Answer(json.dumps(self.handlers[arn_or_name](event)).encode())
        except ValueError as error:
            return Answer(json.dumps({"errorMessage": str(error), "errorType": "ValueError"}).encode(), "Unhandled")


@dataclass
class House:
    """One local Cognito under test."""

    url: str
    idp: CognitoIdp
    clock: ManualClock
    functions: Functions
    client: Any
    admin: Any

    def pool(self, **settings):
        """Make a pool that people sign in to by e-mail, and its client."""
        flows = ["ALLOW_USER_SRP_AUTH", "ALLOW_REFRESH_TOKEN_AUTH", "ALLOW_USER_PASSWORD_AUTH"]
        client_settings = {"ExplicitAuthFlows": flows, **settings.pop("client", {})}
        defaults = {"UsernameAttributes": ["email"], "AutoVerifiedAttributes": ["email"]}
        pool_id = self.admin.create_user_pool(PoolName="people", **{**defaults, **settings})["UserPool"]["Id"]
        app = self.admin.create_user_pool_client(UserPoolId=pool_id, ClientName="phone", **client_settings)
        return pool_id, app["UserPoolClient"]["ClientId"]

    def person(self, client_id, email="ada@example.org", password="Correct-Horse-1"):
        """Sign somebody up and confirm them by the code from the inbox."""
        self.client.sign_up(ClientId=client_id, Username=email, Password=password)
        code = self.idp.inbox.last_code(email)
        self.client.confirm_sign_up(ClientId=client_id, Username=email, ConfirmationCode=code)
        return email, password

    def sign_in(self, client_id, email="ada@example.org", password="Correct-Horse-1"):
        """Sign in by sending the password."""
        return self.client.initiate_auth(
            ClientId=client_id,
            AuthFlow="USER_PASSWORD_AUTH",
            AuthParameters={"USERNAME": email, "PASSWORD": password},
        )


@pytest.fixture
def house(tmp_path):
    """Yield a Cognito on a port of its own, its clock standing still at the start of 2030."""
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    functions = Functions()
    keys = iter(KEYS)
    idp = CognitoIdp(clock, REGION, tmp_path, functions, make_keys=lambda: next(keys))
    with serving({"AWSCognitoIdentityProviderService": idp.handle, "get": idp.handle}) as url:

        def client(**more):
            return boto3.client(
                "cognito-idp",
                region_name=REGION,
                endpoint_url=url,
                aws_access_key_id="x",
                aws_secret_access_key="x",
                config=Config(retries={"total_max_attempts": 1}, **more),
            )

        public = client(signature_version=UNSIGNED)
        admin = client()
        yield House(url=url, idp=idp, clock=clock, functions=functions, client=public, admin=admin)
        public.close()
        admin.close()
