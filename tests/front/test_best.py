"""The front and its selections; errors say what exists and their remedies work."""

import re

import hypothesis.strategies as st
import msgspec
import numpy as np
import pytest
from hypothesis import assume, given

from ranksearch.errors import SelectionError
from ranksearch.front import SELECTIONS, front, select, trial_table
from ranksearch.records import LatencyComparison
from ranksearch.records.latency import Latency

# dense 95 %, box 50–100 % × 1–16; trial 4 is dominated, 5 failed
POINTS = [(0.94, 1.5), (0.93, 4.0), (0.80, 8.0), (0.60, 12.0), (0.70, 2.0)]
TRIALS = st.lists(st.tuples(st.integers(0, 1000).map(lambda n: n / 1000), st.floats(1, 16)), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def study(trial, history_of):
    trials = [trial(i, *p) for i, p in enumerate(POINTS)] + [trial(5, 0.0, 15.0, failure="loss is NaN at step 3")]
    history = history_of(trials)
    return trial_table(history), history.study


@pytest.mark.parametrize(
    ("selection", "numbers"),
    [
        ("all", [0, 1, 2, 3]),
        ("best-accuracy", [0]),
        ("smallest", [3]),
        ("knee", [1]),
        ("max-drop=1.0", [0]),
        ("max-drop=2", [1]),
        ("max-drop=15", [2]),
        ("min-ratio=4", [1]),
        ("min-ratio=4.1", [2]),
        ("trial=4", [4]),
    ],
)
def test_each_selection(study, selection, numbers):
    table, record = study
    assert select(table, selection, record)["number"].tolist() == numbers


def test_what_lies_below_the_floor_is_taken_only_where_nothing_else_is(trial, history_of):
    history = history_of([trial(0, 0.94, 2.0), trial(1, 0.9, 4.0), trial(2, 0.1, 14.0)])  # the floor is 50 %
    table = trial_table(history)
    assert [select(table, s, history.study)["number"].tolist() for s in ("smallest", "all")] == [[1], [0, 1, 2]]
    with pytest.raises(SelectionError, match="the smallest network reaches 4: min-ratio=4"):
        select(table, "min-ratio=5", history.study)
    alone = history_of([trial(0, 0.2, 4.0)])
    assert select(trial_table(alone), "smallest", alone.study)["number"].tolist() == [0]


def test_a_third_objective_does_not_lead_to_what_is_beaten_in_accuracy_and_size(trial, history_of):
    def timed(number, accuracy, ratio, times):
        fast, slow = (Latency(batch=1, median=m, lower=m, upper=m) for m in (1.0, times))
        return trial(number, accuracy, ratio, latency=LatencyComparison(fast, slow, 1))

    points = [(0.8, 2.0, 3.0), (0.9, 3.0, 2.0), (0.91, 4.0, 1.0), (0.905, 8.0, 0.9), (0.7, 8.0, 1.01)]
    history = history_of([timed(i, *p) for i, p in enumerate(points)])
    study = msgspec.structs.replace(history.study, objectives=("accuracy", "compression_ratio", "latency_ratio"))
    table = trial_table(msgspec.structs.replace(history, study=study))
    assert table["on_front"].all()
    for selection, number in (("knee", 2), ("smallest", 3), ("max-drop=30", 3), ("min-ratio=2", 2), ("all", None)):
        found = select(table, selection, study)["number"].tolist()
        assert found == [number] if number is not None else len(found) == 5


@pytest.mark.parametrize(
    ("selection", "message"),
    [
        ("kneee", "no selection 'kneee'; did you mean 'knee'?"),
        ("everything!", "no selection 'everything!'; allowed: knee, best-accuracy"),
        ("max-drop", "selection 'max-drop' is written 'max-drop=1.0'"),
        ("knee=3", "selection 'knee=3' is written 'knee'"),
        ("trial=x", "selection 'trial=x': 'x' is not a number; for example trial=17"),
        ("max-drop=0.1", "no trial within 0.1 points of the dense network's 95.00%; the best has 94.00%: max-drop=1"),
        (
            "min-ratio=14",
            "no trial above the accuracy floor, 50.00%, at ratio ≥ 14; the smallest network reaches 12: min-ratio=12",
        ),
        ("trial=9", "study 'made-up': no trial 9 with a measurement of its own; there are 0, 1, 2, 3, 4, 5"),
        ("trial=5", "study 'made-up': trial 5 failed: loss is NaN at step 3; choose another"),
    ],
)
def test_what_cannot_be_selected_says_why_in_one_line(study, selection, message):
    with pytest.raises(SelectionError, match=f"^{re.escape(message)}") as caught:
        select(*study[:1], selection, study[1])
    assert "\n" not in str(caught.value)


def test_nothing_to_select_from(trial, history_of):
    history = history_of()
    with pytest.raises(SelectionError, match="no finished trial yet"):
        select(trial_table(history), "knee", history.study)
    history = history_of([trial(0, 0.0, 2.0, failure="loss is NaN")])
    with pytest.raises(SelectionError, match="all 1 trials failed; the first: loss is NaN"):
        select(trial_table(history), "knee", history.study)


@given(TRIALS)
def test_the_front_runs_from_large_and_accurate_to_small(trial, history_of, points):
    rows = front(trial_table(history_of([trial(i, *p) for i, p in enumerate(points)])))
    assert (np.diff(rows["compression_ratio"]) > 0).all()
    assert (np.diff(rows["accuracy"]) < 0).all()


@given(TRIALS, st.sampled_from([s for s in SELECTIONS if s != "trial"]), st.floats(0, 20).map(lambda v: round(v, 2)))
def test_every_selection_gives_points_of_the_front_and_every_remedy_works(trial, history_of, points, name, value):
    history = history_of([trial(i, *p) for i, p in enumerate(points)])
    table = trial_table(history)
    selection = f"{name}={value}" if SELECTIONS[name].example else name
    try:
        rows = select(table, selection, history.study)
    except SelectionError as error:
        remedy = str(error).rpartition(": ")[2]
        assert remedy.startswith(f"{name}=")
        rows = select(table, remedy, history.study)
    assert rows["on_front"].all()
    assert len(rows) == (table["on_front"].sum() if name == "all" else 1)


@given(TRIALS)
def test_no_point_of_the_front_lies_farther_above_the_chord_than_the_knee(trial, history_of, points):
    history = history_of([trial(i, *p) for i, p in enumerate(points)])
    rows = front(trial_table(history))
    rows = rows[rows["accuracy"] >= 0.5] if (rows["accuracy"] >= 0.5).any() else rows  # the study's floor
    unit = history.study.box.normalise(rows["accuracy"], rows["compression_ratio"])
    length = np.linalg.norm(unit[-1] - unit[0])
    assume(length > 1e-6)
    (ax, ay), (bx, by) = unit[0], unit[-1]
    above = [((by - ay) * (x - ax) - (bx - ax) * (y - ay)) / length for x, y in unit]
    knee = select(trial_table(history), "knee", history.study)["number"].iloc[0]
    assert above[rows["number"].tolist().index(knee)] == pytest.approx(max(above), abs=1e-9)
    assert max(above) >= -1e-9


def test_a_stopped_trial_is_refused_by_its_number(trial, history_of):
    cut = msgspec.structs.replace(trial(1, 0.8, 9.0, stopped="by the rule 'neighbours'"), state="stopped")
    history = history_of([trial(0, 0.9, 2.0), cut])
    with pytest.raises(SelectionError, match="trial 1 was stopped by the rule 'neighbours', and not measured"):
        select(trial_table(history), "trial=1", history.study)


def test_of_two_points_the_knee_is_the_larger_network(trial, history_of):
    for accuracy in np.linspace(0.5, 0.99, 50):
        history = history_of([trial(0, accuracy, 2.0 + accuracy), trial(1, accuracy / 2, 7.3)])
        assert select(trial_table(history), "knee", history.study)["number"].tolist() == [0]
