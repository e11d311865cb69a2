"""The sections on the search."""

import pytest

from ranksearch.records import StudyHistory
from ranksearch.report.blocks import Chart, Heading, Row
from ranksearch.report.search_section import ranks_section, schedules_section, uses_table, volume_section
from ranksearch.report.study_view import StudyView


def test_the_same_study_twice_has_charts_of_its_own(view: StudyView) -> None:
    charts = [block for block in ranks_section([view, view]).blocks if isinstance(block, Chart)]
    assert [chart.name for chart in charts] == ["ranks-0", "ranks-1"]
    rows = [block for block in schedules_section([view, view]).blocks if isinstance(block, Row)]
    assert [row.chart.name for row in rows] == ["schedules-0", "schedules-1"]


def test_hypervolumes_of_search_and_baselines_stand_side_by_side(view: StudyView, other_history: StudyHistory) -> None:
    (row,) = volume_section([view]).blocks
    assert isinstance(row, Row)
    assert [cells[0] for cells in row.beside.rows] == ["search", "energy", "evbmf", "uniform"]
    assert [choice.label for choice in row.chart.choices] == ["trials", "minutes"]
    (both,) = volume_section([view, StudyView(other_history)]).blocks
    assert isinstance(both, Row)
    assert {cells[0] for cells in both.beside.rows} == {"resnet20-cifar10", "resnet20-direct"}


def test_settings_are_named_once(view: StudyView) -> None:
    first = [row[0] for row in uses_table(view).rows]
    assert [name for name in first if name] == ["shape", "fade", "order"]


@pytest.mark.parametrize("section", [ranks_section, volume_section, schedules_section])
def test_an_empty_study_has_nothing_to_show(odd_views: dict[str, StudyView], view: StudyView, section) -> None:  # type: ignore[no-untyped-def]
    assert section([odd_views["empty"]]).blocks == ()
    assert not [b for b in section([odd_views["empty"], view]).blocks if isinstance(b, Heading)][1:]
