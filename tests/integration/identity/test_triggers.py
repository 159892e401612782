"""A pool's triggers: called with the documented event, believed in what they answer, heard when they refuse."""

import asyncio
import json

import pytest

from infra.local.cognito.triggers import Triggers
from tests.integration.identity.conftest import Answer
from tests.integration.identity.test_user_pools import claims_of, refused, srp

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"
NAMES = ("PreSignUp", "PostConfirmation", "PreAuthentication", "PostAuthentication", "CustomMessage")


def same(event):
    return event


def traced(house, *names, **more):
    """Make a pool with these triggers, each of which answers its event unchanged."""
    config = {name: ARN + name for name in names}
    house.functions.handlers.update({ARN + name: same for name in names})
    return house.pool(LambdaConfig={**config, **more})


def sources(house):
    return [event["triggerSource"] for _, event in house.functions.calls]


def test_a_life_calls_each_trigger_in_its_turn_with_the_documented_event(house):
    pool_id, client_id = traced(house, *NAMES, "PreTokenGeneration")
    house.client.sign_up(
        ClientId=client_id,
        Username="ada@example.org",
        Password="Correct-Horse-1",
        ValidationData=[{"Name": "invitation", "Value": "42"}],
        ClientMetadata={"app": "phone"},
    )
    _, event = house.functions.calls[0]
    attributes = event["request"]["userAttributes"]
    assert event == {
        "version": "1",
        "region": "us-east-1",
        "userPoolId": pool_id,
        "userName": attributes["sub"],
        "callerContext": {"awsSdkVersion": "aws-sdk-unknown-unknown", "clientId": client_id},
        "triggerSource": "PreSignUp_SignUp",
        "request": {
            "userAttributes": {
                "sub": attributes["sub"],
                "email": "ada@example.org",
                "cognito:user_status": "UNCONFIRMED",
            },
            "validationData": {"invitation": "42"},
            "clientMetadata": {"app": "phone"},
        },
        "response": {"autoConfirmUser": False, "autoVerifyEmail": False, "autoVerifyPhone": False},
    }
    code = house.idp.inbox.last_code("ada@example.org")
    house.client.confirm_sign_up(ClientId=client_id, Username="ada@example.org", ConfirmationCode=code)
    tokens = house.sign_in(client_id)["AuthenticationResult"]
    house.client.get_tokens_from_refresh_token(ClientId=client_id, RefreshToken=tokens["RefreshToken"])
    house.client.forgot_password(ClientId=client_id, Username="ada@example.org")
    house.client.confirm_forgot_password(
        ClientId=client_id,
        Username="ada@example.org",
        ConfirmationCode=house.idp.inbox.last_code("ada@example.org"),
        Password="Another-Horse-2",
    )
    assert sources(house) == [
        "PreSignUp_SignUp",
        "CustomMessage_SignUp",
        "PostConfirmation_ConfirmSignUp",
        "PreAuthentication_Authentication",
        "PostAuthentication_Authentication",
        "TokenGeneration_Authentication",
        "TokenGeneration_RefreshTokens",
        "CustomMessage_ForgotPassword",
        "PostConfirmation_ConfirmForgotPassword",
    ]


def test_a_trigger_that_raises_refuses_with_its_own_words(house):
    _pool_id, client_id = traced(house, "PreSignUp", "PreAuthentication")

    def by_invitation_only(event):
        if event["request"]["validationData"].get("invitation") != "42":
            raise ValueError("by invitation only")
        return event

    house.functions.handlers[ARN + "PreSignUp"] = by_invitation_only
    person = {"ClientId": client_id, "Username": "ada@example.org", "Password": "Correct-Horse-1"}
    assert refused(house.client.sign_up, **person) == (
        "UserLambdaValidationException",
        "PreSignUp failed with error by invitation only.",
    )
    assert house.idp.inbox.last_code("ada@example.org") is None
    house.client.sign_up(**person, ValidationData=[{"Name": "invitation", "Value": "42"}])


