"""A sign-in becomes AWS credentials: stable ids, verified logins, mapped and trusted roles, an end in sight."""

import contextlib
from datetime import timedelta
from typing import Any, cast

import boto3
import jwt
import pytest
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError

from infra.local.cognito.identity_pools import CognitoIdentity
from infra.local.config import Settings
from infra.local.credentials import KeyStore
from infra.local.iam_roles import RolePolicies
from infra.local.sts import Sts
from infra.local.wire import Caller, Request
from tests.integration.identity.server import serving
from tests.integration.identity.test_user_pools import refused
from tests.unit.identity.fake_iam import FakeIam, statement

FEDERATED = {"Federated": "cognito-identity.amazonaws.com"}
BY_TOKEN = "sts:AssumeRoleWithWebIdentity"


def trust(pool_id, amr="authenticated"):
    return statement(
        Principal=FEDERATED,
        Action=BY_TOKEN,
        Condition={
            "StringEquals": {"cognito-identity.amazonaws.com:aud": pool_id},
            "ForAnyValue:StringLike": {"cognito-identity.amazonaws.com:amr": amr},
        },
    )


class Bank:
    """A user pool with somebody in it, an identity pool beside it, and STS behind."""

    def __init__(self, house, stack, tmp_path):
        self.house = house
        self.iam = FakeIam()
        self.keys = KeyStore(Settings(state_dir=tmp_path), house.clock)
        self.roles = RolePolicies(self.iam)
        self.sts = Sts(self.keys, self.roles)
        service = CognitoIdentity(house.clock, "us-east-1", house.idp, self.sts)
        url = stack.enter_context(serving({"AWSCognitoIdentityService": service.handle}))
        self.client = boto3.client(
            "cognito-identity", region_name="us-east-1", endpoint_url=url, config=Config(signature_version=UNSIGNED)
        )
        stack.callback(self.client.close)
        self.user_pool, self.app = house.pool()
        house.person(self.app)
        self.provider = f"cognito-idp.us-east-1.amazonaws.com/{self.user_pool}"
        self.pool_id = self.pool()
        self.role = self.iam.add("phones", trust=trust(self.pool_id))
        self.client.set_identity_pool_roles(IdentityPoolId=self.pool_id, Roles={"authenticated": self.role})

    def pool(self, **settings):
        providers = [{"ProviderName": self.provider, "ClientId": self.app, "ServerSideTokenCheck": True}]
        defaults = {"AllowUnauthenticatedIdentities": False, "CognitoIdentityProviders": providers}
        return self.client.create_identity_pool(IdentityPoolName="p", **{**defaults, **settings})["IdentityPoolId"]

    def tokens(self, **who):
        return self.house.sign_in(self.app, **who)["AuthenticationResult"]

    def logins(self, token=None):
        return {self.provider: token or self.tokens()["IdToken"]}

    def map_roles(self, **mapping):
        self.client.set_identity_pool_roles(
            IdentityPoolId=self.pool_id,
            Roles={"authenticated": self.role},
            RoleMappings={f"{self.provider}:{self.app}": cast("Any", mapping)},
        )

    def credentials(self, logins=None, **more):
        logins = logins or self.logins()
        identity = self.client.get_id(IdentityPoolId=self.pool_id, Logins=logins)["IdentityId"]
        return self.client.get_credentials_for_identity(IdentityId=identity, Logins=logins, **more)

    def role_of(self, answer):
        credentials = answer["Credentials"]
        record = self.keys.find(credentials["AccessKeyId"], credentials["SessionToken"])
        return record and record.role_arn


@pytest.fixture
def bank(house, tmp_path):
    with contextlib.ExitStack() as stack:
        yield Bank(house, stack, tmp_path)


def test_an_identity_is_the_same_each_time_and_its_credentials_are_of_the_pool_s_role(bank):
    first, second = bank.credentials(), bank.credentials()
    assert first["IdentityId"] == second["IdentityId"]
    assert first["IdentityId"].startswith("us-east-1:")
    credentials = first["Credentials"]
    record = bank.keys.find(credentials["AccessKeyId"], credentials["SessionToken"])
    assert record.secret_access_key == credentials["SecretKey"]
    assert record.role_arn == bank.role
    assert record.caller == Caller(
        arn="arn:aws:sts::123456789012:assumed-role/phones/CognitoIdentityCredentials",
        kind="cognito",
        cognito_identity_id=first["IdentityId"],
        cognito_identity_pool_id=bank.pool_id,
    )
    assert record.expires_at == credentials["Expiration"] == bank.house.clock.now() + timedelta(hours=1)


