"""An index holds what a sorted list would, whatever came and went."""

from dataclasses import dataclass, field
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from infra.local.dynamodb.index import TOP, Index, Span


@dataclass(frozen=True)
class V:
    cast_value: object
    type: str = "S"


@dataclass(frozen=True)
class Thing:
    pk: str
    sk: int
    attrs: dict = field(compare=False)

    @classmethod
    def at(cls, pk, sk):
        return cls(pk, sk, {"pk": V(pk), "sk": V(Decimal(sk), "N")})


def index():
    return Index(["pk"], ["sk"], {"pk": "S", "sk": "N"})


KEYS = st.tuples(st.sampled_from("abc"), st.integers(-5, 5))


@given(st.lists(st.tuples(st.booleans(), KEYS), max_size=60))
def test_it_holds_what_a_sorted_set_would_after_any_puts_and_deletes(steps):
    ours, expected = index(), set()
    for put, key in steps:
        (ours.add if put else ours.discard)(Thing.at(*key))
        (expected.add if put else expected.discard)(key)
    assert [(each.pk, each.sk) for each in ours.all()] == sorted(expected)
    assert len(ours) == len(expected)


@given(st.sets(KEYS), st.integers(-6, 6), st.integers(-6, 6), st.booleans(), st.booleans())
def test_a_span_yields_what_filtering_would(keys, low, high, open_end, forward):
    pk = "a"
    ours = index()
    for key in keys:
        ours.add(Thing.at(*key))
    span = Span((Decimal(low),), (Decimal(high),) if open_end else (Decimal(high), TOP), open_end)
    found = [each.sk for each in ours.between((pk,), span, forward=forward)]
    expected = sorted(
        sk for each, sk in keys if each == pk and low <= sk and (sk < high or (sk == high and not open_end))
    )
    assert found == (expected if forward else expected[::-1])


@given(st.sets(KEYS, min_size=1), st.integers(1, 4), st.booleans())
def test_pages_that_begin_after_the_last_key_together_are_the_whole(keys, size, forward):
    ours = index()
    for key in keys:
        ours.add(Thing.at(*key))
    read, after = [], None
    while page := [
        each for each, _ in zip(ours.between(("a",), forward=forward, after=after), range(size), strict=False)
    ]:
        read += [each.sk for each in page]
        after = (Decimal(page[-1].sk),)
    assert read == sorted((sk for pk, sk in keys if pk == "a"), reverse=not forward)


def test_an_item_whose_key_attribute_is_missing_or_of_another_type_is_not_in_it():
    ours = index()
    ours.add(Thing("a", 1, {"pk": V("a")}))
    ours.add(Thing("a", 1, {"pk": V("a"), "sk": V("1", "S")}))
    assert len(ours) == 0
