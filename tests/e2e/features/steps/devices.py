"""C5 claiming, C7 revocation, I3 the audit trail; and what a thermostat does."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

from pytest_bdd import given, step, then, when

from tests.e2e.features.steps.scene import Scene, says
from tests.e2e.features.steps.things import WAIT_S, wait_for

LONG_AGO_MS = 0


@given("a thermostat that nobody owns")
def nobodys_thermostat(scene: Scene) -> None:
    scene.things.append(scene.operator.make())


@given("a thermostat that nobody owns, with a secret that is good for an hour")
def thermostat_with_a_short_secret(scene: Scene) -> None:
    scene.things.append(scene.operator.make(secret_lifetime_s=3600))


def _claim(scene: Scene, who: str, thing: str, secret: str) -> None:
    scene.take(scene.person(who).call("POST", "/v1/devices/claim", {"thing": thing, "secret": secret}))


@when(says("{who:w} scans the QR code on its label and claims it"))
def claims_by_qr(scene: Scene, who: str) -> None:
    label = urlsplit(scene.thermostat.qr)
    assert (label.scheme, label.path) == ("fieldline", "claim")
    _claim(scene, who, **{name: values[0] for name, values in parse_qs(label.query).items()})


@when(says("{who:w} claims the thermostat by the secret on its label"))
def claims(scene: Scene, who: str) -> None:
    _claim(scene, who, scene.thermostat.thing, scene.thermostat.secret)


@when(says("{who:w} claims the thermostat by a wrong secret"))
def claims_wrongly(scene: Scene, who: str) -> None:
    _claim(scene, who, scene.thermostat.thing, "x" * len(scene.thermostat.secret))


@when(says("{who:w} claims the thermostat by a wrong secret {times:d} times"))
def claims_wrongly_often(scene: Scene, who: str, times: int) -> None:
    for _ in range(times):
        claims_wrongly(scene, who)


@when(says("{who:w} claims a device that does not exist"))
def claims_nothing(scene: Scene, who: str) -> None:
    _claim(scene, who, f"absent-{scene.thermostat.thing}", scene.thermostat.secret)


@when(says("{who:w} lets the thermostat go"))
def lets_go(scene: Scene, who: str) -> None:
    scene.person(who).ask("POST", f"{scene.path}/release")


@when(says("{who:w} revokes the thermostat"))
def revokes(scene: Scene, who: str) -> None:
    scene.take(scene.person(who).call("POST", f"{scene.path}/revoke"))


@when(says("{who:w} resets the thermostat to how it left the factory"))
def resets(scene: Scene, who: str) -> None:
    scene.person(who).ask("POST", f"{scene.path}/factory-reset")


@step("the thermostat is connected")
@step("the thermostat connects")
@step("the thermostat can connect again")
def connects(scene: Scene) -> None:
    assert scene.thermostat.connect()


@then("the thermostat cannot connect")
def cannot_connect(scene: Scene) -> None:
    assert not scene.thermostat.connect()


@then("the thermostat is cut off")
def is_cut_off(scene: Scene) -> None:
    assert scene.thermostat.gone.wait(WAIT_S)


@then("the thermostat is still connected")
def is_still_connected(scene: Scene) -> None:
    scene.thermostat.report(20.0)
    assert not scene.thermostat.gone.is_set()


@when("the thermostat goes")
def goes(scene: Scene) -> None:
    scene.thermostat.disconnect()


@given(says("the thermostat has reported {degrees:g} degrees"))
def has_reported(scene: Scene, degrees: float) -> None:
    assert scene.thermostat.connect()
    scene.thermostat.report(degrees)
    scene.thermostat.disconnect()
    wait_for("the reading in the table", lambda: _readings(scene, "Ann") == [degrees])


def _readings(scene: Scene, who: str) -> list[float]:
    found = scene.person(who).ask("GET", f"{scene.path}/readings?from={LONG_AGO_MS}")["items"]
    return [reading["metrics"]["temperature_c"] for reading in found]


@then(says("{who:w} reads {degrees:g} degrees"))
def reads(scene: Scene, who: str, degrees: float) -> None:
    assert _readings(scene, who) == [degrees]


@then(says("{who:w} finds no reading"))
def finds_no_reading(scene: Scene, who: str) -> None:
    assert _readings(scene, who) == []
    assert scene.person(who).ask("GET", f"{scene.path}/readings/latest")["reading"] is None


@then(says("{who:w} finds no command"))
def finds_no_command(scene: Scene, who: str) -> None:
    assert scene.person(who).ask("GET", f"{scene.path}/commands")["items"] == []


def _trail(scene: Scene, who: str) -> list[dict[str, Any]]:
    return list(scene.person(who).ask("GET", f"{scene.path}/audit")["items"])


@then(says("{who:w} finds nothing of {other:w} in the audit trail"))
def finds_nothing_of(scene: Scene, who: str, other: str) -> None:
    assert scene.person(other).user not in {entry["actor"] for entry in _trail(scene, who)}


@when(says('{who:w} renames the thermostat to "{name}"'))
def renames(scene: Scene, who: str, name: str) -> None:
    scene.person(who).ask("PATCH", scene.path, {"name": name})


@then(
    says(
        'the newest entry says that {who:w} "{what}" it, the name before "{before}" and after "{after}", and from where'
    )
)
def newest_entry_says(scene: Scene, who: str, what: str, before: str, after: str) -> None:
    newest = _trail(scene, who)[0]
    assert (newest["actor"], newest["what"]) == (scene.person(who).user, what)
    assert (newest["before"]["name"], newest["after"]["name"]) == (before, after)
    assert newest["address"]
    assert newest["at"]


@then(says('the trail has the role of {who:w} from "{before}" to "{after}", and its end'))
def trail_has_role(scene: Scene, who: str, before: str, after: str) -> None:
    end, change, *_ = (entry for entry in _trail(scene, "Ann") if entry["about"] == scene.person(who).user)
    assert (change["before"]["role"], change["after"]["role"]) == (before, after)
    assert (end["before"], end["after"]) == ({"role": after}, {})


@then(says("the newest entry is by {who:w}"))
def newest_entry_is_by(scene: Scene, who: str) -> None:
    assert _trail(scene, "Ann")[0]["actor"] == scene.person(who).user


@when(says("{who:w} reads the audit trail"))
def reads_the_trail(scene: Scene, who: str) -> None:
    scene.take(scene.person(who).call("GET", f"{scene.path}/audit"))
