"""``ranksearch search``: the study is made or resumed, and run to its budget by one process or by many workers."""

import time
from typing import Any

from rich.console import Console

from ..launch.launcher import LAUNCHERS, run_workers
from ..launch.placement import Placement
from ..records import StudyHistory
from ..runner.founding import join_study
from ..runner.running import conclude, prepare, run_session
from ..runner.worker import Budget
from ..study import StudyFile, reaching

LOCAL = Placement()


def search_study(
    study: StudyFile,
    *,
    device: str | None = None,
    workers: int | None = None,
    placement: Placement = LOCAL,
    seeds: int = 0,
    console: Console,
) -> StudyHistory:
    """Makes or resumes a study and runs it to its budget.

    Args:
        workers: how many; one local worker works in this process.
        placement: of the workers.
        seeds: further seeds with which the front is confirmed in the end.

    Raises:
        StudyChangedError, BudgetError, DenseAccuracyError, …: before any trial, with the remedy.
        KeyboardInterrupt: the running trial was handed back; the same command goes on.
    """
    search, budget = study.search, Budget.of(study.search)
    workers = workers or search.workers
    with LAUNCHERS[placement.launcher](study, placement, console) as start, reaching(study.storage_url):
        session = join_study(study, device=device, console=console)
        prepare(session, budget, console, workers)
        if workers == 1 and placement == LOCAL:
            run_session(session, budget, console)
            return conclude(session, console, seeds)
        overrides: dict[str, Any] = {"trials": search.trials, "sampler": search.sampler}
        if search.minutes:  # those that are left
            overrides["minutes"] = max(0.01, budget.deadline - time.monotonic()) / 60
        if chosen := device or search.device:
            overrides["device"] = chosen
        run_workers(start, study, workers, overrides, session.ledger, console)
        return conclude(session, console, seeds)