def test_pre_sign_up_may_confirm_and_verify_at_once(house):
    pool_id, client_id = traced(house, "PreSignUp", "PostConfirmation")
    answer = {"autoConfirmUser": True, "autoVerifyEmail": True}
    house.functions.handlers[ARN + "PreSignUp"] = lambda event: {**event, "response": answer}
    person = {"ClientId": client_id, "Username": "ada@example.org", "Password": "Correct-Horse-1"}
    assert house.client.sign_up(**person)["UserConfirmed"] is True
    assert sources(house)[-1] == "PostConfirmation_ConfirmSignUp"
    assert srp(house, pool_id, client_id, "Correct-Horse-1")["AuthenticationResult"]
    token = claims_of(house.sign_in(client_id)["AuthenticationResult"]["IdToken"])
    assert token["email_verified"] is True


def test_custom_message_words_the_letter(house):
    _pool_id, client_id = traced(house, "CustomMessage")
    words = {"emailSubject": "Willkommen", "emailMessage": "Ihr Code: {####}"}
    house.functions.handlers[ARN + "CustomMessage"] = lambda event: {**event, "response": words}
    house.client.sign_up(ClientId=client_id, Username="ada@example.org", Password="Correct-Horse-1")
    (letter,) = house.idp.inbox.letters("ada@example.org")
    assert (letter.subject, letter.text) == ("Willkommen", f"Ihr Code: {letter.code}")


def test_pre_token_generation_adds_and_takes_away_but_not_what_is_reserved(house):
    _pool_id, client_id = traced(house, "PreTokenGeneration")
    details = {
        "claimsToAddOrOverride": {"plan": "gold", "sub": "somebody-else"},
        "claimsToSuppress": ["email", "iss"],
        "groupOverrideDetails": {"groupsToOverride": ["vip"]},
    }
    house.functions.handlers[ARN + "PreTokenGeneration"] = lambda event: {
        **event,
        "response": {"claimsOverrideDetails": details},
    }
    house.person(client_id)
    result = house.sign_in(client_id)["AuthenticationResult"]
    identity, access = claims_of(result["IdToken"]), claims_of(result["AccessToken"])
    assert (identity["plan"], "email" in identity, identity["cognito:groups"]) == ("gold", False, ["vip"])
    assert identity["sub"] == access["sub"] != "somebody-else"
    assert identity["iss"]
    assert "plan" not in access
    assert house.client.get_user(AccessToken=result["AccessToken"])


def test_the_second_version_of_pre_token_generation_reaches_the_access_token(house):
    config = {"LambdaVersion": "V2_0", "LambdaArn": ARN + "v2"}
    _pool_id, client_id = traced(house, PreTokenGenerationConfig=config)
    details = {
        "idTokenGeneration": {"claimsToAddOrOverride": {"plan": "gold"}},
        "accessTokenGeneration": {"claimsToAddOrOverride": {"tier": {"n": 1}}, "scopesToAdd": ["devices/read"]},
    }
    house.functions.handlers[ARN + "v2"] = lambda event: {
        **event,
        "response": {"claimsAndScopeOverrideDetails": details},
    }
    house.person(client_id)
    result = house.sign_in(client_id)["AuthenticationResult"]
    _, event = house.functions.calls[-1]
    assert event["version"] == "2"
    assert event["request"]["scopes"] == ["aws.cognito.signin.user.admin"]
    assert claims_of(result["IdToken"])["plan"] == "gold"
    access = claims_of(result["AccessToken"])
    assert (access["tier"], access["scope"]) == ({"n": 1}, "aws.cognito.signin.user.admin devices/read")


@pytest.mark.parametrize("nonsense", [None, [], "text", {"response": None}, {}])
def test_an_answer_that_is_not_the_event_is_refused(house, nonsense):
    _pool_id, client_id = traced(house, "PreSignUp")
    house.functions.handlers[ARN + "PreSignUp"] = lambda _event: nonsense
    person = {"ClientId": client_id, "Username": "ada@example.org", "Password": "Correct-Horse-1"}
    assert refused(house.client.sign_up, **person) == ("InvalidLambdaResponseException", "Unrecognizable lambda output")


