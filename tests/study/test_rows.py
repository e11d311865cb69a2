import os
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

import msgspec
import optuna
import pytest
from optuna.trial import TrialState

from ranksearch.records import StudyRecord, TrialRecord
from ranksearch.study import Ledger, open_storage
from ranksearch.study.abandoned import worker_of
from ranksearch.study.rows import row, rows


@pytest.fixture
def _far_east(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    with monkeypatch.context() as changed:
        changed.setenv("TZ", "Asia/Tokyo")
        time.tzset()
        yield
    time.tzset()


@pytest.mark.skipif(os.name == "nt", reason="time.tzset() exists on Unix only")
@pytest.mark.usefixtures("_far_east")
def test_states_records_and_times(make_record: Callable[..., TrialRecord]) -> None:
    study = optuna.create_study(directions=["maximize"] * 2)
    record = make_record()
    done = study.ask()
    done.set_user_attr("record", msgspec.to_builtins(record))
    study.tell(done, [0.9, 1.0])
    study.tell(study.ask(), state=optuna.trial.TrialState.PRUNED)
    study.ask()
    study.enqueue_trial({})
    complete, stopped, running, waiting = rows(study.trials)
    assert [t.state for t in (complete, stopped, running, waiting)] == ["complete", "stopped", "running", "waiting"]
    assert complete.record == record
    assert complete.finished is not None
    assert complete.finished.tzinfo == UTC
    assert abs(complete.finished - datetime.now(UTC)) < timedelta(minutes=1)
    assert running.record is None
    assert waiting.started is None


def test_why_a_trial_failed_and_where_it_went_on() -> None:
    study = optuna.create_study(directions=["maximize"] * 2)
    for reason in ("", "MemoryError: too large"):
        trial = study.ask()
        if reason:
            trial.set_user_attr("reason", reason)
        study.tell(trial, state=optuna.trial.TrialState.FAIL)
    study.enqueue_trial({}, user_attrs={"retry_of": 0})
    lost, failed, _ = rows(study.trials)
    assert lost.reason == "its worker was stopped or lost; queued again as trial 2"
    assert failed.reason == "MemoryError: too large"
    assert row(study.trials[2]).reason == ""


def test_a_record_of_a_trial_that_did_not_finish_counts_for_nothing(make_record: Callable[..., TrialRecord]) -> None:
    study = optuna.create_study(directions=["maximize"] * 2)
    trial = study.ask()
    trial.set_user_attr("record", msgspec.to_builtins(make_record()))
    study.tell(trial, state=optuna.trial.TrialState.FAIL)
    assert rows(study.trials)[0].record is None


def test_a_stopped_trial_keeps_its_record(make_record: Callable[..., TrialRecord]) -> None:
    study = optuna.create_study(directions=["maximize"] * 2)
    trial, record = study.ask(), make_record(stopped="by the rule 'neighbours'")
    trial.set_user_attr("record", msgspec.to_builtins(record))
    study.tell(trial, state=optuna.trial.TrialState.PRUNED)
    assert (row(study.trials[0]).state, row(study.trials[0]).record) == ("stopped", record)


def test_nothing_in_a_database_commands_a_terminal(study_record: StudyRecord, url: str) -> None:
    ledger = Ledger(open_storage(url), "small")
    ledger.create(msgspec.structs.replace(study_record, name="../elsewhere", protocol=("\x1b]0;title\x07",)))
    assert ledger.record.name == "small"  # files are named after it
    assert ledger.record.protocol == ("�]0;title�",)
    lost = {"reason": "\x1b[2J[red]gone\u202e", "worker": {"host": "\x9b1m", "pid": 1, "started": 0.0}}
    ledger.study().add_trial(optuna.trial.create_trial(state=TrialState.FAIL, user_attrs=lost))
    (trial,) = ledger.history().trials
    assert trial.reason == "�[2J[red]gone�"
    worker = worker_of(ledger.study().trials[0])
    assert worker is not None
    assert worker.host == "�1m"
