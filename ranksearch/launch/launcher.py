"""A study's workers from the first to the last, whichever launcher places them; their trials shown as they end."""

import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from typing import Any

from rich.console import Console

from ..errors import RanksearchError, StorageError
from ..records import Room, StudyHistory
from ..study import Ledger, StudyFile
from ..terminal.progress import Display, Pace, display
from .local_launcher import local_launcher
from .placement import Placement, Start
from .ray_launcher import ray_launcher

#: name → what makes ready to start workers, refusing what it cannot do, and stops on leaving those that still work
LAUNCHERS: dict[str, Callable[[StudyFile, Placement, Console], AbstractContextManager[Start]]] = {
    "local": local_launcher,
    "ray": ray_launcher,
}
ROOMS: tuple[Room, ...] = ("trials", "baselines")  # what workers work on
LOOK = 0.5  # seconds between two looks at the workers


class WorkerDiedError(RanksearchError):
    """A worker ended before the budget was met, for a reason of its own."""


def run_workers(
    start: Start, study: StudyFile, number: int, overrides: Mapping[str, Any], ledger: Ledger, console: Console
) -> None:
    """Runs ``number`` workers until all have left; shows every trial that one of them finishes.

    Args:
        start: of one of :data:`LAUNCHERS`.
        overrides: entries of ``[search]`` that the workers' study file has otherwise.

    Raises:
        StorageError: none could reach the storage any more.
        WorkerDiedError: all left with an error; finished trials are safe.
    """
    shown, counts = _numbers(ledger.history()), ledger.counts("baselines")
    trials = Pace(study.search.trials, ledger.counts().finished)
    baselines = Pace(counts.claimed, counts.finished)
    poll = start(number, overrides)
    with display(console, trials=trials, baselines=baselines) as shows:
        while None in (left := poll()):
            time.sleep(LOOK)
            shown = _show_new(ledger.history(), shown, shows)
        _show_new(ledger.history(), shown, shows)
    died = [one for one in left if one and one.code]
    told = f"{len(died)} of {number} workers left with an error (exit codes {[one.code for one in died]})"
    told += "".join(f"; {reason}" for reason in dict.fromkeys(one.reason for one in died) if reason)
    if len(died) == number:
        kind = StorageError if {one.code for one in died} == {StorageError.exit_code} else WorkerDiedError
        raise kind(f"{told}; finished trials are safe, the same command goes on")
    if died:  # a worker leaves without an error only where the budget is met
        console.print(f"{told}; the others met the budget", soft_wrap=True)


def _numbers(history: StudyHistory) -> set[tuple[str, int]]:
    return {(room, t.number) for room in ROOMS for t in history.ended(room)}


def _show_new(history: StudyHistory, shown: set[tuple[str, int]], shows: Display) -> set[tuple[str, int]]:
    for room in ROOMS:
        for trial in history.ended(room):
            if (room, trial.number) not in shown and trial.record:
                shows.finished(history, trial.record, trial.number, room)
    return _numbers(history)
