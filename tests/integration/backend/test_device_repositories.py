"""What the repositories promise, asked of the fakes and of DynamoDB alike."""

import uuid
from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from backend.adapters.attempts import DynamoAttempts
from backend.adapters.idempotency import DynamoIdempotency
from backend.domain.access import Invitation, Membership, Role, Room, device_subject
from backend.domain.accounts import Profile
from backend.domain.audit import FORGOTTEN, Entry, first_id
from backend.domain.changes import (
    Note,
    PutDevice,
    PutFirmware,
    PutInvitation,
    PutMembership,
    PutProfile,
    PutRoom,
    RemoveInvitation,
    RemoveMembership,
    RemoveProfile,
    RemoveRoom,
)
from backend.domain.search import attribute_term, firmware_term
from backend.domain.telemetry import MAX_SPAN_MS, Quarantined
from backend.errors import ConflictError
from tests.integration.backend.conftest import Repositories
from tests.unit.backend.examples import NOW_MS, bucket, device
from tests.unit.backend.fakes import NOW


@pytest.fixture
def thing() -> str:
    return f"t-{uuid.uuid4().hex}"


def membership(thing: str, user: str, role: Role = Role.OWNER) -> Membership:
    return Membership(subject=device_subject(thing), user=user, role=role, since=NOW)


def test_a_device_is_found_as_it_was_registered_and_only_once(repositories: Repositories, thing: str) -> None:
    registered = device(thing, name="Hall", attributes={"floor": "1"}, secret_expires_at=NOW)
    assert repositories.devices.find(thing) is None
    repositories.devices.add(registered)
    assert repositories.devices.find(thing) == registered
    assert repositories.devices.find_many([thing, "absent"]) == {thing: registered}
    with pytest.raises(ConflictError):
        repositories.devices.add(registered)


def test_changes_are_made_together_or_not_at_all(repositories: Repositories, thing: str) -> None:
    repositories.devices.add(device(thing))
    owned = replace(device(thing), owner="ann", claimed_at=NOW, version=2)
    put = PutMembership(membership=membership(thing, "ann"))
    repositories.store.commit(PutDevice(device=owned, before=device(thing)), put)
    with pytest.raises(ConflictError):
        repositories.store.commit(
            PutMembership(membership=membership(thing, "bob")),
            PutDevice(device=replace(owned, owner="bob"), before=device(thing)),
        )
    assert repositories.devices.find(thing) == owned
    assert repositories.memberships.of_subject(device_subject(thing)) == [membership(thing, "ann")]
    repositories.store.commit(
        PutDevice(device=replace(owned, owner=None, claimed_at=None, version=3), before=owned),
        RemoveMembership(subject=device_subject(thing), user="ann"),
    )
    found = repositories.devices.find(thing)
    assert found is not None
    assert (found.owner, found.claimed_at) == (None, None)
    assert repositories.memberships.find(device_subject(thing), "ann") is None


def test_an_invitation_is_found_by_id_subject_and_address_until_it_is_taken(
    repositories: Repositories, thing: str
) -> None:
    offer = Invitation(
        id=uuid.uuid4().hex,
        subject=device_subject(thing),
        role=Role.VIEWER,
        inviter="ann",
        created_at=NOW,
        expires_at=NOW,
        email=f"{thing}@example.com",
    )
    repositories.store.commit(PutInvitation(invitation=offer))
    with pytest.raises(ConflictError):
        repositories.store.commit(PutInvitation(invitation=offer))
    assert repositories.invitations.find(offer.id) == offer
    assert list(repositories.invitations.of_subject(offer.subject)) == [offer]
    assert list(repositories.invitations.of_email(f"{thing}@example.com", limit=10, after=None).items) == [offer]
    repositories.store.commit(RemoveInvitation(invitation=offer))
    with pytest.raises(ConflictError):
        repositories.store.commit(RemoveInvitation(invitation=offer))
    assert repositories.invitations.find(offer.id) is None
    assert list(repositories.invitations.of_email(f"{thing}@example.com", limit=10, after=None).items) == []


def test_a_room_knows_what_stands_in_it(repositories: Repositories, thing: str) -> None:
    room = Room(id=uuid.uuid4().hex, name="Hall", owner="ann")
    repositories.store.commit(PutRoom(room=room, was=None))
    repositories.devices.add(device(thing, room=room.id))
    assert repositories.rooms.find(room.id) == room
    assert repositories.rooms.find_many([room.id, "absent"]) == {room.id: room}
    assert repositories.rooms.things_in(room.id, limit=5, after=None).items == [thing]
    repositories.store.commit(PutDevice(device=replace(device(thing), version=2), before=device(thing)))
    assert repositories.rooms.things_in(room.id, limit=5, after=None).items == []
    with pytest.raises(ConflictError):
        repositories.store.commit(RemoveRoom(room=replace(room, version=7)))
    repositories.store.commit(RemoveRoom(room=room))
    assert repositories.rooms.find(room.id) is None


