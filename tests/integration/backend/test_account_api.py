"""Accounts, items and the original mobile-backend contract."""

import json
from typing import Any

import pytest
from botocore.client import BaseClient
from botocore.exceptions import ClientError

from tests.integration.backend.snapshot import Rows, rows
from tests.integration.backend.tables import table_properties
from tests.integration.backend.world import Person, World

LAMBDA_ANSWER_BYTES = 6 * 1024 * 1024


@pytest.fixture
def ann(world: World) -> Person:
    return world.person("ann")


def test_a_profile_is_changed_by_version(ann: Person) -> None:
    profile = ann("GET", "/v1/me")
    assert profile.json["email"] == "ann@example.com"
    changed = ann(
        "PATCH",
        "/v1/me",
        {"time_zone": "Europe/Oslo", "notifications": {"email": True}},
        if_match=profile.headers["etag"],
    )
    assert changed.json["notifications"] == {"push": True, "email": True}
    assert ann("PATCH", "/v1/me", {"name": "x"}, if_match=profile.headers["etag"]).status == 412
    assert ann("PATCH", "/v1/me", {"email": "other@example.com"}).status == 400


EXPORTED = {
    "accounts": "profile", "memberships": "memberships", "audit": "changes_made", "items": "items",
    "presence": "connections", "idempotency": "answers_kept", "devices": "devices",
}  # fmt: skip
"""Tables that name people, and where the export shows it."""
IMPERSONAL = {
    "readings": "by device, which is released", "quarantine": "by device, which is released",
    "commands": "by device, and not by whom", "config": "the product's", "imports": "the manufacturer's files",
    "search": "attributes of devices, which go with their release",
}  # fmt: skip
"""Tables in which nobody is named. A new table fails until it is filled below or stands here with its reason."""


def named(found: Rows, *texts: str) -> set[str]:
    """Return the tables in which any of the texts stands."""
    return {key[0] for key, row in found.items() if any(text in f"{key}{row}" for text in texts)}


def live_a_life(world: World, name: str) -> tuple[Person, Person, str, str]:
    """Leave traces wherever one can; return who did, a friend, a device of hers, and one of the friend's she sees."""
    zoe, bob = world.person(name), world.person("bob")
    thing, shared = world.device(zoe), world.device(bob)
    code = bob("POST", "/v1/invitations", {"thing": shared, "role": "operator"}).json["code"]
    zoe("POST", "/v1/invitations/accept", {"code": code}, idempotency_key="join")
    bob("PATCH", f"/v1/devices/{shared}/members/{zoe.user}", {"role": "viewer"})
    zoe("PATCH", f"/v1/devices/{thing}", {"name": f"{name}-bedroom", "attributes": {"bed": f"{name}-bed"}})
    room = zoe("POST", "/v1/rooms", {"name": f"{name}-hall"}).json["id"]
    zoe("PATCH", f"/v1/rooms/{room}", {"name": f"{name}-great-hall"})
    zoe("PUT", f"/v1/rooms/{room}/devices/{thing}")
    zoe("POST", "/v1/invitations", {"room": room, "role": "viewer"})
    operator = zoe("POST", "/v1/invitations", {"thing": thing, "role": "operator"}).json["code"]
    bob("POST", "/v1/invitations/accept", {"code": operator})
    bob("PATCH", f"/v1/devices/{thing}/shadow", {"desired": {"door": f"{name}-door"}})
    bob("POST", "/v1/invitations", {"thing": shared, "role": "viewer", "email": f"{name}@example.com"})
    zoe("PUT", "/v1/items/notes/n1", {"body": {"text": f"{name}-note"}})
    zoe("PUT", "/v1/items/notes/n2", {"body": {"text": f"{name}-note"}})
    zoe("DELETE", "/v1/items/notes/n2")
    zoe("POST", f"/v1/devices/{thing}/commands", {"command": "identify"})
    zoe("POST", "/v1/me/identity", {"id_token": f"id-token-of-{zoe.user}"})
    world.connect(f"app-{zoe.user}-phone")
    return zoe, bob, thing, shared


def test_every_table_is_known_to_name_people_or_not_to() -> None:
    assert {*EXPORTED, *IMPERSONAL} == set(table_properties())


def test_all_that_is_stored_about_me_is_in_my_export(world: World) -> None:
    zoe, bob, thing, _ = live_a_life(world, "yara")
    assert named(rows(), zoe.user, "yara@example.com") == set(EXPORTED)
    exported = zoe("GET", "/v1/me/export")
    assert exported.status == 200, exported.text
    assert [name for name in EXPORTED.values() if not exported.json[name]] == []
    assert [each["thing"] for each in exported.json["devices"]] == [thing]
    assert [each["body"] for each in exported.json["items"]] == [{"text": "yara-note"}]
    assert {each["what"] for each in exported.json["changes_made"]} >= {"claimed", "made", "moved", "changed a role"}
    assert [each["client"] for each in exported.json["connections"]] == [f"app-{zoe.user}-phone"]
    assert exported.json["answers_kept"] == ["join"]
    assert bob.user not in {each["user"] for each in exported.json["memberships"]}


