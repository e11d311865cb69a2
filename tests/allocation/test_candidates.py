"""A layer's losses, tilted prices and hulls."""

import math

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from ranksearch.allocation.candidates import PER_MODE, Candidates
from ranksearch.allocation.choices import Choices
from ranksearch.allocation.distortion import DISTORTIONS
from ranksearch.layers import LayerSpec

SEEDS = st.integers(0, 10_000)
FORMS = st.sampled_from(["plain", "pivoted"])


def candidates(synthetic, seed, form, cost="params", distortion="log"):
    network, tables = synthetic(seed, layers=1)
    spec = network.layers[0]
    losses = DISTORTIONS[distortion](spec.name, tables[spec.name])
    return Candidates.of(Choices.of(spec, form, 1, cost), losses, cost)


@given(SEEDS, FORMS)
def test_losses_are_those_given_and_dense_loses_nothing(synthetic, seed, form):
    found = candidates(synthetic, seed, form)
    for place in np.argwhere(found.choices.allowed):
        assert found.loss(tuple(int(i) + 1 for i in place)) == found.losses[tuple(place)]
    assert found.loss(()) == 0.0


@given(SEEDS, FORMS, st.floats(-1, 1), st.sampled_from(["params", "macs"]), st.sampled_from(list(DISTORTIONS)))
def test_the_hull_minimises_over_all_choices_at_any_tilt_and_price(synthetic, seed, form, tilt, cost, distortion):
    found = candidates(synthetic, seed, form, cost, distortion)
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
    found = Candidates.of(Choices.of(spec, form), np.zeros((8, 8)), "params")
    assert found.price(ranks, 0.0) == untilted
    assert math.isclose(found.price(ranks, 1.0), untilted + (math.e - 1) * 8 * 4)
    assert math.isclose(found.price(ranks, -1.0), untilted + (math.e - 1) * 8 * 2)


@given(SEEDS, st.floats(-8, 8), st.sampled_from(["params", "macs"]))
def test_at_any_tilt_the_price_of_the_pivoted_form_grows_with_each_rank(synthetic, seed, tilt, cost):
    found = candidates(synthetic, seed, "pivoted", cost)
    allowed = [tuple(int(i) + 1 for i in place) for place in np.argwhere(found.choices.allowed)]
    for ranks in allowed:
        for step in found.choices.steps(ranks):
            assert step == () or found.price(step, tilt) > found.price(ranks, tilt) > 0


def test_of_a_layer_that_loses_nothing_the_cheapest_ranks_are_the_hull():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=4, channels_in=4, kernel=(3, 3))
    found = Candidates.of(Choices.of(spec, "pivoted"), np.zeros((4, 4)), "params")
    assert found.curve(0.0).ranks == [(1, 1)]


def test_of_many_ranks_the_hull_looks_at_evenly_spaced_ones():
    spec = LayerSpec(name="layer", kind="conv2d", channels_out=400, channels_in=300, kernel=(3, 3))
    fraction = np.arange(1, 401)[:, None] / 400 * np.arange(1, 301)[None, :] / 300
    found = Candidates.of(Choices.of(spec, "pivoted"), -np.log(fraction), "params")
    ranks = np.array(found.curve(0.3).ranks[:-1])
    assert found.curve(0.3).ranks[-1] == ()
    assert 20 < len(ranks) <= PER_MODE**2
    assert ranks.min() == 1
    assert len(np.unique(found._points[0][:, 0])) == PER_MODE
