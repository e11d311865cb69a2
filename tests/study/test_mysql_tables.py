"""What a server's defaults (latin1, 64 KB of text, no difference between A and a) would refuse or mistake."""

from typing import Any

import optuna
import pytest
import sqlalchemy
from sqlalchemy.dialects.mysql import MEDIUMTEXT

from ranksearch.study import open_storage


@pytest.fixture(params=["made here", "made by Optuna before"])
def url(request: pytest.FixtureRequest, mariadb_database: Any) -> str:
    if request.param == "made by Optuna before":
        optuna.storages.RDBStorage(mariadb_database.url)
    return str(mariadb_database.url)


def test_a_record_of_a_megabyte_is_kept(url: str) -> None:
    study = optuna.create_study(study_name="s", storage=open_storage(url))
    record = ["x" * 1000] * 1000
    study.set_user_attr("record", record)
    study.enqueue_trial({}, user_attrs={"plan": record})
    read = optuna.load_study(study_name="s", storage=open_storage(url))
    assert read.user_attrs["record"] == read.trials[0].user_attrs["plan"] == record


def test_names_are_told_apart(url: str) -> None:
    names = ["net", "Net", "nét", "сеть"]
    for name in names:
        optuna.create_study(study_name=name, storage=open_storage(url))
    assert optuna.get_all_study_names(open_storage(url)) == names


def test_fit_tables_are_left_alone(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    columns = sqlalchemy.inspect(open_storage(url).engine).get_columns("trial_user_attributes")
    assert isinstance(next(c["type"] for c in columns if c["name"] == "value_json"), MEDIUMTEXT)
    asked: list[str] = []

    def listen(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        asked.append(statement)

    sqlalchemy.event.listen(sqlalchemy.Engine, "before_cursor_execute", listen)
    try:
        open_storage(url)
    finally:
        sqlalchemy.event.remove(sqlalchemy.Engine, "before_cursor_execute", listen)
    assert asked
    assert not any("ALTER" in statement for statement in asked)