def test_a_deleted_account_leaves_nothing_in_any_table(world: World) -> None:
    zoe, bob, thing, shared = live_a_life(world, "zoe")
    assert zoe("DELETE", "/v1/me").status == 204
    left = rows()
    assert [(text, named(left, text)) for text in (zoe.user, "zoe@", "zoe-") if named(left, text)] == []
    assert zoe.user not in world.people.users
    assert zoe.user not in world.identities.tied
    assert world.iot.shadow(thing, None)["version"] == 0
    world.clock.move(seconds=1)
    assert world.claim(bob, thing).status == 200
    assert bob("GET", f"/v1/devices/{shared}/audit").status == 200


def test_a_deletion_that_fails_anywhere_can_be_asked_again(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    zoe, *_ = live_a_life(world, "xenia")
    calls, fail_at = 0, 0
    call = BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def failing(self: BaseClient, operation: str, params: dict[str, Any]) -> Any:
        nonlocal calls
        calls += 1
        if calls >= fail_at:
            raise ClientError({"Error": {"Code": "ThrottlingException", "Message": "no"}}, operation)
        return call(self, operation, params)

    monkeypatch.setattr(BaseClient, "_make_api_call", failing)
    statuses = []
    for fail_at in range(2, 400):  # noqa: B007 - read by the client
        calls = 0
        statuses.append(zoe("DELETE", "/v1/me").status)
        if statuses[-1] == 204:
            break
    monkeypatch.undo()
    assert set(statuses[:-1]) == {503}, "each failure is told, and nothing else goes wrong"
    assert (len(statuses) > 8, statuses[-1]) == (True, 204), statuses
    assert named(rows(), zoe.user, "xenia@", "xenia-") == set()


def test_items_have_versions_and_a_conflict_shows_both_sides(ann: Person) -> None:
    path = "/v1/items/notes/n1"
    assert ann("GET", path).status == 404
    assert ann("PUT", path, {"body": {"a": 1}}, if_match='"0"').json["version"] == 1
    assert ann("PUT", path, {"body": {"a": 2}}, if_match='"1"').headers["etag"] == '"2"'
    refused = ann("PUT", path, {"body": {"a": 3}}, if_match='"1"')
    assert refused.status == 409
    assert refused.json["yours"] == {"a": 3}
    assert refused.json["stored"] == {"id": "n1", "version": 2, "body": {"a": 2}}
    assert ann("GET", "/v1/items/secrets/n1").status == 404


def test_an_app_syncs_after_days_offline_by_what_changed_since(world: World, ann: Person) -> None:
    for name in ("a", "b", "c"):
        ann("PUT", f"/v1/items/notes/{name}", {"body": {"n": name}})
    since = ann("GET", "/v1/items/notes?since=0").json["next_since"]
    ann("PUT", "/v1/items/notes/a", {"body": {"n": "A"}})
    ann("DELETE", "/v1/items/notes/b")
    ann("PUT", "/v1/items/notes/a", {"body": {"n": "AA"}})
    changes = ann("GET", f"/v1/items/notes?since={since}").json
    assert [(each["id"], each["deleted"], each["body"]) for each in changes["items"]] == [
        ("b", True, {}),
        ("a", False, {"n": "AA"}),
    ]
    assert ann("GET", f"/v1/items/notes?since={changes['next_since']}").json["items"] == []
    assert [each["id"] for each in ann("GET", "/v1/items/notes").json["items"]] == ["a", "c"]
    assert world.person("bob")("GET", "/v1/items/notes?since=0").json["items"] == []


def test_the_original_contract_operation_by_operation(world: World, ann: Person) -> None:
    ann("POST", "/v1/me/identity", {"id_token": f"id-token-of-{ann.user}"})
    identity = world.identities.tied[ann.user]

    def call(operation: str, table: str | None = "notes", **payload: Any) -> Any:
        return world.invoke(identity, {"operation": operation, "tableName": table, "payload": payload})

    assert world.invoke(None, {"operation": "ping"}) == "pong"
    assert world.invoke(None, {"operation": "echo", "payload": {"a": [1]}}) == {"a": [1]}
    assert call("create", Item={"id": "1", "text": "milk", "n": 1}) == {}
    assert call("read", Key={"id": "1"}) == {"Item": {"id": "1", "text": "milk", "n": 1}}
    with pytest.raises(Exception, match="The conditional request failed"):
        call("create", Item={"id": "1"}, ConditionExpression="attribute_not_exists(id)")
    updated = call(
        "update",
        Key={"id": "1"},
        UpdateExpression="SET #t = :t, n = n + :one REMOVE gone",
        ExpressionAttributeNames={"#t": "text"},
        ExpressionAttributeValues={":t": "bread", ":one": 1},
        ReturnValues="ALL_NEW",
    )
    assert updated == {"Attributes": {"id": "1", "text": "bread", "n": 2}}
    call("create", Item={"id": "2"})
    page = call("list", Limit=1)
    assert (page["Items"][0]["id"], page["Count"]) == ("1", 1)
    rest = call("list", Limit=5, ExclusiveStartKey=page["LastEvaluatedKey"])
    assert [each["id"] for each in rest["Items"]] == ["2"]
    assert call("delete", Key={"id": "1"}) == {}
    assert call("read", Key={"id": "1"}) == {}
    for wrong in ("drop", None, 7, ["create"]):
        with pytest.raises(Exception, match='Unrecognized operation "'):
            world.invoke(identity, {"operation": wrong, "tableName": "notes"})


def test_the_contract_knows_the_caller_by_identity_and_never_by_what_the_client_says(world: World, ann: Person) -> None:
    ann("POST", "/v1/me/identity", {"id_token": f"id-token-of-{ann.user}"})
    mine = world.identities.tied[ann.user]
    world.invoke(mine, {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "secret"}}})
    forged = {"custom": {"cognito_identity_id": mine}, "user": ann.user}
    read = {"operation": "read", "tableName": "notes", "payload": {"Key": {"id": "secret"}}, "identity": mine}
    for identity in (None, "us-east-1:stranger"):
        with pytest.raises(Exception, match="tie your identity"):
            world.invoke(identity, read, client_context=forged)
    assert world.invoke(mine, read)["Item"] == {"id": "secret"}
    for table in ("fieldline-dev-devices", "devices", "../notes"):
        with pytest.raises(Exception, match="no such table"):
            world.invoke(mine, {**read, "tableName": table})


