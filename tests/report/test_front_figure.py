"""The picture of the front, drawn."""

import msgspec
import plotly.graph_objects as go
import pytest

from ranksearch.records import StudyHistory
from ranksearch.report import front_figure
from ranksearch.report.front_data import front_data
from ranksearch.report.palette import study_colour
from ranksearch.report.study_view import StudyView


def trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(t for t in figure.data if t.name == name)


def shown(figure: go.Figure) -> list[str]:
    return [t.name for t in figure.data if t.showlegend]


def test_one_study_is_drawn_by_kind(history: StudyHistory) -> None:
    figure = front_figure([history])
    kinds = ["trials", "untrained", "energy", "evbmf", "uniform", "dense 99.8 %", "front", "fine-tuned, test"]
    assert shown(figure) == kinds
    front = trace(figure, "front")
    assert list(front.x) == [p.ratio for p in front_data(StudyView(history)).front]
    assert front.mode == "lines+markers"
    assert list(trace(figure, "dense 99.8 %").y) == pytest.approx([99.78, 99.78])
    assert trace(figure, "dense 99.8 %").x[0] == 1.0


def test_the_ratio_axis_is_logarithmic_and_holds_the_box(history: StudyHistory) -> None:
    figure = front_figure([history])
    low, high = (10**edge for edge in figure.layout.xaxis.range)
    box = next(s for s in figure.layout.shapes if s.type == "rect")
    assert figure.layout.xaxis.type == "log"
    assert low < 1.0 < box.x0 == 1.5
    assert box.x1 == 8.0 < high


def test_baselines_have_markers_of_their_own(history: StudyHistory) -> None:
    figure = front_figure([history])
    markers = {trace(figure, name).marker.symbol for name in ("energy", "evbmf", "uniform")}
    assert len(markers) == 3


def test_several_studies_are_told_apart_by_colour(history: StudyHistory, other_history: StudyHistory) -> None:
    figure = front_figure([history, other_history])
    assert shown(figure)[:2] == ["resnet20-cifar10", "resnet20-direct"]
    for place, study in enumerate((history, other_history)):
        own = [t for t in figure.data if t.legendgroup == f"study {place}" and t.x]
        assert {t.marker.color for t in own} == {study_colour(place)}
        assert len(own) == 8
        assert {t.name for t in own} == {study.study.name}
    assert len([s for s in figure.layout.shapes if s.type == "rect"]) == 1  # one box for both
    assert not [s for s in figure.layout.shapes if s.type == "path"]


def test_different_boxes_are_both_drawn(history: StudyHistory, other_history: StudyHistory) -> None:
    wider = msgspec.structs.replace(other_history.study, ratio=(1.5, 16.0))
    figure = front_figure([history, msgspec.structs.replace(other_history, study=wider)])
    assert sorted(s.x1 for s in figure.layout.shapes if s.type == "rect") == [8.0, 16.0]


@pytest.mark.parametrize("case", ["empty", "bare", "failures only"])
def test_without_a_front_the_dense_network_is_still_there(odd_histories: dict[str, StudyHistory], case: str) -> None:
    figure = front_figure([odd_histories[case]])
    assert "dense 99.8 %" in shown(figure)
    assert "front" not in shown(figure)
    low, high = figure.layout.yaxis.range
    assert low < 99.78 < high


def test_nothing_at_all_is_an_empty_figure() -> None:
    assert not front_figure([]).data


def test_stopped_trials_are_crosses_at_their_last_milestone(history: StudyHistory) -> None:
    first = history.trials[0]
    assert first.record
    record = msgspec.structs.replace(first.record, stopped="by the rule 'neighbours', after 16,000 of 64,000 images")
    cut = msgspec.structs.replace(first, state="stopped", record=record)
    figure = front_figure([msgspec.structs.replace(history, trials=(cut, *history.trials[1:]))])
    drawn = trace(figure, "stopped")
    assert drawn.showlegend
    assert list(drawn.y) == [100 * record.measured.accuracy]
    assert "stopped by the rule 'neighbours', after 16,000 of 64,000 images" in drawn.hovertext[0]
    assert not trace(front_figure([history]), "stopped").showlegend
