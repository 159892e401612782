"""Whatever a request of the right shape says, Cognito answers it or refuses it; it never breaks."""

import json
import random
from datetime import UTC, datetime, timedelta

import pytest

from infra.local.clock import ManualClock
from infra.local.cognito.identity_pools import CognitoIdentity
from infra.local.cognito.idp import CognitoIdp, service_model
from infra.local.cognito.tokens import SigningKeys
from infra.local.wire import Request

KEYS = SigningKeys.generate()
PASSWORD = "Correct-Horse-1"


class Dice:
    """Requests from botocore's own shapes, with names and tokens that exist mixed in."""

    def __init__(self, seed):
        self.pick = random.Random(seed)
        self.known = {
            "Username": ["ada@example.org", "eve@example.org"],
            "Password": [PASSWORD],
            "USERNAME": ["ada@example.org"],
            "GroupName": ["g"],
        }

    def value(self, shape, name=""):
        known = self.known.get(name)
        if known and self.pick.random() < 0.9:
            return self.pick.choice(known)
        kind = shape.type_name
        if kind == "structure":
            chance = 0.3
            return {
                key: self.value(member, key)
                for key, member in shape.members.items()
                if key in shape.required_members or self.pick.random() < chance
            }
        if kind == "list":
            return [self.value(shape.member, name) for _ in range(self.pick.randint(0, 2))]
        if kind == "map":
            keys = ["USERNAME", "PASSWORD", "SRP_A", "REFRESH_TOKEN", "ANSWER", "NEW_PASSWORD", "SECRET_HASH", "x"]
            return {key: self.value(shape.value, key) for key in self.pick.sample(keys, self.pick.randint(0, 4))}
        return self.scalar(shape, kind)

    def scalar(self, shape, kind):
        if kind == "boolean":
            return self.pick.random() < 0.5
        if kind in ("integer", "long"):
            return self.pick.choice([1, 5, 60, 100000])
        if getattr(shape, "enum", None) and self.pick.random() < 0.95:
            return self.pick.choice(shape.enum)
        return self.pick.choice(
            ["", "email", "custom:x", "ada@example.org", "a.b.c", "0", "ü" * 20, "12345678", "us-east-1_x"]
        )

    def learn(self, document):
        """Remember what an answer names, so that later requests name it too."""
        if isinstance(document, dict):
            for key, value in document.items():
                if isinstance(value, str) and key.endswith(("Id", "Token", "Session")):
                    self.known.setdefault({"Id": "UserPoolId"}.get(key, key), []).append(value)
                    if key.endswith("Token"):
                        self.known.setdefault("Token", []).append(value)
                self.learn(value)
        elif isinstance(document, list):
            for value in document:
                self.learn(value)


class NoFunctions:
    async def __call__(self, arn_or_name, payload, *, caller):
        raise TimeoutError


class NoRoles:
    async def find(self, role_arn):
        return None


async def play(tmp_path, seed, count):
    clock = ManualClock(datetime(2030, 1, 1, tzinfo=UTC))
    idp = CognitoIdp(clock, "us-east-1", tmp_path, NoFunctions(), make_keys=lambda: KEYS)
    identity = CognitoIdentity(clock, "us-east-1", idp, NoRoles())
    dice = Dice(seed)
    statuses = {200: 0, 400: 0}

    async def call(service, handle, operation, params):
        headers = {"x-amz-target": f"X.{operation}"}
        request = Request(service=service, method="POST", path="/", headers=headers, body=json.dumps(params).encode())
        answer = await handle(request)
        statuses[answer.status] += 1
        document = json.loads(answer.body)
        assert answer.status == 200 or document["message"], operation
        dice.learn(document)
        return document

    async def ours(operation, **params):
        return await call("cognito-idp", idp.handle, operation, params)

    pool = (await ours("CreateUserPool", PoolName="p", UsernameAttributes=["email"]))["UserPool"]["Id"]
    flows = ["ALLOW_USER_PASSWORD_AUTH", "ALLOW_USER_SRP_AUTH", "ALLOW_CUSTOM_AUTH", "ALLOW_REFRESH_TOKEN_AUTH"]
    made = await ours("CreateUserPoolClient", UserPoolId=pool, ClientName="c", ExplicitAuthFlows=flows)
    await ours("SignUp", ClientId=made["UserPoolClient"]["ClientId"], Username="ada@example.org", Password=PASSWORD)
    await ours("AdminConfirmSignUp", UserPoolId=pool, Username="ada@example.org")
    handles = {"cognito-idp": idp.handle, "cognito-identity": identity.handle}
    operations = [
        (service, name)
        for service in handles
        for name in service_model(service).operation_names
        if not name.startswith(("DeleteUserPool", "DeleteIdentityPool")) or dice.pick.random() < 0.1
    ]
    for _ in range(count):
        service, operation = dice.pick.choice(operations)
        params = dice.value(service_model(service).operation_model(operation).input_shape)
        await call(service, handles[service], operation, params)
        if dice.pick.random() < 0.02:
            clock.move(timedelta(minutes=dice.pick.choice([1, 30, 3000])))
    return statuses


async def test_no_request_of_the_right_shape_breaks_it(tmp_path):
    statuses = await play(tmp_path, seed=3, count=1500)
    assert min(statuses.values()) > 50


@pytest.mark.long
@pytest.mark.timeout(900)
async def test_nor_do_twenty_thousand(tmp_path):
    for seed in range(10):
        await play(tmp_path, seed=seed, count=2000)
