"""SRP against a client's arithmetic, one-time passwords against the RFC's own table."""

import base64
import random
from datetime import UTC, datetime

import pytest
from pycognito import AWSSRP

from infra.local.cognito import srp, totp

POOL = "us-east-1_AbCdEf123"


class Nobody:
    """A client that is never called: only its arithmetic is wanted."""


def exchange(password_set, password_given, seed, user="f4a8b8c2-user"):
    dice = random.Random(seed)
    name = POOL.partition("_")[2]
    verifier = srp.build_verifier(name, user, password_set, dice.randbytes(16))
    client = AWSSRP(username=user, password=password_given, pool_id=POOL, client_id="c", client=Nobody())
    started = srp.start(name, user, verifier, client.get_auth_params()["SRP_A"], dice.randbytes(96))
    answer = client.process_challenge(started.parameters(), {"USERNAME": user})
    return started, answer


PASSWORDS = ["Correct-Horse-1", "", " ", "pässwörd ✓", "a" * 99, "\u0000", "Correct-Horse-1 "]


@pytest.mark.parametrize("password", PASSWORDS)
def test_the_right_password_is_accepted_whatever_letters_it_has(password):
    started, answer = exchange(password, password, 1)
    assert started.accepts(answer["TIMESTAMP"], answer["PASSWORD_CLAIM_SIGNATURE"])


@pytest.mark.parametrize("other", ["", "correct-horse-1", "Correct-Horse-1 "])
def test_every_other_password_is_refused(other):
    started, answer = exchange("Correct-Horse-1", other, 1)
    assert not started.accepts(answer["TIMESTAMP"], answer["PASSWORD_CLAIM_SIGNATURE"])


@pytest.mark.long
@pytest.mark.timeout(900)
def test_two_hundred_exchanges_of_any_salt_and_secret_agree():
    # Numbers of every length: padding is where implementations differ.
    for seed in range(200):
        started, answer = exchange("Correct-Horse-1", "Correct-Horse-1", seed)
        assert started.accepts(answer["TIMESTAMP"], answer["PASSWORD_CLAIM_SIGNATURE"])


def test_another_time_or_block_is_another_proof():
    started, answer = exchange("p", "p", 1)
    assert not started.accepts("another time", answer["PASSWORD_CLAIM_SIGNATURE"])
    other, _ = exchange("p", "p", 2)
    assert not other.accepts(answer["TIMESTAMP"], answer["PASSWORD_CLAIM_SIGNATURE"])


@pytest.mark.parametrize("public", ["0", f"{srp._N:x}", f"{2 * srp._N:x}", "nonsense", ""])
def test_a_public_number_that_would_give_the_key_away_is_refused(public):
    verifier = srp.build_verifier("pool", "user", "p", b"salt")
    with pytest.raises(ValueError):
        srp.start("pool", "user", verifier, public, bytes(96))


def test_a_verifier_is_not_the_password_and_another_salt_makes_another():
    one, other = (srp.build_verifier("pool", "user", "p", salt) for salt in (b"a", b"b"))
    assert one.value != other.value
    assert one.matches("pool", "user", "p")
    assert not one.matches("pool", "other", "p")
    assert not one.matches("other", "user", "p")


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_one_time_passwords_are_those_of_rfc_6238(seconds, code):
    # Appendix B, SHA-1, the last six of its eight digits.
    secret = base64.b32encode(b"12345678901234567890").decode()
    assert totp.code_at(secret, seconds // 30) == code
    assert totp.find_step(secret, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30
    assert totp.find_step(secret, code, datetime.fromtimestamp(seconds + 30, UTC)) == seconds // 30
    assert totp.find_step(secret, code, datetime.fromtimestamp(seconds + 61, UTC)) is None
