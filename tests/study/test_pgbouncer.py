"""A study through PgBouncer, which lends out its two connections for one transaction at a time."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
import sqlalchemy

from ranksearch.records import StudyRecord
from ranksearch.study import Ledger, open_storage, storage_url

from ..servers import PgBouncer
from .test_ledger import MAKER
from .test_storage import POP


@pytest.fixture
def pooled(pgbouncer: PgBouncer, postgresql_database: Any) -> str:
    return storage_url(pgbouncer.url(postgresql_database.name), Path(), "small")


def test_a_study_is_made_once_and_its_trials_are_taken_once(
    pooled: str, postgresql: str, study_record: StudyRecord, tmp_path: Path, together: Callable[..., list[str]]
) -> None:
    open_storage(pooled)  # makes the tables, for which Optuna needs two connections at once; nothing later does
    (tmp_path / "record.json").write_bytes(msgspec.json.encode(study_record))
    assert sorted(together(MAKER, pooled, str(tmp_path / "record.json"), number=2)) == ["False", "True"]
    study = optuna.create_study(study_name="s", storage=open_storage(pooled))
    for i in range(12):
        study.enqueue_trial({"x": i / 100})
    taken = " ".join(together(POP, pooled, number=2)).split()
    trials = optuna.load_study(study_name="s", storage=open_storage(postgresql)).trials  # not through it
    assert sorted(map(int, taken)) == [t.number for t in trials] == list(range(16))
    assert [t.params["x"] for t in trials[:12]] == [t.value for t in trials[:12]] == [i / 100 for i in range(12)]
    assert Ledger(open_storage(postgresql), "small").record == study_record


def test_every_transaction_is_in_the_zone_of_the_beats(pooled: str, postgresql_database: Any) -> None:
    postgresql_database.server.psql(f"ALTER DATABASE {postgresql_database.name} SET timezone TO 'Asia/Tokyo'")
    ours, others, zones = open_storage(pooled).engine, sqlalchemy.create_engine(pooled), []
    for engine in (ours, others, ours):  # the same connection of the server, lent in turn
        with engine.connect() as connection:
            zones.append(connection.execute(sqlalchemy.text("SHOW timezone")).scalar())
    assert zones == ["UTC", "Asia/Tokyo", "UTC"]
