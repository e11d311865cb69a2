"""Sliders pick what `export` would."""

import pytest

from ranksearch.errors import SelectionError
from ranksearch.front import select
from ranksearch.report.picks import MOST, Picks, picks
from ranksearch.report.study_view import StudyView


def test_every_position_is_what_export_selects(view: StudyView) -> None:
    found = picks(view)
    for pick in (*found.named, *found.drop, *found.ratio):
        if pick.point:
            assert pick.point == f"trials/{select(view.trials, pick.select, view.study)['number'].iloc[0]}"
        else:
            with pytest.raises(SelectionError):
                select(view.trials, pick.select, view.study)


def test_sliders_span_the_front_and_the_box(view: StudyView) -> None:
    found = picks(view)
    drops = [float(pick.select.removeprefix("max-drop=")) for pick in found.drop]
    assert drops[0] == 0
    assert drops[-1] >= 100 * (view.study.dense.accuracy - view.front["accuracy"].min())
    assert found.drop[-1].point == f"trials/{view.front['number'].iloc[-1]}"
    ratios = [float(pick.select.removeprefix("min-ratio=")) for pick in found.ratio]
    assert (ratios[0], ratios[-1]) == (1.5, 8.0)
    assert max(len(drops), len(ratios)) <= MOST + 2


def test_they_start_where_there_is_an_answer(view: StudyView) -> None:
    found = picks(view)
    for along, start in zip((found.drop, found.ratio), found.start, strict=True):
        assert along[start].point
    assert found.ratio[found.start[1]].value == "4×"


def test_where_nothing_fits_the_remark_says_what_would(view: StudyView) -> None:
    nothing = [pick for pick in picks(view).drop if not pick.point]
    assert nothing
    assert all("the best has" in pick.remark and "max-drop=" in pick.remark for pick in nothing)


def test_without_a_front_there_is_nothing_to_pick(odd_views: dict[str, StudyView]) -> None:
    assert picks(odd_views["failures only"]) == Picks()


def test_one_point_is_every_pick(odd_views: dict[str, StudyView]) -> None:
    found = picks(odd_views["one point"])
    assert {pick.point for pick in found.named} == {"trials/0"}
