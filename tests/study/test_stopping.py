"""Rules of early stopping: they spare the ends and the good, and need company to judge."""

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import given

from ranksearch.records import Milestone
from ranksearch.study.stopping import MARGIN, NEIGHBOURS, STOPPING, Curve, is_hopeless

LINE = [Curve(x, {100: 0.9 - 0.1 * x, 200: 0.95 - 0.1 * x}) for x in np.linspace(0.6, 3.0, 13)]


@pytest.mark.parametrize("rule", ["neighbours", "domination"])
def test_a_trial_far_below_the_others_is_hopeless_and_one_among_them_is_not(rule):
    assert is_hopeless(rule, Curve(1.5, {100: 0.6}), LINE)
    assert not is_hopeless(rule, Curve(1.5, {100: 0.75}), LINE)


def test_each_milestone_is_compared_with_its_own():
    late = Curve(1.5, {100: 0.75, 200: 0.76})  # in company at the first look, below it at the second
    assert is_hopeless("neighbours", late, LINE)
    assert not is_hopeless("neighbours", Curve(1.5, {300: 0.1}), LINE)


@given(st.floats(0, 4), st.floats(0, 1))
def test_none_stops_nothing(ratio, accuracy):
    assert not is_hopeless("none", Curve(ratio, {100: accuracy}), LINE)


@given(st.floats(0, 1))
def test_neither_end_starves(accuracy):
    spared = NEIGHBOURS // 2 - 1
    small, large = LINE[-1 - spared].log2_ratio + 1e-6, LINE[spared].log2_ratio - 1e-6
    assert not is_hopeless("neighbours", Curve(small, {100: accuracy}), LINE)
    assert not is_hopeless("neighbours", Curve(large, {100: accuracy}), LINE)
    assert not is_hopeless("domination", Curve(LINE[-1].log2_ratio + 1e-6, {100: accuracy}), LINE)


@given(st.sampled_from(sorted(STOPPING)), st.lists(st.tuples(st.floats(0, 3), st.floats(0, 1)), max_size=20))
def test_the_best_of_all_is_never_hopeless(rule, points):
    others = [Curve(x, {100: y}) for x, y in points]
    best = max((y for _, y in points), default=0.0)
    flat = [Curve(c.log2_ratio, {100: best}) for c in others]  # a line through any of them lies no higher
    assert not is_hopeless(rule, Curve(1.5, {100: best}), flat)


def test_before_its_first_look_and_without_company_nobody_is_hopeless():
    assert not is_hopeless("domination", Curve(1.5, {}), LINE)
    assert not is_hopeless("domination", Curve(1.5, {100: 0.0}), [])
    assert MARGIN > 0


def test_a_curve_holds_what_a_trial_went_on_beyond(make_record):
    passed = tuple(Milestone(n, decay, 1.0, a) for n, decay, a in ((50, 0.5, None), (100, 0.0, 0.6), (150, 0.0, 0.7)))
    whole = make_record(milestones=passed)
    cut = msgspec.structs.replace(whole, stopped="by the rule 'neighbours'")
    assert Curve.of(whole).accuracy == {100: 0.6, 150: 0.7}
    assert Curve.of(cut).accuracy == {100: 0.6}
    assert Curve.of(whole).log2_ratio == pytest.approx(np.log2(whole.pivoted.compression_ratio))
