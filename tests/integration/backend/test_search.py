"""Finding devices among one's own and in the whole fleet: right, in pages, and at the cost of what is found."""

import uuid
from typing import Any

import pytest
from botocore.client import BaseClient

from backend.domain.search import attribute_term, firmware_term
from backend.handlers import presence
from tests.integration.backend.world import Person, World


@pytest.fixture
def site() -> str:
    return uuid.uuid4().hex[:8]


@pytest.fixture
def ann(world: World) -> Person:
    return world.person("ann")


@pytest.fixture
def admin(world: World) -> Person:
    return world.person("root", groups="[admin]")


def report(world: World, thing: str, firmware: Any, *, at_s: int = 1, version: int = 1) -> bool:
    event = {"thing": thing, "firmware": firmware, "at_s": at_s, "version": version}
    return bool(presence.handler(event, None)["changed"])


def things(person: Person, path: str) -> list[str]:
    """Return all that is found, page by page."""
    found, cursor = [], ""
    while True:
        reply = person("GET", f"{path}{cursor}")
        assert reply.status == 200, reply.text
        found += [each["thing"] for each in reply.json["items"]]
        if reply.json["next_cursor"] is None:
            return found
        cursor = f"&cursor={reply.json['next_cursor']}"


def test_by_attribute_firmware_name_and_status_among_one_s_own(world: World, ann: Person) -> None:
    first, second, third = sorted(world.device(ann) for _ in range(3))
    ann("PATCH", f"/v1/devices/{first}", {"name": "Hall", "attributes": {"site": "Oslo"}})
    ann("PATCH", f"/v1/devices/{second}", {"name": "hallway", "attributes": {"site": "Bergen"}})
    report(world, second, "2.0.0")
    world.connect(third)
    assert things(ann, "/v1/devices?attribute=site=Oslo") == [first]
    assert things(ann, "/v1/devices?firmware=2.0.0") == [second]
    assert things(ann, "/v1/devices?name=hAll") == [first, second]
    assert things(ann, "/v1/devices?name=hall&attribute=site=Bergen") == [second]
    assert things(ann, "/v1/devices?status=online") == [third]
    assert things(ann, "/v1/devices?status=never") == [first, second]
    assert things(ann, "/v1/devices?type=thermostat") == [first, second, third]
    assert ann("GET", f"/v1/devices/{second}").json["firmware"] == "2.0.0"


def test_pages_are_full_as_long_as_there_is_enough(world: World, ann: Person) -> None:
    mine = sorted(world.device(ann) for _ in range(9))
    for thing in mine[::2]:
        ann("PATCH", f"/v1/devices/{thing}", {"attributes": {"kind": "even"}})
    page = ann("GET", "/v1/devices?attribute=kind=even&limit=2").json
    assert [each["thing"] for each in page["items"]] == mine[0:4:2]
    assert things(ann, "/v1/devices?attribute=kind=even&limit=2") == mine[::2]
    assert things(ann, "/v1/devices?limit=2") == mine


def test_the_fleet_is_the_admins(world: World, ann: Person, admin: Person, site: str) -> None:
    thing = world.device(ann)
    ann("PATCH", f"/v1/devices/{thing}", {"attributes": {"site": site}})
    path = f"/v1/fleet/devices?attribute=site={site}"
    assert things(admin, path) == [thing]
    assert admin("GET", path).json["items"][0]["role"] == "admin"
    assert ann("GET", path).status == 403
    for nothing in ("", "?type=thermostat", "?status=never", "?name=x"):
        assert admin("GET", f"/v1/fleet/devices{nothing}").status == 400


def test_the_index_follows_every_change_of_attributes(world: World, ann: Person, admin: Person, site: str) -> None:
    thing = world.device(ann)
    path = f"/v1/devices/{thing}"

    def found(value: str) -> bool:
        return thing in things(admin, f"/v1/fleet/devices?attribute=site={value}")

    etag = ann("PATCH", path, {"attributes": {"site": site, "floor": "2"}}).headers["etag"]
    assert found(site)
    assert ann("PATCH", path, {"attributes": {"site": f"{site}-b"}}, if_match=etag).status == 200
    assert (found(site), found(f"{site}-b")) == (False, True)
    assert ann("PATCH", path, {"attributes": {"site": site}}, if_match=etag).status == 412
    assert ann("PATCH", path, {"name": "Hall"}).status == 200
    assert found(f"{site}-b")
    assert ann("POST", f"{path}/release").status == 204
    assert not found(f"{site}-b")


