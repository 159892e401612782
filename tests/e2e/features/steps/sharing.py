"""A2 roles, A3 invitations, A4 transfer, A5 rooms."""

from typing import Any

from pytest_bdd import given, step, then, when

from tests.e2e.features.steps.people import Person
from tests.e2e.features.steps.scene import Scene, says


@given(says("{who:w} owns a thermostat"))
def owns_a_thermostat(scene: Scene, who: str) -> None:
    scene.things.append(scene.operator.make())
    claim = {"thing": scene.thermostat.thing, "secret": scene.thermostat.secret}
    scene.person(who).ask("POST", "/v1/devices/claim", claim)


def _owner(scene: Scene, path: str) -> Person:
    """Return who manages something: whoever of the scene may look at its members and is its owner."""
    present = {**scene.neighbourhood.people, **scene.people}
    return next(each for each in present.values() if each.call("GET", path).document.get("role") == "owner")


def _join(scene: Scene, who: str, role: str, path: str, offer: dict[str, Any]) -> None:
    invited = _owner(scene, path).ask("POST", "/v1/invitations", {**offer, "role": role})
    scene.person(who).ask("POST", "/v1/invitations/accept", {"code": invited["code"]})


@given(says("{who:w} is {role:w} of the thermostat"))
def is_member(scene: Scene, who: str, role: str) -> None:
    _join(scene, who, role, scene.path, {"thing": scene.thermostat.thing})


@given(says("{who:w} is {role:w} of the room"))
def is_member_of_the_room(scene: Scene, who: str, role: str) -> None:
    _join(scene, who, role, f"/v1/rooms/{scene.room}", {"room": scene.room})


@then(says("{who:w} sees the thermostat as {role:w}"))
def sees_the_thermostat(scene: Scene, who: str, role: str) -> None:
    assert scene.person(who).ask("GET", scene.path)["role"] == role


@then(says("the thermostat does not exist for {who:w}"))
def thermostat_does_not_exist(scene: Scene, who: str) -> None:
    """Nothing tells it from a device that there is not: neither words nor lists nor what could be done with it."""
    person, absent = scene.person(who), f"/v1/devices/absent-{scene.thermostat.thing[7:]}"
    for method, rest, document in (
        ("GET", "", None),
        ("GET", "/readings", None),
        ("GET", "/shadow", None),
        ("GET", "/members", None),
        ("PATCH", "", {"name": "Mine"}),
        ("POST", "/commands", {"command": "identify"}),
        ("POST", "/release", None),
    ):
        real, none = (person.call(method, path + rest, document) for path in (scene.path, absent))
        assert real.status == none.status == 404, (method, rest, real, none)
        assert {**real.document, "instance": ""} == {**none.document, "instance": ""}
    assert scene.thermostat.thing not in {each["thing"] for each in person.ask("GET", "/v1/devices")["items"]}


@then(says('{who:w} may order "{command}"'))
def may_order(scene: Scene, who: str, command: str) -> None:
    assert scene.person(who).call("POST", f"{scene.path}/commands", {"command": command}).status == 202


@then(says('{who:w} may not order "{command}"'))
def may_not_order(scene: Scene, who: str, command: str) -> None:
    assert scene.person(who).call("POST", f"{scene.path}/commands", {"command": command}).status == 403


@then(says("{who:w} may rename the thermostat"))
def may_rename_it(scene: Scene, who: str) -> None:
    assert scene.person(who).ask("PATCH", scene.path, {"name": "Hall"})["name"] == "Hall"


@then(says("{who:w} may not rename the thermostat"))
def may_not_rename_it(scene: Scene, who: str) -> None:
    assert scene.person(who).call("PATCH", scene.path, {"name": "Hall"}).status == 403


@then(says("{who:w} may share the thermostat"))
def may_share(scene: Scene, who: str) -> None:
    offer = {"thing": scene.thermostat.thing, "role": "viewer"}
    assert scene.person(who).call("POST", "/v1/invitations", offer).status == 201


@then(says("{who:w} may not share the thermostat"))
def may_not_share(scene: Scene, who: str) -> None:
    offer = {"thing": scene.thermostat.thing, "role": "viewer"}
    assert scene.person(who).call("POST", "/v1/invitations", offer).status == 403


@when(says("{owner:w} makes {who:w} {role:w} of the thermostat"))
def changes_role(scene: Scene, owner: str, who: str, role: str) -> None:
    scene.person(owner).ask("PATCH", f"{scene.path}/members/{scene.person(who).user}", {"role": role})


@when(says("{owner:w} ends what {who:w} is to the thermostat"))
def ends_membership(scene: Scene, owner: str, who: str) -> None:
    scene.person(owner).ask("DELETE", f"{scene.path}/members/{scene.person(who).user}")


