"""The head of the page."""

import msgspec
import pytest

from ranksearch.records import Measurement, StudyHistory
from ranksearch.report.headline import headline
from ranksearch.report.study_view import StudyView


def test_a_finished_study_in_one_sentence(view: StudyView) -> None:
    head = headline(view)
    front = view.front
    low, high = front["compression_ratio"].iloc[[0, -1]]
    at_four = front[front["compression_ratio"] >= 4].sort_values("accuracy").iloc[-1]
    assert head.summary == (
        f"37 trials; the front spans {low:.1f}× to {high:.1f}×; at {at_four['compression_ratio']:.1f}× accuracy is "
        f"{100 * at_four['accuracy']:.1f}\xa0% against 99.8\xa0% dense."
    )
    assert head.remarks == view.study.protocol


def test_key_figures(view: StudyView) -> None:
    facts = {fact.label: fact for fact in headline(view).facts}
    assert facts["hypervolume"].value == f"{view.trials['hypervolume'].iloc[-1]:.3f}"
    assert facts["on the front"].value == str(len(view.front))
    near = view.front[view.front["accuracy"] >= 0.9978 - 0.01].iloc[-1]
    assert facts["within 1 point of dense"].value == f"{near['compression_ratio']:.1f}×"
    tested = next(fact for label, fact in facts.items() if label.startswith("on test"))
    assert "3 seeds · dense control 9" in tested.remark


@pytest.mark.parametrize(
    ("case", "beginning"),
    [
        ("empty", "No trial has finished yet."),
        ("bare", "No trial has finished yet."),
        ("one point", "1 trial; one network is on the front; at "),
        ("running", "3 trials; the front spans "),
        ("failures only", "5 trials; none of them works: see the trials below."),
    ],
)
def test_odd_studies(odd_views: dict[str, StudyView], case: str, beginning: str) -> None:
    head = headline(odd_views[case])
    assert head.summary.startswith(beginning)
    assert bool(head.facts) == (case in ("one point", "running"))


def test_a_running_study_says_so(odd_views: dict[str, StudyView], view: StudyView) -> None:
    assert "1 running, 1 waiting" in headline(odd_views["running"]).remarks[0]
    assert not any("running" in remark for remark in headline(view).remarks)


def test_a_front_that_does_not_reach_four_is_named_at_its_middle(history: StudyHistory) -> None:
    small = tuple(t for t in history.trials if t.record and t.record.pivoted.compression_ratio < 3)
    view = StudyView(msgspec.structs.replace(history, trials=small))
    low, high = view.front["compression_ratio"].iloc[[0, -1]]
    ratio = float(headline(view).summary.split("; at ")[1].split("×")[0])
    assert low < ratio < high


def test_what_lies_below_the_floor_is_not_spanned(history: StudyHistory) -> None:
    trials = list(history.trials)
    last = max((t for t in trials if t.record and t.number in {t.number for t in history.front()}),
               key=lambda t: t.record.counted.compression_ratio if t.record else 0)  # fmt: skip
    assert last.record
    cost = msgspec.structs.replace(last.record.pivoted, compression_ratio=100.0)
    useless = msgspec.structs.replace(last.record.measured, accuracy=history.study.accuracy_floor / 2)
    record = msgspec.structs.replace(last.record, pivoted=cost, plain=cost, measured=useless)
    with_it = (*trials, msgspec.structs.replace(last, number=9999, record=record))
    view = StudyView(msgspec.structs.replace(history, trials=with_it))
    assert 9999 in view.front["number"].tolist()
    assert "100" not in headline(view).summary.split("spans")[1].split(";")[0]
    only = StudyView(msgspec.structs.replace(history, trials=with_it[-1:]))
    assert headline(only).summary.startswith("1 trial; one network is on the front; at 100.0")


def test_a_front_far_below_dense_says_by_how_much(history: StudyHistory) -> None:
    study = msgspec.structs.replace(history.study, dense=Measurement(1.0, 0.0, "search", 5000))
    poor = tuple(t for t in history.trials if t.record and 0 < t.record.measured.accuracy < 0.95)
    facts = {f.label: f for f in headline(StudyView(msgspec.structs.replace(history, study=study, trials=poor))).facts}
    assert facts["within 1 point of dense"].value == "none"
    assert "−" in facts["within 1 point of dense"].remark


def test_what_is_queued_beyond_the_budget_is_not_waited_for(odd_views: dict[str, StudyView]) -> None:
    history = odd_views["running"].history
    over = tuple(msgspec.structs.replace(t, state="complete") if t.state == "running" else t for t in history.trials)
    finished = len(odd_views["running"].trials)
    settings = history.study.settings | {"search": history.study.settings["search"] | {"trials": finished}}
    study = msgspec.structs.replace(history.study, settings=settings)
    assert "0 running, 1 waiting" in headline(StudyView(msgspec.structs.replace(history, trials=over))).remarks[0]
    ended = StudyView(msgspec.structs.replace(history, study=study, trials=over))
    assert not any("waiting" in remark for remark in headline(ended).remarks)
