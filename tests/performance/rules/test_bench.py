"""The two bounds that hold in every run; `scripts/bench rules` prints the figures."""

from tests.performance.rules.bench import MOST_TIMES_JSON_LOADS, MOST_TIMES_ONE_RULE, run


def test_evaluation_stays_within_its_multiple_of_json_loads_and_does_not_grow_with_the_rules():
    figures = run("300")

    assert figures["times_json_loads"] <= MOST_TIMES_JSON_LOADS, figures
    assert figures["hundred_to_one"] <= MOST_TIMES_ONE_RULE, figures
