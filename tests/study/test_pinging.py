"""A connection that died while it lay idle is replaced before anything is asked of it."""

from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import exc as sql_errors

from ranksearch.study.pinging import EVENTS


def _terminate(engine: sqlalchemy.Engine, postgresql: str) -> None:
    """The server ends the connection that lies in the pool."""
    with engine.connect() as connection:
        number = connection.execute(sqlalchemy.text("SELECT pg_backend_pid()")).scalar_one()
    with sqlalchemy.create_engine(postgresql).connect() as other:
        other.execute(sqlalchemy.text(f"SELECT pg_terminate_backend({number}, 5000)"))


def test_an_idle_connection_that_died_is_replaced(postgresql: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = sqlalchemy.create_engine(postgresql, pool_events=EVENTS, pool_size=1)
    _terminate(engine, postgresql)
    with engine.connect() as connection, pytest.raises(sql_errors.OperationalError):
        connection.execute(sqlalchemy.text("SELECT 1"))  # used a moment ago: not asked
    _terminate(engine, postgresql)
    monkeypatch.setattr("ranksearch.study.pinging.IDLE", 0.0)
    with engine.connect() as connection:
        assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1


def test_sqlite_too(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ranksearch.study.pinging.IDLE", 0.0)
    engine = sqlalchemy.create_engine(f"sqlite:///{tmp_path / 'x.db'}", pool_events=EVENTS)
    for _ in range(2):
        with engine.connect() as connection:
            assert connection.execute(sqlalchemy.text("SELECT 1")).scalar() == 1
