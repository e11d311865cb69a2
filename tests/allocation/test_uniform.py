"""Uniform ranks: one fraction everywhere between the ends, to a step."""

import pytest

from ranksearch.allocation import attainable_ratio
from ranksearch.allocation.uniform import uniform
from ranksearch.errors import BudgetError
from ranksearch.layers import Dense, NetworkSpec, full_ranks
from ranksearch.layers.configuration import as_tuple


@pytest.mark.parametrize("form", ["plain", "pivoted"])
@pytest.mark.parametrize("ratio", [2.0, 4.0, 8.0])
def test_one_fraction_explains_every_rank(resnet20, form, ratio):
    network, tables = resnet20
    found = uniform(network, tables, ratio, form=form)
    ranks = [
        (rank, full)
        for spec in network.layers
        for rank, full in zip(as_tuple(found[spec.name]), full_ranks(spec), strict=False)
    ]
    assert len(ranks) > 20
    # ⌊f·full⌋, or one less where several layers rise at f and not all fit; never below 1.
    assert max(rank / full for rank, full in ranks if rank > 1) <= min((rank + 1) / full for rank, full in ranks)


@pytest.mark.parametrize("ratio", [2.0, 4.0, 8.0])
def test_the_first_and_the_last_layer_stay_dense(resnet20, ratio):
    network, tables = resnet20
    found = uniform(network, tables, ratio, form="pivoted")
    dense = [name for name in network.names if isinstance(found[name], Dense)]
    assert dense == [network.names[0], network.names[-1]]


def test_they_do_not_where_the_ratio_forbids_it(resnet20):
    network, tables = resnet20
    most = attainable_ratio(network, "pivoted", 1)
    found = uniform(network, tables, 0.999 * most, form="pivoted")
    assert not isinstance(found[network.names[0]], Dense)
    with pytest.raises(BudgetError):
        uniform(network, tables, 1.001 * most, form="pivoted")
    ends = NetworkSpec(layers=(network.layers[0], network.layers[-1]), params=10_000, macs=10**6)
    assert not any(isinstance(uniform(ends, {}, 1.01, form="plain")[name], Dense) for name in ends.names[-1:])


def test_the_tables_do_not_matter(resnet20):
    network, tables = resnet20
    assert uniform(network, tables, 3.0, form="pivoted") == uniform(network, {}, 3.0, form="pivoted")
