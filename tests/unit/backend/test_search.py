"""Finding devices: what storage is asked, page by page."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from types import SimpleNamespace
from typing import Any

import pytest

from backend.domain.access import Caller, Membership, Role, device_subject
from backend.domain.devices import Device
from backend.domain.paging import Page
from backend.domain.presence import Status
from backend.domain.search import MAX_EXAMINED, Wanted
from backend.services.search import Search
from tests.unit.backend.fakes import NOW, FakeDevices, FakeMemberships, FakeSearchIndex, ManualClock

ROOT = Caller(user="root", is_admin=True)


class RecordingPresences:
    """A fleet of which each range holds three devices; keeps which ranges were asked."""

    def __init__(self) -> None:
        self.asked: list[tuple[bool, datetime | None, datetime | None]] = []

    def devices_by_connection(
        self, *, connected: bool, after: datetime | None, until: datetime | None, limit: int, position: Any
    ) -> Page[tuple[str, Any]]:
        self.asked.append((connected, after, until))
        numbers = range(position or 0, min((position or 0) + limit, 3))
        found = [(f"t-{'on' if connected else 'off'}-{number}", number + 1) for number in numbers]
        return Page(items=found, after=numbers.stop if numbers.stop < 3 else None)


class AllOf:
    """A presence book that knows every device to be the same."""

    def __init__(self, status: Status) -> None:
        self._status = status

    def status_of(self, things: Iterable[str]) -> Mapping[str, tuple[Status, datetime | None]]:
        return dict.fromkeys(things, (self._status, None))


def build_search(**given: Any) -> Search:
    parts = {
        "memberships": FakeMemberships(),
        "devices": FakeDevices(),
        "index": FakeSearchIndex(FakeDevices()),
        "presences": RecordingPresences(),
        "presence": AllOf(Status.ONLINE),
        "settings": SimpleNamespace(current=lambda: SimpleNamespace(presence_grace_s=60)),
        "clock": ManualClock(),
    }
    return Search(**{**parts, **given})


def device(thing: str) -> Device:
    return Device(thing=thing, type="thermostat", registered_at=NOW, secret_hash="")


def test_every_page_of_the_fleet_by_status_looks_at_the_range_of_the_first() -> None:
    """A key to go on after would be outside of a later range, which DynamoDB refuses."""
    for status, expected in ((Status.ONLINE, 6), (Status.OFFLINE, 3)):
        presences, clock, devices = RecordingPresences(), ManualClock(), FakeDevices()
        devices.rows = {thing: device(thing) for n in range(3) for thing in (f"t-on-{n}", f"t-off-{n}")}
        search = build_search(presences=presences, clock=clock, devices=devices, presence=AllOf(status))
        after, found = None, 0
        while True:
            page = search.fleet(ROOT, Wanted(status=status), limit=2, after=after)
            found, after = found + len(page.items), page.after
            if after is None:
                break
            clock.move(seconds=45)
        assert found == expected
        away = {(since, until) for connected, since, until in presences.asked if not connected}
        assert len(away) == 1
        assert len(presences.asked) > 1


class CountingDevices(FakeDevices):
    """Counts the devices that are asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.examined = 0

    def find_many(self, things: Iterable[str]) -> Mapping[str, Device]:
        asked = list(things)
        self.examined += len(asked)
        return super().find_many(asked)


@pytest.mark.parametrize("limit", [1, 30, 100])
def test_a_call_examines_no_more_than_it_may_however_large_a_page_is(limit: int) -> None:
    memberships, devices = FakeMemberships(), CountingDevices()
    for number in range(MAX_EXAMINED + 50):
        thing = f"t-{number:03d}"
        subject = device_subject(thing)
        memberships.rows[subject, "ann"] = Membership(subject=subject, user="ann", role=Role.OWNER, since=NOW)
        devices.rows[thing] = device(thing)
    search = build_search(memberships=memberships, devices=devices)
    wanted = Wanted(firmware="none has it")
    page = search.mine(Caller(user="ann"), wanted, limit=limit, after=None)
    assert (devices.examined, page.items) == (MAX_EXAMINED, [])
    assert search.mine(Caller(user="ann"), wanted, limit=limit, after=page.after).after is None
    assert devices.examined == MAX_EXAMINED + 50
