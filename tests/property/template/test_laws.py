"""Laws of templates: functions undo one another, resolving settles, order never breaks a dependency."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from infra.local.template.errors import TemplateError
from infra.local.template.graph import dependencies, in_order
from infra.local.template.intrinsics import Physical, Resolver
from infra.local.template.provision import changed_properties

RESOLVER = Resolver(pseudo={}, parameters={"P": "p"}, resources={"R": Physical("r", {"Arn": "arn"})})
TEXT = st.text(alphabet="abc-${}!", max_size=12)
PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text("abc", min_size=1, max_size=3), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.lists(st.text("abc", max_size=5), min_size=1, max_size=6))
def test_split_undoes_join(parts: list[str]):
    joined = {"Fn::Join": ["|", parts]}
    assert RESOLVER.resolve("X", {"Fn::Split": ["|", joined]}) == parts


@given(PLAIN)
def test_what_holds_no_function_stays_as_it_is(value: Any):
    assert RESOLVER.resolve("X", value) == value


@given(st.lists(st.sampled_from(["${P}", "${R}", "${R.Arn}", "${!P}", "text", "$", "-"]), max_size=8))
def test_sub_replaces_each_variable_where_it_stands(pieces: list[str]):
    means = {"${P}": "p", "${R}": "r", "${R.Arn}": "arn", "${!P}": "${P}"}
    assert RESOLVER.resolve("X", {"Fn::Sub": "".join(pieces)}) == "".join(means.get(piece, piece) for piece in pieces)


@given(TEXT)
def test_sub_of_any_text_is_a_text_or_an_error_that_names_its_place(text: str):
    try:
        assert isinstance(RESOLVER.resolve("X", {"Fn::Sub": text}), str)
    except TemplateError as refused:
        assert refused.logical_id == "X"  # noqa: PT017 - an error is one of two lawful outcomes


@given(st.dictionaries(st.integers(0, 9), st.sets(st.integers(0, 9), max_size=3), max_size=10))
def test_an_order_puts_everything_after_what_it_needs_or_there_is_a_circle(edges: dict[int, set[int]]):
    names = {str(one) for one in edges}
    resources = {str(one): {"DependsOn": sorted(str(other) for other in others if str(other) in names)}
                 for one, others in edges.items()}  # fmt: skip
    try:
        needs = dependencies(resources, frozenset())
    except TemplateError as refused:
        assert "circular" in str(refused)  # noqa: PT017 - an error is one of two lawful outcomes
        return
    order = in_order(needs)
    assert sorted(order) == sorted(resources)
    assert all(order.index(need) < order.index(one) for one, others in needs.items() for need in others)


@given(st.dictionaries(st.sampled_from("abc"), PLAIN), st.dictionaries(st.sampled_from("abc"), PLAIN))
def test_what_changed_is_the_same_after_a_trip_through_the_state_file(was: dict[str, Any], wanted: dict[str, Any]):
    assert changed_properties(json.loads(json.dumps(was)), wanted) == changed_properties(was, wanted)
    assert changed_properties(was, was) == frozenset()
