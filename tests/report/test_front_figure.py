"""The picture of the front, drawn."""

import msgspec
import plotly.graph_objects as go
import pytest

from ranksearch.records import Latency, LatencyComparison, StudyHistory
from ranksearch.report import front_figure
from ranksearch.report.front_data import front_data
from ranksearch.report.front_figure import axis_choices, draw_front
from ranksearch.report.palette import study_colour
from ranksearch.report.study_view import StudyView


def trace(figure: go.Figure, name: str) -> go.Scatter:
    return next(t for t in figure.data if t.name == name)


def shown(figure: go.Figure) -> list[str]:
    return [t.name for t in figure.data if t.showlegend]


def test_one_study_is_drawn_by_kind(history: StudyHistory) -> None:
    figure = front_figure([history])
    kinds = ["trials", "untrained", "energy", "evbmf", "uniform", "dense 99.8 %", "front", "fine-tuned, test"]
    kinds.append("published, test")
    assert shown(figure) == kinds
    front = trace(figure, "front")
    assert list(front.x) == [p.ratio for p in front_data(StudyView(history)).front]
    assert front.mode == "lines+markers"
    assert list(trace(figure, "dense 99.8 %").y) == pytest.approx([99.78, 99.78])
    assert trace(figure, "dense 99.8 %").x[0] == 1.0
    assert trace(figure, "dense 99.8 %").marker.opacity == (1, 0)  # no network stands at the line's end
    assert trace(figure, "dense 99.8 %").hovertext[1] == ""


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
        assert len(own) == 9
        assert {t.name for t in own} == {study.study.name}
    assert len([s for s in figure.layout.shapes if s.type == "rect"]) == 1  # one box for both
    assert not [s for s in figure.layout.shapes if s.fillcolor]  # nothing is shaded


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


def test_every_axis_has_the_same_points_in_the_same_order(history: StudyHistory) -> None:
    view = StudyView(history)
    data = [front_data(view)]
    figure, choices = draw_front(data), axis_choices(data)
    assert [choice.label for choice in choices] == ["pivoted", "plain", "MACs"]
    assert choices[0].traces["x"] == [list(t.x) for t in figure.data]
    at = [t.name for t in figure.data].index("front")
    for choice, column in zip(choices, ["compression_ratio", "compression_ratio_plain", "mac_ratio"], strict=True):
        assert choice.traces["x"][at] == pytest.approx(list(view.front[column]))
        assert 10 ** choice.layout["xaxis.range"][0] < 1
        assert 10 ** choice.layout["xaxis.range"][1] > view.front[column].max()
    assert [len(choice.layout["shapes"]) for choice in choices] == [3, 1, 1]  # the box, what is dominated, the ring
    assert [choice.traces["mode"][at] for choice in choices] == ["lines+markers", "markers", "markers"]


def test_published_points_stand_where_they_were_counted(history: StudyHistory) -> None:
    data = [front_data(StudyView(history))]
    at = [t.name for t in draw_front(data).data].index("published, test")
    across = {choice.label: choice.traces["x"][at] for choice in axis_choices(data)}
    assert across == {"pivoted": [3.4, None], "plain": [3.4, None], "MACs": [None, 3.0]}
    drawn = draw_front(data).data[at]
    assert list(drawn.text) == ["TRP", "LC"]
    assert list(drawn.y) == pytest.approx([90.62, 90.1])


def test_points_are_named_by_study_and_trial(history: StudyHistory, other_history: StudyHistory) -> None:
    figure = front_figure([history, other_history])
    named = {key for t in figure.data if t.customdata is not None for key in t.customdata if key}
    for place, study in enumerate((history, other_history)):
        works = [t for t in study.ended() if t.record and not t.record.failure]
        assert {f"{place}/trials/{t.number}" for t in works} <= named
        assert f"{place}/baselines/0" in named


def test_studies_of_different_forms_choose_either_count(history: StudyHistory, other_history: StudyHistory) -> None:
    plain = msgspec.structs.replace(other_history.study, form="plain")
    views = StudyView(history), StudyView(msgspec.structs.replace(other_history, study=plain))
    assert [c.label for c in axis_choices([front_data(v) for v in views])] == ["own count", "pivoted", "plain", "MACs"]


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


def test_latency_is_an_axis_where_trials_have_it(history: StudyHistory) -> None:
    first = history.trials[0]
    assert first.record
    timed = LatencyComparison(Latency(1, 0.01, 0.01, 0.01), Latency(1, 0.025, 0.02, 0.03), threads=1)
    trial = msgspec.structs.replace(first, record=msgspec.structs.replace(first.record, latency=timed))
    study = msgspec.structs.replace(history.study, form="plain")
    measured = msgspec.structs.replace(history, study=study, trials=(trial, *history.trials[1:]))
    choices = axis_choices([front_data(StudyView(measured))])
    assert [choice.label for choice in choices] == ["plain", "pivoted", "MACs", "latency"]
    drawn = [x for xs in choices[-1].traces["x"][:2] + choices[-1].traces["x"][-3:-2] for x in xs if x is not None]
    assert drawn == pytest.approx([2.5])
