"""Confirmation: the front trained and measured again with further seeds, for it was chosen from noisy measurements."""

from collections.abc import Iterator
from functools import partial
from itertools import count

from rich.console import Console

from ..errors import describe
from ..records import StudyHistory, TrialRecord, trial_seed
from ..subject.trial import Plan, run_trial
from ..terminal.progress import Pace, display
from .session import Session
from .worker import TRANSIENT


def further_seeds(study_seed: int, record: TrialRecord) -> Iterator[int]:
    """Training seeds of a study's confirmations, the same for ever and never the one that chose this network."""
    seeds = (trial_seed(study_seed, f"confirmation {n}") for n in count(1))
    return (seed for seed in seeds if seed != record.seed)


def confirmations(history: StudyHistory, study_seed: int, seeds: int) -> list[Plan]:
    """Every point of the front with each of ``seeds`` seeds, all points once before any a second time."""
    points = [(t.number, t.record, further_seeds(study_seed, t.record)) for t in history.front() if t.record]
    return [
        Plan(record.configuration, record.schedule, record.recipe, next(further), f"trial {number}")
        for _ in range(seeds)
        for number, record, further in points
    ]


def left_over(history: StudyHistory, study_seed: int, seeds: int) -> list[Plan]:
    """Those of them that are not on the books yet."""
    done = {(t.record.key, t.record.seed) for t in history.finished("confirmations") if t.record}
    return [plan for plan in confirmations(history, study_seed, seeds) if (plan.key, plan.seed) not in done]


def confirm(session: Session, seeds: int, console: Console) -> None:
    """Trains and measures every point of the front with ``seeds`` further seeds, in one process at a time; what fails
    is told, and left to the next process."""

    def done() -> bool:
        history = session.ledger.history(rooms=["trials", "confirmations"])
        return not left_over(history, session.study.search.seed, seeds)

    def waits() -> None:
        console.print("waiting for the process that confirms the front")

    session.ledger.once("confirming", done, partial(_confirm, session, seeds, console), on_wait=waits)


def _confirm(session: Session, seeds: int, console: Console) -> None:
    history = session.ledger.history()
    todo, before = left_over(history, session.study.search.seed, seeds), len(history.confirmations)
    with display(console, confirmations=Pace(before + len(todo), before)) as shows:
        for plan in todo:
            network, bases = session.start(plan.recipe.init)
            try:
                _, record = run_trial(
                    session.subject, bases, plan, session.form, network=network, on_step=shows.step, timed=session.timed
                )
            except TRANSIENT as error:
                console.print(f"{plan.origin}, seed {plan.seed}: not confirmed: {describe(error)}", soft_wrap=True)
                continue
            session.ledger.add("confirmations", record)
            history = session.ledger.history()
            shows.finished(history, record, history.confirmations[-1].number, "confirmations")
