"""Local workers: N processes on this machine that share out its cores, each ``ranksearch worker STUDY``."""

import subprocess
import sys
import time
from pathlib import Path

from rich.console import Console

from ..errors import RanksearchError
from ..records import StudyHistory
from ..study import Ledger
from .progress import display

LOOK = 0.5  # seconds between two looks at the workers
GRACE = 30  # seconds a worker may take to hand its trial back


class WorkerDiedError(RanksearchError):
    """A local worker ended before the budget was met, for a reason of its own."""


def run_workers(study: Path, number: int, arguments: list[str], ledger: Ledger, trials: int, console: Console) -> None:
    """Runs ``number`` workers until all have left; shows every trial that one of them finishes.

    Args:
        arguments: passed on to each ``ranksearch worker``.
        trials: budget, for the time that is left.

    Raises:
        WorkerDiedError: workers left with an error; what they wrote stands above, finished trials are safe.
    """
    command = [sys.executable, "-m", "ranksearch", "worker", str(study), "--share", str(number), *arguments]
    shown = _numbers(ledger.history())
    processes = [subprocess.Popen([*command, "--quiet"]) for _ in range(number)]
    try:
        with display(trials, len(ledger.history().finished()), console) as shows:
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
    if died:
        raise WorkerDiedError(
            f"{len(died)} of {number} workers left with an error (exit codes {died}); finished trials are safe, "
            "the same command goes on"
        )


def _numbers(history: StudyHistory) -> set[tuple[str, int]]:
    return {(room, t.number) for room in ("trials", "baselines") for t in history.finished(room)}


def _show_new(history: StudyHistory, shown: set[tuple[str, int]], shows) -> set[tuple[str, int]]:  # type: ignore[no-untyped-def]
    for room in ("trials", "baselines"):
        for trial in history.finished(room):
            if (room, trial.number) not in shown and trial.record:
                shows.finished(history, trial.record, trial.number, room)
    return _numbers(history)
