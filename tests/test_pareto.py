"""Laws of dominance, fronts and hypervolume."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from hypothesis.extra.numpy import arrays

from ranksearch.errors import BudgetError
from ranksearch.pareto import Box, dominates, farthest_first, non_dominated

GRID = st.integers(0, 8).map(lambda i: i / 8)  # few values: ties and duplicates are common
SETS = arrays(float, st.tuples(st.integers(0, 14), st.integers(2, 3)), elements=GRID)
TRIALS = st.lists(st.tuples(st.floats(0, 1), st.floats(0.5, 40)), max_size=12)
BOXES = st.builds(Box, st.floats(0, 0.9), st.floats(1, 3), st.floats(4, 16))


def columns(trials):
    return [a for a, _ in trials], [r for _, r in trials]


@given(SETS)
def test_dominance_is_a_strict_order(points):
    for a in points:
        assert not dominates(a, a)
        for b in points:
            assert not (dominates(a, b) and dominates(b, a))
            for c in points:
                assert not (dominates(a, b) and dominates(b, c)) or dominates(a, c)


@given(SETS)
def test_a_point_is_kept_unless_dominated_or_the_copy_of_an_earlier_one(points):
    kept = non_dominated(points)
    for i, point in enumerate(points):
        beaten = any(dominates(other, point) for other in points)
        copied = any((other == point).all() for other in points[:i])
        assert kept[i] == (not beaten and not copied)


@given(SETS, st.randoms())
def test_the_front_does_not_depend_on_the_order(points, random):
    order = list(range(len(points)))
    random.shuffle(order)
    shuffled = points[order]
    assert {tuple(p) for p in points[non_dominated(points)]} == {tuple(p) for p in shuffled[non_dominated(shuffled)]}


@given(SETS)
def test_the_front_of_a_front_is_itself(points):
    front = points[non_dominated(points)]
    assert non_dominated(front).all()


@given(BOXES, TRIALS)
def test_hypervolume_is_a_share_and_that_of_the_unit_square(box, trials):
    volume = box.hypervolume(*columns(trials))
    # Independently: the area under the staircase of the best accuracy at each ratio or above.
    unit = sorted(map(tuple, box.normalise(*columns(trials))), key=lambda p: -p[1]) if trials else []
    area, best = 0.0, 0.0
    for i, (accuracy, ratio) in enumerate(unit):
        best = max(best, accuracy)
        area += best * (ratio - (unit[i + 1][1] if i + 1 < len(unit) else 0.0))
    assert volume == pytest.approx(area, abs=1e-12)
    assert 0 <= volume <= 1


@given(BOXES, TRIALS, st.tuples(st.floats(0, 1), st.floats(0.5, 40)))
def test_a_further_point_never_lowers_the_volume_and_a_dominated_one_adds_nothing(box, trials, further):
    before, after = box.hypervolume(*columns(trials)), box.hypervolume(*columns([*trials, further]))
    assert after >= before - 1e-12
    if any(dominates(point, further) or point == further for point in trials):
        assert after == pytest.approx(before, abs=1e-12)


@given(BOXES, TRIALS, st.randoms())
def test_the_volume_does_not_depend_on_the_order(box, trials, random):
    shuffled = random.sample(trials, len(trials))
    assert box.hypervolume(*columns(shuffled)) == pytest.approx(box.hypervolume(*columns(trials)), abs=1e-12)


@given(BOXES, TRIALS)
def test_points_outside_count_as_if_on_the_edge(box, trials):
    clipped = [(max(a, box.accuracy_floor), float(np.clip(r, box.ratio_low, box.ratio_high))) for a, r in trials]
    assert box.hypervolume(*columns(trials)) == pytest.approx(box.hypervolume(*columns(clipped)), abs=1e-9)


@given(BOXES, st.floats(0, 1), st.floats(0.5, 40))
def test_at_the_floor_or_the_lowest_ratio_a_point_is_worth_nothing(box, accuracy, ratio):
    assert box.hypervolume([min(accuracy, box.accuracy_floor)], [ratio]) == 0
    assert box.hypervolume([accuracy], [min(ratio, box.ratio_low)]) == 0


@given(BOXES)
def test_the_best_corner_fills_the_box_and_no_point_nothing(box):
    assert box.hypervolume([1.0], [box.ratio_high]) == pytest.approx(1.0)
    assert box.hypervolume([], []) == 0.0


@given(BOXES, TRIALS)
def test_the_history_is_the_volume_of_every_prefix(box, trials):
    history = box.hypervolume_history(*columns(trials))
    assert history.shape == (len(trials),)
    expected = [box.hypervolume(*columns(trials[: i + 1])) for i in range(len(trials))]
    assert history == pytest.approx(expected, abs=1e-12)
    assert (np.diff(history) >= -1e-12).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1.0, 1, 4), "accuracy_floor = 1.0 must be a fraction"),
        ((-0.1, 1, 4), "accuracy_floor = -0.1 must be a fraction"),
        ((0.5, 4, 4), r"ratio = \[4, 4\] must be two numbers"),
        ((0.5, 0, 4), r"ratio = \[0, 4\] must be two numbers"),
        ((0.5, 8, 4), r"ratio = \[8, 4\] must be two numbers"),
    ],
)
def test_a_box_states_its_law(arguments, message):
    with pytest.raises(BudgetError, match=message):
        Box(*arguments)


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=12), st.integers(0, 15), st.data())
def test_any_beginning_of_farthest_first_covers_the_line(places, number, data):
    first = data.draw(st.integers(0, len(places) - 1))
    order = farthest_first(places, number, first)
    assert len(order) == len(set(order)) == min(number, len(places))
    assert order[:1] == [first][:number]
    gaps = [min(abs(places[new] - places[old]) for old in order[:i]) for i, new in enumerate(order) if i]
    assert gaps == sorted(gaps, reverse=True)  # what is still uncovered shrinks
    for i, gap in enumerate(gaps, start=1):
        assert all(min(abs(place - places[old]) for old in order[:i]) <= gap for place in places)


@given(st.lists(st.floats(-9, 9), min_size=1, max_size=12), st.lists(st.floats(-9, 9), min_size=1, max_size=4))
def test_places_that_are_taken_count_from_the_start(places, taken):
    order = farthest_first(places, 12, taken=taken)
    assert sorted(order) == list(range(len(places)))
    gaps = [min(abs(places[i] - t) for t in [*taken, *(places[j] for j in order[:n])]) for n, i in enumerate(order)]
    assert gaps == sorted(gaps, reverse=True)


def test_no_place_has_no_order():
    assert farthest_first([], 3) == []