def test_custom_challenges_go_as_the_pool_s_functions_say(house):
    names = ("DefineAuthChallenge", "CreateAuthChallenge", "VerifyAuthChallengeResponse")
    pool_id, client_id = traced(house, *names)
    handlers = house.functions.handlers

    def define(event):
        rounds = event["request"]["session"]
        if rounds and rounds[-1]["challengeResult"]:
            response: dict[str, object] = {"issueTokens": True, "failAuthentication": False}
        elif len(rounds) >= 2:
            response = {"issueTokens": False, "failAuthentication": True}
        else:
            response = {"challengeName": "CUSTOM_CHALLENGE", "issueTokens": False, "failAuthentication": False}
        return {**event, "response": response}

    def create(event):
        response = {"publicChallengeParameters": {"riddle": "6*7"}, "privateChallengeParameters": {"answer": "42"}}
        return {**event, "response": {**response, "challengeMetadata": "riddle"}}

    def verify(event):
        right = event["request"]["privateChallengeParameters"]["answer"] == event["request"]["challengeAnswer"]
        return {**event, "response": {"answerCorrect": right}}

    handlers.update(zip([ARN + name for name in names], (define, create, verify), strict=True))
    house.person(client_id)
    app = house.admin.create_user_pool_client(
        UserPoolId=pool_id, ClientName="riddles", ExplicitAuthFlows=["ALLOW_CUSTOM_AUTH"]
    )["UserPoolClient"]["ClientId"]
    start = {"ClientId": app, "AuthFlow": "CUSTOM_AUTH", "AuthParameters": {"USERNAME": "ada@example.org"}}

    def answer(asked, text):
        return house.client.respond_to_auth_challenge(
            ClientId=app,
            ChallengeName="CUSTOM_CHALLENGE",
            Session=asked["Session"],
            ChallengeResponses={"USERNAME": "ada@example.org", "ANSWER": text},
        )

    asked = house.client.initiate_auth(**start)
    assert asked["ChallengeParameters"]["riddle"] == "6*7"
    assert "answer" not in asked["ChallengeParameters"]
    again = answer(asked, "41")
    assert answer(again, "42")["AuthenticationResult"]["AccessToken"]
    again = answer(house.client.initiate_auth(**start), "41")
    assert refused(answer, again, "41")[0] == "NotAuthorizedException"


class Slow:
    """A function that answers from the third try on, or never."""

    def __init__(self, good_try=0, status=200):
        self.tries = 0
        self.good_try = good_try
        self.status = status

    async def __call__(self, _arn, payload, *, caller):
        self.tries += 1
        if self.tries == self.good_try:
            return Answer(json.dumps({**json.loads(payload), "response": {"answered": self.tries}}).encode())
        if self.status != 200:
            return Answer(b'{"Message": "no"}', None, self.status)
        await asyncio.Event().wait()
        return None


async def run(house, invoke):
    pool_id, client_id = await asyncio.to_thread(house.pool, LambdaConfig={"PreSignUp": ARN + "f"})
    await asyncio.to_thread(
        house.admin.admin_create_user, UserPoolId=pool_id, Username="a@b.c", MessageAction="SUPPRESS"
    )
    pool = house.idp._pools.find(pool_id)
    user = pool.get_user("a@b.c")
    return await Triggers(invoke, timeout_s=0.02).run(pool, "PreSignUp_SignUp", user, client_id=client_id, request={})


@pytest.mark.parametrize(("invoke", "tries"), [(Slow(3), 3), (Slow(2, status=429), 2)])
async def test_a_function_is_given_three_tries_to_answer_in_time(house, invoke, tries):
    house.functions.handlers[ARN + "f"] = same
    assert await run(house, invoke) == {"answered": tries}


@pytest.mark.parametrize(("invoke", "tries"), [(Slow(), 3), (Slow(status=500), 3), (Slow(status=403), 1)])
async def test_then_the_request_is_refused(house, invoke, tries):
    house.functions.handlers[ARN + "f"] = same
    with pytest.raises(Exception, match="PreSignUp invocation failed due to error") as error:
        await run(house, invoke)
    assert getattr(error.value, "code", "") == "UnexpectedLambdaException"
    assert invoke.tries == tries
