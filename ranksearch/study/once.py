"""What one process does for all: founding a study, its shared training, its screen; the others wait for it or go on."""

import random
import time
from collections.abc import Callable
from typing import Literal, TypeVar

import optuna
from optuna.trial import TrialState

from .abandoned import reap
from .one_trial import run_one

Stage = Literal["founding", "queueing", "elastic", "screening", "confirming"]
LOOK = 0.5  # seconds between two looks of a process that waits

T = TypeVar("T")


def once(
    storage: optuna.storages.BaseStorage,
    name: str,
    done: Callable[[], bool],
    work: Callable[[], T],
    *,
    wait: bool = True,
    until: float = float("inf"),
    on_wait: Callable[[], None] = lambda: None,
) -> T | None:
    """Does ``work`` unless it is ``done``, in one process at a time, whatever their number and machines.

    A process's turn is a trial of an Optuna study of its own, so that it beats while it works and is relieved when it
    is gone. Trials are numbered as they were written down: of those that run, the first has the turn.

    Args:
        name: of that Optuna study; one per piece of work.
        done: whether the work is over, as the storage knows it.
        work: raises where it fails; the next process tries for itself.
        wait: for another process at it; else it is left to it.
        until: by ``time.monotonic()``; after it nobody waits.
        on_wait: called once, before the first waiting.

    Returns:
        What ``work`` did; None where another process did it, or still does.
    """
    if done():
        return None
    study = optuna.create_study(study_name=name, storage=storage, load_if_exists=True)
    results: list[T] = []

    def turn(trial: optuna.Trial) -> tuple[float]:
        if trial.number > min(t.number for t in _running(study)) or done():
            raise optuna.TrialPruned
        results.append(work())
        return (0.0,)

    waits = False
    while not done():
        reap(study)
        if not _running(study):
            if (
                run_one(study, turn) or results
            ):  # the latter: given up for lost meanwhile, the work is done all the same
                return results[0]
            time.sleep(random.uniform(0, LOOK))
            continue
        if not wait:
            return None
        if not waits:
            on_wait()
            waits = True
        if time.monotonic() > until:
            return None
        time.sleep(LOOK)
    return None


def _running(study: optuna.Study) -> list[optuna.trial.FrozenTrial]:
    return study.get_trials(deepcopy=False, states=(TrialState.RUNNING,))