def test_the_envelope_over_http_is_the_same(ann: Person) -> None:
    created = ann("POST", "/v1/mobile", {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "h"}}})
    assert (created.status, created.json) == (200, {"result": {}})
    assert ann("POST", "/v1/mobile", {"operation": "ping"}).json == {"result": "pong"}
    refused = ann("POST", "/v1/mobile", {"operation": "drop"})
    assert (refused.status, refused.json["detail"]) == (400, 'Unrecognized operation "drop"')


def follow(ann: Person, path: str) -> list[Any]:
    """Return all pages from one on, each small enough for Lambda, which quotes what it answers."""
    pages: list[Any] = []
    cursor = ""
    while True:
        page = ann("GET", f"{path}{cursor}")
        assert page.status == 200
        assert len(json.dumps(page.text)) < LAMBDA_ANSWER_BYTES
        pages.append(page.json)
        if page.json["next_cursor"] is None:
            return pages
        cursor = f"{'&' if '?' in path else '?'}cursor={page.json['next_cursor']}"


def test_a_page_holds_what_one_answer_can_and_the_next_one_goes_on(world: World) -> None:
    ann, large = world.person("ann"), {"text": '"' * 49_000}  # quoted, and once more on its way through Lambda
    names = [f"large-{number:02d}" for number in range(32)]
    for name in names:
        assert ann("PUT", f"/v1/items/notes/{name}", {"body": large}).status == 200
    listed = follow(ann, "/v1/items/notes?limit=100")
    assert [item["id"] for page in listed for item in page["items"]] == names
    exported = follow(ann, "/v1/me/export")
    assert [item["id"] for page in exported for item in page["items"]] == names
    assert len(listed) == len(exported) == 3
    assert world.person("bob")("GET", f"/v1/me/export?cursor={exported[0]['next_cursor']}").status == 400
    first = follow(ann, "/v1/items/notes?limit=100&since=0")[0]
    rest = follow(ann, f"/v1/items/notes?limit=100&since={first['next_since']}")[0]
    assert [item["id"] for item in first["items"] + rest["items"]] == names[: len(first["items"] + rest["items"])]
    assert 0 < len(first["items"]) < len(names)


def test_who_leaves_with_their_account_leaves_a_note_that_names_nobody(world: World) -> None:
    ann, guest = world.person("ann"), world.person("guest")
    thing = world.device(ann)
    code = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json["code"]
    assert guest("POST", "/v1/invitations/accept", {"code": code}).status == 200
    assert guest("DELETE", "/v1/me").status == 204
    newest = ann("GET", f"/v1/devices/{thing}/audit").json["items"][0]
    assert (newest["what"], newest["before"]) == ("removed a member", {"role": "viewer"})
    assert (newest["actor"], newest["about"], newest["address"]) == ("deleted-account", "deleted-account", "")
