"""Optuna's trials as rows of a study's history."""

from collections.abc import Iterable
from datetime import UTC, datetime

import msgspec
from optuna.trial import FrozenTrial, TrialState

from ..records import Trial, TrialRecord
from ..records.study_record import State
from .printable import printable

STATES: dict[TrialState, State] = {
    TrialState.COMPLETE: "complete",
    TrialState.FAIL: "failed",
    TrialState.PRUNED: "stopped",
    TrialState.RUNNING: "running",
    TrialState.WAITING: "waiting",
}

OVER = (TrialState.COMPLETE, TrialState.PRUNED)  # and not to be repeated, as what failed may be


def rows(trials: Iterable[FrozenTrial], known: dict[int, Trial] | None = None) -> tuple[Trial, ...]:
    """One row per trial of one Optuna study, by number; times in UTC; why a trial failed, and where it went on.

    Args:
        known: rows of trials that are over, by number; read, and added to: they change no more.
    """
    trials, known = tuple(trials), {} if known is None else known
    successors = {t.user_attrs["retry_of"]: t.number for t in trials if "retry_of" in t.user_attrs}
    for trial in trials:
        if trial.number not in known and trial.state in OVER:
            known[trial.number] = row(trial)
    return tuple(known.get(t.number) or row(t, successors.get(t.number)) for t in trials)


def row(trial: FrozenTrial, successor: int | None = None) -> Trial:
    """One trial; ``successor`` is the number of the one that repeats it."""
    reason = ""
    if trial.state == TrialState.FAIL:
        reason = printable(trial.user_attrs.get("reason", "its worker was stopped or lost"))
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
    return msgspec.convert(printable(plain), TrialRecord) if plain and trial.state in OVER else None


def _utc(time: datetime | None) -> datetime | None:
    """Optuna hands times over in the local zone, without saying so."""
    return time and time.astimezone(UTC)
