"""Full-length fine-tuning of chosen configurations, several seeds, beside a dense control with equal epochs.

Selection is over: training uses train + search, as the literature does, and the test split is read
once per finished run. Never a best epoch: the last one counts. Each run is a job that any worker may take.
"""

import logging
import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import msgspec
from rich.console import Console

from ..layers import Dense, RankConfiguration
from ..records import DENSE_CONTROL, NO_DECAY, DecaySchedule, RankFile, Recipe, TrialRecord, require_fit
from ..study import Planned
from ..subject.subject import Subject
from ..subject.trial import Plan
from ..terminal.progress import Pace, display
from ..whole_file import whole_file
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


def finetune(
    session: Session,
    files: Mapping[str, RankFile],
    *,
    epochs: int,
    seeds: int,
    changes: Mapping[str, float | str],
    folder: Path,
    on_step: Callable[[Plan, int, int], None] = lambda plan, done, of: None,
) -> list[TrialRecord]:
    """Queues all runs that are not finished or queued yet, as jobs of the study's finalists, each network with one seed
    before any with the next, and works on them beside any other worker until none is left.

    Writes for each compressed network ``folder/RUN.safetensors``, which is the measured one.

    Raises:
        StudyFileError: before any training: a file starts from the elastic adapter, and the study has none.
        RepeatedFailureError: runs failed, in this worker or another; says why.
    """
    ledger = session.ledger
    jobs: dict[str, tuple[Planned, str]] = {}
    todo = list(plans(session.subject, files, epochs=epochs, seeds=seeds, changes=changes))
    for plan, ranks in sorted(todo, key=lambda run: run[0].seed):  # equal seeds have the teacher's answers in common
        session.start(plan.recipe.init)  # refuses before training any
        job = Planned(plan.configuration, plan.schedule, plan.recipe, plan.seed, ranks)
        jobs.setdefault(plan.run, (job, plan.origin))

    def missing() -> list[tuple[Planned, str]]:
        there = {session.planned(job, origin).run for origin, job in ledger.plans("finalists", failed=False)}
        return [job for run, job in jobs.items() if run not in there]

    def work() -> None:
        for job in missing():
            ledger.enqueue_plan("finalists", *job)

    folder.mkdir(parents=True, exist_ok=True)  # what cannot be written is refused before anything is queued
    ledger.once("queueing", lambda: not missing(), work)
    counts = ledger.counts("finalists")
    with display(Console(quiet=True), finalists=Pace(counts.claimed, counts.finished)) as shows:
        run_queue(session, "finalists", Budget(0), shows, on_step)
    records = []
    for plan, ranks in todo:
        found = ledger.find(plan.run, "finalists")
        if found is None or found.record is None:
            failed = [t.reason for t in ledger.history().finalists if t.state == "failed" and t.reason]
            raise RepeatedFailureError(
                f"{plan.origin}, seed {plan.seed}, has no result: {failed[-1] if failed else ''}"
            )
        records.append(
            msgspec.structs.replace(found.record, origin=plan.origin)
        )  # equal ranks of two files are one run
        path = folder / network_name(plan)
        if ranks is None or found.record.failure:
            continue
        if stored := session.artifacts.get(network_name(plan)):
            with whole_file(path) as part:  # a file of that name may be of another network of equal ranks
                shutil.copyfile(stored, part)
        else:
            log.warning(
                "%s: not in %s. It lies where it was trained, on a machine that does not share search.artifacts; if it "
                "was deleted, a study of another name trains it again",
                path.name,
                session.artifacts,
            )
    return records
