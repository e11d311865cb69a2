"""The notes follow the front; nothing in a name becomes markup."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import msgspec
import optuna_dashboard

from ranksearch.dashboard.front_notes import MARK, FrontNotes, note
from ranksearch.records import StudyHistory, TrialRecord
from ranksearch.study import Ledger

from .served import add


def notes_of(ledger: Ledger) -> dict[int, str]:
    """What optuna-dashboard shows, by number of the trial."""
    study = ledger.study()
    told = {
        trial.number: optuna_dashboard.get_note(
            SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id)
        )
        for trial in study.get_trials()
    }
    return {number: text for number, text in told.items() if text}


def better(record: TrialRecord) -> TrialRecord:
    """One that dominates every trial of a small study."""
    cost = msgspec.structs.replace(record.counted, compression_ratio=50.0)
    measured = msgspec.structs.replace(record.measured, accuracy=1.0)
    return msgspec.structs.replace(record, measured=measured, pivoted=cost, plain=cost, seed=record.seed + 1)


def test_the_notes_follow_the_front(book: Callable[..., Any]) -> None:
    path, ledger = book()
    notes = FrontNotes(ledger, path)
    history = ledger.history()
    notes.write(history)
    front = {trial.number: trial for trial in history.front()}
    assert notes_of(ledger) == {n: note(t, t.record, history, path) for n, t in front.items() if t.record}
    before = ledger.storage.get_study_system_attrs(1)
    notes.write(ledger.history())
    assert ledger.storage.get_study_system_attrs(1) == before  # not written again

    first = next(iter(front.values())).record
    assert first
    add(ledger, better(first))
    FrontNotes(ledger, path).write(ledger.history())  # another process
    assert list(notes_of(ledger)) == [3]


def test_what_people_wrote_is_left_alone(book: Callable[..., Any]) -> None:
    path, ledger = book()
    number = ledger.history().front()[0].number
    study = ledger.study()
    trial = study.get_trials()[number]
    optuna_dashboard.save_note(
        SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id), "my own"
    )
    FrontNotes(ledger, path).write(ledger.history())
    assert notes_of(ledger)[number] == "my own"


def test_what_people_added_to_a_note_of_ours_is_left_alone(book: Callable[..., Any]) -> None:
    path, ledger = book()
    notes, (first, *_) = FrontNotes(ledger, path), ledger.history().front()
    notes.write(ledger.history())
    study = ledger.study()
    trial, more = study.get_trials()[first.number], notes_of(ledger)[first.number] + "\nnot for phones"
    optuna_dashboard.save_note(SimpleNamespace(storage=study._storage, study=study, _trial_id=trial._trial_id), more)
    assert first.record
    add(ledger, better(first.record))  # it leaves the front
    notes.write(ledger.history())
    assert notes_of(ledger)[first.number] == more


def test_a_note_holds_every_layer(measured: StudyHistory) -> None:
    trial = measured.front()[0]
    assert trial.record
    text = note(trial, trial.record, measured, Path("bars.toml"))
    assert text.startswith(MARK)
    for layer in measured.study.network.layers:
        assert f"| `{layer.name}` | " in text
    assert f"`ranksearch export bars.toml --select trial={trial.number}`" in text