def test_two_people_are_two_identities_and_cannot_take_each_other_s(bank):
    bank.house.person(bank.app, "eve@example.org")
    eve = bank.logins(bank.tokens(email="eve@example.org")["IdToken"])
    ada = bank.credentials()["IdentityId"]
    assert bank.credentials(eve)["IdentityId"] != ada
    forbidden = ("NotAuthorizedException", f"Access to Identity '{ada}' is forbidden.")
    assert refused(bank.client.get_credentials_for_identity, IdentityId=ada, Logins=eve) == forbidden
    assert refused(bank.client.get_credentials_for_identity, IdentityId=ada) == forbidden


def test_a_login_is_believed_only_if_the_pool_signed_it_for_this_client_and_it_is_good_now(bank):
    def get_id(logins):
        return refused(bank.client.get_id, IdentityPoolId=bank.pool_id, Logins=logins)[1]

    tokens = bank.tokens()
    claims = jwt.decode(tokens["IdToken"], options={"verify_signature": False})
    kid = jwt.get_unverified_header(tokens["IdToken"])["kid"]
    bad = "Invalid login token. Not a valid OpenId Connect identity token."
    assert get_id(bank.logins(tokens["AccessToken"])) == bad
    assert get_id(bank.logins(jwt.encode(claims, "", algorithm="none", headers={"kid": kid}))) == bad
    assert get_id(bank.logins(jwt.encode(claims, "k" * 32, algorithm="HS256", headers={"kid": kid}))) == bad
    assert get_id({"graph.facebook.com": "x"}) == "Token is not from a supported provider of this identity pool."
    other = bank.house.admin.create_user_pool_client(
        UserPoolId=bank.user_pool, ClientName="other", ExplicitAuthFlows=["ALLOW_USER_PASSWORD_AUTH"]
    )["UserPoolClient"]["ClientId"]
    foreign = bank.house.sign_in(other)["AuthenticationResult"]["IdToken"]
    assert get_id(bank.logins(foreign)) == "Invalid login token. Incorrect token audience."
    bank.house.client.global_sign_out(AccessToken=tokens["AccessToken"])
    assert get_id(bank.logins(tokens["IdToken"])).startswith("Invalid login token. Token is revoked")
    fresh = bank.tokens()["IdToken"]
    bank.house.clock.move(timedelta(hours=1))
    assert get_id(bank.logins(fresh)).startswith("Invalid login token. Token expired")


def test_without_a_sign_in_there_is_nothing_unless_the_pool_allows_it(bank):
    message = "Unauthenticated access is not supported for this identity pool."
    assert refused(bank.client.get_id, IdentityPoolId=bank.pool_id) == ("NotAuthorizedException", message)
    pool_id = bank.pool(AllowUnauthenticatedIdentities=True)
    guests = bank.iam.add("guests", trust=trust(pool_id, "unauthenticated"))
    bank.client.set_identity_pool_roles(IdentityPoolId=pool_id, Roles={"unauthenticated": guests})
    one, other = (bank.client.get_id(IdentityPoolId=pool_id)["IdentityId"] for _ in range(2))
    assert one != other
    assert bank.role_of(bank.client.get_credentials_for_identity(IdentityId=one)) == guests


@pytest.mark.parametrize("spoil", ["another pool", "unauthenticated only", "no trust", "no role"])
def test_the_role_must_trust_this_pool_and_this_kind_of_sign_in(bank, spoil):
    trusts = {
        "another pool": trust("us-east-1:other"),
        "unauthenticated only": trust(bank.pool_id, "unauthenticated"),
        "no trust": statement(Principal={"Service": "lambda.amazonaws.com"}, Action="sts:AssumeRole"),
    }
    bank.iam.roles.clear()
    if spoil in trusts:
        bank.iam.add("phones", trust=trusts[spoil])
    bank.roles.forget()
    assert refused(bank.credentials) == (
        "InvalidIdentityPoolConfigurationException",
        "Invalid identity pool configuration. Check assigned IAM roles for this pool.",
    )


