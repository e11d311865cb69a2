"""The page follows its studies by name."""

from collections.abc import Callable
from typing import Any

import msgspec
import optuna

from ranksearch.dashboard.live_page import Watched
from ranksearch.records import StudyHistory
from ranksearch.study import Ledger, open_storage, opened_file


def test_a_study_that_is_made_again_is_another_one(book: Callable[..., Any], measured: StudyHistory) -> None:
    path, ledger = book()
    file = opened_file(path, {})
    storage = open_storage(file.storage_url, create=False)
    storage.keeps_names = False
    watched = Watched(file, Ledger(storage, "bars"))
    before = watched.state()
    assert watched.state() == before
    assert len(watched.history().trials) == 3

    for study in optuna.get_all_study_names(ledger.storage):
        optuna.delete_study(study_name=study, storage=ledger.storage)
    dense = msgspec.structs.replace(measured.study.dense, accuracy=0.5)
    made = msgspec.structs.replace(measured.study, dense=dense)
    assert Ledger(open_storage(file.storage_url), "bars").create(made)
    assert watched.state() != before
    assert watched.history().study.dense.accuracy == 0.5
    assert watched.history().trials == ()
