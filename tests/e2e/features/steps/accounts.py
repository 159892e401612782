"""A1 signing in, A6 profile, A7 leaving."""

import re
from typing import Any

import pytest
from botocore.exceptions import ClientError
from pycognito.exceptions import SoftwareTokenMFAChallengeException
from pytest_bdd import given, step, then, when

from tests.e2e.features.steps.people import Person, forge, one_time_code
from tests.e2e.features.steps.scene import Scene, says
from tests.e2e.features.steps.things import wait_for


@given(says("{names} are signed in"))
def are_signed_in(scene: Scene, names: str) -> None:
    for name in re.split(r", | and ", names):
        scene.person(name)


@given(says("{who:w} is signed in"))
def is_signed_in(scene: Scene, who: str) -> None:
    scene.person(who)


@given(says("{who:w} has just joined"))
def has_just_joined(scene: Scene, who: str) -> None:
    scene.people[who] = scene.neighbourhood.newcomer(who)


@given(says("{who:w} is an administrator"))
def is_administrator(scene: Scene, who: str) -> None:
    person = scene.people[who] = scene.neighbourhood.newcomer(who)
    scene.operator.client("cognito-idp").admin_add_user_to_group(
        UserPoolId=scene.configuration.app["auth"]["user_pool_id"],
        Username=person.email,
        GroupName=scene.configuration.outputs["AdminGroupName"],
    )
    person.sign_in()


@given(says("{who:w} signs up"))
def signs_up(scene: Scene, who: str) -> None:
    scene.people[who] = Person(scene.configuration, who)
    scene.people[who].sign_up()


def _mailed_code(scene: Scene, person: Person) -> str:
    scene.need_local_cloud()
    return re.findall(r"code (\d{6})", scene.configuration.run("inbox", person.email))[-1]


def _confirm(scene: Scene, person: Person, code: str) -> None:
    _heed(
        scene,
        lambda: person.cognito.confirm_sign_up(ClientId=person.client_id, Username=person.email, ConfirmationCode=code),
    )


def _heed(scene: Scene, act: Any) -> None:
    """Do something and keep how Cognito refused it."""
    scene.refusal = ""
    try:
        act()
    except ClientError as error:
        scene.refusal = error.response["Error"]["Code"]


@when(says("{who:w} confirms her address with a code that was not sent"))
def confirms_with_a_wrong_code(scene: Scene, who: str) -> None:
    person = scene.person(who)
    _confirm(scene, person, f"{(int(_mailed_code(scene, person)) + 1) % 1_000_000:06d}")


@when(says("{who:w} confirms her address with the code in the mail"))
def confirms(scene: Scene, who: str) -> None:
    person = scene.person(who)
    _confirm(scene, person, _mailed_code(scene, person))
    assert not scene.refusal, scene.refusal


@when(says("{who:w} signs in"))
def signs_in(scene: Scene, who: str) -> None:
    scene.person(who).sign_in()


@when(says("somebody signs in as {who:w} with a wrong password"))
def signs_in_wrongly(scene: Scene, who: str) -> None:
    somebody = Person(scene.configuration, "Somebody")
    somebody.email = scene.person(who).email
    _heed(scene, somebody.sign_in)


@when("somebody signs in as a stranger who never signed up")
def stranger_signs_in(scene: Scene) -> None:
    _heed(scene, Person(scene.configuration, "Stranger").sign_in)


@then(says('{who:w} is told "{code}"'))
@then(says('{who:w} are told "{code}"'))
def is_told(scene: Scene, who: str, code: str) -> None:
    assert scene.refusal == code


@then(says("{who:w} can read {whose:w} profile"))
def can_read_profile(scene: Scene, who: str, whose: str) -> None:
    person = scene.person(who)
    assert person.ask("GET", "/v1/me")["user"] == person.user


@when(says("{who:w}'s phone refreshes her session"))
def refreshes(scene: Scene, who: str) -> None:
    old = scene.person(who).token
    scene.person(who).refresh()
    assert scene.person(who).token != old


@when(says("{who:w} resets his password by the code in the mail"))
def resets_password(scene: Scene, who: str) -> None:
    person = scene.person(who)
    person.cognito.forgot_password(ClientId=person.client_id, Username=person.email)
    code, fresh = _mailed_code(scene, person), f"{person.password}-New"
    person.cognito.confirm_forgot_password(
        ClientId=person.client_id, Username=person.email, ConfirmationCode=code, Password=fresh
    )
    person.password = fresh


@then(says("the old password of {who:w} is refused"))
def old_password_is_refused(scene: Scene, who: str) -> None:
    person = scene.person(who)
    _heed(scene, lambda: person.sign_in(person.password.removesuffix("-New")))
    assert scene.refusal == "NotAuthorizedException"


@when(says("{who:w} sets up an authenticator app"))
def sets_up_totp(scene: Scene, who: str) -> None:
    person = scene.person(who)
    secret = person.cognito.associate_software_token(AccessToken=person.token)["SecretCode"]
    person.cognito.verify_software_token(AccessToken=person.token, UserCode=one_time_code(secret, scene.now()))
    preference = {"Enabled": True, "PreferredMfa": True}
    person.cognito.set_user_mfa_preference(AccessToken=person.token, SoftwareTokenMfaSettings=preference)
    person.totp_secret = secret