@when(says("{owner:w} ends what {who:w} is to the room"))
def ends_room_membership(scene: Scene, owner: str, who: str) -> None:
    scene.person(owner).ask("DELETE", f"/v1/rooms/{scene.room}/members/{scene.person(who).user}")


def _offer(scene: Scene, owner: str, role: str, **more: Any) -> None:
    offer = {"thing": scene.thermostat.thing, "role": role, **more}
    scene.invitation = scene.person(owner).ask("POST", "/v1/invitations", offer)


@when(says("{owner:w} offers the role of {role:w} by a code"))
def offers_by_code(scene: Scene, owner: str, role: str) -> None:
    _offer(scene, owner, role)


@when(says("{owner:w} offers the role of {role:w} by a code that is good for an hour"))
def offers_for_an_hour(scene: Scene, owner: str, role: str) -> None:
    _offer(scene, owner, role, lifetime_s=3600)


@when(says("{owner:w} offers the role of {role:w} to the address of {who:w}"))
def offers_by_address(scene: Scene, owner: str, role: str, who: str) -> None:
    _offer(scene, owner, role, email=scene.person(who).email)


@when(says("{owner:w} offers the thermostat itself to {who:w}"))
def offers_ownership(scene: Scene, owner: str, who: str) -> None:
    _offer(scene, owner, "owner", email=scene.person(who).email)


@when(says("{owner:w} offers the thermostat itself to {who:w} and hands the data over"))
def offers_ownership_with_data(scene: Scene, owner: str, who: str) -> None:
    _offer(scene, owner, "owner", email=scene.person(who).email, hand_over=True)


@when(says("{who:w} accepts by the code"))
def accepts_by_code(scene: Scene, who: str) -> None:
    scene.take(scene.person(who).call("POST", "/v1/invitations/accept", {"code": scene.invitation["code"]}))


@when(says("{who:w} accepts the invitation of {whom:w}"))
def accepts_by_id(scene: Scene, who: str, whom: str) -> None:
    scene.take(scene.person(who).call("POST", "/v1/invitations/accept", {"id": scene.invitation["id"]}))


@when(says("{who:w} declines it"))
def declines(scene: Scene, who: str) -> None:
    scene.person(who).ask("POST", "/v1/invitations/decline", {"id": scene.invitation["id"]})


@when(says("{owner:w} takes the invitation back"))
def takes_back(scene: Scene, owner: str) -> None:
    scene.person(owner).ask("DELETE", f"/v1/invitations/{scene.invitation['id']}")


@then(says("{who:w} finds the invitation among his"))
def finds_invitation(scene: Scene, who: str) -> None:
    found = scene.person(who).ask("GET", "/v1/me/invitations")["items"]
    assert scene.invitation["id"] in {each["id"] for each in found}


@then(says("{owner:w} has no open invitation"))
def no_open_invitation(scene: Scene, owner: str) -> None:
    assert scene.person(owner).ask("GET", f"/v1/invitations?thing={scene.thermostat.thing}")["items"] == []


@given(says('{who:w} has a room "{name}"'))
def has_a_room(scene: Scene, who: str, name: str) -> None:
    scene.room = scene.person(who).ask("POST", "/v1/rooms", {"name": name})["id"]


@step(says("{who:w} puts the thermostat into the room"))
def puts_into_the_room(scene: Scene, who: str) -> None:
    scene.person(who).ask("PUT", f"/v1/rooms/{scene.room}/devices/{scene.thermostat.thing}")


@when(says("{who:w} takes the thermostat out of the room"))
def takes_out_of_the_room(scene: Scene, who: str) -> None:
    scene.person(who).ask("DELETE", f"/v1/rooms/{scene.room}/devices/{scene.thermostat.thing}")


@then(says("{who:w} finds the thermostat in the room"))
def finds_in_the_room(scene: Scene, who: str) -> None:
    found = scene.person(who).ask("GET", f"/v1/rooms/{scene.room}/devices")["items"]
    assert [each["thing"] for each in found] == [scene.thermostat.thing]


@when(says("{who:w} ends the room"))
def ends_the_room(scene: Scene, who: str) -> None:
    scene.person(who).ask("DELETE", f"/v1/rooms/{scene.room}")


@then(says("the room does not exist for {who:w}"))
def room_does_not_exist(scene: Scene, who: str) -> None:
    person = scene.person(who)
    assert person.call("GET", f"/v1/rooms/{scene.room}").status == 404
    assert scene.room not in {each["id"] for each in person.ask("GET", "/v1/rooms")["items"]}
