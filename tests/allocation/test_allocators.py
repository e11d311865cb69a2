"""The table of allocators: one call for all of them."""

import pytest

from ranksearch.allocation import ALLOCATORS, DISTORTIONS, RateDistortion
from ranksearch.errors import BudgetError
from ranksearch.layers import network_cost
from ranksearch.study import RanksSection


@pytest.mark.parametrize("name", ALLOCATORS)
@pytest.mark.parametrize("form", ["plain", "pivoted"])
@pytest.mark.parametrize("cost", ["params", "macs"])
def test_every_allocator_names_every_layer_and_those_that_take_a_ratio_meet_it(resnet20, name, form, cost):
    network, tables = resnet20
    allocator = ALLOCATORS[name]
    found = allocator(network, tables, 3.0 if allocator.takes_ratio else None, form=form, cost=cost)
    assert set(found.layers) == set(network.names)
    real = network_cost(network, found, form)
    ratio = real.compression_ratio if cost == "params" else real.mac_ratio
    assert 3.0 <= ratio < 3.03 if allocator.takes_ratio else ratio >= 1


def test_only_evbmf_takes_no_ratio():
    assert [name for name, a in ALLOCATORS.items() if not a.takes_ratio] == ["evbmf"]


def test_rate_distortion_comes_with_every_distortion_and_the_default_is_a_studys():
    names = [n.partition(":")[2] for n, a in ALLOCATORS.items() if a.distortion and ":" in n]
    assert names == list(DISTORTIONS)
    assert ALLOCATORS["rate-distortion"].distortion is DISTORTIONS[RanksSection().distortion]


def test_rate_distortion_is_the_class_with_equal_weights_and_the_best_by_its_own_measure(resnet20, loss_of):
    network, tables = resnet20
    losses = {
        n: loss_of(a(network, tables, 4.0, form="pivoted"), tables) for n, a in ALLOCATORS.items() if a.takes_ratio
    }
    assert min(losses, key=losses.__getitem__) == "rate-distortion"  # the first of equals: its tables are no losses
    assert ALLOCATORS["rate-distortion"](network, tables, 4.0, form="pivoted") == RateDistortion(network, tables)(4.0)


@pytest.mark.parametrize(
    ("name", "ratio", "message"),
    [("uniform", None, "needs a ratio to reach"), ("evbmf", 4.0, "takes none, got 4")],
)
def test_a_ratio_too_few_or_too_many_is_refused(resnet20, name, ratio, message):
    with pytest.raises(BudgetError, match=message):
        ALLOCATORS[name](*resnet20, ratio, form="pivoted")
