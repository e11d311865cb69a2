"""Importances of variables, by Optuna."""

from collections.abc import Callable

import msgspec
import pytest

from ranksearch.records import Measurement, TrialRecord
from ranksearch.study import Ledger, importances


@pytest.fixture
def searched(ledger: Ledger, make_record: Callable[..., TrialRecord]) -> Ledger:
    """25 trials whose accuracy follows one of two variables."""
    for number in range(25):
        study = ledger.study()
        study.enqueue_trial({"matters": number * 7 % 25 / 24, "idle": number * 11 % 25 / 24})  # each value once
        trial = study.ask()
        matters, idle = trial.suggest_float("matters", 0, 1), trial.suggest_float("idle", 0, 1)
        record = make_record(1 + int(3 * idle), 0.5 + 0.4 * matters, seed=number)
        if number == 7:
            record = msgspec.structs.replace(record, measured=Measurement(0.0, 1.0, "search", 500), failure="NaN")
        ledger.study().tell(trial, ledger.finish(trial, record))
    return ledger


def test_what_accuracy_follows_is_more_important(searched: Ledger) -> None:
    found = importances(searched.study(), searched.history())
    assert list(found) == ["front", "accuracy", "compression_ratio"]
    assert all(sum(shares.values()) == pytest.approx(1) for shares in found.values())
    assert list(found["accuracy"]) == ["matters", "idle"]  # the largest first
    assert found["accuracy"]["matters"] > 0.8
    assert found["compression_ratio"]["idle"] > 0.8


def test_few_trials_tell_nothing(searched: Ledger) -> None:
    history = searched.history()
    few = msgspec.structs.replace(history, trials=history.trials[:20])  # one of them failed
    assert importances(searched.study(), few) == {}
