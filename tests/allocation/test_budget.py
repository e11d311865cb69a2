"""Ratios and what they allow to be spent."""

import math

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ranksearch.allocation.budget import attainable_ratio, network_choices, rounded_down, spendable
from ranksearch.errors import BudgetError
from ranksearch.layers import LayerSpec, RankConfiguration, Tucker2, network_cost

SEEDS = st.integers(0, 10_000)


@given(SEEDS, st.sampled_from(["plain", "pivoted"]), st.sampled_from([1, 4]), st.sampled_from(["params", "macs"]))
def test_attainable_ratio_is_that_of_the_cheapest_configuration(synthetic, seed, form, multiple_of, cost):
    network, _ = synthetic(seed)
    choices = network_choices(network, form, multiple_of, cost)
    found = network_cost(network, RankConfiguration({c.spec.name: c.layer_ranks(c.cheapest) for c in choices}), form)
    expected = found.compression_ratio if cost == "params" else found.mac_ratio
    assert attainable_ratio(network, form, multiple_of, cost) == expected


def test_attainable_ratio_of_ranks_one(network_of):
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=8, channels_in=8, kernel=(3, 3))
    network = network_of([spec])
    ones = network_cost(network, RankConfiguration({"layer": Tucker2(1, 1)}), "pivoted")
    assert attainable_ratio(network, "pivoted") == ones.compression_ratio


@given(SEEDS, st.data())
def test_a_ratio_taken_from_a_cost_gives_that_cost_back(synthetic, seed, data):
    network, _ = synthetic(seed)
    choices = network_choices(network, "pivoted")
    least = sum(c.cost(c.cheapest) for c in choices)
    spent = data.draw(st.integers(least, network.params - network.fixed_params))
    assert spendable(network, choices, network.params / (network.fixed_params + spent)) == spent


@given(st.integers(10**6, 10**11), st.floats(1e-3, 1))
def test_so_do_costs_of_large_networks(network_of, total, share):
    channels = math.isqrt(total)
    network = network_of([LayerSpec(name="layer", kind="linear", channels_out=channels, channels_in=channels)])
    choices = network_choices(network, "pivoted")
    spent = max(round(channels**2 * share), choices[0].cost(choices[0].cheapest))
    assert spendable(network, choices, network.params / (network.fixed_params + spent)) == spent


@pytest.mark.parametrize("ratio", [0.5, 0.0, -1.0, float("nan"), 1e9])
def test_a_ratio_out_of_range_says_what_ranks_reach(synthetic, ratio):
    network, _ = synthetic(3)
    with pytest.raises(BudgetError, match=rf"from 1 to {rounded_down(attainable_ratio(network, 'plain'))} "):
        spendable(network, network_choices(network, "plain"), ratio)


def test_the_macs_message_speaks_of_macs(synthetic):
    network, _ = synthetic(3)
    with pytest.raises(BudgetError, match=r"MAC ratio 1e\+09 .* macs lie outside"):
        spendable(network, network_choices(network, "plain", cost="macs"), 1e9, "macs")
