"""E1 and E2 shadows, E3 to E5 commands, H1 to H3 presence."""

from datetime import datetime
from typing import Any

from pytest_bdd import given, step, then, when

from tests.e2e.features.steps.scene import Scene, says
from tests.e2e.features.steps.things import WAIT_S, Thermostat, wait_for

OBEDIENT = ("ACKED", "SUCCEEDED")
JUST_NOW_S = 60.0


@when(says("{who:w} wants {desired:json} of the thermostat"))
def wants(scene: Scene, who: str, desired: Any) -> None:
    scene.take(scene.person(who).call("PATCH", f"{scene.path}/shadow", {"desired": desired}))
    assert scene.said.status == 200, scene.said


@when(says("{who:w} wants {desired:json} of the thermostat from the version she {has:w} read"))
def wants_from_version(scene: Scene, who: str, desired: Any, has: str) -> None:
    person, path = scene.person(who), f"{scene.path}/shadow"
    if has == "has":
        person.etags["shadow"] = person.call("GET", path).headers["etag"]
    scene.take(person.call("PATCH", path, {"desired": desired}, if_match=person.etags["shadow"]))


@then(says("the difference is {delta:json}"))
def difference_is(scene: Scene, delta: Any) -> None:
    assert scene.person("Ann").ask("GET", f"{scene.path}/shadow")["delta"] == delta


@when(says("the thermostat connects and reports {reported:json}"))
def connects_and_reports(scene: Scene, reported: Any) -> None:
    assert scene.thermostat.connect()
    topic = f"$aws/things/{scene.thermostat.thing}/shadow/update"
    scene.thermostat.publish(topic, {"state": {"reported": reported}})


@then("there is no difference")
def no_difference(scene: Scene) -> None:
    wait_for(
        "the shadow to have no delta",
        lambda: scene.person("Ann").ask("GET", f"{scene.path}/shadow")["delta"] == {},
    )


@given("the thermostat is connected and listens to its shadow")
def listens_to_shadow(scene: Scene) -> None:
    assert scene.thermostat.connect()
    scene.thermostat.listen_to_shadow()


@given("the thermostat is connected and listens to its configuration")
def listens_to_configuration(scene: Scene) -> None:
    assert scene.thermostat.connect()
    scene.thermostat.listen_to_shadow("config")


@when(says("{who:w} sets {settings:json} on the thermostat"))
def sets(scene: Scene, who: str, settings: Any) -> None:
    scene.take(scene.person(who).call("PATCH", f"{scene.path}/config", {"settings": settings}))


@then(says("the thermostat hears that {wanted:json} is wanted"))
def hears_delta(scene: Scene, wanted: Any) -> None:
    assert scene.thermostat.shadows.get(timeout=WAIT_S)["state"] == wanted


@step("the thermostat is connected and does as it is told")
@step("the thermostat connects and does as it is told")
def does_as_told(scene: Scene) -> None:
    scene.thermostat.answers = OBEDIENT
    assert scene.thermostat.connect()


@given(says("the thermostat is connected and answers {state:w}"))
def answers(scene: Scene, state: str) -> None:
    scene.thermostat.answers = ("ACKED", state)
    assert scene.thermostat.connect()


def _order(scene: Scene, who: str, **order: Any) -> None:
    answer = scene.take(scene.person(who).call("POST", f"{scene.path}/commands", order))
    if answer.status == 202:
        scene.commands.append(answer.document)


@when(says('{who:w} orders "{command}" with {parameters:json}'))
def orders(scene: Scene, who: str, command: str, parameters: Any) -> None:
    _order(scene, who, command=command, parameters=parameters)


@when(says('{who:w} orders "{command}" with {parameters:json} within {seconds:d} second'))
def orders_within(scene: Scene, who: str, command: str, parameters: Any, seconds: int) -> None:
    _order(scene, who, command=command, parameters=parameters, expires_in_s=seconds)


def _state(scene: Scene, command: dict[str, Any]) -> str:
    path = f"/v1/devices/{command['thing']}/commands/{command['id']}"
    return str(scene.person("Ann").ask("GET", path)["state"])


@then(says("the command is {state:w}"))
def command_is(scene: Scene, state: str) -> None:
    assert _state(scene, scene.commands[-1]) == state


@then(says("the command becomes {state:w}"))
def command_becomes(scene: Scene, state: str) -> None:
    wait_for(f"the command to be {state}", lambda: _state(scene, scene.commands[-1]) == state)


@then(says("the first command is still {state:w}"))
def first_command_is(scene: Scene, state: str) -> None:
    assert _state(scene, scene.commands[0]) == state


@then(says('the thermostat hears "{command}" with {parameters:json}'))
def hears_command(scene: Scene, command: str, parameters: Any) -> None:
    wait_for("a command at the device", lambda: scene.thermostat.commands)
    name, document = scene.thermostat.commands[-1]
    assert (name, document["parameters"], document["id"]) == (command, parameters, scene.commands[-1]["id"])