@when(says("{who:w} signs in with her password and the code of the app"))
def signs_in_with_both(scene: Scene, who: str) -> None:
    """The app shows another code every 30 seconds, and none is good twice."""
    person = scene.person(who)
    shown = one_time_code(person.totp_secret, scene.now())
    if scene.configuration.local:
        scene.move_clock(30)
    wait_for("the next code of the app", lambda: one_time_code(person.totp_secret, scene.now()) != shown, within_s=40)
    person.tokens = {}
    person.sign_in(code=one_time_code(person.totp_secret, scene.now()))


@then(says("the password of {who:w} alone is not enough"))
def password_is_not_enough(scene: Scene, who: str) -> None:
    person = scene.person(who)
    with pytest.raises(SoftwareTokenMFAChallengeException):
        person.sign_in()


@then("a call without a token gets 401")
def no_token(scene: Scene) -> None:
    assert scene.person("Ann").call("GET", "/v1/me", token=None).status == 401


@then("a call with a forged token gets 401")
def forged_token(scene: Scene) -> None:
    ann = scene.person("Ann")
    for token in (forge(ann.token), forge(ann.token, algorithm="none"), "no.token.atall"):
        assert ann.call("GET", "/v1/me", token=token).status == 401


@then(says("a call with {who:w}'s ID token gets 401"))
def id_token(scene: Scene, who: str) -> None:
    person = scene.person(who)
    assert person.call("GET", "/v1/me", token=person.tokens["IdToken"]).status == 401


@then(says("a call with {who:w}'s old token gets 401"))
def old_token(scene: Scene, who: str) -> None:
    person = scene.person(who)
    assert person.call("GET", "/v1/me", token=scene.old_tokens[who]["AccessToken"]).status == 401


@then(says("the profile of {who:w} says her address"))
def profile_says_address(scene: Scene, who: str) -> None:
    person = scene.person(who)
    assert person.ask("GET", "/v1/me")["email"] == person.email


@when(says("{who:w} changes her profile to {changes:json}"))
def changes_profile(scene: Scene, who: str, changes: Any) -> None:
    scene.take(scene.person(who).call("PATCH", "/v1/me", changes))


@when(says("{who:w} changes her profile to {changes:json} from the version she {has:w} read"))
def changes_profile_by_version(scene: Scene, who: str, changes: Any, has: str) -> None:
    person = scene.person(who)
    if has == "has":
        person.etags["me"] = person.call("GET", "/v1/me").headers["etag"]
    scene.take(person.call("PATCH", "/v1/me", changes, if_match=person.etags["me"]))


@then(says("the profile of {who:w} says {wanted:json}"))
def profile_says(scene: Scene, who: str, wanted: Any) -> None:
    assert wanted.items() <= scene.person(who).ask("GET", "/v1/me").items()


@then(says("the notification preferences of {who:w} are {wanted:json}"))
def preferences_are(scene: Scene, who: str, wanted: Any) -> None:
    assert scene.person(who).ask("GET", "/v1/me")["notifications"] == wanted


@then(says("{who:w} is answered {status:d}"))
def is_answered(scene: Scene, who: str, status: int) -> None:
    assert scene.said.status == status, scene.said


@then(says("{who:w} is answered {status:d} in the same words"))
def is_answered_in_the_same_words(scene: Scene, who: str, status: int) -> None:
    assert scene.before is not None
    assert scene.said.status == scene.before.status == status
    told = [{**answer.document, "instance": ""} for answer in (scene.said, scene.before)]
    assert told[0] == told[1]


@then(says('the answer names "{field}"'))
def answer_names(scene: Scene, field: str) -> None:
    named = [error["field"] for error in scene.said.document["errors"]]
    assert any(each == field or each.endswith(f".{field}") for each in named), scene.said.document


@when(says("{who:w} exports what is stored about her"))
def exports(scene: Scene, who: str) -> None:
    scene.take(scene.person(who).call("GET", "/v1/me/export"))


@then(says('the export has her address, the thermostat, the room "{room}" and the item "{item}"'))
def export_has(scene: Scene, room: str, item: str) -> None:
    assert scene.said.status == 200, scene.said
    document = scene.said.document
    assert document["profile"]["email"] in {person.email for person in scene.people.values()}
    assert [device["thing"] for device in document["devices"]] == [scene.thermostat.thing]
    assert [each["name"] for each in document["rooms"]] == [room]
    assert [each["id"] for each in document["items"]] == [item]
    assert document["changes_made"]


@when(says("{who:w} deletes her account"))
def deletes_account(scene: Scene, who: str) -> None:
    scene.person(who).ask("DELETE", "/v1/me")


@then(says("{who:w} cannot sign in any more"))
def cannot_sign_in(scene: Scene, who: str) -> None:
    _heed(scene, scene.person(who).sign_in)
    assert scene.refusal == "NotAuthorizedException"


@step(says("a call with {who:w}'s old token finds nobody"))
def old_token_finds_nobody(scene: Scene, who: str) -> None:
    assert scene.person(who).call("GET", "/v1/me").status in (401, 404)


@step(says("{amount:d} {unit:w} pass"))
def time_passes(scene: Scene, amount: int, unit: str) -> None:
    scene.need_local_cloud()
    scene.move_clock(amount * {"s": 1, "m": 60, "h": 3600}[unit[0]])
