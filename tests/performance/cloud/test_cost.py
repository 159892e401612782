"""The cost of a query follows what it reads and not the table."""

import json

import pytest

from tests.performance.cloud.bench import queries

MOST_TIMES = 1.5


@pytest.mark.parametrize(
    ("small", "big"), [(500, 10_000), pytest.param(1_000, 100_000, marks=[pytest.mark.long, pytest.mark.timeout(900)])]
)
async def test_ten_items_cost_the_same_in_a_small_and_in_a_big_table(small, big, capsys):
    figures = await queries(small, big)
    with capsys.disabled():
        print(json.dumps(figures))
    assert all(times <= MOST_TIMES for times in figures["query_times"].values()), figures