def test_firmware_is_what_was_reported_last_in_whatever_order_reports_come(
    world: World, ann: Person, admin: Person, site: str
) -> None:
    thing = world.device(ann)
    one, two, three = (f"{site}.{number}" for number in (1, 2, 3))

    def known() -> str:
        return str(ann("GET", f"/v1/devices/{thing}").json["firmware"])

    assert report(world, thing, two, at_s=100, version=7)
    assert not report(world, thing, two, at_s=100, version=7)
    assert not report(world, thing, one, at_s=100, version=6)
    assert not report(world, thing, two, at_s=101, version=1)  # the shadow was made anew
    assert known() == two
    assert report(world, thing, three, at_s=101, version=2)
    assert not report(world, thing, two, at_s=101, version=1)
    assert known() == three
    assert things(admin, f"/v1/fleet/devices?firmware={two}") == []
    assert things(admin, f"/v1/fleet/devices?firmware={three}") == [thing]
    trail = ann("GET", f"/v1/devices/{thing}/audit").json["items"]
    assert [(each["what"], each["after"]) for each in trail[:2]] == [
        ("reported its firmware", {"firmware": three}),
        ("reported its firmware", {"firmware": two}),
    ]
    assert trail[0]["actor"] == f"device#{thing}"


@pytest.mark.parametrize("nonsense", [7, ["1.0"], {"v": 1}, "x" * 65, "a\nb"])
def test_what_is_no_firmware_changes_nothing(world: World, ann: Person, nonsense: Any) -> None:
    thing = world.device(ann)
    assert not report(world, thing, nonsense)
    assert not report(world, "absent", "1.0.0")


def test_a_report_taken_back_is_unknown_again(world: World, ann: Person) -> None:
    thing = world.device(ann)
    report(world, thing, "1.0.0", version=1)
    assert report(world, thing, None, version=2)
    assert ann("GET", f"/v1/devices/{thing}").json["firmware"] == ""


def test_a_change_by_its_owner_and_a_report_at_once_both_hold(world: World, ann: Person) -> None:
    thing = world.device(ann)
    etag = ann("GET", f"/v1/devices/{thing}").headers["etag"]
    report(world, thing, "1.0.0")
    assert ann("PATCH", f"/v1/devices/{thing}", {"name": "Hall"}, if_match=etag).status == 200
    shown = ann("GET", f"/v1/devices/{thing}").json
    assert (shown["name"], shown["firmware"]) == ("Hall", "1.0.0")


def test_the_fleet_by_connectivity_knows_the_grace(world: World, ann: Person, admin: Person, site: str) -> None:
    mine = sorted(world.device(ann) for _ in range(3))
    for thing in mine:
        ann("PATCH", f"/v1/devices/{thing}", {"attributes": {"site": site}})
        world.connect(thing)
    world.connect(mine[0], connected=False)
    world.clock.move(seconds=61)
    world.connect(mine[1], connected=False)

    def found(status: str) -> list[str]:
        by_status = set(things(admin, f"/v1/fleet/devices?status={status}&limit=2"))
        both = things(admin, f"/v1/fleet/devices?attribute=site={site}&status={status}")
        assert sorted(by_status & set(mine)) == both
        return both

    assert found("online") == mine[1:]
    assert found("offline") == mine[:1]
    world.clock.move(seconds=61)
    assert found("online") == mine[2:]
    assert found("offline") == mine[:2]


class Counter:
    """What DynamoDB was asked, and how many items it looked at."""

    def __init__(self) -> None:
        self.operations: list[str] = []
        self.examined = 0

    def take(self, operation: str, answer: dict[str, Any]) -> None:
        self.operations.append(operation)
        batches = answer.get("Responses", {})
        self.examined += answer.get("ScannedCount", 0) + ("Item" in answer)
        self.examined += sum(map(len, batches.values())) if isinstance(batches, dict) else 0

    def reset(self) -> None:
        self.__init__()  # type: ignore[misc]  # begins anew


@pytest.fixture
def counter(monkeypatch: pytest.MonkeyPatch) -> Counter:
    counter, call = Counter(), BaseClient._make_api_call  # type: ignore[attr-defined]  # not in the stubs

    def counted(self: BaseClient, operation: str, params: dict[str, Any]) -> dict[str, Any]:
        answer: dict[str, Any] = call(self, operation, params)
        counter.take(operation, answer)
        return answer

    monkeypatch.setattr(BaseClient, "_make_api_call", counted)
    return counter


def test_a_search_costs_what_it_returns_and_not_what_the_fleet_holds(
    world: World, ann: Person, admin: Person, site: str, counter: Counter
) -> None:
    """Count the items read: with forty other devices around, no more are read for one."""
    wanted = world.device(ann)
    ann("PATCH", f"/v1/devices/{wanted}", {"attributes": {"site": site}})
    report(world, wanted, site)
    paths = [f"/v1/fleet/devices?attribute=site={site}", f"/v1/fleet/devices?firmware={site}"]
    read = []
    for _ in range(2):
        for path in paths:
            counter.reset()
            assert things(admin, path) == [wanted]
            read.append(counter.examined)
            assert "Scan" not in counter.operations
        for _number in range(20):
            other = world.device(ann)
            ann("PATCH", f"/v1/devices/{other}", {"attributes": {"site": f"{site}-other"}})
            report(world, other, f"{site}-other")
    assert read[:2] == read[2:]
    assert max(read) <= 4


def test_an_attribute_is_not_mistaken_for_firmware() -> None:
    assert attribute_term("firmware", "1") != firmware_term("1")
