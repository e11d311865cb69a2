"""Uniform ranks: one fraction everywhere, to a step."""

import pytest

from ranksearch.allocation.uniform import uniform
from ranksearch.layers import full_ranks
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


def test_the_tables_do_not_matter(resnet20):
    network, tables = resnet20
    assert uniform(network, tables, 3.0, form="pivoted") == uniform(network, {}, 3.0, form="pivoted")
