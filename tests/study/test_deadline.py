"""What is asked of a server has a deadline, also where its packets vanish while TCP is acknowledged."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState
from sqlalchemy import exc as sql_errors

from ranksearch.study import open_storage
from ranksearch.study.deadline import Deadlines

from .forwarding import Forwarder


@pytest.fixture
def forwarder(postgresql: str) -> Iterator[Forwarder]:
    folder = sqlalchemy.make_url(postgresql).query["host"]
    forwarder = Forwarder(str(Path(str(folder)) / ".s.PGSQL.5432"))
    yield forwarder
    forwarder.close()


@pytest.fixture
def forwarded(postgresql: str, forwarder: Forwarder) -> str:
    """The database's URL through the forwarder."""
    direct = sqlalchemy.make_url(postgresql)
    through = direct.set(host="127.0.0.1", port=forwarder.port, query={})
    return through.render_as_string(hide_password=False)


def test_an_operation_without_an_answer_is_broken_off(forwarded: str) -> None:
    deadlines = Deadlines()
    engine = sqlalchemy.create_engine(forwarded, pool_events=deadlines.events)
    began = time.monotonic()
    with engine.connect() as connection, pytest.raises(sql_errors.OperationalError), deadlines.within(0.5):
        connection.execute(sqlalchemy.text("SELECT pg_sleep(30)"))
    assert 0.5 <= time.monotonic() - began < 10
    with engine.connect() as connection, deadlines.within(30):  # what is quick enough is let be
        assert connection.execute(sqlalchemy.text("SELECT 1 FROM pg_sleep(1)")).scalar() == 1


def test_a_result_outlives_packets_that_vanish(
    forwarded: str, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ranksearch.study.patience.DEADLINE", 1.0)
    study = optuna.create_study(study_name="s", storage=optuna.storages.get_storage(open_storage(forwarded)))
    trial = study.ask()
    with forwarder.silence(4.0):
        study.tell(trial, 0.5)
    (told,) = study.get_trials()
    assert (told.state, told.value) == (TrialState.COMPLETE, 0.5)


def test_a_beat_that_gets_no_answer_does_not_end_the_beating(
    forwarded: str, forwarder: Forwarder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("ranksearch.study.shared_storage.HEARTBEAT", 1.0)
    storage = open_storage(forwarded)
    study = optuna.create_study(study_name="s", storage=storage)
    trial: Any = study.ask()
    with forwarder.silence(2.0):
        storage.record_heartbeat(trial._trial_id)
    assert storage.missed > 0
    storage.record_heartbeat(trial._trial_id)
    assert trial._trial_id in storage.silence(study._study_id)
