"""A study through PgBouncer, which lends out one of its few connections for one transaction."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
import sqlalchemy

from ranksearch.records import StudyRecord
from ranksearch.study import Ledger, open_storage, storage_url

from .servers import PgBouncer
from .test_ledger import MAKER
from .test_storage import POP


@pytest.fixture
def pooled(pgbouncer: PgBouncer, postgresql_database: Any) -> str:
    return storage_url(pgbouncer.url(postgresql_database.name), Path(), "small")


def test_a_study_is_made_once_and_its_trials_are_taken_once(
    pooled: str, postgresql: str, study_record: StudyRecord, tmp_path: Path, together: Callable[..., list[str]]
) -> None:
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
    with ExitStack() as open_at_once:
        engines = [open_storage(pooled).engine for _ in range(2)]
        connections = [open_at_once.enter_context(engine.connect()) for engine in engines]
        zones = {connection.execute(sqlalchemy.text("SHOW timezone")).scalar() for connection in connections}
    with sqlalchemy.create_engine(pooled).connect() as another:  # lent a connection that they gave back
        zones_of_others = {another.execute(sqlalchemy.text("SHOW timezone")).scalar()}
    assert (zones, zones_of_others) == ({"UTC"}, {"Asia/Tokyo"})
