"""A worker: check the budget, run one trial, again; the database holds the truth, this process nothing."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import optuna
from optuna.samplers import BaseSampler
from torch import nn

from ..artifacts.take_away import rank_file
from ..errors import MetricError, NonFiniteError, RanksearchError, UnreadableError
from ..records import TrialRecord
from ..study import Room, SearchSection, origin_of, planned, run_one, sampler
from ..subject.trial import Plan, run_trial
from ..terminal.progress import Display
from .finalist import OnStep, forget, run_finalist
from .hopeless import judge
from .notice import obey
from .session import Session

IDLE = 1.0  # seconds between two looks of a worker that waits for the others' last trials
COPIES_IN_A_ROW = 5  # after so many known configurations the next one is drawn at random
EXHAUSTED = 50  # known configurations in a row after which the space counts as exhausted
DEAR = 0.05  # share of a worker's time beyond which its sampler is too dear
SAMPLE = 10  # trials after which that is judged
TO_A_BASELINE = 3  # trials, where the time is limited
FAILURES_IN_A_ROW = 3  # after so many a worker stops: the fault is hardly the configurations'

#: what may go wrong in one trial (out of memory, a full disk, a metric that is no number) and not in the next
TRANSIENT = (RuntimeError, MemoryError, OSError, UnreadableError, MetricError, NonFiniteError)


class RepeatedFailureError(RanksearchError):
    """Trial after trial failed in this worker."""


@dataclass(frozen=True)
class Budget:
    """When to stop: at so many finished trials, or at a time of ``time.monotonic()``, whichever comes first."""

    trials: int
    deadline: float = float("inf")

    @property
    def limited(self) -> bool:
        """Whether there is a time."""
        return self.deadline < float("inf")

    @classmethod
    def of(cls, search: SearchSection) -> "Budget":
        """As the study file says, its minutes counted from now."""
        return cls(search.trials, time.monotonic() + search.minutes * 60 if search.minutes else float("inf"))


@dataclass(frozen=True)
class Outcome:
    """How a trial ended in this worker.

    Attributes:
        copy: nothing was measured: the configuration was known.
        failed: why, where it failed; one that was given up to another worker meanwhile did not.
        asking: seconds until its configuration was known.
        seconds: in all.
    """

    copy: bool = False
    failed: str = ""
    asking: float = 0.0
    seconds: float = 0.0


@dataclass
class Asking:
    """What the sampler of this worker costs; says so once, where that is more than :data:`DEAR` of its time."""

    sampler: str
    asking: float = 0.0
    seconds: float = 0.0
    trials: int = 0
    told: bool = False

    def after(self, outcome: Outcome, stored: int) -> str:
        """Advice after one more trial, or nothing."""
        self.asking, self.seconds = self.asking + outcome.asking, self.seconds + outcome.seconds
        self.trials += 1
        if self.told or self.trials < SAMPLE or self.asking < DEAR * self.seconds:
            return ""
        self.told, each = True, self.asking / self.trials
        return (
            f"asking {self.sampler!r} for values takes {self.asking / self.seconds:.0%} of a trial ({each:.2g} "
            f"s, {stored:,} trials stored): make trials longer; beyond some thousand trials --sampler nsga2 asks sooner"
        )


def search_trials(session: Session, budget: Budget, display: Display) -> str:
    """Runs trials of the search until the budget is met; where the time is limited, a waiting baseline after every
    :data:`TO_A_BASELINE`, which would have their turn never else.

    Returns:
        Why it ended, for the reader; empty where the budget of trials was met.

    Raises:
        RepeatedFailureError: :data:`FAILURES_IN_A_ROW` failed.
    """
    ledger, copies, failures, asking = session.ledger, 0, 0, Asking(session.study.search.sampler)
    since_baseline = 0
    while True:
        obey()
        ledger.reap(["trials"])
        counts = ledger.counts()
        if counts.finished >= budget.trials:
            return ""
        if time.monotonic() >= budget.deadline:
            return "the time is over"
        if counts.claimed - counts.waiting >= budget.trials:
            time.sleep(IDLE)  # others are at the last trials; should one be lost, it comes back to the queue
            continue
        if budget.limited and since_baseline >= TO_A_BASELINE and ledger.counts("baselines").waiting:
            since_baseline = 0
            failures = _in_a_row(failures, _run_one(session, None, display, "baselines"))
            continue
        since_baseline += 1
        name = session.study.search.sampler if copies < COPIES_IN_A_ROW else "random"
        proposer = sampler(name, session.study.search.seed, session.study.search.population)
        outcome = _run_one(session, proposer, display, "trials")
        failures = _in_a_row(failures, outcome)
        if advice := asking.after(outcome, counts.finished):
            display.console.print(advice, soft_wrap=True)
        copies = copies + 1 if outcome.copy else 0
        if copies >= EXHAUSTED:
            return f"{EXHAUSTED} proposals in a row had been measured before: the space seems exhausted"


def run_queue(
    session: Session,
    room: Room,
    budget: Budget,
    display: Display,
    on_step: Callable[[Plan, int, int], None] = lambda plan, done, of: None,
    over: Callable[[], bool] = lambda: False,
) -> str:
    """Runs the queued baselines, or finalists, to the end of their queue or of the time, or until it is ``over``.

    Args:
        on_step: called with a plan, its steps done and in all.

    Returns:
        Why it ended, if early.
    """
    ledger, failures = session.ledger, 0
    while True:
        obey()
        ledger.reap([room])
        counts = ledger.counts(room)
        if over() or not counts.waiting + counts.running:
            return ""
        if time.monotonic() >= budget.deadline:
            return f"the time is over, {counts.waiting} {room} are left"
        if not counts.waiting:
            time.sleep(IDLE)
            continue
        failures = _in_a_row(failures, _run_one(session, None, display, room, on_step))


def _run_one(
    session: Session,
    proposer: BaseSampler | None,
    display: Display,
    room: Room,
    on_step: Callable[[Plan, int, int], None] = lambda plan, done, of: None,
) -> Outcome:
    """Runs one trial from its variables, or its plan, to its values."""
    ledger, began = session.ledger, time.perf_counter()
    study = ledger.study(room, proposer)
    number, asked = -1, 0.0
    measured: list[tuple[Plan, TrialRecord]] = []

    def objective(trial: optuna.Trial) -> Sequence[float]:
        nonlocal number, asked
        number, given = trial.number, planned(trial)
        if room != "trials" and not given:
            raise optuna.TrialPruned  # another worker took the last of the queue, and Optuna made a trial for us
        plan = (
            session.planned(given, origin_of(trial))
            if given
            else session.plan(*session.variables.decode(session.variables.suggest(trial)), origin=origin_of(trial))
        )
        asked = time.perf_counter() - began
        key = plan.run if room == "finalists" else plan.key
        if earlier := ledger.find(key, room):
            return ledger.copy(trial, earlier)

        def stepped(done: int, of: int) -> None:
            obey()
            display.step(done, of)
            on_step(plan, done, of)

        network = None
        if room == "finalists":
            record = run_finalist(session, plan, given.ranks if given else None, stepped)
        else:
            network, record = _run_short(session, plan, room, stepped)
        if earlier := ledger.find(key, room):  # another was at it at the same time, and quicker: it counts once
            return ledger.copy(trial, earlier)
        if network is not None and room == "trials":
            history = ledger.history(rooms=["trials"])
            session.store.keep(record, network, rank_file(history.study, number, record), history)
        measured.append((plan, record))
        return ledger.finish(trial, record)

    if not run_one(study, objective, catch=TRANSIENT):
        return Outcome(failed=study.get_trials(deepcopy=False)[number].user_attrs.get("reason", ""))
    for plan, record in measured:
        if room == "finalists":
            forget(session, plan)
        history = ledger.history(rooms={"trials", room})
        session.store.prune(history, ledger.find)
        display.finished(history, record, number, room)
    return Outcome(copy=not measured, asking=asked, seconds=time.perf_counter() - began)


def _run_short(
    session: Session, plan: Plan, room: Room, on_step: OnStep
) -> tuple[nn.Module | None, TrialRecord]:  # fmt: skip
    """A trial of the search, or a baseline."""
    start, bases = session.start(plan.recipe.init)
    return run_trial(
        session.subject,
        bases,
        plan,
        session.form,
        network=start,
        on_step=on_step,
        hopeless=judge(session, plan),
        looks=session.looks if room == "trials" else None,
        timed=session.timed,
    )


def _in_a_row(failures: int, outcome: Outcome) -> int:
    """Failures in a row after one more trial; raises where they are too many, with the reason of the last."""
    failures = failures + 1 if outcome.failed else 0
    if failures >= FAILURES_IN_A_ROW:
        raise RepeatedFailureError(f"{failures} trials in a row failed, the last with: {outcome.failed}")
    return failures
