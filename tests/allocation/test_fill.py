"""Filling a budget: nothing fits afterwards, nothing is overspent, the worthiest first."""

import hypothesis.strategies as st
from hypothesis import given

from ranksearch.allocation.budget import network_choices
from ranksearch.allocation.fill import fill


@given(st.integers(0, 10_000), st.integers(0, 600), st.sampled_from(["plain", "pivoted"]))
def test_the_budget_is_kept_and_no_step_is_left_that_fits(synthetic, seed, left, form):
    network, _ = synthetic(seed)
    choices = network_choices(network, form)
    start = [c.cheapest for c in choices]
    chosen = fill(choices, start, left, lambda layer, now, then: -layer)

    def cost(ranks):
        return sum(c.cost(r) for c, r in zip(choices, ranks, strict=True))

    remaining = left - (cost(chosen) - cost(start))
    assert remaining >= 0
    for c, now in zip(choices, chosen, strict=True):
        assert all(c.cost(then) - c.cost(now) > remaining for then in c.steps(now))


def test_the_worthiest_layer_is_filled_first_and_of_equals_the_first(synthetic):
    network, _ = synthetic(1, layers=3)
    choices = network_choices(network, "pivoted")
    start = [c.cheapest for c in choices]
    rich = choices[2].dense - choices[2].cost(start[2])
    assert fill(choices, start, rich, lambda layer, now, then: float(layer))[2] == ()
    first = choices[0].dense - choices[0].cost(start[0])
    assert fill(choices, start, first, lambda layer, now, then: 1.0)[0] == ()


def test_all_dense_is_the_end(synthetic):
    network, _ = synthetic(2)
    choices = network_choices(network, "pivoted")
    assert fill(choices, [c.cheapest for c in choices], 10**9, lambda *_: 0.0) == [()] * len(choices)
