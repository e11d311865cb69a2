"""A study run by one process: what comes before the trials, the trials, what is queued; the whole work of a worker."""

import time
from collections.abc import Sequence

from rich.console import Console

from ..records import Room, StudyHistory
from ..study import StudyFile, reaching
from ..subject.threads import use_cores
from ..terminal.progress import Pace, display, duration, summary
from .confirm import confirm
from .elastic_stage import elastic_stage, seconds_of_training
from .founding import enqueue_baselines, join_study
from .screening import screen_stage, seconds_left
from .session import Session
from .worker import Budget, run_queue, search_trials


def work_on(study: StudyFile, *, cpus: int | None, share: int, device: str | None, console: Console) -> None:
    """One more worker, with or without others: the first to come makes the study; finalists are trained last."""
    use_cores(cpus, share)
    budget = Budget.of(study.search)
    with reaching(study.storage_url):
        session = join_study(study, device=device, console=console)
        prepare(session, budget, console)
        run_session(session, budget, console, ("baselines", "finalists"))


def prepare(session: Session, budget: Budget, console: Console, workers: int = 1) -> None:
    """What comes before the trials, each done by one process for all: what an earlier session left behind, the
    baselines' queue, the elastic adapter, the screen."""
    session.ledger.reap()
    session.ledger.note_budget(budget.trials)
    for reason in enqueue_baselines(session):
        console.print(f"not run: {reason}", soft_wrap=True)
    estimate(session, console)
    elastic_stage(session, console, until=budget.deadline)
    screen_stage(session, console, workers, until=budget.deadline)


def conclude(session: Session, console: Console, seeds: int = 0) -> StudyHistory:
    """The front confirmed, where that was asked for, however long it takes, and the last line."""
    if seeds:
        confirm(session, seeds, console)
    history = session.ledger.history()
    console.print(f"{session.study.name}: {summary(history)}", soft_wrap=True)
    return history


def run_session(
    session: Session, budget: Budget, console: Console, queues: Sequence[Room] = ("baselines",)
) -> None:  # fmt: skip
    """What one worker does: trials, then what is queued; says why each ended, if early."""
    paces = {"trials": Pace(budget.trials, session.ledger.counts().finished)}
    if budget.limited:
        baselines = session.ledger.counts("baselines")
        paces["baselines"] = Pace(baselines.claimed, baselines.finished)
    with display(console, **paces) as shows:
        ended = [search_trials(session, budget, shows)]
    for room in queues:
        counts = session.ledger.counts(room)
        with display(console, **{room: Pace(counts.claimed, counts.finished)}) as shows:
            ended.append(run_queue(session, room, budget, shows))
    for why in filter(None, ended):
        console.print(f"stopped: {why}", soft_wrap=True)


def estimate(session: Session, console: Console) -> None:
    """Prints seconds per trial and when the search will have finished."""
    counts, baselines = session.ledger.counts(), session.ledger.counts("baselines")
    seconds = session.ledger.record.seconds_per_trial
    left = max(0, session.study.search.trials - counts.finished) + baselines.waiting
    if not left:
        text = f"no trial is left: {counts.finished} finished, {session.study.search.trials} asked for"
        console.print(f"{text}; a larger number of trials goes on", soft_wrap=True)
        return
    before = {"a shared training": seconds_of_training(session), "a screen": seconds_left(session)}
    stages = " and ".join(f"{stage} of {duration(taken)}" for stage, taken in before.items() if taken)
    total = sum(before.values()) + left * seconds  # workers share the same cores: more of them do not shorten it much
    limit = session.study.search.minutes
    console.print(
        f"about {duration(seconds)} per trial; {left} to go ({baselines.waiting} of them baselines)"
        f"{f', after {stages}' if stages else ''}: about "
        f"{duration(total)}{f', at most {limit:g} min' if limit else ''}, until "
        f"{time.strftime('%H:%M', time.localtime(time.time() + min(total, (limit or float('inf')) * 60)))}; "
        "Ctrl-C stops, the same command goes on",
        soft_wrap=True,
    )
