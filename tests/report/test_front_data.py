"""The picture of the front, as data."""

import math

import msgspec
import numpy as np
import pytest

from ranksearch.records import StudyHistory
from ranksearch.report.front_data import dominated, front_data
from ranksearch.report.study_view import StudyView


def test_every_network_that_works_is_there_once(view: StudyView) -> None:
    data = front_data(view)
    works = view.trials[view.trials["failure"] == ""]
    assert len(data.front) + len(data.others) == len(works) == 36
    assert {name: len(points) for name, points in data.baselines.items()} == {"energy": 4, "evbmf": 1, "uniform": 4}
    assert len(data.closed_form) == 8
    assert len(data.finalists) == 4
    assert min(p.accuracy for p in data.others) > 0  # the failed trial counts as accuracy 0


def test_the_front_dominates_the_other_trials(view: StudyView) -> None:
    data = front_data(view)
    for other in data.others:
        assert any(p.accuracy >= other.accuracy and p.ratio >= other.ratio for p in data.front)


def test_accuracy_is_in_percent(view: StudyView) -> None:
    data = front_data(view)
    assert data.dense == pytest.approx(99.78)
    assert [p.accuracy for p in data.front] == pytest.approx(list(100 * view.front["accuracy"]))


def test_hovering_tells_what_a_trial_is(view: StudyView) -> None:
    row, hover = view.front.iloc[0], front_data(view).front[0].hover
    record = next(t.record for t in view.history.trials if t.number == row["number"])
    assert record is not None
    for part in (
        f"trial {row['number']}",
        f"{record.pivoted.compression_ratio:.2f}× pivoted",
        f"{record.plain.compression_ratio:.2f}× plain",
        f"{record.pivoted.mac_ratio:.2f}× MACs",
        record.schedule.shape,
        f"lr {record.recipe.lr:.3g}",
        f"{record.cost.seconds:.0f} s",
    ):
        assert part in hover


def test_finalists_are_means_over_seeds(view: StudyView) -> None:
    data = front_data(view)
    control = [t.record for t in view.history.finalists if t.record and t.record.origin == "dense control"]
    accuracies = [100 * record.measured.accuracy for record in control]
    point = data.finalists[0]
    assert point.ratio == 1.0
    assert point.accuracy == pytest.approx(np.mean(accuracies))
    assert point.spread == pytest.approx(np.std(accuracies, ddof=1))


def test_of_one_seed_there_is_no_spread(history: StudyHistory) -> None:
    single = front_data(StudyView(msgspec.structs.replace(history, finalists=history.finalists[:1])))
    assert [point.spread for point in single.finalists] == [0.0]


def test_the_shaded_area_is_the_hypervolume(view: StudyView) -> None:
    data = front_data(view)
    x, y = dominated(data)
    across = [(math.log2(r) - math.log2(1.5)) / math.log2(8 / 1.5) for r in x]
    up = [(a - 70) / 30 for a in y]
    area = sum(a * d - b * c for a, b, c, d in zip(across, up, np.roll(across, -1), np.roll(up, -1), strict=True)) / 2
    assert abs(area) == pytest.approx(view.trials["hypervolume"].iloc[-1])


def test_with_a_third_objective_the_front_is_no_staircase(history: StudyHistory) -> None:
    study = msgspec.structs.replace(history.study, objectives=("accuracy", "compression_ratio", "mac_ratio"))
    data = front_data(StudyView(msgspec.structs.replace(history, study=study)))
    assert not data.staircase
    assert len(data.front) >= len(front_data(StudyView(history)).front)


def test_the_picture_starts_at_the_floor_or_nearer(view: StudyView, odd_views: dict[str, StudyView]) -> None:
    assert 70 <= front_data(view).bottom < min(p.accuracy for p in front_data(view).front)
    assert front_data(odd_views["empty"]).bottom == pytest.approx(70)


def test_hostile_names_are_shown_not_run(odd_views: dict[str, StudyView]) -> None:
    data = front_data(odd_views["hostile"])
    for point in (*data.searched, *data.finalists):
        assert "<script" not in point.hover
        assert "<img" not in point.hover
