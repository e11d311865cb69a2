"""Hypervolume over trials and seconds."""

import itertools

import msgspec
import pytest

from ranksearch.records import StudyHistory
from ranksearch.report.study_view import StudyView
from ranksearch.report.volume_figure import baseline_volumes, volume_data, volume_figure


def test_the_curve_starts_at_nothing_and_never_falls(view: StudyView) -> None:
    data = volume_data(view)
    assert data.hypervolume[0] == data.seconds[0] == data.trials[0] == 0
    assert all(a <= b for a, b in itertools.pairwise(data.hypervolume))
    assert all(a < b for a, b in itertools.pairwise(data.seconds))
    assert data.trials[-1] == len(view.trials) == 37  # copies and lost trials are not there, the failed one is


def test_its_end_is_the_hypervolume_of_the_front(view: StudyView) -> None:
    front = view.front
    volume = view.study.box.hypervolume(front["accuracy"], front["compression_ratio"])
    assert volume_data(view).hypervolume[-1] == pytest.approx(volume)


def test_baselines_are_measured_in_the_same_box(view: StudyView) -> None:
    volumes = baseline_volumes(view)
    assert {name: number for name, (number, _) in volumes.items()} == {"energy": 4, "evbmf": 1, "uniform": 4}
    assert all(0 < volume < 1 for _, volume in volumes.values())


def test_baselines_below_a_floor_count_for_nothing(history: StudyHistory) -> None:
    study = msgspec.structs.replace(history.study, floors={"mac_ratio": 1e6})
    volumes = baseline_volumes(StudyView(msgspec.structs.replace(history, study=study)))
    assert volumes == {"energy": (4, 0.0), "evbmf": (1, 0.0), "uniform": (4, 0.0)}


def test_the_axis_can_be_chosen(view: StudyView) -> None:
    data = volume_data(view)
    figure, (trials, seconds) = volume_figure([data])
    assert list(figure.data[0].x) == list(data.trials) == list(trials.traces["x"][0])
    assert seconds.label == "minutes"
    assert seconds.traces["x"][0][-1] == pytest.approx(data.seconds[-1] / 60)
    assert "minutes" in seconds.layout["xaxis.title.text"]


def test_studies_are_named_where_there_are_several(view: StudyView, other_history: StudyHistory) -> None:
    other = StudyView(other_history)
    figure, choices = volume_figure([volume_data(view), volume_data(other)])
    assert [t.name for t in figure.data if t.showlegend] == ["resnet20-cifar10", "resnet20-direct"]
    assert all(len(choice.traces["x"]) == 2 for choice in choices)
    assert not volume_figure([volume_data(view)])[0].data[0].showlegend
