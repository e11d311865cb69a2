"""Decay schedules along the front."""

import itertools

import pytest

from ranksearch.report.schedule_figure import SETTINGS, decay_curves, ends, schedule_figure, setting_uses
from ranksearch.report.study_view import StudyView


def test_there_is_one_curve_per_network_of_the_front(view: StudyView) -> None:
    curves = decay_curves(view)
    assert [curve.trial for curve in curves] == list(view.front["number"])
    assert len(schedule_figure(curves).data) == len(curves)


def test_curves_fall_to_nothing_by_their_end(view: StudyView) -> None:
    for curve, row in zip(decay_curves(view), view.front.to_dict("records"), strict=True):
        assert curve.decay[0] == (0.0 if row["schedule/shape"] == "none" else 1.0)
        assert all(a >= b for a, b in itertools.pairwise(curve.decay))
        after = [d for p, d in zip(curve.progress, curve.decay, strict=True) if p >= row["schedule/end"]]
        assert after
        assert max(after) == 0.0


def test_uses_are_counted_on_the_front_and_in_all(view: StudyView) -> None:
    uses = setting_uses(view)
    shapes = [use for use in uses if use.setting == "shape"]
    assert sum(use.tried for use in shapes) == len(view.trials)
    assert sum(use.on_front for use in shapes) == len(view.front)
    fading = int((view.trials["schedule/shape"] != "none").sum())
    for setting in SETTINGS[1:]:
        assert sum(use.tried for use in uses if use.setting == setting) == fading
    assert all(use.on_front <= use.tried for use in uses)


def test_ends_are_those_of_the_front(view: StudyView) -> None:
    front = view.front
    expected = sorted(front.loc[front["schedule/shape"] != "none", "schedule/end"])
    assert list(ends(view)) == pytest.approx(expected)


def test_nothing_is_drawn_of_a_study_without_a_front(odd_views: dict[str, StudyView]) -> None:
    assert decay_curves(odd_views["empty"]) == ()
    assert setting_uses(odd_views["empty"]) == ()
    assert not schedule_figure(()).data
