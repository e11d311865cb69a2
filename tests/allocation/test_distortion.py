"""Distortions: nothing lost costs nothing, more lost never costs less, each in its own units."""

import math
from dataclasses import replace

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from ranksearch.allocation import DISTORTIONS, Profiles
from ranksearch.allocation.distortion import LEAST_RETAINED
from ranksearch.errors import RankError
from ranksearch.layers import ErrorTable

SEEDS = st.integers(0, 10_000)
POINTS = st.lists(
    st.tuples(st.floats(0.001, 0.999), st.floats(1e-6, 10)), min_size=1, max_size=4, unique_by=lambda p: p[0]
)


def line(relative, total=1.0):
    """A table of one rank with these relative distortions."""
    return ErrorTable(np.array(relative) * total, total, (np.ones(len(relative)),))


@given(SEEDS, POINTS, st.sampled_from([*DISTORTIONS, "measured"]), st.booleans())
def test_losses_are_0_at_no_distortion_and_rise_with_it(synthetic, seed, points, kind, in_loss):
    network, tables = synthetic(seed, layers=1)
    (name,), table = network.names, replace(tables[network.names[0]], in_loss=in_loss)
    distortion = DISTORTIONS.get(kind) or Profiles({name: sorted(points)})
    losses = distortion(name, table)
    assert losses.shape == table.distortion.shape
    assert np.isfinite(losses).all()
    assert (losses >= 0).all()
    order = np.argsort(table.distortion, axis=None)
    assert (np.diff(losses.flat[order]) >= -1e-12 * losses.max()).all()
    nothing = distortion(name, replace(table, distortion=np.zeros_like(table.distortion)))
    assert (nothing == 0).all()


@pytest.mark.parametrize(
    ("name", "in_loss", "expected"),
    [
        ("relative", False, 0.75),
        ("log", False, math.log(4)),
        ("log", True, math.log(4)),
        ("weighted-log", False, math.log(4)),
        ("weighted-log", True, 3 * math.log(4)),
        ("absolute", False, 0.75 * 9),
    ],
)
def test_each_in_its_own_units(name, in_loss, expected):
    table = replace(line([0.75], total=9.0), in_loss=in_loss)
    assert DISTORTIONS[name]("layer", table)[0] == pytest.approx(expected)


def test_a_layer_that_loses_everything_has_a_large_and_finite_loss():
    table = line([0.5, 1.0])
    assert DISTORTIONS["log"]("layer", table)[1] == pytest.approx(-math.log(LEAST_RETAINED))
    measured = Profiles({"layer": [(0.5, 0.2)]})("layer", table)
    assert measured[1] == pytest.approx(0.2 * math.log(LEAST_RETAINED) / math.log(0.5))


def test_a_layer_without_energy_loses_nothing():
    table = ErrorTable(np.zeros(3), 0.0, (np.zeros(3),))
    for name, distortion in DISTORTIONS.items():
        assert (distortion("layer", table) == 0).all(), name


@given(POINTS)
def test_profiles_pass_through_their_points_as_far_as_these_rise(points):
    points = sorted(points)
    shares, losses = zip(*points, strict=True)
    found = Profiles({"layer": points})("layer", line(shares))
    np.testing.assert_allclose(found, np.maximum.accumulate(losses), rtol=1e-9)


def test_between_two_points_a_profile_is_a_power_law_and_outside_them_in_proportion():
    x = np.array([0.05, 0.1, 0.2, 0.4, 0.8])  # of −log(1 − relative distortion)
    relative = 1 - np.exp(-x)
    found = Profiles({"layer": [(relative[1], 1.0), (relative[3], 16.0)]})("layer", line(relative))
    np.testing.assert_allclose(found, [0.5, 1.0, 4.0, 16.0, 32.0])


def test_a_layer_without_choices_needs_no_points_and_one_without_a_profile_is_refused():
    assert (Profiles({"layer": []})("layer", line([0.5])) == 0).all()
    with pytest.raises(RankError, match="layer 'other' has no profile; measured were layer"):
        Profiles({"layer": []})("other", line([0.5]))


@pytest.mark.parametrize(
    "points", [[(0.5, 1.0), (0.4, 2.0)], [(0.0, 1.0)], [(1.5, 1.0)], [(0.5, 0.0)], [(0.5, math.inf)]]
)
def test_points_that_make_no_profile_are_refused(points):
    with pytest.raises(RankError, match="layer 'layer': the points of a profile must have rising relative distortions"):
        Profiles({"layer": points})