def test_the_trail_is_read_by_subject_and_person_and_forgets_people(repositories: Repositories, thing: str) -> None:
    ann, bob, subject = f"ann-{thing}", f"bob-{thing}", device_subject(thing)
    entries = [
        Entry(subject=subject, id=f"{n}-{thing}", at=NOW, actor=actor, what="x", before={}, after={"n": n}, about=about)
        for n, (actor, about) in enumerate([(ann, None), (bob, ann), (bob, None)])
    ]
    repositories.store.commit(*(Note(entry=entry) for entry in entries))
    assert [e.id for e in repositories.audit.of_subject(subject, limit=2, after=None).items] == [
        entries[2].id,
        entries[1].id,
    ]
    assert {e.id for e in repositories.audit.of_person(ann, limit=9, after=None).items} == {
        entries[0].id,
        entries[1].id,
    }
    for entry in entries[:2]:
        repositories.audit.forget(entry, ann)
    assert not repositories.audit.of_person(ann, limit=9, after=None).items
    left = repositories.audit.of_subject(subject, limit=9, after=None).items
    assert [(e.actor, e.about) for e in left] == [(bob, None), (bob, FORGOTTEN), (FORGOTTEN, None)]


def test_entries_of_one_instant_are_read_back_in_the_order_they_were_written_in(
    repositories: Repositories, thing: str
) -> None:
    first, twice = device(thing), [*"abcdefgh"]
    repositories.store.commit(PutDevice(device=first, before=None))
    for number, what in enumerate(twice, start=1):
        note = Note(entry=entry_of(thing, what))
        changed = replace(first, version=number + 1)
        repositories.store.commit(PutDevice(device=changed, before=replace(first, version=number)), note)
    repositories.store.commit(Note(entry=entry_of(thing, "i")), Note(entry=entry_of(thing, "j")))
    repositories.store.commit(Note(entry=entry_of(thing, "k")))
    with pytest.raises(ConflictError):
        repositories.store.commit(PutDevice(device=first, before=first), Note(entry=entry_of(thing, "never")))
    found = repositories.audit.of_subject(device_subject(thing), limit=20, after=None).items
    assert "".join(entry.what for entry in found) == "kjihgfedcba"
    assert len({entry.id for entry in found}) == len(found)


def test_an_expired_entry_is_not_brought_back_by_forgetting_who_wrote_it(
    repositories: Repositories, thing: str
) -> None:
    repositories.audit.forget(entry_of(thing, "gone", actor="ann"), "ann")
    assert not repositories.audit.of_subject(device_subject(thing), limit=9, after=None).items


def test_a_device_is_found_under_what_it_is_and_no_longer_under_what_it_was(
    repositories: Repositories, thing: str
) -> None:
    def found(term: str) -> bool:
        return thing in repositories.index.things(term, limit=100, after=None).items

    first = device(thing, attributes={"site": thing, "floor": "1"})
    repositories.devices.add(first)
    assert found(attribute_term("site", thing))
    moved = replace(first, attributes={"site": f"{thing}-b", "floor": "1"}, version=2)
    repositories.store.commit(PutDevice(device=moved, before=first))
    assert (found(attribute_term("site", thing)), found(attribute_term("site", f"{thing}-b"))) == (False, True)
    with pytest.raises(ConflictError):
        repositories.store.commit(PutDevice(device=replace(first, version=2), before=first))
    assert found(attribute_term("floor", "1"))
    repositories.store.commit(PutFirmware(device=moved, firmware=f"{thing}.1", as_of="1#1"))
    with pytest.raises(ConflictError):
        repositories.store.commit(PutFirmware(device=moved, firmware=f"{thing}.0", as_of="0#1"))
    known = repositories.devices.find(thing)
    assert known is not None
    repositories.store.commit(PutFirmware(device=known, firmware=f"{thing}.2", as_of="1#2"))
    assert (found(firmware_term(f"{thing}.1")), found(firmware_term(f"{thing}.2"))) == (False, True)
    repositories.store.commit(PutDevice(device=replace(moved, name="x", version=3), before=moved))
    after = repositories.devices.find(thing)
    assert after is not None
    assert (after.name, after.firmware) == ("x", f"{thing}.2")
    with pytest.raises(ConflictError):
        repositories.store.commit(PutFirmware(device=device(f"{thing}-absent"), firmware="1", as_of="1#1"))
    pages = [repositories.index.things(attribute_term("floor", "1"), limit=1, after=None)]
    while pages[-1].after:
        pages.append(repositories.index.things(attribute_term("floor", "1"), limit=1, after=pages[-1].after))
    assert thing in [each for page in pages for each in page.items]


def entry_of(thing: str, what: str, actor: str = "ann") -> Entry:
    return Entry(subject=device_subject(thing), id=first_id(NOW), at=NOW, actor=actor, what=what, before={}, after={})


def test_a_profile_is_found_by_person_and_by_identity(repositories: Repositories, thing: str) -> None:
    profile = Profile(user=thing, email="a@example.com", created_at=NOW, identity_id=f"identity-{thing}")
    repositories.store.commit(PutProfile(profile=profile, was=None))
    assert repositories.profiles.find(thing) == profile
    assert repositories.profiles.of_identity(f"identity-{thing}") == profile
    with pytest.raises(ConflictError):
        repositories.store.commit(PutProfile(profile=profile, was=7))
    repositories.store.commit(RemoveProfile(user=thing))
    assert repositories.profiles.find(thing) is None


