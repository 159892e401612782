"""The benchmark itself, small: nothing is lost and the bound is not passed."""

from tests.performance.functions.bench import room


async def test_a_burst_is_handled_whole_within_the_bound():
    figures = await room(seconds=0.3, burst=200)
    assert figures["burst"]["handled"] == 200
    assert figures["workers"]["most_alive"] <= figures["workers"]["bound"]
    assert figures["warm_per_s"]["50"] > 0
