import sqlite3
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import optuna
import pytest
import sqlalchemy
from optuna.exceptions import StorageInternalError

from ranksearch.errors import StorageError, StudyFileError
from ranksearch.study import Worker, open_storage, reaching, sqlite_file, storage_url
from ranksearch.study.shared_storage import HEARTBEAT, SharedStorage


@pytest.mark.parametrize(
    ("storage", "url"),
    [
        ("sqlite", "sqlite:////studies/mine.db"),
        ("sqlite:///runs/a.db", "sqlite:////studies/runs/a.db"),
        ("sqlite:////tmp/a.db", "sqlite:////tmp/a.db"),
        ("postgresql://me:p%40ss@host/db", "postgresql+psycopg://me:p%40ss@host/db"),
        ("postgres://host/db", "postgresql+psycopg://host/db"),
        ("postgresql+psycopg2://host/db", "postgresql+psycopg2://host/db"),
        ("mysql://me@host:3306/db", "mysql+pymysql://me@host:3306/db"),
        ("mariadb://host/db?charset=utf8mb4", "mysql+pymysql://host/db?charset=utf8mb4"),
    ],
)
def test_urls(storage: str, url: str) -> None:
    assert storage_url(storage, Path("/studies"), "mine") == url


@pytest.mark.parametrize(
    ("storage", "told"),
    [
        ("sqllite", 'must be "sqlite", "sqlite:///FILE" or a URL'),
        ("sqllite:///a.db", "'sqllite' is no storage; did you mean 'sqlite'?"),
        ("oracle://me:secret@host/db", "'oracle' is no storage; allowed: "),
        ("me:secret@host/db", 'must be "sqlite", "sqlite:///FILE" or a URL'),
        ("postgresql://me:secret@host:port/db", 'must be "sqlite", "sqlite:///FILE" or a URL'),
        ("postgresql://me:an@unquoted:secret@host/db", 'must be "sqlite", "sqlite:///FILE" or a URL'),
        ("sqlite://", "must name a file"),
        ("sqlite:///:memory:", "must name a file"),
    ],
)
def test_what_is_no_storage(storage: str, told: str) -> None:
    with pytest.raises(StudyFileError) as caught:
        storage_url(storage, Path("/studies"), "mine")
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


def test_sqlite_is_made_with_its_folder_in_write_ahead_mode(tmp_path: Path) -> None:
    file = tmp_path / "a {b} c" / "d.db"
    storage = open_storage(f"sqlite:///{file}")
    with storage.engine.connect() as connection:
        found = [
            connection.execute(sqlalchemy.text(f"PRAGMA {key}")).scalar()
            for key in ("journal_mode", "synchronous", "busy_timeout")
        ]
    assert found == ["wal", 1, 60_000]
    assert file.exists()
    assert storage.get_heartbeat_interval() == HEARTBEAT