@then(says("the thermostat has heard {count:d} command"))
def has_heard(scene: Scene, count: int) -> None:
    assert len(scene.thermostat.commands) == count, scene.thermostat.commands


@when(says("the thermostat answers {one:w}, {two:w} and {three:w} once more"))
def answers_once_more(scene: Scene, one: str, two: str, three: str) -> None:
    first = scene.commands[0]
    for state in (one, two, three):
        scene.thermostat.answer(first["command"], first["id"], state)


@when("the thermostat goes and comes back")
def goes_and_comes_back(scene: Scene) -> None:
    scene.thermostat.disconnect()
    assert scene.thermostat.connect()


@given("the room has an online thermostat and an offline one")
def room_has_two(scene: Scene) -> None:
    ann = scene.person("Ann")
    for _ in range(2):
        scene.things.append(scene.operator.make())
        thing = scene.thermostat
        ann.ask("POST", "/v1/devices/claim", {"thing": thing.thing, "secret": thing.secret})
        ann.ask("PUT", f"/v1/rooms/{scene.room}/devices/{thing.thing}")
    online = scene.things[0]
    online.answers = OBEDIENT
    assert online.connect()


@when(says('{who:w} orders "{command}" of the room'))
def orders_of_the_room(scene: Scene, who: str, command: str) -> None:
    scene.take(scene.person(who).call("POST", f"/v1/rooms/{scene.room}/commands", {"command": command}))


@then(says("there is a result for each of the {count:d} devices"))
def result_for_each(scene: Scene, count: int) -> None:
    items = scene.said.document["items"]
    assert sorted(each["thing"] for each in items) == sorted(each.thing for each in scene.things)
    assert len(items) == count
    assert all(each["command"] and not each["error"] for each in items)


@then(says("each of the {count:d} devices has its own refusal"))
def refused_for_each(scene: Scene, count: int) -> None:
    items = scene.said.document["items"]
    assert [each["error"]["code"] for each in items] == ["invalid-input"] * count


def _of(scene: Scene, thermostat: Thermostat) -> dict[str, Any]:
    return next(each["command"] for each in scene.said.document["items"] if each["thing"] == thermostat.thing)


@then(says("the command of the online one becomes {state:w}"))
def online_becomes(scene: Scene, state: str) -> None:
    wait_for(f"the command to be {state}", lambda: _state(scene, _of(scene, scene.things[0])) == state)


@then(says("the command of the offline one is {state:w}"))
def offline_is(scene: Scene, state: str) -> None:
    assert _state(scene, _of(scene, scene.things[1])) == state


def _status(scene: Scene) -> str:
    return str(scene.person("Ann").ask("GET", scene.path)["status"])


@then(says('the status of the thermostat is "{status}"'))
def status_is(scene: Scene, status: str) -> None:
    assert _status(scene) == status


@step(says('the status of the thermostat becomes "{status}"'))
def status_becomes(scene: Scene, status: str) -> None:
    wait_for(f"the thermostat to be {status}", lambda: _status(scene) == status)


def _seen_at(scene: Scene) -> float:
    seen = scene.person("Ann").ask("GET", scene.path)["last_seen_at"]
    return datetime.fromisoformat(seen).timestamp() if seen else 0.0


@then(says('the status of the thermostat stays "{status}"'))
def status_stays(scene: Scene, status: str) -> None:
    """Look once it is known that the thermostat went: while it is connected, it is seen whenever one asks."""
    wait_for("the thermostat's going to be known", lambda: _seen_at(scene) == _seen_at(scene))
    assert _status(scene) == status


@when(says("the thermostat comes and goes {times:d} times"))
def comes_and_goes(scene: Scene, times: int) -> None:
    for _ in range(times):
        assert scene.thermostat.connect()
        scene.thermostat.disconnect()


@when("the thermostat connects a second time, while the first connection stands")
def connects_twice(scene: Scene) -> None:
    first = scene.thermostat
    second = Thermostat(scene.operator, first.thing, {"claim_secret": first.secret, "qr": first.qr})
    second.certificate = first.certificate
    assert second.connect()
    scene.things.append(second)


@then("the first connection is cut off")
def first_is_cut_off(scene: Scene) -> None:
    assert scene.things[0].gone.wait(WAIT_S)
    assert not scene.things[1].gone.is_set()


@then("the thermostat was never seen")
def never_seen(scene: Scene) -> None:
    assert _seen_at(scene) == 0.0


@step("the thermostat was seen just now")
def seen_just_now(scene: Scene) -> None:
    wait_for("the thermostat to be seen", lambda: abs(scene.now() - _seen_at(scene)) < JUST_NOW_S)


@then(says("the thermostat was seen {minutes:d} minutes ago"))
def seen_ago(scene: Scene, minutes: int) -> None:
    wait_for(
        "the thermostat to be seen last when it left",
        lambda: abs(scene.now() - minutes * 60 - _seen_at(scene)) < JUST_NOW_S,
    )
