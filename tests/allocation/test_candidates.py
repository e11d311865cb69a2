"""A layer's losses, tilted prices and hulls."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from ranksearch.allocation.candidates import LEAST_RETAINED, PER_MODE, Candidates
from ranksearch.allocation.choices import Choices
from ranksearch.layers import ErrorTable, LayerSpec, Tucker2

SEEDS = st.integers(0, 10_000)
FORMS = st.sampled_from(["plain", "pivoted"])


def candidates(synthetic, seed, form, scale=1.0, cost="params"):
    network, tables = synthetic(seed, layers=1)
    spec = network.layers[0]
    return Candidates.of(Choices.of(spec, form, 1, cost), tables[spec.name], scale, cost), tables[spec.name]


@given(SEEDS, FORMS, st.floats(0.01, 100))
def test_loss_is_the_root_of_the_scale_times_the_logarithm(synthetic, seed, form, scale):
    found, table = candidates(synthetic, seed, form, scale)
    ranks = found.choices.cheapest
    if ranks:
        kept = max(LEAST_RETAINED, 1 - table[found.choices.layer_ranks(ranks)] / table.total)
        assert math.isclose(found.loss(ranks), -math.sqrt(scale) * math.log(kept), rel_tol=1e-9, abs_tol=1e-12)
    assert found.loss(()) == 0.0


@given(SEEDS, FORMS, st.floats(-1, 1), st.sampled_from(["params", "macs"]))
def test_the_hull_minimises_over_all_choices_at_any_tilt_and_price(synthetic, seed, form, tilt, cost):
    found, _ = candidates(synthetic, seed, form, cost=cost)
    curve = found.curve(tilt)
    everything = [(), *(tuple(int(i) + 1 for i in place) for place in np.argwhere(found.choices.allowed))]
    for mu in (1e-4, 1e-2, 1.0):
        best = min(found.loss(r) + mu * found.price(r, tilt) for r in everything)
        assert math.isclose((curve.loss + mu * curve.price).min(), best, rel_tol=1e-9, abs_tol=1e-12)
    for ranks, spent, price, loss in zip(*curve, strict=True):
        assert spent == found.choices.cost(ranks)
        assert math.isclose(price, found.price(ranks, tilt), rel_tol=1e-12)
        assert loss == found.loss(ranks)


@pytest.mark.parametrize(
    ("form", "ranks", "untilted"),
    [("pivoted", (4, 2), 9 * 8 + (8 - 4) * 4 + (8 - 2) * 2), ("plain", (4, 2), 9 * 8 + 8 * 4 + 8 * 2)],
)
def test_a_tilt_makes_one_modes_1x1_convolution_dearer(form, ranks, untilted):
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=8, channels_in=8, kernel=(3, 3))
    table = ErrorTable(np.zeros((8, 8)), 1.0, (np.ones(8), np.ones(8)))
    found = Candidates.of(Choices.of(spec, form), table, 1.0, "params")
    assert found.price(ranks, 0.0) == untilted
    assert math.isclose(found.price(ranks, 1.0), untilted + (math.e - 1) * 8 * 4)
    assert math.isclose(found.price(ranks, -1.0), untilted + (math.e - 1) * 8 * 2)


@given(SEEDS, st.floats(-8, 8), st.sampled_from(["params", "macs"]))
def test_at_any_tilt_the_price_of_the_pivoted_form_grows_with_each_rank(synthetic, seed, tilt, cost):
    found, _ = candidates(synthetic, seed, "pivoted", cost=cost)
    allowed = [tuple(int(i) + 1 for i in place) for place in np.argwhere(found.choices.allowed)]
    for ranks in allowed:
        for step in found.choices.steps(ranks):
            assert step == () or found.price(step, tilt) > found.price(ranks, tilt) > 0


def test_a_rank_that_keeps_nothing_has_a_finite_loss():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=4, channels_in=4, kernel=(3, 3))
    table = ErrorTable(np.ones((4, 4)), 1.0, (np.ones(4), np.ones(4)))
    found = Candidates.of(Choices.of(spec, "pivoted"), table, 1.0, "params")
    assert table[Tucker2(1, 1)] == table.total
    assert math.isclose(found.loss((1, 1)), -math.log(LEAST_RETAINED))


def test_a_layer_without_energy_has_no_loss_at_any_rank():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=4, channels_in=4, kernel=(3, 3))
    table = ErrorTable(np.zeros((4, 4)), 0.0, (np.zeros(4), np.zeros(4)))
    found = Candidates.of(Choices.of(spec, "pivoted"), table, 0.0, "params")
    assert found.curve(0.0).ranks == [(1, 1)]


def test_of_many_ranks_the_hull_looks_at_evenly_spaced_ones():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=400, channels_in=300, kernel=(3, 3))
    fraction = np.arange(1, 401)[:, None] / 400 * np.arange(1, 301)[None, :] / 300
    table = ErrorTable(1 - fraction, 1.0, (np.ones(400), np.ones(300)))
    found = Candidates.of(Choices.of(spec, "pivoted"), table, 1.0, "params")
    ranks = np.array(found.curve(0.3).ranks[:-1])
    assert found.curve(0.3).ranks[-1] == ()
    assert 20 < len(ranks) <= PER_MODE**2
    assert ranks.min() == 1
    assert len(np.unique(found._points[0][:, 0])) == PER_MODE
