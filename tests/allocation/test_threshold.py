"""Allocators with one dial, for both families: legal, at the ratio, close to it."""

import hypothesis.strategies as st
import pytest
from hypothesis import given

from ranksearch.allocation import ALLOCATORS, attainable_ratio
from ranksearch.errors import BudgetError
from ranksearch.layers import full_ranks, is_legal, layer_macs, network_cost
from ranksearch.layers.configuration import as_tuple

NAMES = st.sampled_from(["uniform", "energy"])
COSTS = st.sampled_from(["params", "macs"])
FORMS = st.sampled_from(["plain", "pivoted"])


@given(NAMES, st.integers(0, 10_000), FORMS, st.floats(0, 1), st.sampled_from([1, 2, 4]), COSTS)
def test_legal_multiples_at_the_ratio_or_above(synthetic, name, seed, form, share, multiple_of, cost):
    network, tables = synthetic(seed)
    ratio = max(1.0, attainable_ratio(network, form, multiple_of, cost) ** share * (1 - 1e-12))
    found = ALLOCATORS[name](network, tables, ratio, form=form, multiple_of=multiple_of, cost=cost)
    real = network_cost(network, found, form)
    reached = real.compression_ratio if cost == "params" else real.mac_ratio
    assert reached >= ratio * (1 - 1e-9)  # up to a 10⁻⁹th of a parameter
    for spec in network.layers:
        ranks = as_tuple(found[spec.name])
        assert cost == "params" or ranks == () or layer_macs(spec, found[spec.name], form) < spec.macs
        assert is_legal(spec, found[spec.name])
        assert all(r % multiple_of == 0 or r == f for r, f in zip(ranks, full_ranks(spec), strict=False))


@given(NAMES, st.integers(0, 10_000), FORMS, st.floats(0, 1), st.floats(0, 1))
def test_a_larger_ratio_never_gives_a_larger_network(synthetic, name, seed, form, first, second):
    network, tables = synthetic(seed)
    high = attainable_ratio(network, form)
    ratios = [max(1.0, high**share * (1 - 1e-12)) for share in sorted((first, second))]
    small, large = (network_cost(network, ALLOCATORS[name](network, tables, r, form=form), form) for r in ratios)
    assert large.params <= small.params


@pytest.mark.parametrize("name", ["uniform", "energy"])
@pytest.mark.parametrize("form", ["plain", "pivoted"])
def test_the_ratio_is_met_within_a_hundredth_on_resnet20(resnet20, name, form):
    network, tables = resnet20
    for ratio in (1.5, 2.0, 3.0, 5.0, 8.0):
        found = network_cost(network, ALLOCATORS[name](network, tables, ratio, form=form), form)
        assert ratio <= found.compression_ratio <= 1.01 * ratio


def test_ratio_one_is_dense(synthetic):
    network, tables = synthetic(5)
    for name in ("uniform", "energy"):
        found = ALLOCATORS[name](network, tables, 1.0, form="pivoted")
        assert all(as_tuple(found[layer]) == () for layer in network.names)


@pytest.mark.parametrize("name", ["uniform", "energy"])
def test_an_unattainable_ratio_is_refused(synthetic, name):
    network, tables = synthetic(5)
    with pytest.raises(BudgetError, match="ranks reach from 1 to"):
        ALLOCATORS[name](network, tables, 1e6, form="pivoted")