def test_a_role_comes_from_the_token_if_the_mapping_says_so(bank):
    admin_role = bank.iam.add("admins", trust=trust(bank.pool_id))
    other_role = bank.iam.add("others", trust=trust(bank.pool_id))
    bank.map_roles(Type="Token", AmbiguousRoleResolution="Deny")
    assert refused(bank.credentials)[0] == "NotAuthorizedException"
    bank.map_roles(Type="Token", AmbiguousRoleResolution="AuthenticatedRole")
    assert bank.role_of(bank.credentials()) == bank.role
    admin = bank.house.admin
    for name, precedence, role in (("admins", 1, admin_role), ("others", 2, other_role)):
        admin.create_group(UserPoolId=bank.user_pool, GroupName=name, Precedence=precedence, RoleArn=role)
        admin.admin_add_user_to_group(UserPoolId=bank.user_pool, Username="ada@example.org", GroupName=name)
    assert bank.role_of(bank.credentials()) == admin_role
    assert bank.role_of(bank.credentials(CustomRoleArn=other_role)) == other_role
    assert refused(bank.credentials, CustomRoleArn=bank.role)[0] == "NotAuthorizedException"
    admin.update_group(UserPoolId=bank.user_pool, GroupName="others", Precedence=1)
    assert bank.role_of(bank.credentials()) == bank.role


def test_a_role_comes_from_the_first_rule_that_matches(bank):
    roles = {name: bank.iam.add(name, trust=trust(bank.pool_id)) for name in ("org", "ada")}
    rules = [
        {"Claim": "custom:none", "MatchType": "NotEqual", "Value": "x", "RoleARN": roles["ada"]},
        {"Claim": "email", "MatchType": "Contains", "Value": "@example.org", "RoleARN": roles["org"]},
        {"Claim": "email", "MatchType": "StartsWith", "Value": "ada", "RoleARN": roles["ada"]},
    ]
    bank.map_roles(Type="Rules", AmbiguousRoleResolution="Deny", RulesConfiguration={"Rules": rules})
    assert bank.role_of(bank.credentials()) == roles["org"]
    bank.map_roles(Type="Rules", AmbiguousRoleResolution="Deny", RulesConfiguration={"Rules": rules[:1]})
    assert refused(bank.credentials)[0] == "NotAuthorizedException"


def test_what_is_not_carried_is_refused_by_its_name(bank):
    assert "SamlProviderARNs" in refused(bank.pool, SamlProviderARNs=["arn:aws:iam::123456789012:saml-provider/x"])[1]
    identity = bank.credentials()["IdentityId"]
    assert refused(bank.client.get_open_id_token, IdentityId=identity) == (
        "InvalidParameterException",
        "Basic (classic) flow is not enabled, please use enhanced flow.",
    )
    with pytest.raises(ClientError, match="not found"):
        bank.client.get_id(IdentityPoolId="us-east-1:00000000-0000-0000-0000-000000000000")


def sts_request(caller, **form):
    from urllib.parse import urlencode

    body = urlencode({"Version": "2011-06-15", **form}).encode()
    return Request(service="sts", method="POST", path="/", body=body, caller=caller)


async def test_a_service_takes_the_role_that_trusts_it_and_no_other(bank):
    condition = {
        "ArnLike": {"aws:SourceArn": "arn:aws:iot:*:*:rule/telemetry"},
        "StringEquals": {"aws:SourceAccount": "123456789012"},
    }
    rule = statement(Principal={"Service": "iot.amazonaws.com"}, Action="sts:AssumeRole", Condition=condition)
    role = bank.iam.add("rules", trust=rule)

    async def assume(arn, source, **more):
        caller = Caller(arn=arn, kind="service", source_arn=source)
        return await bank.sts.handle(
            sts_request(caller, Action="AssumeRole", RoleArn=role, RoleSessionName="iot", **more)
        )

    ours = "arn:aws:iot:us-east-1:123456789012:rule/telemetry"
    good = await assume("iot.amazonaws.com", ours)
    assert good.status == 200
    assert b"assumed-role/rules/iot" in good.body
    for arn, source in (
        ("lambda.amazonaws.com", ours),
        ("iot.amazonaws.com", "arn:aws:iot:us-east-1:123456789012:rule/other"),
        ("iot.amazonaws.com", "arn:aws:iot:us-east-1:999999999999:rule/telemetry"),
    ):
        answer = await assume(arn, source)
        assert answer.status == 403
        assert f"is not authorized to perform: sts:AssumeRole on resource: {role}".encode() in answer.body
    assert (await assume("iot.amazonaws.com", ours, DurationSeconds="7200")).status == 400
    assert (await assume("iot.amazonaws.com", ours, DurationSeconds="long")).status == 400
    assert b"Policy" in (await assume("iot.amazonaws.com", ours, Policy="{}")).body
    unknown = await bank.sts.handle(
        sts_request(Caller(arn="x"), Action="AssumeRole", RoleSessionName="xy", RoleArn="arn:aws:iam::1:role/none")
    )
    assert unknown.status == 403
