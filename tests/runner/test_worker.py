"""What a worker does about trials that diverge, fail, are given up, or are known already."""

import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from optuna.trial import TrialState
from rich.console import Console

from ranksearch.front import front, trial_table
from ranksearch.records import StudyHistory
from ranksearch.runner.founding import enqueue_baselines, found_study
from ranksearch.runner.session import Session, open_session
from ranksearch.runner.worker import EXHAUSTED, Budget, RepeatedFailureError, _run_one, run_queue, search_trials
from ranksearch.study import opened_file
from ranksearch.terminal.progress import Display, Pace

Command = Callable[..., Any]
Read = Callable[[Path], StudyHistory]


@pytest.fixture
def made(write: Command) -> Session:
    """A study that was made, with six trials in its queue."""
    session = open_session(opened_file(write(training={"images": 128, "init": "decomposition"}), {}))
    found_study(session)
    return session


class Meddling(Display):
    """Calls ``meddle`` at the first step of each of the first ``times`` trials."""

    def __init__(self, meddle: Callable[[], None], times: int) -> None:
        super().__init__(Console(quiet=True), {room: Pace(4) for room in ("trials", "baselines")})
        self.meddle, self.left = meddle, times

    def step(self, done: int, of: int) -> None:
        if done == 1 and self.left:
            self.left -= 1
            self.meddle()


def test_what_diverges_is_told_and_the_study_goes_on(write: Command, ranksearch: Command, history_of: Read) -> None:
    # six from the closed form, at 0.02
    path = write(
        training={"images": 128, "lr": [0.02, 1e30]}, search={"trials": 10, "sampler": "random"}, screen={"share": 0.0}
    )
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    history = history_of(path)
    records = [t.record for t in history.finished() if t.record]
    assert len(records) == 10
    diverged = [r for r in records if r.failure]
    assert {r.recipe.lr for r in diverged} == {1e30}
    assert {r.recipe.lr for r in records if not r.failure} == {0.02}
    assert {r.measured.accuracy for r in diverged} == {0}
    assert not front(trial_table(history))["failure"].any()
    number = next(t.number for t in history.finished() if t.record and t.record.failure)
    refused = ranksearch("export", path, "--select", f"trial={number}", "-o", path.with_name("ranks.json"))
    assert refused.code == 2
    assert f"trial {number} failed" in refused.err


def test_nothing_but_divergence_still_ends_in_words(write: Command, ranksearch: Command) -> None:
    path = write(training={"images": 128, "lr": 1e30})
    assert ranksearch("search", path).code == 0
    assert ranksearch("front", path).code == 0
    left = ranksearch("export", path)
    assert left.code == 2
    assert "all 4 trials failed" in left.err


def test_failures_in_a_row_stop_the_worker_with_the_reason(made: Session) -> None:
    def fails() -> None:
        raise MemoryError("2 GiB are too few")

    with pytest.raises(RepeatedFailureError, match="3 trials in a row failed, the last with: MemoryError: 2 GiB are"):
        search_trials(made, Budget(4), Meddling(fails, 3))
    assert search_trials(made, Budget(4), Meddling(fails, 2)) == ""
    assert made.ledger.counts().finished == 4
    assert made.ledger.counts().failed == 5


def test_trials_given_up_to_another_worker_are_no_failures(made: Session, caplog: pytest.LogCaptureFixture) -> None:
    database = Path(made.study.storage_url.removeprefix("sqlite:///"))

    def given_up() -> None:
        with sqlite3.connect(database) as connection:
            connection.execute("UPDATE trials SET state = 'FAIL' WHERE state = 'RUNNING'")

    assert search_trials(made, Budget(2), Meddling(given_up, 4)) == ""
    assert made.ledger.counts().finished == 2
    assert len([t for t in made.ledger.history().trials if t.state == "failed"]) == 4
    assert made.ledger.counts().failed == 0  # they were queued again


def test_what_two_workers_measure_at_once_counts_once(made: Session) -> None:
    study = made.ledger.study()
    values = study.get_trials(deepcopy=False)[0].system_attrs["fixed_params"]

    def meanwhile() -> None:
        for waiting in study.get_trials(deepcopy=False, states=(TrialState.WAITING,)):
            study._storage.set_trial_state_values(waiting._trial_id, TrialState.FAIL)
        made.ledger.enqueue(values, "the same from elsewhere")
        assert not _run_one(open_session(made.study), None, Meddling(lambda: None, 0), "trials").copy

    assert search_trials(made, Budget(1), Meddling(meanwhile, 1)) == ""
    counts = made.ledger.counts()
    assert (counts.finished, counts.copies) == (1, 1)


def test_who_comes_too_late_for_the_last_baseline_draws_none(
    write: Command, monkeypatch: pytest.MonkeyPatch, history_of: Read
) -> None:
    path = write(training={"images": 128}, search={"baselines": ["evbmf"]})
    session = open_session(opened_file(path, {}))
    found_study(session)
    enqueue_baselines(session)
    counts = session.ledger.counts("baselines")
    assert counts.waiting == 1
    assert run_queue(session, "baselines", Budget(4), Meddling(lambda: None, 0)) == ""
    seen = iter([counts] * 4)  # as another worker saw it just before the first took it, four times
    now = session.ledger.counts
    monkeypatch.setattr(session.ledger, "counts", lambda room: next(seen, None) or now(room))
    assert run_queue(session, "baselines", Budget(4), Meddling(lambda: None, 0)) == ""
    rows = history_of(path).baselines
    assert [(t.state, t.record.origin) for t in rows if t.record] == [("complete", "baseline evbmf")]
    assert [t.state for t in rows if not t.record] == ["stopped"] * 4
    assert not any(t.params for t in session.ledger.study("baselines").trials)  # nothing was sampled


def test_a_limited_time_leaves_some_to_baselines(write: Command, ranksearch: Command, history_of: Read) -> None:
    """Resumed as often as you like, each time all of it would go to trials."""
    path = write(training={"images": 128}, search={"trials": 8, "baselines": ["uniform"]})
    left = ranksearch("search", path, "--minutes", 60)
    assert (left.code, left.err) == (0, "")
    rooms = {"trials": history_of(path).finished(), "baselines": history_of(path).finished("baselines")}
    ended = sorted((t.finished, room) for room, trials in rooms.items() for t in trials)
    assert "".join(room[0] for _, room in ended) == "tttbtttbttbb"


def test_known_configurations_are_copied_outside_the_budget(
    write: Command, ranksearch: Command, history_of: Read
) -> None:
    path = write(
        ranks={"space": "direct", "include": ["8"], "ratio": [1.0, 1.05]},
        schedule={"shape": "none", "end": 0.5},
        training={"images": 128, "lr": 0.02},
        search={"trials": 20, "sampler": "random"},
    )
    left = ranksearch("search", path)
    assert left.code == 0
    assert f"stopped: {EXHAUSTED} proposals in a row had been measured before: the space seems exhausted" in left.out
    history = history_of(path)
    own, copies = history.finished(), [t for t in history.trials if t.record and t.record.copy_of is not None]
    assert 1 <= len(own) <= 4  # ranks of a 4 × 96 layer
    assert len(own) + len(copies) == len(history.trials)
    assert len(copies) >= EXHAUSTED
    source = {t.number: t.record for t in own}
    for copied in copies:
        assert copied.record
        assert copied.record.measured == source[copied.record.copy_of].measured  # type: ignore[index,union-attr]
        assert copied.record.key == source[copied.record.copy_of].key  # type: ignore[index,union-attr]
    assert trial_table(history)["number"].tolist() == sorted(source)
