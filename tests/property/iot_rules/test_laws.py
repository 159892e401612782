"""Laws of rule SQL: no payload makes it raise, printing and parsing are inverse, numbers keep their digits."""

import json
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from infra.local.iot.rules.compiler import compile_statement
from infra.local.iot.rules.context import V2, Context
from infra.local.iot.rules.parser import parse_statement
from infra.local.iot.rules.values import UNDEFINED, dump, load
from tests.property.iot_rules.generator import Generator

STATEMENTS_IN_THE_GATE, STATEMENTS_IN_ALL = 300, 20_000
PAYLOADS_A_STATEMENT = 10


def judge(seed: int) -> None:
    """One generated statement: printed and parsed it is the same; ten payloads each give JSON, bytes or nothing."""
    generator = Generator(seed)
    statement = generator.statement()
    sql = str(statement)
    assert repr(parse_statement(sql)) == repr(statement), sql
    query = compile_statement(sql, V2)
    for _ in range(PAYLOADS_A_STATEMENT):
        payload = generator.payload()
        context = Context(topic="a/b", payload=payload, now_ms=1_614_834_367_089, client_id="me", principal="cert")
        outcome = query.evaluate(context)
        assert type(outcome.fires) is bool
        if outcome.raw:
            assert outcome.payload == payload
        elif outcome.fires and outcome.payload:
            load(outcome.payload.decode())


def test_no_statement_raises_on_any_payload_and_each_prints_as_it_parses():
    for seed in range(STATEMENTS_IN_THE_GATE):
        judge(seed)


@pytest.mark.long
@pytest.mark.timeout(3_600)
def test_two_hundred_thousand_statements_and_payloads():
    for seed in range(STATEMENTS_IN_ALL):
        judge(1_000_000 + seed)


@given(digits=st.integers(1, 10**34 - 1), point=st.integers(0, 40), negative=st.booleans())
@settings(max_examples=200, deadline=None)
def test_numbers_keep_34_digits_from_payload_to_output(digits, point, negative):
    number = Decimal(digits).scaleb(-point)
    text = f"{'-' if negative else ''}{number}"
    query = compile_statement("SELECT x, {'y': [x]} AS o, get(a, 0) AS g FROM 't'", V2)

    outcome = query.evaluate(Context(topic="t", payload=f'{{"x": {text}, "a": [{text}]}}'.encode(), now_ms=0))

    result = json.loads(outcome.payload, parse_float=Decimal, parse_int=Decimal)
    assert result["x"] == result["o"]["y"][0] == result["g"] == Decimal(text)


@given(left=st.integers(-(10**17), 10**17), right=st.integers(-(10**17), 10**17))
@settings(max_examples=200, deadline=None)
def test_division_and_remainder_of_ints_fit_together(left, right):
    query = compile_statement("SELECT VALUE [(a / b) * b + a % b, a % b] FROM 't'", V2)
    payload = json.dumps({"a": left, "b": right}).encode()

    outcome = query.evaluate(Context(topic="t", payload=payload, now_ms=0))

    if right == 0:
        assert outcome.value == [UNDEFINED, UNDEFINED]
    else:
        assert outcome.value[0] == left
        assert outcome.value[1] * left >= 0, "the remainder has the dividend's sign"


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(-(10**33), 10**33), st.text(),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(JSON)
@settings(max_examples=300, deadline=None)
def test_any_json_passes_through_a_rule_unchanged(document):
    query = compile_statement("SELECT VALUE * FROM 't'", V2)
    payload = json.dumps(document).encode()

    outcome = query.evaluate(Context(topic="t", payload=payload, now_ms=0))

    assert json.loads(outcome.payload) == document
    assert load(dump(load(payload.decode()), whole_as_int=False)) == load(payload.decode())
