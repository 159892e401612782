"""Sharing through the API: what a role allows, what ends it, and that nothing is seen afterwards."""

import pytest

from backend import bootstrap
from backend.adapters.people import DynamoInvitations
from backend.services import rooms
from tests.integration.backend.world import Person, World
from tests.unit.backend.examples import document


@pytest.fixture(scope="module")
def ann(world: World) -> Person:
    return world.person("ann")


@pytest.fixture(scope="module")
def bob(world: World) -> Person:
    return world.person("bob")


def share(owner: Person, other: Person, role: str, **subject: str) -> str:
    invited = owner("POST", "/v1/invitations", {"role": role, **subject})
    assert invited.status == 201, invited.text
    assert other("POST", "/v1/invitations/accept", {"code": invited.json["code"]}).status == 200
    return str(invited.json["id"])


def test_a_viewer_sees_and_changes_nothing_until_the_share_ends(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    path = f"/v1/devices/{thing}"
    assert bob("GET", path).status == 404
    share(ann, bob, "viewer", thing=thing)
    assert bob("GET", path).json["role"] == "viewer"
    assert bob("PATCH", path, {"name": "mine"}).status == 403
    assert bob("POST", f"{path}/commands", {"command": "identify"}).status == 403
    assert ann("DELETE", f"{path}/members/{bob.user}").status == 204
    absent = bob("GET", "/v1/devices/absent")
    assert bob("GET", path).text == absent.text
    assert thing not in bob("GET", "/v1/devices").text


def test_an_operator_controls_and_does_not_manage(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    share(ann, bob, "operator", thing=thing)
    assert bob("POST", f"/v1/devices/{thing}/commands", {"command": "identify"}).status == 202
    assert bob("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).status == 403
    assert bob("POST", f"/v1/devices/{thing}/release").status == 403
    assert bob("GET", f"/v1/devices/{thing}/audit").status == 403
    assert ann("PATCH", f"/v1/devices/{thing}/members/{bob.user}", {"role": "viewer"}).json["role"] == "viewer"
    assert bob("POST", f"/v1/devices/{thing}/commands", {"command": "identify"}).status == 403


def test_an_invitation_is_used_once_and_revoked_ones_are_gone(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json["code"]
    assert bob("POST", "/v1/invitations/accept", {"code": code}).status == 200
    assert world.person("eve")("POST", "/v1/invitations/accept", {"code": code}).status == 404
    other = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json
    assert bob("DELETE", f"/v1/invitations/{other['id']}").status == 404
    assert ann("DELETE", f"/v1/invitations/{other['id']}").status == 204
    assert world.person("eve")("POST", "/v1/invitations/accept", {"code": other["code"]}).status == 404
    assert ann("GET", f"/v1/invitations?thing={thing}").json["items"] == []


def test_an_invitation_by_address_is_for_that_address(world: World, ann: Person) -> None:
    thing = world.device(ann)
    carl, dora = world.person("carl"), world.person("dora")
    invited = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer", "email": "Carl@Example.com"}).json
    assert dora("POST", "/v1/invitations/accept", {"code": invited["code"]}).status == 404
    assert [each["id"] for each in carl("GET", "/v1/me/invitations").json["items"]] == [invited["id"]]
    assert carl("POST", "/v1/invitations/accept", {"id": invited["id"]}).status == 200
    assert carl("GET", "/v1/me/invitations").json["items"] == []


def test_an_invitation_expires(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer", "lifetime_s": 60}).json["code"]
    world.clock.move(seconds=60)
    assert bob("POST", "/v1/invitations/accept", {"code": code}).status == 404


def test_a_declined_invitation_is_over(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json["code"]
    assert bob("POST", "/v1/invitations/decline", {"code": code}).status == 204
    assert bob("POST", "/v1/invitations/accept", {"code": code}).status == 404


def test_a_member_may_leave_and_the_owner_may_not(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    share(ann, bob, "viewer", thing=thing)
    assert bob("DELETE", f"/v1/devices/{thing}/members/{bob.user}").status == 204
    assert ann("DELETE", f"/v1/devices/{thing}/members/{ann.user}").status == 409


@pytest.mark.parametrize("hand_over", [False, True])
def test_ownership_passes_by_acceptance_and_the_past_only_if_handed_over(
    world: World, ann: Person, hand_over: bool
) -> None:
    bob, eve = world.person("bob"), world.person("eve")
    thing = world.device(ann)
    share(ann, eve, "viewer", thing=thing)
    now_ms = int(world.clock.now().timestamp() * 1000)
    world.send(thing, document(t0=now_ms - 5000))
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "owner", "hand_over": hand_over}).json["code"]
    assert ann("GET", f"/v1/devices/{thing}").json["role"] == "owner"
    assert bob("POST", "/v1/invitations/accept", {"code": code}).json["role"] == "owner"
    assert ann("GET", f"/v1/devices/{thing}").status == 404
    assert eve("GET", f"/v1/devices/{thing}").status == 404
    assert (bob("GET", f"/v1/devices/{thing}/readings/latest").json["reading"] is not None) == hand_over
    assert bool(bob("GET", f"/v1/devices/{thing}/readings").json["items"]) == hand_over


def test_a_room_is_shared_as_a_whole(world: World, ann: Person, bob: Person) -> None:
    first, second = world.device(ann), world.device(ann)
    room = ann("POST", "/v1/rooms", {"name": "Hall"}).json["id"]
    assert ann("PUT", f"/v1/rooms/{room}/devices/{first}").status == 204
    share(ann, bob, "operator", room=room)
    assert bob("GET", f"/v1/devices/{first}").json["role"] == "operator"
    assert bob("GET", f"/v1/devices/{second}").status == 404
    assert [each["thing"] for each in bob("GET", f"/v1/rooms/{room}/devices").json["items"]] == [first]
    assert bob("PUT", f"/v1/rooms/{room}/devices/{second}").status == 403
    ann("PUT", f"/v1/rooms/{room}/devices/{second}")
    outcomes = bob("POST", f"/v1/rooms/{room}/commands", {"command": "identify"}).json["items"]
    assert {each["thing"] for each in outcomes} == {first, second}
    ann("DELETE", f"/v1/rooms/{room}/devices/{first}")
    assert bob("GET", f"/v1/devices/{first}").status == 404
    assert ann("DELETE", f"/v1/rooms/{room}").status == 204
    assert bob("GET", f"/v1/devices/{second}").status == 404
    assert bob("GET", f"/v1/rooms/{room}").text == bob("GET", "/v1/rooms/absent").text
    assert ann("GET", f"/v1/devices/{second}").json["room"] is None


def test_an_admin_may_do_what_the_owner_may_and_it_is_written_down(world: World, ann: Person) -> None:
    thing = world.device(ann)
    admin = world.person("root", groups="[staff admin]")
    assert admin("GET", f"/v1/devices/{thing}").json["role"] == "admin"
    assert admin("PATCH", f"/v1/devices/{thing}", {"name": "Checked"}).status == 200
    trail = ann("GET", f"/v1/devices/{thing}/audit").json["items"]
    assert [(each["what"], each["actor"] == admin.user) for each in trail] == [("changed", True), ("claimed", False)]
    assert trail[0]["after"]["name"] == "Checked"
    assert trail[0]["address"] == "192.0.2.1"


def test_what_an_admin_offers_in_the_owners_name_can_be_accepted(world: World, ann: Person, bob: Person) -> None:
    admin = world.person("root", groups="[admin]")
    thing = world.device(ann)
    room = ann("POST", "/v1/rooms", {"name": "Shared"}).json["id"]
    for subject in ({"thing": thing}, {"room": room}):
        code = admin("POST", "/v1/invitations", {**subject, "role": "viewer"}).json["code"]
        assert bob("POST", "/v1/invitations/accept", {"code": code}).status == 200
    invited = next(e for e in ann("GET", f"/v1/devices/{thing}/audit").json["items"] if e["what"] == "invited")
    assert invited["actor"] == admin.user
    nobodys = admin("POST", "/v1/invitations", {"thing": world.device(), "role": "viewer"})
    assert (nobodys.status, nobodys.json["type"]) == (409, "urn:fieldline:problem:conflict")


def test_a_released_device_is_nobodys_and_its_past_is_hidden(world: World, ann: Person, bob: Person) -> None:
    thing = world.device(ann)
    share(ann, bob, "viewer", thing=thing)
    open_offer = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json["code"]
    now_ms = int(world.clock.now().timestamp() * 1000)
    world.send(thing, document(t0=now_ms - 5000))
    ann("PATCH", f"/v1/devices/{thing}", {"name": "Bedroom of Ann"})
    world.clock.move(seconds=1)
    assert ann("POST", f"/v1/devices/{thing}/release").status == 204
    assert {ann("GET", f"/v1/devices/{thing}").status, bob("GET", f"/v1/devices/{thing}").status} == {404}
    world.clock.move(seconds=1)
    assert world.claim(bob, thing).json["name"] == ""
    assert bob("GET", f"/v1/devices/{thing}/readings").json["items"] == []
    assert [each["what"] for each in bob("GET", f"/v1/devices/{thing}/audit").json["items"]] == ["claimed"]
    assert world.person("eve")("POST", "/v1/invitations/accept", {"code": open_offer}).status == 404


def test_revoking_ends_certificates_and_the_live_connection(world: World, ann: Person) -> None:
    thing = world.device(ann)
    assert ann("POST", f"/v1/devices/{thing}/revoke").status == 204
    assert (world.iot.inactive[-1], world.iot.cut[-1]) == (thing, thing)
    assert ann("GET", f"/v1/devices/{thing}").json["revoked"] is True


def test_a_factory_reset_forgets_the_shadow_and_the_owner(world: World, ann: Person) -> None:
    thing = world.device(ann)
    ann("PATCH", f"/v1/devices/{thing}/shadow", {"desired": {"target_c": 20}})
    assert ann("POST", f"/v1/devices/{thing}/factory-reset").status == 204
    assert world.iot.shadow(thing, None)["version"] == 0
    assert world.iot.cut[-1] == thing
    assert ann("GET", f"/v1/devices/{thing}").status == 404


def test_a_patch_by_an_old_version_is_refused(world: World, ann: Person) -> None:
    thing = world.device(ann)
    seen = ann("GET", f"/v1/devices/{thing}")
    assert ann("PATCH", f"/v1/devices/{thing}", {"name": "one"}, if_match=seen.headers["etag"]).status == 200
    assert ann("PATCH", f"/v1/devices/{thing}", {"name": "two"}, if_match=seen.headers["etag"]).status == 412
    assert ann("PATCH", f"/v1/devices/{thing}", {"name": "two"}, if_match="nonsense").status == 412
    assert ann("GET", f"/v1/devices/{thing}").json["name"] == "one"


def test_the_same_idempotency_key_has_one_effect_and_one_answer(world: World, ann: Person) -> None:
    first = ann("POST", "/v1/rooms", {"name": "Once"}, idempotency_key="k1")
    again = ann("POST", "/v1/rooms", {"name": "Once"}, idempotency_key="k1")
    assert first.status == again.status == 201
    assert first.json == again.json
    assert again.headers["idempotency-replayed"] == "true"
    assert ann("POST", "/v1/rooms", {"name": "Twice"}, idempotency_key="k1").status == 422
    names = [each["name"] for each in ann("GET", "/v1/rooms").json["items"]]
    assert names.count("Once") == 1
    assert ann("POST", "/v1/rooms", {"nam": 1}, idempotency_key="k2").status == 400
    assert ann("POST", "/v1/rooms", {"name": "x"}, idempotency_key="ä").status == 400


@pytest.mark.parametrize("hand_over", [False, True])
def test_what_its_owner_called_a_device_goes_along_only_if_handed_over(
    world: World, ann: Person, hand_over: bool
) -> None:
    bob, thing = world.person("bob"), world.device(ann)
    ann("PATCH", f"/v1/devices/{thing}", {"name": "Ann's bedroom", "attributes": {"site": "home"}})
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "owner", "hand_over": hand_over}).json["code"]
    assert bob("POST", "/v1/invitations/accept", {"code": code}).status == 200
    seen = bob("GET", f"/v1/devices/{thing}").json
    assert (seen["name"], seen["attributes"]) == (("Ann's bedroom", {"site": "home"}) if hand_over else ("", {}))
    assert (thing in bob("GET", "/v1/devices?attribute=site=home").text) == hand_over


def test_offers_that_have_expired_do_not_pile_up_until_nothing_can_be_released(world: World, ann: Person) -> None:
    thing = world.device(ann)
    for _ in range(2):
        for place in range(2):
            address = f"guest{place}@example.com"
            offer = {"thing": thing, "role": "viewer", "email": address, "lifetime_s": 60}
            assert ann("POST", "/v1/invitations", offer).status == 201
        world.clock.move(seconds=60)
    assert ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).status == 201
    stored = DynamoInvitations(bootstrap.settings().table("memberships")).of_subject(f"device#{thing}")
    assert len(stored) == 1


def test_devices_in_a_room_are_shown_as_anywhere_else(world: World, ann: Person) -> None:
    thing = world.device(ann)
    room = ann("POST", "/v1/rooms", {"name": "Hall"}).json["id"]
    ann("PUT", f"/v1/rooms/{room}/devices/{thing}")
    world.connect(thing)
    assert ann("GET", f"/v1/rooms/{room}/devices").json["items"] == [ann("GET", f"/v1/devices/{thing}").json]


def test_a_room_takes_no_more_devices_than_one_call_can_ask(
    world: World, ann: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(rooms, "MAX_DEVICES", 2)
    room = ann("POST", "/v1/rooms", {"name": "Hall"}).json["id"]
    first, second, third = (world.device(ann) for _ in range(3))
    placed = [ann("PUT", f"/v1/rooms/{room}/devices/{thing}").status for thing in (first, second, third, first)]
    assert placed == [204, 204, 409, 204]
    assert ann("DELETE", f"/v1/rooms/{room}/devices/{first}").status == 204
    assert ann("PUT", f"/v1/rooms/{room}/devices/{third}").status == 204
    asked = ann("POST", f"/v1/rooms/{room}/commands", {"command": "identify"}).json["items"]
    assert {each["thing"] for each in asked} == {second, third}
