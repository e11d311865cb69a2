"""Local workers: N processes on this machine that share out its cores, each ``ranksearch worker STUDY``."""

import os
import subprocess
import sys
import time

from rich.console import Console

from ..errors import RanksearchError, StorageError
from ..records import Room, StudyHistory
from ..study import Ledger, StudyFile
from .progress import Display, Pace, display

ROOMS: tuple[Room, ...] = ("trials", "baselines")  # what workers work on
LOOK = 0.5  # seconds between two looks at the workers
GRACE = 30  # seconds a worker may take to hand its trial back


class WorkerDiedError(RanksearchError):
    """A local worker ended before the budget was met, for a reason of its own."""


def run_workers(study: StudyFile, number: int, arguments: list[str], ledger: Ledger, console: Console) -> None:
    """Runs ``number`` workers until all have left; shows every trial that one of them finishes.

    Args:
        arguments: passed on to each ``ranksearch worker``; the storage goes through the environment, where a
            password does not show.

    Raises:
        StorageError: none could reach the storage any more.
        WorkerDiedError: all left with an error; what they wrote stands above, finished trials are safe.
    """
    command = [sys.executable, "-m", "ranksearch", "worker", str(study.path), "--share", str(number), *arguments]
    shown, counts = _numbers(ledger.history()), ledger.counts("baselines")
    trials = Pace(study.search.trials, ledger.counts().finished)
    baselines = Pace(counts.claimed, counts.finished)
    environment = os.environ | {"RANKSEARCH_STORAGE": study.storage_url}
    processes = [subprocess.Popen([*command, "--quiet"], env=environment) for _ in range(number)]
    try:
        with display(console, trials=trials, baselines=baselines) as shows:
            while any(process.poll() is None for process in processes):
                time.sleep(LOOK)
                shown = _show_new(ledger.history(), shown, shows)
            _show_new(ledger.history(), shown, shows)
    finally:
        for process in processes:
            if process.poll() is None:
                process.terminate()
        for process in processes:
            try:
                process.wait(GRACE)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
    died = [process.returncode for process in processes if process.returncode]
    told = f"{len(died)} of {number} workers left with an error (exit codes {died})"
    if len(died) == number:
        kind = StorageError if set(died) == {StorageError.exit_code} else WorkerDiedError
        raise kind(f"{told}; finished trials are safe, the same command goes on")
    if died:  # a worker leaves without an error only where the budget is met
        console.print(f"{told}; the others met the budget", highlight=False, soft_wrap=True)


def _numbers(history: StudyHistory) -> set[tuple[str, int]]:
    return {(room, t.number) for room in ROOMS for t in history.ended(room)}


def _show_new(history: StudyHistory, shown: set[tuple[str, int]], shows: Display) -> set[tuple[str, int]]:
    for room in ROOMS:
        for trial in history.ended(room):
            if (room, trial.number) not in shown and trial.record:
                shows.finished(history, trial.record, trial.number, room)
    return _numbers(history)
