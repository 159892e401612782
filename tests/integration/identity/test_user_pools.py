"""People sign up, in and out through real clients (boto3, pycognito), and only with what they really know."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
import requests
from botocore import UNSIGNED
from botocore.config import Config
from botocore.exceptions import ClientError
from pycognito import AWSSRP, Cognito
from pycognito.exceptions import SoftwareTokenMFAChallengeException

from infra.local.cognito import totp


def refused(call, *args, **kwargs):
    """Return (code, message) of the refusal."""
    with pytest.raises(ClientError) as error:
        call(*args, **kwargs)
    return error.value.response["Error"]["Code"], error.value.response["Error"]["Message"]


def srp(house, pool_id, client_id, password, email="ada@example.org", **more):
    return AWSSRP(
        username=email, password=password, pool_id=pool_id, client_id=client_id, client=house.client, **more
    ).authenticate_user()


def claims_of(token):
    return jwt.decode(token, options={"verify_signature": False})


def test_the_whole_way_in(house):
    pool_id, client_id = house.pool()
    signed_up = house.client.sign_up(ClientId=client_id, Username="ada@example.org", Password="Correct-Horse-1")
    assert signed_up["UserConfirmed"] is False
    assert signed_up["CodeDeliveryDetails"] == {
        "Destination": "a***@e***",
        "DeliveryMedium": "EMAIL",
        "AttributeName": "email",
    }
    assert refused(house.sign_in, client_id) == ("UserNotConfirmedException", "User is not confirmed.")
    code = house.idp.inbox.last_code("ada@example.org")
    for wrong in ("000000", "123456", "", code[::-1] + "0"):
        if wrong != code:
            given = {"ClientId": client_id, "Username": "ada@example.org", "ConfirmationCode": wrong or " "}
            assert refused(house.client.confirm_sign_up, **given)[0] in (
                "CodeMismatchException",
                "InvalidParameterException",
            )
    house.client.confirm_sign_up(ClientId=client_id, Username="ada@example.org", ConfirmationCode=code)
    tokens = srp(house, pool_id, client_id, "Correct-Horse-1")["AuthenticationResult"]
    me = house.client.get_user(AccessToken=tokens["AccessToken"])
    attributes = {item["Name"]: item["Value"] for item in me["UserAttributes"]}
    assert attributes == {"sub": signed_up["UserSub"], "email": "ada@example.org", "email_verified": "true"}
    assert me["Username"] == signed_up["UserSub"]


@pytest.mark.parametrize("password", ["wrong", "Correct-Horse-2", "correct-horse-1", "Correct-Horse-1 "])
def test_srp_refuses_every_other_password(house, password):
    pool_id, client_id = house.pool()
    house.person(client_id)
    assert refused(srp, house, pool_id, client_id, password) == (
        "NotAuthorizedException",
        "Incorrect username or password.",
    )
    assert refused(house.sign_in, client_id, password=password) == (
        "NotAuthorizedException",
        "Incorrect username or password.",
    )


def test_srp_works_many_times_with_odd_passwords_and_a_client_secret(house):
    pool_id, client_id = house.pool(client={"GenerateSecret": True})
    secret = house.admin.describe_user_pool_client(UserPoolId=pool_id, ClientId=client_id)["UserPoolClient"][
        "ClientSecret"
    ]
    email = "ada@example.org"
    password = "Pässwörd-1 ✓ with space"
    digest = AWSSRP.get_secret_hash(email, client_id, secret)
    house.client.sign_up(ClientId=client_id, Username=email, Password=password, SecretHash=digest)
    house.admin.admin_confirm_sign_up(UserPoolId=pool_id, Username=email)
    for _ in range(5):
        tokens = srp(house, pool_id, client_id, password, client_secret=secret)["AuthenticationResult"]
        assert claims_of(tokens["IdToken"])["aud"] == client_id
    assert refused(srp, house, pool_id, client_id, password)[0] == "NotAuthorizedException"
    assert refused(srp, house, pool_id, client_id, password, client_secret="other")[0] == "NotAuthorizedException"


def test_a_challenge_is_answered_once_and_in_time(house):
    pool_id, client_id = house.pool()
    house.person(client_id)
    helper = AWSSRP(
        username="ada@example.org",
        password="Correct-Horse-1",
        pool_id=pool_id,
        client_id=client_id,
        client=house.client,
    )

    def challenge():
        parameters = helper.get_auth_params()
        asked = house.client.initiate_auth(AuthFlow="USER_SRP_AUTH", AuthParameters=parameters, ClientId=client_id)
        return helper.process_challenge(asked["ChallengeParameters"], parameters)

    def answer(response):
        return house.client.respond_to_auth_challenge(
            ClientId=client_id, ChallengeName="PASSWORD_VERIFIER", ChallengeResponses=response
        )

    first = challenge()
    assert answer(first)["AuthenticationResult"]
    assert refused(answer, first)[0] == "NotAuthorizedException"
    late = challenge()
    house.clock.move(timedelta(minutes=3, seconds=1))
    assert refused(answer, late)[0] == "NotAuthorizedException"
    spoiled = challenge() | {"TIMESTAMP": "Tue Jan 1 00:00:00 UTC 2030"}
    assert refused(answer, spoiled) == ("NotAuthorizedException", "Incorrect username or password.")
    zero = {"USERNAME": "ada@example.org", "SRP_A": "0"}
    assert (
        refused(house.client.initiate_auth, AuthFlow="USER_SRP_AUTH", AuthParameters=zero, ClientId=client_id)[0]
        == "InvalidParameterException"
    )


def test_strangers_learn_nothing_where_the_client_hides_users(house):
    pool_id, client_id = house.pool(client={
        "PreventUserExistenceErrors": "ENABLED",
        "ExplicitAuthFlows": ["ALLOW_USER_SRP_AUTH", "ALLOW_USER_PASSWORD_AUTH"],
    })  # fmt: skip
    nobody = {"ClientId": client_id, "Username": "nobody@example.org"}
    assert refused(srp, house, pool_id, client_id, "x", email="nobody@example.org")[0] == "NotAuthorizedException"
    assert refused(house.sign_in, client_id, "nobody@example.org")[0] == "NotAuthorizedException"
    assert house.client.forgot_password(**nobody)["CodeDeliveryDetails"]["Destination"] == "n***@e***"
    assert house.idp.inbox.last_code("nobody@example.org") is None
    assert refused(house.client.confirm_sign_up, ConfirmationCode="123456", **nobody)[0] == "CodeMismatchException"
    house.client.sign_up(ClientId=client_id, Username="new@example.org", Password="Secret-password-1")
    house.admin.admin_disable_user(UserPoolId=pool_id, Username=house.person(client_id)[0])
    sent = len(list(house.idp.inbox.letters()))
    for hidden in ("new@example.org", "ada@example.org"):  # unverified; disabled
        where = house.client.forgot_password(ClientId=client_id, Username=hidden)["CodeDeliveryDetails"]
        assert where["Destination"] == f"{hidden[0]}***@e***"
    assert len(list(house.idp.inbox.letters())) == sent
    _, open_client = house.pool()
    assert refused(house.sign_in, open_client, "nobody@example.org") == (
        "UserNotFoundException",
        "User does not exist.",
    )


def test_tokens_are_signed_with_two_keys_of_the_pool_s_own_and_live_as_long_as_the_client_says(house):
    pool_id, client_id = house.pool(client={
        "AccessTokenValidity": 10,
        "IdTokenValidity": 2,
        "RefreshTokenValidity": 1,
        "TokenValidityUnits": {"AccessToken": "minutes", "IdToken": "hours", "RefreshToken": "days"},
    })  # fmt: skip
    house.admin.create_group(UserPoolId=pool_id, GroupName="admins", Precedence=1, RoleArn="arn:aws:iam::1:role/a")
    email, _ = house.person(client_id)
    house.admin.admin_add_user_to_group(UserPoolId=pool_id, Username=email, GroupName="admins")
    result = house.sign_in(client_id)["AuthenticationResult"]
    keys = {
        key["kid"]: key
        for key in requests.get(f"{house.url}/{pool_id}/.well-known/jwks.json", timeout=60).json()["keys"]
    }
    kids = []
    for name, audience in (("IdToken", client_id), ("AccessToken", None)):
        kid = jwt.get_unverified_header(result[name])["kid"]
        kids.append(kid)
        verified = jwt.decode(
            result[name],
            jwt.PyJWK(keys[kid]),
            algorithms=["RS256"],
            audience=audience,
            issuer=f"https://cognito-idp.us-east-1.amazonaws.com/{pool_id}",
            options={"verify_exp": False, "verify_iat": False},
        )
        assert verified["exp"] - verified["iat"] == {"IdToken": 7200, "AccessToken": 600}[name]
        assert verified["cognito:groups"] == ["admins"]
    assert len(set(kids)) == len(keys) == 2
    other_pool, _ = house.pool()
    others = requests.get(f"{house.url}/{other_pool}/.well-known/jwks.json", timeout=60).json()["keys"]
    assert not {key["kid"] for key in others} & set(kids)
    identity, access = claims_of(result["IdToken"]), claims_of(result["AccessToken"])
    assert (identity["token_use"], identity["aud"], identity["email_verified"]) == ("id", client_id, True)
    assert identity["cognito:roles"] == ["arn:aws:iam::1:role/a"]
    assert identity["cognito:preferred_role"] == "arn:aws:iam::1:role/a"
    assert (access["token_use"], access["client_id"], access["scope"]) == (
        "access",
        client_id,
        "aws.cognito.signin.user.admin",
    )
    assert "aud" not in access
    assert identity["origin_jti"] == access["origin_jti"]
    house.clock.move(timedelta(minutes=10))
    assert refused(house.client.get_user, AccessToken=result["AccessToken"])[1] == "Access Token has expired"
    house.clock.move(timedelta(days=1))
    refresh = {"ClientId": client_id, "RefreshToken": result["RefreshToken"]}
    assert refused(house.client.get_tokens_from_refresh_token, **refresh)[1] == "Refresh Token has expired"


def test_forged_tokens_open_nothing(house):
    pool_id, client_id = house.pool()
    house.person(client_id)
    result = house.sign_in(client_id)["AuthenticationResult"]
    good = claims_of(result["AccessToken"])
    kid = jwt.get_unverified_header(result["AccessToken"])["kid"]
    public = house.idp.jwks(pool_id)["keys"][1]["n"]
    forged = [
        result["IdToken"],
        jwt.encode(good, "", algorithm="none", headers={"kid": kid}),
        jwt.encode(good, public, algorithm="HS256", headers={"kid": kid}),
        result["AccessToken"][:-6] + "AAAAAA",
        "nonsense",
    ]
    for token in forged:
        assert refused(house.client.get_user, AccessToken=token) == ("NotAuthorizedException", "Invalid Access Token")


def test_refresh_revoke_and_sign_out_everywhere(house):
    _pool_id, client_id = house.pool()
    house.person(client_id)
    first, second = (house.sign_in(client_id)["AuthenticationResult"] for _ in range(2))
    refresh = house.client.get_tokens_from_refresh_token
    house.clock.move(timedelta(minutes=30))
    renewed = refresh(ClientId=client_id, RefreshToken=first["RefreshToken"])["AuthenticationResult"]
    assert "RefreshToken" not in renewed
    assert claims_of(renewed["AccessToken"])["origin_jti"] == claims_of(first["AccessToken"])["origin_jti"]
    assert claims_of(renewed["AccessToken"])["auth_time"] == claims_of(first["AccessToken"])["auth_time"]
    by_flow = house.client.initiate_auth(
        ClientId=client_id, AuthFlow="REFRESH_TOKEN_AUTH", AuthParameters={"REFRESH_TOKEN": first["RefreshToken"]}
    )
    assert by_flow["AuthenticationResult"]["AccessToken"]
    house.client.revoke_token(ClientId=client_id, Token=first["RefreshToken"])
    assert refused(refresh, ClientId=client_id, RefreshToken=first["RefreshToken"]) == (
        "NotAuthorizedException",
        "Refresh Token has been revoked",
    )
    revoked = ("NotAuthorizedException", "Access Token has been revoked")
    assert refused(house.client.get_user, AccessToken=renewed["AccessToken"]) == revoked
    assert house.client.get_user(AccessToken=second["AccessToken"])
    house.client.global_sign_out(AccessToken=second["AccessToken"])
    assert refused(house.client.get_user, AccessToken=second["AccessToken"]) == revoked
    assert refused(refresh, ClientId=client_id, RefreshToken="x.y")[1] == "Invalid Refresh Token"
    _, other = house.pool()
    assert refused(refresh, ClientId=other, RefreshToken=first["RefreshToken"])[1] == "Invalid Refresh Token"


def test_a_forgotten_password_is_set_by_the_code_from_the_inbox_and_nothing_else(house):
    pool_id, client_id = house.pool()
    email, old = house.person(client_id)
    confirmed = house.idp.inbox.last_code(email)
    house.client.forgot_password(ClientId=client_id, Username=email)
    code = house.idp.inbox.last_code(email)
    letter = list(house.idp.inbox.letters(email))[-1]
    assert letter.text == f"Your verification code is {code}"
    new = {"ClientId": client_id, "Username": email, "Password": "Another-Horse-2"}
    confirm = house.client.confirm_forgot_password
    if confirmed != code:
        assert refused(confirm, ConfirmationCode=confirmed, **new)[0] == "CodeMismatchException"
    weak = {**new, "Password": "weak"}
    assert refused(confirm, ConfirmationCode=code, **weak) == (
        "InvalidPasswordException",
        "Password did not conform with policy: Password not long enough",
    )
    confirm(ConfirmationCode=code, **new)
    assert srp(house, pool_id, client_id, "Another-Horse-2")["AuthenticationResult"]
    assert refused(house.sign_in, client_id, email, old)[0] == "NotAuthorizedException"
    assert refused(confirm, ConfirmationCode=code, **new)[0] == "ExpiredCodeException"
    house.client.forgot_password(ClientId=client_id, Username=email)
    late = house.idp.inbox.last_code(email)
    house.clock.move(timedelta(hours=1))
    assert refused(confirm, ConfirmationCode=late, **new)[0] == "ExpiredCodeException"


def test_codes_can_be_guessed_at_five_times_only_and_a_resent_one_replaces_the_first(house):
    _pool_id, client_id = house.pool()
    email = "ada@example.org"
    house.client.sign_up(ClientId=client_id, Username=email, Password="Correct-Horse-1")
    first = house.idp.inbox.last_code(email)
    house.client.resend_confirmation_code(ClientId=client_id, Username=email)
    second = house.idp.inbox.last_code(email)
    confirm = {"ClientId": client_id, "Username": email}
    wrong = first if first != second else "x"
    for _ in range(5):
        assert refused(house.client.confirm_sign_up, ConfirmationCode=wrong, **confirm)[0] == "CodeMismatchException"
    assert refused(house.client.confirm_sign_up, ConfirmationCode=second, **confirm)[0] == "LimitExceededException"


def test_wrong_passwords_lock_for_a_while(house):
    _pool_id, client_id = house.pool()
    house.person(client_id)
    for _ in range(5):
        assert refused(house.sign_in, client_id, password="wrong")[1] == "Incorrect username or password."
    assert refused(house.sign_in, client_id)[1] == "Password attempts exceeded"
    house.clock.move(timedelta(seconds=1))
    assert house.sign_in(client_id)["AuthenticationResult"]


def test_an_authenticator_app_becomes_the_second_factor(house):
    _pool_id, client_id = house.pool(MfaConfiguration="OPTIONAL")
    house.person(client_id)
    token = house.sign_in(client_id)["AuthenticationResult"]["AccessToken"]
    secret = house.client.associate_software_token(AccessToken=token)["SecretCode"]
    settings = {"AccessToken": token, "SoftwareTokenMfaSettings": {"Enabled": True, "PreferredMfa": True}}
    assert refused(house.client.set_user_mfa_preference, **settings)[0] == "InvalidParameterException"

    def code():
        padded = secret + "=" * (-len(secret) % 8)
        return totp.code_at(padded, int(house.clock.time()) // 30)

    wrong = f"{(int(code()) + 1) % 1_000_000:06d}"
    assert (
        refused(house.client.verify_software_token, AccessToken=token, UserCode=wrong)[0]
        == "EnableSoftwareTokenMFAException"
    )
    house.client.verify_software_token(AccessToken=token, UserCode=code())
    house.client.set_user_mfa_preference(**settings)
    assert house.client.get_user(AccessToken=token)["UserMFASettingList"] == ["SOFTWARE_TOKEN_MFA"]

    def answer(challenge, given):
        return house.client.respond_to_auth_challenge(
            ClientId=client_id,
            ChallengeName="SOFTWARE_TOKEN_MFA",
            Session=challenge["Session"],
            ChallengeResponses={
                "USERNAME": challenge["ChallengeParameters"]["USER_ID_FOR_SRP"],
                "SOFTWARE_TOKEN_MFA_CODE": given,
            },
        )

    challenge = house.sign_in(client_id)
    assert challenge["ChallengeName"] == "SOFTWARE_TOKEN_MFA"
    assert refused(answer, challenge, code())[0] == "ExpiredCodeException"
    house.clock.move(timedelta(seconds=60))
    challenge = house.sign_in(client_id)
    wrong = f"{(int(code()) + 1) % 1_000_000:06d}"
    assert refused(answer, challenge, wrong) == ("CodeMismatchException", "Invalid code received for user")
    assert answer(challenge, code())["AuthenticationResult"]["AccessToken"]
    assert refused(answer, challenge, code())[0] == "NotAuthorizedException"


def test_where_a_second_factor_is_demanded_it_is_set_up_during_the_first_sign_in(house):
    _pool_id, client_id = house.pool(MfaConfiguration="ON")
    house.person(client_id)
    challenge = house.sign_in(client_id)
    assert challenge["ChallengeName"] == "MFA_SETUP"
    respond = {
        "ClientId": client_id,
        "ChallengeName": "MFA_SETUP",
        "ChallengeResponses": {"USERNAME": "ada@example.org"},
    }
    assert (
        refused(house.client.respond_to_auth_challenge, Session=challenge["Session"], **respond)[0]
        == "NotAuthorizedException"
    )
    challenge = house.sign_in(client_id)
    associated = house.client.associate_software_token(Session=challenge["Session"])
    secret = associated["SecretCode"]
    code = totp.code_at(secret + "=" * (-len(secret) % 8), int(house.clock.time()) // 30)
    verified = house.client.verify_software_token(Session=associated["Session"], UserCode=code)
    done = house.client.respond_to_auth_challenge(Session=verified["Session"], **respond)
    assert done["AuthenticationResult"]["AccessToken"]


def test_an_invited_person_chooses_a_new_password(house):
    pool_id, client_id = house.pool()
    email = "eve@example.org"
    created = house.admin.admin_create_user(
        UserPoolId=pool_id, Username=email, UserAttributes=[{"Name": "email_verified", "Value": "true"}]
    )["User"]
    assert created["UserStatus"] == "FORCE_CHANGE_PASSWORD"
    temporary = house.idp.inbox.last_code(email)
    challenge = house.sign_in(client_id, email, temporary)
    assert challenge["ChallengeName"] == "NEW_PASSWORD_REQUIRED"

    def choose(password, session):
        return house.client.respond_to_auth_challenge(
            ClientId=client_id,
            ChallengeName="NEW_PASSWORD_REQUIRED",
            Session=session,
            ChallengeResponses={"USERNAME": email, "NEW_PASSWORD": password},
        )

    assert refused(choose, "weak", challenge["Session"])[0] == "InvalidPasswordException"
    assert choose("Chosen-Horse-3", challenge["Session"])["AuthenticationResult"]
    assert srp(house, pool_id, client_id, "Chosen-Horse-3", email=email)["AuthenticationResult"]
    assert house.admin.admin_get_user(UserPoolId=pool_id, Username=email)["UserStatus"] == "CONFIRMED"
    house.admin.admin_create_user(UserPoolId=pool_id, Username="late@example.org")
    temporary = house.idp.inbox.last_code("late@example.org")
    house.clock.move(timedelta(days=7))
    assert refused(house.sign_in, client_id, "late@example.org", temporary)[1].startswith(
        "Temporary password has expired"
    )


def test_a_new_address_is_verified_by_its_own_code(house):
    pool_id, client_id = house.pool(
        UserAttributeUpdateSettings={"AttributesRequireVerificationBeforeUpdate": ["email"]}
    )
    house.person(client_id)
    token = house.sign_in(client_id)["AuthenticationResult"]["AccessToken"]
    new = [{"Name": "email", "Value": "new@example.org"}]
    house.client.update_user_attributes(AccessToken=token, UserAttributes=new)

    def email():
        user = house.admin.admin_get_user(UserPoolId=pool_id, Username="ada@example.org")
        return next(item["Value"] for item in user["UserAttributes"] if item["Name"] == "email")

    assert email() == "ada@example.org"
    code = house.idp.inbox.last_code("new@example.org")
    house.client.verify_user_attribute(AccessToken=token, AttributeName="email", Code=code)
    assert house.sign_in(client_id, "new@example.org")["AuthenticationResult"]
    assert refused(house.sign_in, client_id, "ada@example.org")[0] == "UserNotFoundException"
    forged = [{"Name": "email_verified", "Value": "true"}]
    assert (
        refused(house.client.update_user_attributes, AccessToken=token, UserAttributes=forged)[0]
        == "NotAuthorizedException"
    )


def test_nobody_signs_up_twice_weakly_or_with_what_the_schema_does_not_know(house):
    schema = [
        {
            "Name": "plan",
            "AttributeDataType": "String",
            "Mutable": False,
            "StringAttributeConstraints": {"MaxLength": "4"},
        }
    ]
    _pool_id, client_id = house.pool(Schema=schema)
    house.person(client_id)
    again = {"ClientId": client_id, "Username": "ada@example.org", "Password": "Correct-Horse-1"}
    assert refused(house.client.sign_up, **again) == (
        "UsernameExistsException",
        "An account with the given email already exists.",
    )
    other = {**again, "Username": "bob@example.org"}
    rules = {
        "Short-1": "long",
        "no-upper-1": "uppercase",
        "NO-LOWER-1": "lowercase",
        "No-Number": "numeric",
        "NoSymbol1": "symbol",
    }
    for password, rule in rules.items():
        code, message = refused(house.client.sign_up, **{**other, "Password": password})
        assert code == "InvalidPasswordException"
        assert rule in message
    assert refused(house.client.sign_up, **{**other, "Username": "bob"})[1] == "Username should be an email."
    for name, value in (("custom:other", "x"), ("custom:plan", "toolong")):
        attributes = [{"Name": name, "Value": value}]
        assert refused(house.client.sign_up, **other, UserAttributes=attributes)[0] == "InvalidParameterException"


def test_deleted_and_disabled_people_are_out(house):
    pool_id, client_id = house.pool()
    email, _ = house.person(client_id)
    result = house.sign_in(client_id)["AuthenticationResult"]
    house.admin.admin_disable_user(UserPoolId=pool_id, Username=email)
    assert refused(house.sign_in, client_id)[1] == "User is disabled."
    house.admin.admin_enable_user(UserPoolId=pool_id, Username=email)
    result = house.sign_in(client_id)["AuthenticationResult"]
    house.admin.admin_delete_user(UserPoolId=pool_id, Username=email)
    assert refused(house.client.get_user, AccessToken=result["AccessToken"])[0] in (
        "NotAuthorizedException",
        "UserNotFoundException",
    )
    refresh = {"ClientId": client_id, "RefreshToken": result["RefreshToken"]}
    assert refused(house.client.get_tokens_from_refresh_token, **refresh)[0] == "NotAuthorizedException"


def test_what_is_not_carried_is_refused_by_its_name(house):
    pool_id, client_id = house.pool()
    for settings in (
        {"SmsConfiguration": {"SnsCallerArn": "arn:aws:iam::123456789012:role/r"}},
        {"LambdaConfig": {"UserMigration": "arn:aws:lambda:us-east-1:123456789012:function:f"}},
        {"UserPoolAddOns": {"AdvancedSecurityMode": "ENFORCED"}},
    ):
        code, message = refused(house.admin.create_user_pool, PoolName="p", **settings)
        assert (code, message.startswith("The local cloud does not carry")) == ("InvalidParameterException", True)
    oauth = {"UserPoolId": pool_id, "ClientName": "c", "AllowedOAuthFlows": ["code"]}
    assert "AllowedOAuthFlows" in refused(house.admin.create_user_pool_client, **oauth)[1]
    domain = {"UserPoolId": pool_id, "Domain": "d"}
    assert refused(house.admin.create_user_pool_domain, **domain)[1] == (
        "The local cloud does not carry cognito-idp:CreateUserPoolDomain."
    )
    choice = {"ClientId": client_id, "AuthFlow": "USER_AUTH", "AuthParameters": {"USERNAME": "x"}}
    assert refused(house.client.initiate_auth, **choice)[1] == "The local cloud does not carry the flow USER_AUTH."
    flow = {"ClientId": client_id, "AuthFlow": "CUSTOM_AUTH", "AuthParameters": {"USERNAME": "x"}}
    assert refused(house.client.initiate_auth, **flow)[0] in ("InvalidParameterException", "UserNotFoundException")


def test_a_member_that_is_null_is_a_member_that_is_not_there(house):
    _, client_id = house.pool()
    document = {"ClientId": client_id, "Username": "ada@example.org", "Password": "Correct-Horse-1"}
    headers = {
        "x-amz-target": "AWSCognitoIdentityProviderService.SignUp",
        "content-type": "application/x-amz-json-1.1",
    }
    sent = document | {"ValidationData": None, "UserAttributes": [{"Name": "email", "Value": "ada@example.org"}]}
    assert requests.post(house.url, json=sent, headers=headers, timeout=60).status_code == 200


def test_users_are_found_by_one_comparison_and_nonsense_finds_an_error(house):
    pool_id, client_id = house.pool()
    for email in ("ada@example.org", "bob@example.org"):
        house.person(client_id, email)

    def found(condition):
        users = house.admin.list_users(UserPoolId=pool_id, Filter=condition)["Users"]
        return [next(one["Value"] for one in user["Attributes"] if one["Name"] == "email") for user in users]

    assert found('email = "ada@example.org"') == ["ada@example.org"]
    assert found('"email"^="b"') == ["bob@example.org"]
    assert len(found('cognito:user_status = "CONFIRMED"')) == 2
    assert found('email = "nobody"') == []
    for wrong in ("email", "email = ada", 'email > "a"', 'custom:x = "1"', 'email = "a" and name = "b"'):
        assert refused(found, wrong)[0] == "InvalidParameterException"


def test_pycognito_s_own_client_goes_the_whole_way(house, tmp_path):
    # Its checks of tokens read the real clock, so ours is set to it.
    house.clock.move(datetime.now(UTC) - house.clock.now())
    pool_id, client_id = house.pool(MfaConfiguration="OPTIONAL")

    def person(**more):
        options = {"endpoint_url": house.url, "config": Config(signature_version=UNSIGNED)}
        ada = Cognito(
            pool_id,
            client_id,
            username="ada@example.org",
            user_pool_region="us-east-1",
            boto3_client_kwargs=options,
            **more,
        )
        ada.pool_jwk = house.idp.jwks(pool_id)
        ada.pool_domain_url = None  # the issuer is AWS's, wherever the keys are served
        return ada

    ada = person()
    ada.set_base_attributes(email="ada@example.org", name="Ada")
    ada.register("ada@example.org", "Correct-Horse-1")
    ada.confirm_sign_up(house.idp.inbox.last_code("ada@example.org"))
    ada.authenticate("Correct-Horse-1")
    assert ada.id_claims["name"] == "Ada"
    assert ada.get_user().sub == ada.id_claims["sub"]
    before = ada.access_token
    house.clock.move(timedelta(seconds=2))
    ada.renew_access_token()
    assert ada.access_token != before
    ada.change_password("Correct-Horse-1", "Changed-Horse-2")
    ada.initiate_forgot_password()
    ada.confirm_forgot_password(house.idp.inbox.last_code("ada@example.org"), "Another-Horse-3")
    ada.authenticate("Another-Horse-3")
    with pytest.raises(ClientError, match="Incorrect username or password"):
        person().authenticate("Correct-Horse-1")
    secret = ada.associate_software_token()
    padded = secret + "=" * (-len(secret) % 8)
    assert ada.verify_software_token(totp.code_at(padded, int(house.clock.time()) // 30), "phone")
    ada.set_user_mfa_preference(sms_mfa=False, software_token_mfa=True, preferred="SOFTWARE_TOKEN")
    again = person()
    with pytest.raises(SoftwareTokenMFAChallengeException):
        again.authenticate("Another-Horse-3")
    house.clock.move(timedelta(seconds=60))
    again.respond_to_software_token_mfa_challenge(totp.code_at(padded, int(house.clock.time()) // 30))
    assert again.access_token
    again.logout()
    assert refused(house.client.get_user, AccessToken=ada.access_token or before)[0] == "NotAuthorizedException"
