"""An access token outlives its account by up to an hour, and API Gateway cannot know: nothing comes of what it asks."""

from typing import Any

import pytest

from backend import bootstrap
from backend.domain.idempotency import Answered
from tests.integration.backend.snapshot import rows
from tests.integration.backend.world import Person, Reply, World


@pytest.fixture
def bob(world: World) -> Person:
    return world.person("bob")


@pytest.fixture
def zoe(world: World) -> Person:
    """Return somebody who has just deleted her account, and still has her token."""
    zoe = world.person("zoe")
    zoe("POST", "/v1/me/identity", {"id_token": f"id-token-of-{zoe.user}"})
    zoe("PUT", "/v1/items/notes/n1", {"body": {}})
    assert zoe("DELETE", "/v1/me").status == 204
    return zoe


def kept() -> Any:
    """Return what stands in the tables, but for what is forgotten within a day."""
    return {key: row for key, row in rows().items() if key[0] != "idempotency"}


def accepting(bob: Person, thing: str) -> dict[str, str]:
    return {"code": bob("POST", "/v1/invitations", {"thing": thing, "role": "operator"}).json["code"]}


@pytest.mark.parametrize("keyed", [False, True])
def test_what_needs_no_membership_is_answered_401_and_leaves_nothing(
    world: World, bob: Person, zoe: Person, keyed: bool
) -> None:
    thing, free = world.device(bob), world.device()
    code = accepting(bob, thing)
    calls: list[tuple[str, str, Any]] = [
        ("POST", "/v1/devices/claim", {"thing": free, "secret": world.secrets[free]}),
        ("POST", "/v1/rooms", {"name": "Hall"}),
        ("PUT", "/v1/items/notes/n1", {"body": {}}),
        ("PUT", "/v1/items/settings/s", {"body": {}}),
        ("POST", "/v1/mobile", {"operation": "create", "tableName": "notes", "payload": {"Item": {"id": "i"}}}),
        ("POST", "/v1/invitations/accept", code),
        ("POST", "/v1/invitations/decline", code),
    ]
    before = kept()
    headers = {"idempotency_key": "k"} if keyed else {}
    for method, path, body in calls:
        reply = zoe(method, path, body, **headers if method == "POST" else {})
        assert (path, reply.status, reply.json["type"]) == (path, 401, "urn:fieldline:problem:unauthenticated")
    assert kept() == before
    assert bootstrap.parts.answers().keys_of(zoe.user) == []
    assert bob("POST", "/v1/invitations/accept", accepting(bob, thing)).status == 409, "the device is still his"


def test_the_profile_is_not_made_again(world: World, zoe: Person) -> None:
    before = kept()
    for method, path, body in [("GET", "/v1/me", None), ("PATCH", "/v1/me", {"name": "x"}), ("DELETE", "/v1/me", None)]:
        assert zoe(method, path, body).status in {204, 404}
    assert kept().keys() == before.keys()
    with pytest.raises(Exception, match="tie your identity"):
        world.invoke(f"us-east-1:{zoe.user}", {"operation": "list", "tableName": "notes"})


def test_what_was_under_way_while_the_account_was_deleted_comes_to_nothing(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The token's owner looks at herself in the very moment: read before, written after."""
    zoe = world.person("yana")
    attributes = world.people.attributes(zoe.user)
    assert zoe("DELETE", "/v1/me").status == 204
    monkeypatch.setattr(world.people, "attributes", lambda _user: attributes)
    before = kept()
    assert zoe("GET", "/v1/me").status == 401
    assert kept() == before


def test_an_answer_that_comes_after_the_account_is_gone_is_not_kept(world: World) -> None:
    zoe = world.person("xaver")
    store = bootstrap.parts.answers()
    assert store.begin(zoe.user, "k", "f", world.clock.now()) is None
    assert zoe("DELETE", "/v1/me").status == 204
    store.finish(zoe.user, "k", Answered(status=200, body="{}"))
    assert not [key for key in rows() if zoe.user in f"{key}"]


def test_phones_that_come_and_go_after_the_account_is_gone_are_not_remembered(world: World) -> None:
    zoe = world.person("wanda")
    world.connect(f"app-{zoe.user}-phone")
    assert zoe("DELETE", "/v1/me").status == 204
    before = kept()
    world.connect(f"app-{zoe.user}-phone", connected=False)
    world.connect(f"app-{zoe.user}-tablet")
    assert kept() == before


def test_a_member_whose_account_goes_while_their_role_is_changed_stays_gone(
    world: World, bob: Person, monkeypatch: pytest.MonkeyPatch
) -> None:
    zoe, thing = world.person("vera"), world.device(bob)
    assert zoe("POST", "/v1/invitations/accept", accepting(bob, thing)).status == 200
    memberships = bootstrap.parts.memberships()
    find = memberships.find

    def find_and_leave(subject: str, user: str) -> Any:
        found = find(subject, user)
        if user == zoe.user:
            monkeypatch.setattr(memberships, "find", find)
            gone: Reply = zoe("DELETE", "/v1/me")
            assert gone.status == 204
        return found

    monkeypatch.setattr(memberships, "find", find_and_leave)
    assert bob("PATCH", f"/v1/devices/{thing}/members/{zoe.user}", {"role": "viewer"}).status == 404
    assert not [key for key in rows() if zoe.user in f"{key}"]
