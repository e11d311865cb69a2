"""What optuna-dashboard sees of a storage, and what it cannot do to it."""

import inspect
from collections.abc import Callable
from typing import Any

import optuna
import pytest
from optuna.storages import BaseStorage
from optuna.study import StudyDirection

from ranksearch.dashboard.shown_storage import ShownStorage
from ranksearch.records import StudyHistory
from ranksearch.study import Ledger

WRITES = [name for name in dir(BaseStorage) if name.startswith(("set_", "create_", "delete_"))]


@pytest.fixture
def ledger(book: Callable[..., Any]) -> Ledger:
    _, ledger = book()
    ledger.storage.create_new_study([StudyDirection.MINIMIZE], "somebody else's")
    return ledger


def test_only_the_named_study_and_its_screen_are_there(ledger: Ledger) -> None:
    ledger.screen.make()
    shown = ShownStorage(ledger.storage, ["bars"])
    names = [study.study_name for study in shown.get_all_studies()]
    assert names == ["bars", "bars/screen"]
    other = ledger.storage.get_study_id_from_name("somebody else's")
    for ask in (shown.get_all_trials, shown.get_study_name_from_id, shown.get_study_system_attrs):
        with pytest.raises(KeyError):
            ask(other)
    with pytest.raises(KeyError):
        shown.get_study_id_from_name("somebody else's")


def test_a_trial_bears_what_is_read_off_its_record(ledger: Ledger, measured: StudyHistory) -> None:
    shown = ShownStorage(ledger.storage, ["bars"])
    study = optuna.load_study(study_name="bars", storage=shown)
    assert study.metric_names == ["accuracy", "log2 compression_ratio"]
    record = measured.finished()[0].record
    assert record
    told = study.get_trials()[0].user_attrs
    assert told["params"] == record.counted.params
    assert told["compression_ratio"] == pytest.approx(record.counted.compression_ratio, abs=1e-4)
    assert told["origin"] == record.origin
    assert "record" not in told
    assert "record" in ledger.study().get_trials()[0].user_attrs  # where it is stored, all is as it was


@pytest.mark.parametrize("name", WRITES)
def test_nothing_is_written(name: str, ledger: Ledger) -> None:
    shown = ShownStorage(ledger.storage, ["bars"])
    parameters = list(inspect.signature(getattr(shown, name)).parameters)
    with pytest.raises(PermissionError):
        getattr(shown, name)(*[1 if p.endswith("_id") else "x" for p in parameters])


def test_edits_are_notes_and_deleting_what_is_shown(ledger: Ledger) -> None:
    shown = ShownStorage(ledger.storage, ["bars"], edits=True)
    study, other = (ledger.storage.get_study_id_from_name(name) for name in ("bars", "somebody else's"))
    shown.set_study_system_attr(study, "dashboard:3:note_str:0", "mine")
    assert ledger.storage.get_study_system_attrs(study)["dashboard:3:note_str:0"] == "mine"
    with pytest.raises(PermissionError):
        shown.set_study_system_attr(study, "study:metric_names", "x")
    with pytest.raises(KeyError):
        shown.delete_study(other)
    with pytest.raises(PermissionError):
        shown.set_trial_user_attr(1, "record", {})
    record = next(t.record for t in ledger.history().finished() if t.record)
    ledger.add("confirmations", record)
    ledger.screen.make()
    optuna.create_study(study_name="bars/by Anna", storage=ledger.storage)
    shown.delete_study(study)
    assert not Ledger(ledger.storage, "bars").exists
    assert {study.study_name for study in ledger.storage.get_all_studies()} == {"somebody else's", "bars/by Anna"}
