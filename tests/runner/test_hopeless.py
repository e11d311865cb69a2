"""Early stopping in a real study: what is stopped, what is spared, what is left on the books, and how it goes on."""

import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ranksearch.front import front, trial_table
from ranksearch.records import Milestone, StudyHistory
from ranksearch.report.packing import unpack
from ranksearch.runner.founding import found_study
from ranksearch.runner.hopeless import judge
from ranksearch.runner.session import Session, open_session
from ranksearch.study import Ledger, open_storage, opened_file

Command = Callable[..., Any]
Read = Callable[[Path], StudyHistory]


def test_what_is_hopeless_is_stopped_and_the_study_goes_on(
    write: Command, ranksearch: Command, history_of: Read
) -> None:
    path = write(
        schedule={"shape": "none", "end": 0.5},
        training={"images": 512, "lr": [0.02, 2.0, 3.0]},  # the latter two are far too large
        screen={"share": 0.0, "stages": []},
        search={"trials": 10, "sampler": "random", "stop": "domination"},
    )
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    history = history_of(path)
    stopped = [t for t in history.trials if t.state == "stopped"]
    assert stopped
    assert len(history.ended()) == 10  # they use up the budget
    assert len(history.finished()) == 10 - len(stopped)
    for trial in stopped:
        record = trial.record
        assert record
        assert record.origin == "sampler"  # the closed form's are spared
        assert record.stopped.startswith("by the rule 'domination', after ")
        last = record.milestones[-1]
        assert (record.measured.accuracy, record.cost.images) == (last.accuracy, last.images)
        assert record.measured.distance is None
        assert record.cost.images < 512
        assert record.cost.trainable_params > 0
        assert trial.number not in [t.number for t in history.front()]
    told = [line for line in left.out.splitlines() if line.startswith("trial ")]
    assert len(told) == 10
    assert told[-1].split()[2] == "10/10"
    assert sum(", stopped by the rule 'domination', after " in line for line in told) == len(stopped)

    ledger = Ledger(open_storage(opened_file(path, {}).storage_url), "bars")
    assert all(ledger.study().trials[t.number].values is None for t in stopped)
    assert ledger.counts().stopped == len(stopped)
    table = trial_table(history)
    assert not front(table)["stopped"].any()
    assert table["images_total"].iloc[-1] == sum(t.record.cost.images for t in history.ended() if t.record) < 5120

    refused = ranksearch("export", path, "--select", f"trial={stopped[0].number}", "-o", path.with_name("r.json"))
    assert refused.code == 2
    assert "was stopped by the rule 'domination'" in refused.err
    page = path.with_suffix(".html")
    assert ranksearch("report", path, "-o", page).code == 0
    packed = re.findall(r'<script type="application/gzip"[^>]*>([^<]*)</script>', page.read_text())
    assert any("stopped by the rule" in unpack(text) for text in packed)

    path.write_text(path.read_text().replace('stop = "domination"', 'stop = "none"'))  # free to change
    further = ranksearch("search", path, "--trials", 12)
    assert (further.code, further.err) == (0, "")
    assert "resumed: 10 trials finished before" in further.out
    grown = history_of(path)
    assert grown.trials[: len(history.trials)] == history.trials
    assert [t.state for t in grown.ended()[10:]] == ["complete"] * 2


@pytest.fixture
def watched(write: Command) -> Session:
    """A study under a rule, just made."""
    session = open_session(opened_file(write(search={"stop": "domination"}), {}))
    found_study(session)
    return session


@pytest.mark.parametrize(("origin", "spared"), [("closed form", True), ("baseline uniform@4.00", True),
                                                ("sampler", False), ("screen", False)])  # fmt: skip
def test_who_is_spared(origin: str, spared: bool, watched: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranksearch.runner.hopeless.is_hopeless", lambda rule, own, others: rule == "domination")
    configuration = watched.variables.allocate(3.0, {}, {})
    plan = replace(watched.plan(configuration, *watched.variables.default_training()), origin=origin)
    passed = [Milestone(128, 0.0, 1.0, 0.5)]
    told = judge(watched, plan)(passed)
    assert told == ("" if spared else "by the rule 'domination', after 128 of 512 images")
    unwatched = replace(
        watched, study=msgspec.structs.replace(
            watched.study, search=msgspec.structs.replace(watched.study.search, stop="none")
        )
    )  # fmt: skip
    assert judge(unwatched, plan)(passed) == ""
