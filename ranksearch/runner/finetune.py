"""Full-length fine-tuning of chosen configurations, several seeds, beside a dense control with equal epochs.

Selection is over: training uses train + search, as the literature does, and the test split is read
once per finished run. Never a best epoch: the last one counts. Each run is a job that any worker may take.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec
from rich.console import Console

from ..layers import Dense, RankConfiguration
from ..records import DENSE_CONTROL, NO_DECAY, DecaySchedule, RankFile, Recipe, TrialRecord, require_fit
from ..records.study_record import State
from ..study import Planned
from ..subject.subject import Subject
from ..subject.trial import Plan
from ..terminal.progress import Pace, display
from ..whole_file import copy_whole
from .finalist import network_name
from .session import Session
from .worker import Budget, RepeatedFailureError, run_queue

log = logging.getLogger(__name__)


def plans(
    subject: Subject, files: Mapping[str, RankFile], *, epochs: int, seeds: int, changes: Mapping[str, float | str]
) -> Iterator[tuple[Plan, RankFile | None]]:
    """Every file with every seed, then the dense control with every seed and recipe that occurs.

    Args:
        files: rank files by the name they are reported under.
        epochs: over train + search.
        seeds: runs per configuration.
        changes: entries of ``[finetune]`` that replace those of the file's recipe and schedule (``lr``, ``shape``, …).
    """
    images = epochs * len(subject.final_stage.train)
    decay = {key: value for key, value in changes.items() if key in DecaySchedule.__struct_fields__}
    training = {key: value for key, value in changes.items() if key not in decay}
    controls: dict[Recipe, None] = {}
    for name, ranks in files.items():
        require_fit(ranks.configuration, subject.spec, name)
        recipe = msgspec.structs.replace(ranks.recipe, images=images, **training)
        controls[recipe.control] = None
        settled = {"fade": "residual"} if recipe.init == "elastic" else {}  # what starts trained cannot start at zero
        schedule = ranks.schedule.changed(decay | settled)
        for seed in range(seeds):
            origin = f"finalist {name}" + (" (HOOI)" if recipe.init == "hooi" else "")
            yield Plan(ranks.configuration, schedule, recipe, seed, origin), ranks
    dense = RankConfiguration({name: Dense(DENSE_CONTROL) for name in subject.spec.names})
    for recipe in controls:
        for seed in range(seeds):
            yield Plan(dense, NO_DECAY, recipe, seed, DENSE_CONTROL), None


@dataclass(frozen=True)
class FineTunedFiles:
    """What :func:`finetune` reached.

    Attributes:
        records: of the runs that have a result, in the order of the plans.
        failed: a sentence on each that has none.
    """

    records: list[TrialRecord]
    failed: tuple[str, ...]

    def require(self) -> list[TrialRecord]:
        """The records; raises :class:`RepeatedFailureError` where a run has none."""
        if self.failed:
            raise RepeatedFailureError("; ".join(self.failed))
        return self.records


def finetune(
    session: Session,
    files: Mapping[str, RankFile],
    *,
    epochs: int,
    seeds: int,
    changes: Mapping[str, float | str],
    folder: Path,
    on_step: Callable[[Plan, int, int], None] = lambda plan, done, of: None,
) -> FineTunedFiles:
    """Queues all runs that are not finished or queued yet, as jobs of the study's finalists, each network with one seed
    before any with the next, and works on the queue beside any other worker until none of them is left. Ctrl-C takes
    back those that nobody has begun.

    Writes for each compressed network ``folder/RUN.safetensors``, which is the measured one.

    Raises:
        StudyFileError: before any training: a file starts from the elastic adapter, and the study has none.
        RepeatedFailureError: runs failed in this worker, one after another; says why.
    """
    ledger = session.ledger
    jobs: dict[str, tuple[Planned, str]] = {}
    todo = list(plans(session.subject, files, epochs=epochs, seeds=seeds, changes=changes))
    for plan, ranks in sorted(todo, key=lambda run: run[0].seed):  # equal seeds have the teacher's answers in common
        session.start(plan.recipe.init)  # refuses before training any
        job = Planned(plan.configuration, plan.schedule, plan.recipe, plan.seed, ranks)
        jobs.setdefault(plan.run, (job, plan.origin))

    def booked(*without: State) -> dict[str, int]:
        """The last number of every run on the books but those in some states."""
        on_the_books = ledger.plans("finalists", *without).items()
        return {session.planned(job, origin).run: number for number, (origin, job) in on_the_books}

    def missing() -> list[tuple[Planned, str]]:
        there = booked("failed")
        return [job for run, job in jobs.items() if run not in there]

    def work() -> None:
        for job in missing():
            ledger.enqueue_plan("finalists", *job)

    def left(*, ours: bool = True) -> dict[str, int]:
        return {run: n for run, n in booked("failed", "complete", "stopped").items() if (run in jobs) is ours}

    folder.mkdir(parents=True, exist_ok=True)  # what cannot be written is refused before anything is queued
    ledger.once("queueing", lambda: not missing(), work)
    if others := left(ours=False):
        log.warning("%d runs that were asked for before stand in the queue, too", len(others))
    counts = ledger.counts("finalists")
    try:
        with display(Console(quiet=True), finalists=Pace(counts.claimed, counts.finished)) as shows:
            run_queue(session, "finalists", Budget(0), shows, on_step, over=lambda: not left())
    except KeyboardInterrupt:
        ledger.withdraw("finalists", left().values(), "taken back: who asked for it pressed Ctrl-C")
        raise
    records, failed, reasons = [], [], {t.number: t.reason for t in ledger.history().finalists}
    for plan, ranks in todo:
        found = ledger.find(plan.run, "finalists")
        if found is None or found.record is None:
            failed.append(f"{plan.origin}, seed {plan.seed}, has no result: {reasons[booked()[plan.run]]}")
            continue
        # Equal ranks of two files are one run, reported under both.
        records.append(msgspec.structs.replace(found.record, origin=plan.origin))
        path = folder / network_name(plan)
        if ranks is None or found.record.failure:
            continue
        if stored := session.artifacts.get(network_name(plan)):
            copy_whole(stored, path)  # a file of that name may be of another network of equal ranks
        else:
            log.warning(
                "%s: not in %s. It lies where it was trained, on a machine that does not share search.artifacts; if it "
                "was deleted, a study of another name trains it again",
                path.name,
                session.artifacts,
            )
    return FineTunedFiles(records, tuple(failed))
