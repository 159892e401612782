"""Each repository twice: the fake the unit tests stand on, and the real one."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

import pytest

from backend import ports
from backend.adapters.attempts import DynamoAttempts
from backend.adapters.devices import DynamoDevices
from backend.adapters.people import DynamoAudit, DynamoInvitations, DynamoMemberships, DynamoProfiles, DynamoRooms
from backend.adapters.readings import DynamoQuarantine, DynamoReadings
from backend.adapters.search import DynamoSearchIndex
from backend.adapters.store import DynamoStore
from backend.ports.search import SearchIndex
from tests.integration.backend.tables import cloud_tables
from tests.integration.backend.world import World, backend_world
from tests.unit.backend.fakes import FakeAttempts, FakeDatabase, FakeQuarantine, FakeReadings


@dataclass
class Repositories:
    memberships: ports.Memberships
    devices: ports.Devices
    attempts: ports.Attempts
    index: SearchIndex
    rooms: ports.Rooms
    invitations: ports.Invitations
    profiles: ports.Profiles
    audit: ports.Audit
    store: ports.Store
    readings: ports.Readings
    quarantine: ports.Quarantine


@pytest.fixture(scope="module")
def tables() -> Iterator[dict[str, str]]:
    with cloud_tables() as names:
        yield names


@pytest.fixture(params=["fake", "dynamodb"])
def repositories(request: pytest.FixtureRequest) -> Repositories:
    if request.param == "fake":
        database = FakeDatabase()
        return Repositories(
            database.memberships,
            database.devices,
            FakeAttempts(),
            database.index,
            database.rooms,
            database.invitations,
            database.profiles,
            database.audit,
            database.store,
            FakeReadings(),
            FakeQuarantine(),
        )
    names = request.getfixturevalue("tables")
    days = timedelta(days=90)
    return Repositories(
        DynamoMemberships(names["memberships"]),
        DynamoDevices(names["devices"], names["search"]),
        DynamoAttempts(names["idempotency"]),
        DynamoSearchIndex(names["search"]),
        DynamoRooms(names["memberships"], names["devices"]),
        DynamoInvitations(names["memberships"]),
        DynamoProfiles(names["accounts"]),
        DynamoAudit(names["audit"]),
        DynamoStore(
            devices=names["devices"],
            search=names["search"],
            memberships=names["memberships"],
            accounts=names["accounts"],
            audit_table=names["audit"],
        ),
        DynamoReadings(names["readings"], retention=days),
        DynamoQuarantine(names["quarantine"], retention=days),
    )


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    with pytest.MonkeyPatch.context() as patch, backend_world(patch) as made:
        yield made
