"""The shared storage on a real PostgreSQL: who asks, who beats, and what an outage costs."""

import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from ranksearch.errors import StorageError
from ranksearch.records import StudyRecord
from ranksearch.study import Ledger, SharedStorage, Worker, open_storage, reaching, run_one
from ranksearch.study.at_work import at_work


def start(server: Any) -> None:
    """Starts it, however slow a busy machine is at that."""
    for _ in range(6):
        with suppress(subprocess.TimeoutExpired):
            server.start()
            return


@contextmanager
def outage(server: Any, seconds: float) -> Iterator[None]:
    """The server is down at once and comes back while the block runs."""
    server.stop()
    back = threading.Timer(seconds, start, (server,))
    back.start()
    try:
        yield
    finally:
        back.join()


def make(url: str) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=optuna.storages.get_storage(open_storage(url)))


def test_a_study_is_made_read_and_beaten_for(postgresql: str, study_record: StudyRecord) -> None:
    ledger = Ledger(open_storage(postgresql), "small")
    assert ledger.create(study_record)
    assert Ledger(open_storage(postgresql), "small").record == study_record
    trial = ledger.study().ask()
    ledger.storage.record_heartbeat(trial._trial_id)
    (one,) = ledger.at_work()
    assert one.worker == Worker.current()
    assert one.silent is not None
    assert 0 <= one.silent < 60  # by the server's clock and in its zone


def test_a_waiting_trial_is_taken_by_one(postgresql: str) -> None:
    study = make(postgresql)
    study.enqueue_trial({"x": 0.5})
    taken: list[bool] = []

    def take() -> None:
        taken.append(open_storage(postgresql).set_trial_state_values(1, TrialState.RUNNING))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]


def test_a_result_outlives_a_restart_in_mid_trial(server: Any, postgresql: str) -> None:
    study = make(postgresql)

    def objective(trial: optuna.Trial) -> tuple[float]:
        x = trial.suggest_float("x", 0, 1)
        with outage(server, 1.5):
            trial.set_user_attr("seen", x)  # asked of a server that is not there
        return (x,)

    assert run_one(study, objective)
    assert run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    trials = study.get_trials(deepcopy=False)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 2
    assert trials[0].user_attrs["seen"] == trials[0].params["x"] == trials[0].value
    assert at_work(open_storage(postgresql), study, "trials") == []


def test_nobody_is_reaped_right_after_an_outage(server: Any, postgresql: str) -> None:
    storage = open_storage(postgresql)
    study = optuna.create_study(study_name="s", storage=storage)
    trial = study.ask()
    storage.record_heartbeat(trial._trial_id)
    with storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01'"))
    assert storage._get_stale_trial_ids(study._study_id) == [trial._trial_id]
    with outage(server, 0.5):
        assert storage.get_trial(trial._trial_id).state == TrialState.RUNNING
    assert storage._get_stale_trial_ids(study._study_id) == []


def test_what_was_written_before_the_answer_was_lost_is_not_an_error(
    postgresql: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(postgresql)
    study = optuna.create_study(study_name="s", storage=storage)
    tell, failed = optuna.storages.RDBStorage.set_trial_state_values, [False]

    def cut(self: SharedStorage, *arguments: Any, **named: Any) -> bool:
        done = tell(self, *arguments, **named)
        if not failed[0]:
            failed[0] = True
            cause = sqlalchemy.exc.OperationalError("COMMIT", {}, Exception("server closed the connection"))
            raise StorageInternalError("cut off") from cause
        return done

    monkeypatch.setattr(optuna.storages.RDBStorage, "set_trial_state_values", cut)
    trial = study.ask()
    assert storage.set_trial_state_values(trial._trial_id, TrialState.COMPLETE, [0.5])
    assert failed[0]
    assert study.trials[0].value == 0.5
    with pytest.raises(UpdateFinishedTrialError):  # another's end is not taken for one's own
        storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)


def test_patience_ends(server: Any, postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(postgresql)
    study = optuna.create_study(study_name="s", storage=storage)
    monkeypatch.setattr("ranksearch.study.patience.PATIENCE", 1.0)
    with outage(server, 6):
        began = time.monotonic()
        with pytest.raises(StorageError, match="the same command goes on later"), reaching(postgresql):
            storage.get_all_trials(study._study_id)
        assert 1 <= time.monotonic() - began < 6


def test_the_servers_own_refusals_are_not_waited_for(postgresql: str) -> None:
    storage = open_storage(postgresql)
    with storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE trial_heartbeats"))
    study = optuna.create_study(study_name="s", storage=storage)
    began = time.monotonic()
    with pytest.raises(sqlalchemy.exc.ProgrammingError):
        storage.silence(study._study_id)
    assert time.monotonic() - began < 5


def test_a_trial_that_never_beat_is_stale_after_the_grace(postgresql: str) -> None:
    storage = open_storage(postgresql)
    study = optuna.create_study(study_name="s", storage=storage)
    lost, young = study.ask(), study.ask()
    with storage.engine.begin() as connection:
        old = sqlalchemy.text("UPDATE trials SET datetime_start = '2020-01-01' WHERE trial_id = :id")
        connection.execute(old, {"id": lost._trial_id})
    assert storage._get_stale_trial_ids(study._study_id) == [lost._trial_id]
    assert young._trial_id != lost._trial_id
