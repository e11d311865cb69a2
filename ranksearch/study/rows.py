"""Optuna's trials as rows of a study's history."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from optuna.trial import FrozenTrial, TrialState

from ..records import Trial, TrialRecord
from ..records.study_record import State

STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "stopped",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}


def rows(trials: Iterable[FrozenTrial]) -> tuple[Trial, ...]:
    """One row per trial of one Optuna study, by number; times in UTC; why a trial failed, and where it went on."""
    trials = tuple(trials)
    successors = {t.user_attrs["retry_of"]: t.number for t in trials if "retry_of" in t.user_attrs}
    return tuple(row(trial, successors.get(trial.number)) for trial in trials)


def row(trial: FrozenTrial, successor: int | None = None) -> Trial:
    """One trial; ``successor`` is the number of the one that repeats it."""
    reason = ""
    if trial.state == TrialState.FAIL:
        reason = trial.user_attrs.get("reason", "its worker was stopped or lost")
        reason += f"; queued again as trial {successor}" if successor is not None else ""
    return Trial(
        number=trial.number,
        state=STATES[trial.state],
        started=_utc(trial.datetime_start),
        finished=_utc(trial.datetime_complete),
        record=record_of(trial),
        reason=reason,
    )


def record_of(trial: FrozenTrial) -> TrialRecord | None:
    """The record of a trial that finished, or was stopped."""
    plain = trial.user_attrs.get("record")
    ended = trial.state in (TrialState.COMPLETE, TrialState.PRUNED)
    return msgspec.convert(plain, TrialRecord) if plain and ended else None


def _utc(time: datetime | None) -> datetime | None:
    """Optuna hands times over in the local zone, without saying so."""
    return time and time.astimezone(UTC)
