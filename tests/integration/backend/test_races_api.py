"""Many at once: one owner, one outcome, one effect, versions without a gap."""

import os
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Barrier, Event, RLock
from typing import Any

import boto3
import moto.dynamodb.models as moto_dynamodb
import pytest

from backend.handlers import presence
from backend.services.rooms import RoomBook
from tests.integration.backend.world import Person, Reply, World

MANY = 50


@pytest.fixture(autouse=True)
def transactions_of_moto_are_isolated(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let moto do one write at a time, as DynamoDB isolates them; alone it loses writes between transactions."""
    lock = RLock()
    backend = moto_dynamodb.DynamoDBBackend
    for name in ("put_item", "update_item", "delete_item", "transact_write_items", "get_item", "query"):
        stock = getattr(backend, name)

        def one_at_a_time(*args: Any, _stock: Any = stock, **kwargs: Any) -> Any:
            with lock:
                return _stock(*args, **kwargs)

        monkeypatch.setattr(backend, name, one_at_a_time)


def at_once(calls: list[Callable[[], Reply]]) -> list[Reply]:
    barrier = Barrier(len(calls))

    def run(call: Callable[[], Reply]) -> Reply:
        barrier.wait(300)
        return call()

    with ThreadPoolExecutor(len(calls)) as pool:
        return [future.result(300) for future in [pool.submit(run, call) for call in calls]]


def test_many_claims_of_one_device_give_one_owner(world: World) -> None:
    thing = world.device()
    people = [Person(world, f"racer-{number}") for number in range(MANY)]
    replies = at_once([partial(world.claim, person, thing) for person in people])
    winners = [person for person, reply in zip(people, replies, strict=True) if reply.status == 200]
    assert len(winners) == 1
    assert set(Counter(reply.status for reply in replies)) <= {200, 403, 409, 503}
    owners = [person for person in people if person("GET", f"/v1/devices/{thing}").status == 200]
    assert owners == winners


def test_accepting_and_revoking_at_once_has_one_outcome(world: World) -> None:
    ann, bob = world.person("ann"), world.person("bob")
    for _ in range(10):
        thing = world.device(ann)
        invited = ann("POST", "/v1/invitations", {"thing": thing, "role": "viewer"}).json
        accepted, revoked = at_once(
            [
                partial(bob, "POST", "/v1/invitations/accept", {"code": invited["code"]}),
                partial(ann, "DELETE", f"/v1/invitations/{invited['id']}"),
            ]
        )
        assert (accepted.status == 200) != (revoked.status == 204), (accepted, revoked)
        assert {accepted.status, revoked.status} <= {200, 204, 404, 409}
        sees = bob("GET", f"/v1/devices/{thing}").status == 200
        assert sees == (accepted.status == 200)
        assert ann("GET", f"/v1/invitations?thing={thing}").json["items"] == []


def test_the_same_key_many_times_has_one_effect_and_one_answer(world: World) -> None:
    ann = world.person("ann")
    call = partial(ann, "POST", "/v1/rooms", {"name": "Hall"}, idempotency_key="race")
    replies = at_once([call] * MANY)
    assert {(reply.status, reply.text) for reply in [*replies, call()]} == {(201, replies[0].text)}
    assert len(ann("GET", "/v1/rooms").json["items"]) == 1


def test_who_asks_while_the_first_is_answered_is_told_the_same_or_to_wait(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    ann, add = world.person("ann"), RoomBook.add
    begun, go_on = Event(), Event()

    def slow(*args: Any, **named: Any) -> Any:
        begun.set()
        assert go_on.wait(300)
        return add(*args, **named)

    monkeypatch.setattr(RoomBook, "add", slow)
    monkeypatch.setattr("backend.adapters.idempotency.PAUSE_S", 0.01)
    call = partial(ann, "POST", "/v1/rooms", {"name": "Hall"}, idempotency_key="slow")
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(call)
        assert begun.wait(300)
        told = call()
        assert (told.status, told.json["type"]) == (409, "urn:fieldline:problem:under-way")
        assert told.headers["retry-after"] == "1"
        monkeypatch.setattr("backend.adapters.idempotency.PAUSE_S", 1.0)
        second = pool.submit(call)
        go_on.set()
        assert first.result(300).text == second.result(30).text
    assert len(ann("GET", "/v1/rooms").json["items"]) == 1


def test_many_writers_of_one_item_leave_no_gap(world: World) -> None:
    ann = world.person("ann")
    replies = at_once([partial(ann, "PUT", "/v1/items/notes/one", {"body": {"n": n}}) for n in range(MANY)])
    assert [reply.status for reply in replies] == [200] * MANY
    assert sorted(reply.json["version"] for reply in replies) == list(range(1, MANY + 1))
    assert ann("GET", "/v1/items/notes?since=0").json["next_since"] == MANY


def test_whoever_is_last_to_describe_a_device_it_is_found_by_what_it_says(world: World) -> None:
    ann, admin = world.person("ann"), world.person("root", groups="[admin]")
    thing = world.device(ann)
    values = [f"{thing}-{number}" for number in range(12)]

    def describe(value: str) -> Reply:
        return ann("PATCH", f"/v1/devices/{thing}", {"attributes": {"site": value}}, if_match="*")

    def report(number: int) -> Reply:
        presence.handler({"thing": thing, "firmware": values[number], "at_s": 1, "version": number + 1}, None)
        return ann("GET", f"/v1/devices/{thing}")

    replies = at_once([*(partial(describe, value) for value in values), *(partial(report, each) for each in range(6))])
    assert {reply.status for reply in replies} <= {200, 409, 503}
    shown = ann("GET", f"/v1/devices/{thing}").json
    assert shown["firmware"] == values[5]

    def found(asked: str) -> bool:
        items = admin("GET", f"/v1/fleet/devices?{asked}").json["items"]
        return thing in {each["thing"] for each in items}

    assert [value for value in values if found(f"attribute=site={value}")] == [shown["attributes"]["site"]]
    assert [value for value in values if found(f"firmware={value}")] == [values[5]]
    terms = boto3.client("dynamodb").scan(TableName=os.environ["SEARCH_TABLE"])["Items"]
    assert sum(term["thing"]["S"] == thing for term in terms) == 2


def test_a_device_is_handed_over_to_one_of_many_who_accept_at_once(world: World) -> None:
    ann = world.person("ann")
    thing = world.device(ann)
    heirs = [world.person(f"heir-{number}") for number in range(8)]
    codes = [ann("POST", "/v1/invitations", {"thing": thing, "role": "owner"}).json["code"] for _ in heirs]
    calls = [
        partial(heir, "POST", "/v1/invitations/accept", {"code": code}) for heir, code in zip(heirs, codes, strict=True)
    ]
    replies = at_once([*calls, partial(ann, "POST", f"/v1/devices/{thing}/release")])
    assert {reply.status for reply in replies} <= {200, 204, 404, 409, 503}
    owners = [heir for heir in heirs if heir("GET", f"/v1/devices/{thing}").status == 200]
    done = [reply for reply in replies if reply.status in {200, 204}]
    assert len(done) == 1, [reply.status for reply in replies]
    assert len(owners) == (done[0].status == 200)
    assert ann("GET", f"/v1/devices/{thing}").status == 404
