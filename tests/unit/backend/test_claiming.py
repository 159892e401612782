"""Claiming: who knows the secret becomes the owner, once; nobody learns anything by trying."""

from datetime import timedelta
from urllib.parse import parse_qsl

import pytest

from backend.domain.access import Caller, Role
from backend.domain.devices import (
    CLAIM_ATTEMPT_WINDOW,
    MAX_CLAIM_ATTEMPTS,
    MAX_CLAIM_ATTEMPTS_OF_ALL,
    MIN_SECRET_LENGTH,
    qr_payload,
)
from backend.errors import ConflictError, FieldlineError, ForbiddenError, NotFoundError
from backend.services.devices import DeviceBook
from backend.services.trail import Trail
from tests.unit.backend.examples import SECRET, device
from tests.unit.backend.fakes import NOW, FakeAttempts, FakeControl, FakeDatabase, ManualClock

ANN, BOB = Caller(user="ann"), Caller(user="bob")


class Book:
    def __init__(self) -> None:
        self.database = FakeDatabase()
        self.devices = self.database.devices
        self.attempts = FakeAttempts()
        self.clock = ManualClock()
        self.devices.add(device())
        self.service = DeviceBook(
            access=self.database.access,
            devices=self.devices,
            attempts=self.attempts,
            memberships=self.database.memberships,
            invitations=self.database.invitations,
            audit=self.database.audit,
            store=self.database.store,
            control=FakeControl(),
            clock=self.clock,
            trail=Trail(clock=self.clock),
        )


@pytest.fixture
def book() -> Book:
    return Book()


def refusal(book: Book, thing: str, secret: str) -> str:
    with pytest.raises(FieldlineError) as caught:
        book.service.claim(BOB, thing, secret)
    return f"{type(caught.value).__name__}: {caught.value}"


def test_the_secret_makes_an_owner(book: Book) -> None:
    shown = book.service.claim(ANN, "t1", SECRET)
    assert (shown.role, shown.device.owner, shown.device.claimed_at) == (Role.OWNER, "ann", NOW)
    assert book.database.memberships.find("device#t1", "ann") is not None


def test_claiming_again_is_the_same(book: Book) -> None:
    book.service.claim(ANN, "t1", SECRET)
    assert book.service.claim(ANN, "t1", SECRET).role is Role.OWNER


def test_a_device_has_one_owner(book: Book) -> None:
    book.service.claim(ANN, "t1", SECRET)
    with pytest.raises(ConflictError):
        book.service.claim(BOB, "t1", SECRET)
    assert book.devices.rows["t1"].owner == "ann"


def test_a_wrong_secret_an_absent_device_and_an_expired_secret_are_refused_alike(book: Book) -> None:
    book.devices.add(device("t2", secret_expires_at=NOW))
    refusals = {refusal(book, "t1", "wrong"), refusal(book, "absent", SECRET), refusal(book, "t2", SECRET)}
    assert len(refusals) == 1


def test_after_ten_attempts_even_the_right_secret_is_refused_for_an_hour(book: Book) -> None:
    refused = {refusal(book, "t1", "wrong") for _ in range(10)}
    assert refusal(book, "t1", SECRET) in refused
    book.clock.move(hours=1)
    assert book.service.claim(BOB, "t1", SECRET).role is Role.OWNER


def test_a_stranger_who_guesses_does_not_keep_out_who_has_the_secret(book: Book) -> None:
    for _ in range(20):
        refusal(book, "t1", "wrong")
    assert book.service.claim(ANN, "t1", SECRET).role is Role.OWNER


def test_a_guess_shared_among_many_accounts_ends_before_it_has_a_chance(book: Book) -> None:
    """The ceiling is what the arithmetic beside it says, and whose own attempts are used up takes none of it."""
    for guesser in range(MAX_CLAIM_ATTEMPTS_OF_ALL // MAX_CLAIM_ATTEMPTS):
        for _ in range(MAX_CLAIM_ATTEMPTS + 1):
            with pytest.raises(ForbiddenError):
                book.service.claim(Caller(user=f"guesser-{guesser}"), "t1", "wrong")
        if guesser == 0:
            assert book.attempts.rows["device#t1", "claim"][0] == MAX_CLAIM_ATTEMPTS
    with pytest.raises(ForbiddenError):
        book.service.claim(ANN, "t1", SECRET)
    a_year = MAX_CLAIM_ATTEMPTS_OF_ALL * (timedelta(days=365) / CLAIM_ATTEMPT_WINDOW)
    assert a_year / 10**MIN_SECRET_LENGTH < 1e-8
    book.clock.move(hours=1)
    assert book.service.claim(ANN, "t1", SECRET).role is Role.OWNER


def test_somebody_elses_device_is_as_absent_as_one_that_does_not_exist(book: Book) -> None:
    book.service.claim(ANN, "t1", SECRET)
    answers = set()
    for thing in ("t1", "absent"):
        with pytest.raises(NotFoundError) as caught:
            book.service.get(BOB, thing)
        answers.add(str(caught.value))
    assert len(answers) == 1
    with pytest.raises(ForbiddenError):
        book.service.claim(BOB, "t1", "wrong")


def test_the_next_owner_sees_nothing_of_the_owner_before_though_time_passes(book: Book) -> None:
    book.clock.tick = timedelta(milliseconds=5)
    book.service.claim(ANN, "t1", SECRET)
    book.service.rename(ANN, "t1", name="Bedroom of Ann", attributes=None, version=None)
    book.service.release(ANN, "t1")
    assert book.service.claim(BOB, "t1", SECRET).device.name == ""
    assert [entry.what for entry in book.service.history(BOB, "t1", limit=10, after=None).items] == ["claimed"]


@pytest.mark.parametrize("secret", ["a-secret-on-a-label", "a&secret=b?#%/+ c", "geheimnis-ä-ö-ü-1234"])
def test_an_app_reads_the_label_like_any_url(secret: str) -> None:
    scheme, _, query = qr_payload("t-0001", secret).partition("?")
    assert scheme == "fieldline:claim"
    assert dict(parse_qsl(query, strict_parsing=True)) == {"thing": "t-0001", "secret": secret}
