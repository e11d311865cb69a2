"""Local workers: N processes on this machine that share out its cores, each ``ranksearch worker STUDY``."""

import os
import subprocess
import sys
import time

from rich.console import Console

from ..errors import RanksearchError
from ..records import StudyHistory
from ..study import Ledger, StudyFile
from .progress import Display, display

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
        WorkerDiedError: workers left with an error; what they wrote stands above, finished trials are safe.
    """
    command = [sys.executable, "-m", "ranksearch", "worker", str(study.path), "--share", str(number), *arguments]
    shown = _numbers(ledger.history())
    environment = os.environ | {"RANKSEARCH_STORAGE": study.storage_url}
    processes = [subprocess.Popen([*command, "--quiet"], env=environment) for _ in range(number)]
    try:
        with display(study.search.trials, len(ledger.history().finished()), console) as shows:
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


def _show_new(history: StudyHistory, shown: set[tuple[str, int]], shows: Display) -> set[tuple[str, int]]:
    for room in ("trials", "baselines"):
        for trial in history.finished(room):
            if (room, trial.number) not in shown and trial.record:
                shows.finished(history, trial.record, trial.number, room)
    return _numbers(history)