def test_attempts_are_counted_by_who_and_what_in_a_window_from_the_first(
    repositories: Repositories, thing: str
) -> None:
    hour = timedelta(hours=1)

    def take(subject: str = thing, what: str = "claim", at: datetime = NOW) -> bool:
        return repositories.attempts.take(subject, what, 10, hour, at)

    assert [take(at=NOW + n * timedelta(minutes=1)) for n in range(12)] == [True] * 10 + [False] * 2
    assert take(what="another")
    assert take(subject=f"another-{thing}")
    assert not take(at=NOW + timedelta(minutes=59))
    assert [take(at=NOW + hour) for _ in range(11)] == [True] * 10 + [False]


def test_attempts_are_no_answers_and_go_with_them(tables: dict[str, str], thing: str) -> None:
    attempts, answers = DynamoAttempts(tables["idempotency"]), DynamoIdempotency(tables["idempotency"])
    assert attempts.take(thing, "claim t", 1, timedelta(hours=1), NOW)
    assert answers.begin(thing, "k", "f", NOW) is None
    assert answers.keys_of(thing) == ["k"]
    answers.remove_all(thing)
    assert attempts.take(thing, "claim t", 1, timedelta(hours=1), NOW)


def test_memberships_of_a_person_come_in_pages(repositories: Repositories) -> None:
    ann = uuid.uuid4().hex
    for number in range(5):
        repositories.store.commit(PutMembership(membership=membership(f"{ann}-{number}", ann)))
    found, after = [], None
    while True:
        page = repositories.memberships.of_user(ann, "device", limit=2, after=after)
        found += [row.subject for row in page.items]
        after = page.after
        if after is None:
            break
    assert found == [device_subject(f"{ann}-{number}") for number in range(5)]


def test_a_bucket_is_stored_once_and_another_under_its_key_is_refused(repositories: Repositories, thing: str) -> None:
    assert repositories.readings.add(thing, bucket(), received_ms=NOW_MS)
    assert not repositories.readings.add(thing, bucket(), received_ms=NOW_MS + 60_000)
    with pytest.raises(ConflictError):
        repositories.readings.add(thing, bucket(metrics={"temperature_c": (1, 2, 3)}), received_ms=NOW_MS)


def test_buckets_come_in_order_and_only_those_that_begin_in_the_range(repositories: Repositories, thing: str) -> None:
    starts = [NOW_MS + step for step in (0, 1, 5, 5, 9, 10)]
    for seq, t0_ms in enumerate(starts):
        repositories.readings.add(thing, bucket(t0_ms=t0_ms, seq=seq), received_ms=NOW_MS)
    found = [key.seq for key, _ in repositories.readings.between(thing, NOW_MS + 1, NOW_MS + 10, page_size=2)]
    assert found == [1, 2, 3, 4]
    assert list(repositories.readings.between(thing, NOW_MS, NOW_MS, page_size=2)) == []


def test_the_latest_bucket_is_the_one_that_begins_last(repositories: Repositories, thing: str) -> None:
    assert repositories.readings.latest(thing, 0) is None
    for t0_ms in (NOW_MS, NOW_MS + 2, NOW_MS + 1):
        repositories.readings.add(thing, bucket(t0_ms=t0_ms), received_ms=NOW_MS)
    assert repositories.readings.latest(thing, 0) == bucket(t0_ms=NOW_MS + 2)
    assert repositories.readings.latest(thing, NOW_MS + 3) is None


def test_a_thousand_readings_fit_and_survive(repositories: Repositories, thing: str) -> None:
    offsets = tuple(index * MAX_SPAN_MS // 999 for index in range(1000))
    large = bucket(offsets_ms=offsets, metrics={f"metric_{n}": tuple(i / 7 for i in range(1000)) for n in range(6)})
    repositories.readings.add(thing, large, received_ms=NOW_MS)
    assert repositories.readings.latest(thing, 0) == large


def test_quarantine_keeps_a_document_once_and_shows_the_newest_first(repositories: Repositories, thing: str) -> None:
    kept = [
        Quarantined(
            thing=thing,
            document=f"d{number % 2}-{number}",
            received_ms=NOW_MS + number // 2,
            principal="certificate",
            violations=(("m.temperature_c[3]", "is out of range"),),
            body=bytes([number]) * 3,
        )
        for number in range(5)
    ]
    for each in [*kept, kept[0]]:
        repositories.quarantine.add(each)
    found: list[Quarantined] = []
    after = None
    while True:
        page = repositories.quarantine.of_thing(thing, NOW_MS, limit=2, after=after)
        found += page.items
        after = page.after
        if after is None:
            break
    assert sorted(found, key=lambda each: each.document) == sorted(kept, key=lambda each: each.document)
    assert [each.received_ms for each in found] == sorted((each.received_ms for each in kept), reverse=True)
    assert repositories.quarantine.of_thing(thing, NOW_MS + 3, limit=2, after=None).items == []
