"""Who is at work: the running trials, their workers, how long they have been silent."""

import time

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from ranksearch.records import StudyRecord
from ranksearch.study import Ledger, Worker, open_storage
from ranksearch.study.at_work import at_work


@pytest.fixture
def study(url: str) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=open_storage(url))


def test_a_running_trial_tells_its_worker_and_its_silence(study: optuna.Study, url: str) -> None:
    storage = open_storage(url)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    trial = study.ask()
    (one,) = at_work(storage, study, "trials")
    assert (one.what, one.number, one.worker, one.silent) == ("trials", 1, Worker.current(), None)
    assert 0 <= one.seconds < 60
    assert not one.gone

    storage.record_heartbeat(trial._trial_id)
    (one,) = at_work(storage, study, "trials")
    assert one.silent is not None
    assert 0 <= one.silent < 60
    with storage.engine.begin() as connection:  # as if it had beaten ten minutes ago
        connection.execute(
            sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = datetime(heartbeat, '-600 seconds')")
        )
    (one,) = at_work(storage, study, "trials")
    assert one.silent is not None
    assert 600 <= one.silent < 660

    study.tell(trial, 0.5)
    assert at_work(storage, study, "trials") == []


def test_a_worker_that_is_gone_is_known(study: optuna.Study, url: str) -> None:
    gone = {"host": Worker.current().host, "pid": 2**22 + 1, "started": 0.0}
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={"worker": gone}))
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING))
    first, second = at_work(open_storage(url), study, "baselines")
    assert first.gone
    assert second.worker is None
    assert not second.gone


def test_both_queues_are_looked_at(ledger: Ledger, study_record: StudyRecord) -> None:
    assert ledger.at_work() == []
    ledger.study("baselines").ask()
    ledger.study().ask()
    time.sleep(0.01)
    assert [(one.what, one.number) for one in ledger.at_work()] == [("trials", 0), ("baselines", 0)]


def test_what_one_process_does_for_all_is_told_apart(ledger: Ledger) -> None:
    assert ledger.stages_at_work() == []
    found = []
    ledger.once("elastic", lambda: bool(found), lambda: found.extend(ledger.stages_at_work()) or True)
    (one,) = found
    assert (one.what, one.worker) == ("elastic", Worker.current())
    assert ledger.at_work() == ledger.stages_at_work() == []
