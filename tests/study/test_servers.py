"""The shared storage on a real PostgreSQL and a real MariaDB: who asks, who beats, and what an outage costs."""

import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
import sqlalchemy
import sqlalchemy.orm
from optuna.exceptions import StorageInternalError, UpdateFinishedTrialError
from optuna.trial import TrialState

from ranksearch.errors import StorageError
from ranksearch.records import StudyRecord
from ranksearch.study import Ledger, SharedStorage, Worker, open_storage, reaching, run_one
from ranksearch.study.abandoned import queue_again, reap
from ranksearch.study.at_work import at_work
from ranksearch.study.patience import is_outage

from ..servers import MariaDB
from .test_ledger import MAKER
from .test_storage import POP


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


def test_a_study_is_made_read_and_beaten_for(database: Any, study_record: StudyRecord) -> None:
    ledger = Ledger(open_storage(database.url), "small")
    assert ledger.create(study_record)
    assert Ledger(open_storage(database.url), "small").record == study_record
    trial = ledger.study().ask()
    ledger.storage.record_heartbeat(trial._trial_id)
    (one,) = ledger.at_work()
    assert one.worker == Worker.current()
    assert one.silent is not None
    assert 0 <= one.silent < 60  # by the server's clock and in its zone


def test_a_waiting_trial_is_taken_by_one(database: Any) -> None:
    study = make(database.url)
    study.enqueue_trial({"x": 0.5})
    taken: list[bool] = []

    def take() -> None:
        taken.append(open_storage(database.url).set_trial_state_values(1, TrialState.RUNNING))

    threads = [threading.Thread(target=take) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(taken) == [False] * 5 + [True]


def test_waiting_trials_are_taken_once_by_processes(database: Any, together: Callable[..., list[str]]) -> None:
    study = make(database.url)
    for i in range(12):
        study.enqueue_trial({"x": i / 100})
    taken = " ".join(together(POP, database.url, number=3)).split()
    trials = study.get_trials(deepcopy=False)
    assert sorted(map(int, taken)) == [t.number for t in trials] == list(range(24))  # 12 of them asked for
    assert [t.params["x"] for t in trials[:12]] == [i / 100 for i in range(12)]


def test_processes_that_start_at_once_on_nothing_make_one_study_and_one_queue(
    database: Any, study_record: StudyRecord, tmp_path: Path, together: Callable[..., list[str]]
) -> None:
    (tmp_path / "record.json").write_bytes(msgspec.json.encode(study_record))
    made = together(MAKER, database.url, str(tmp_path / "record.json"), number=4)
    assert sorted(made) == ["False"] * 3 + ["True"]
    assert len(Ledger(open_storage(database.url), "small").study().trials) == 5


def test_silence_is_measured_in_one_zone_whatever_the_servers(database: Any) -> None:
    storage = open_storage(database.url)
    study = optuna.create_study(study_name="s", storage=storage)
    trial = study.ask()
    storage.record_heartbeat(trial._trial_id)
    if isinstance(database.server, MariaDB):
        zone = "SET GLOBAL time_zone = '{}'"
        tell, east, before = database.server.sql, zone.format("+09:00"), zone.format("SYSTEM")
    else:
        tell, east, before = database.server.psql, f"ALTER DATABASE {database.name} SET timezone TO 'Asia/Tokyo'", ""
    tell(east)
    try:
        later = open_storage(database.url)
    finally:
        tell(before or "SELECT 1")
    assert later.silence(study._study_id)[trial._trial_id] < 60
    assert later._get_stale_trial_ids(study._study_id) == []


def test_a_password_opens_and_is_never_shown(database: Any, protected: str, caplog: pytest.LogCaptureFixture) -> None:
    study = make(protected)
    with outage(database.server, 0.5):
        study.set_user_attr("a", 1)
    assert "does not answer" in caplog.text
    wrong = sqlalchemy.make_url(protected).set(password="wr@ng:p/ss").render_as_string(hide_password=False)
    with pytest.raises(StorageError) as caught:
        open_storage(wrong)
    with pytest.raises(StorageError) as later, reaching(wrong):
        sqlalchemy.create_engine(wrong).connect()
    told = f"{caplog.text} {caught.value} {later.value}"
    assert "***" in told
    for secret in ("p@ss", "p%40ss", "w/rd", "wr@ng", "wr%40ng", "p/ss"):
        assert secret not in told


def test_a_result_outlives_a_restart_in_mid_trial(database: Any) -> None:
    study = make(database.url)

    def objective(trial: optuna.Trial) -> tuple[float]:
        x = trial.suggest_float("x", 0, 1)
        with outage(database.server, 1.5):
            trial.set_user_attr("seen", x)  # asked of a server that is not there
        return (x,)

    assert run_one(study, objective)
    assert run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    trials = study.get_trials(deepcopy=False)
    assert [t.state for t in trials] == [TrialState.COMPLETE] * 2
    assert trials[0].user_attrs["seen"] == trials[0].params["x"] == trials[0].value
    assert at_work(open_storage(database.url), study, "trials") == []


def test_nobody_is_reaped_right_after_an_outage(database: Any) -> None:
    storage = open_storage(database.url)
    study = optuna.create_study(study_name="s", storage=storage)
    trial = study.ask()
    storage.record_heartbeat(trial._trial_id)
    with storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01'"))
    assert storage._get_stale_trial_ids(study._study_id) == [trial._trial_id]
    with outage(database.server, 0.5):
        assert storage.get_trial(trial._trial_id).state == TrialState.RUNNING
    assert storage._get_stale_trial_ids(study._study_id) == []


def test_what_was_written_before_the_answer_was_lost_is_not_an_error(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = open_storage(database.url)
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


def test_what_was_queued_again_before_the_answer_was_lost_is_queued_once(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(database.url)
    study.enqueue_trial({"x": 0.5})
    study.tell(study.ask(), state=TrialState.FAIL)
    lost, commit, cut = study.trials[0], sqlalchemy.orm.Session.commit, [False]

    def cut_off(self: sqlalchemy.orm.Session) -> None:
        commit(self)
        if not cut[0]:
            cut[0] = True
            raise sqlalchemy.exc.OperationalError("COMMIT", {}, Exception("server closed the connection"))

    monkeypatch.setattr(sqlalchemy.orm.Session, "commit", cut_off)
    assert queue_again(study, lost)
    assert cut[0]
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_a_client_that_falls_silent_in_mid_transaction_holds_nobody_up(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(database.url)
    monkeypatch.setattr("ranksearch.study.greeting.HELD", 1.0)
    frozen = open_storage(database.url)
    with frozen.engine.connect() as connection:
        connection.execute(sqlalchemy.text("SELECT * FROM studies FOR UPDATE"))  # as whoever asks for a trial does
        began = time.monotonic()
        assert study.ask().number == 0
        assert time.monotonic() - began < 20
        with pytest.raises(sqlalchemy.exc.DBAPIError) as broken:
            connection.execute(sqlalchemy.text("SELECT 1"))
    assert is_outage(broken.value)
    assert len(frozen.get_all_trials(study._study_id)) == 1  # it goes on


def test_patience_ends(database: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(database.url)
    study = optuna.create_study(study_name="s", storage=storage)
    monkeypatch.setattr("ranksearch.study.patience.PATIENCE", 1.0)
    with outage(database.server, 6):
        began = time.monotonic()
        with pytest.raises(StorageError, match="the same command goes on later"), reaching(database.url):
            storage.get_all_trials(study._study_id)
        assert 1 <= time.monotonic() - began < 6


def test_an_outage_that_ends_patience_ends_it_once_and_fails_no_trial(
    database: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = make(database.url)
    monkeypatch.setattr("ranksearch.study.patience.PATIENCE", 2.0)
    down = ExitStack()

    def objective(trial: optuna.Trial) -> tuple[float]:
        trial.suggest_float("x", 0, 1)
        down.enter_context(outage(database.server, 15))
        return (trial.suggest_float("y", 0, 1),)  # asked of a server that is not there

    began = time.monotonic()
    with down:
        with pytest.raises(StorageError), reaching(database.url):
            run_one(study, objective)
        assert time.monotonic() - began < 10  # not again for the reason, for the trial's end, …
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    reap(study)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]


def test_the_servers_own_refusals_are_not_waited_for(database: Any) -> None:
    storage = open_storage(database.url)
    with storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text("DROP TABLE trial_heartbeats"))
    study = optuna.create_study(study_name="s", storage=storage)
    began = time.monotonic()
    with pytest.raises(sqlalchemy.exc.ProgrammingError):
        storage.silence(study._study_id)
    assert time.monotonic() - began < 5


def test_a_trial_that_never_beat_is_stale_after_the_grace(database: Any) -> None:
    storage = open_storage(database.url)
    study = optuna.create_study(study_name="s", storage=storage)
    lost, young = study.ask(), study.ask()
    with storage.engine.begin() as connection:
        old = sqlalchemy.text("UPDATE trials SET datetime_start = '2020-01-01' WHERE trial_id = :id")
        connection.execute(old, {"id": lost._trial_id})
    assert storage._get_stale_trial_ids(study._study_id) == [lost._trial_id]
    assert young._trial_id != lost._trial_id


def test_reading_trials_from_a_connection_that_broke_off_is_repeated(postgresql: str) -> None:
    storage = open_storage(postgresql)
    study = optuna.create_study(study_name="s", storage=storage)
    study.ask()
    broken = [False]

    def breaks(connection: Any, cursor: Any, statement: str, *_: Any) -> None:
        if "FROM trials" in statement and not broken[0]:
            broken[0] = True
            with sqlalchemy.create_engine(postgresql).connect() as other:
                number = connection.connection.dbapi_connection.info.backend_pid
                other.execute(sqlalchemy.text(f"SELECT pg_terminate_backend({number}, 5000)"))

    sqlalchemy.event.listen(storage.engine, "before_cursor_execute", breaks)
    assert len(storage.get_all_trials(study._study_id)) == 1
    assert broken[0]
