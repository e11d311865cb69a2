"""The lower hull against brute force."""

import hypothesis.strategies as st
import numpy as np
from hypothesis import given
from hypothesis.extra.numpy import arrays

from ranksearch.allocation.hull import lower_hull

POINTS = arrays(float, st.tuples(st.integers(1, 30), st.just(2)), elements=st.integers(0, 20).map(float))


@given(POINTS)
def test_cost_rises_loss_falls_and_slopes_flatten(points):
    cost, loss = points[lower_hull(points[:, 0], points[:, 1])].T
    assert (np.diff(cost) > 0).all()
    assert (np.diff(loss) < 0).all()
    slopes = np.diff(loss) / np.diff(cost)
    assert (np.diff(slopes) > 0).all()


@given(POINTS, st.floats(0.01, 100))
def test_the_hull_holds_a_minimiser_of_every_price(points, price):
    value = points[:, 1] + price * points[:, 0]
    assert np.isclose(value[lower_hull(points[:, 0], points[:, 1])].min(), value.min())


@given(POINTS)
def test_it_runs_from_the_cheapest_to_the_least_loss(points):
    hull = lower_hull(points[:, 0], points[:, 1])
    assert points[hull[0], 0] == points[:, 0].min()
    assert points[hull[-1], 1] == points[:, 1].min()