def test_opening_leaks_no_warning(url: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        open_storage(url)


def test_what_only_reads_makes_no_file(tmp_path: Path) -> None:
    with pytest.raises(StudyFileError, match="no such study yet"):
        open_storage(f"sqlite:///{tmp_path}/none.db", create=False)
    assert not list(tmp_path.iterdir())


def test_a_file_that_is_no_database(tmp_path: Path) -> None:
    (tmp_path / "a.db").write_text("not a database, but long enough to be looked at " * 100)
    with pytest.raises(StudyFileError, match=r"a\.db is not one of Optuna's: file is not a database"):
        open_storage(f"sqlite:///{tmp_path}/a.db")
    (tmp_path / "folder.db").mkdir()
    with pytest.raises(StudyFileError, match=r"unable to open database file; is its folder there"):
        open_storage(f"sqlite:///{tmp_path}/folder.db")  # which would fail again: nothing to wait for
    with pytest.raises(StudyFileError, match="cannot be made"):
        open_storage(f"sqlite:///{tmp_path}/a.db/b.db")


def test_tables_of_another_optuna_are_told(url: str) -> None:
    with open_storage(url).engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE alembic_version SET version_num = 'v2.6.0.a'"))
    with pytest.raises(StudyFileError, match="optuna storage upgrade"):
        open_storage(url)


@pytest.mark.parametrize(
    ("scheme", "module", "told"),
    [
        ("postgresql", "psycopg", 'pip install "ranksearch[postgresql]"'),
        ("mysql", "pymysql", 'pip install "ranksearch[mysql]"'),
        ("mariadb", "pymysql", 'pip install "ranksearch[mysql]"'),
        ("mysql+mysqldb", "MySQLdb", """pip install "ranksearch[mysql]", and write mysql:// without 'mysqldb'"""),
        ("postgresql+none", "psycopg", """ranksearch[postgresql]", and write postgresql:// without 'none'"""),
    ],
)
def test_a_missing_driver_is_named_with_its_extra(
    scheme: str, module: str, told: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, module, None)  # as if it were not installed
    url = storage_url(f"{scheme}://me:secret@127.0.0.1:1/db", Path(), "mine")
    with pytest.raises(StudyFileError) as caught:
        open_storage(url)
    assert told in str(caught.value)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(("scheme", "module"), [("postgresql", "psycopg"), ("mysql", "pymysql")])
def test_an_unreachable_server_may_be_tried_again_and_its_password_is_not_shown(scheme: str, module: str) -> None:
    pytest.importorskip(module, reason="the drivers of servers are extras")
    with pytest.raises(StorageError) as caught:
        open_storage(storage_url(f"{scheme}://me:secret@127.0.0.1:1/db", Path(), "mine"))
    assert caught.value.exit_code == 75
    assert "secret" not in str(caught.value)


def test_what_a_database_throws_becomes_one_line() -> None:
    url = "postgresql+psycopg://me:secret@host/db"
    orig = Exception("connection to host failed for me:secret\nand more")
    error = sqlalchemy.exc.OperationalError("SELECT 1", {}, orig)
    told = r"me:\*\*\*@host/db cannot be reached: connection .* me:\*\*\*; the same"
    with pytest.raises(StorageError, match=told), reaching(url):
        raise StorageInternalError("…") from error
    with pytest.raises(RuntimeError, match="mine"), reaching(url):
        raise RuntimeError("mine")


def test_every_running_trial_bears_its_worker(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    study.enqueue_trial({"x": 0.5})
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    assert [t.user_attrs["worker"] for t in study.trials] == [Worker.current().plain] * 2
    study.enqueue_trial({"x": 0.7})
    assert "worker" not in study.trials[2].user_attrs


POP = """
import sys, optuna
from ranksearch.study import open_storage, run_one
study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
begin()
for _ in range(8): run_one(study, lambda trial: (print(trial.number), (trial.suggest_float("x", 0, 1),))[1])
"""


def test_a_waiting_trial_is_taken_once(url: str, together: Callable[..., list[str]]) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    for i in range(24):
        study.enqueue_trial({"x": i / 100})
    taken = " ".join(together(POP, url, number=3)).split()
    assert sorted(map(int, taken)) == list(range(24))
    assert sorted(t.params["x"] for t in study.trials) == [i / 100 for i in range(24)]


def test_a_beat_that_fails_does_not_end_the_beating_nor_anybody_else(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    trial = study._storage.create_new_trial(study._study_id)
    storage.record_heartbeat(trial)
    with storage.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trial_heartbeats SET heartbeat = '2020-01-01 00:00:00.000000'"))
    assert storage._get_stale_trial_ids(study._study_id) == [trial]

    def fails(self: SharedStorage, trial_id: int) -> None:
        raise StorageInternalError("the server restarts")

    with monkeypatch.context() as broken:
        broken.setattr(optuna.storages.RDBStorage, "record_heartbeat", fails)
        storage.record_heartbeat(trial)
    assert storage._get_stale_trial_ids(study._study_id) == []
    storage.missed -= HEARTBEAT
    assert storage._get_stale_trial_ids(study._study_id) == [trial]


def test_a_failed_attempt_leaves_no_lock(url: str) -> None:
    storage = open_storage(url)
    study = optuna.create_study(study_name="s", storage=storage)
    study.add_trial(optuna.trial.create_trial(value=1.0))
    with pytest.raises(optuna.exceptions.UpdateFinishedTrialError):
        storage.set_trial_state_values(1, optuna.trial.TrialState.FAIL)
    with sqlite3.connect(url.removeprefix("sqlite:///"), timeout=0) as other:
        other.execute("BEGIN IMMEDIATE")


@pytest.mark.parametrize("folder", ["50%20", "wh?t", "a b#c", "plain"])
def test_folders_may_hold_what_means_something_in_a_url(folder: str, tmp_path: Path) -> None:
    (tmp_path / folder).mkdir()
    url = storage_url("sqlite", tmp_path / folder, "study")
    assert sqlite_file(url) == tmp_path / folder / "study.db"
    open_storage(url)
    assert (tmp_path / folder / "study.db").exists()
    assert sqlite_file("postgresql+psycopg://me@host/studies") is None
