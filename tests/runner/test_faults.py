"""Eight workers on one PostgreSQL: killed, told to stop, frozen and woken, the database restarted and cut off.

The environment variable RANKSEARCH_CHANCE seeds the order and the moments of the faults;
``tests/benchmarks/fault_rounds.py`` repeats these tests with one seed after another.
"""

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest
import sqlalchemy
import torch
from optuna.trial import FrozenTrial, TrialState

from ranksearch.artifacts.take_away import rank_file
from ranksearch.pareto import dominates
from ranksearch.records import StudyHistory
from ranksearch.runner.founding import found_study
from ranksearch.runner.session import Session, open_session
from ranksearch.runner.worker import IDLE
from ranksearch.study import opened_file
from ranksearch.subject.trial import run_trial

from ..study.forwarding import Forwarder
from ..study.test_servers import outage
from .crew import GRACE, HURRIED, UNHURRIED, Crew

Write = Callable[..., Path]


@pytest.fixture
def forwarder(postgresql: str) -> Iterator[Forwarder]:
    forwarder = Forwarder(f"{sqlalchemy.make_url(postgresql).query['host']}/.s.PGSQL.5432")
    yield forwarder
    forwarder.close()


@pytest.fixture
def chance() -> random.Random:
    return random.Random(int(os.environ.get("RANKSEARCH_CHANCE", "0")))


@pytest.fixture
def session(write: Write, postgresql: str, budget: int, images: int) -> Iterator[Session]:
    """The study, made on an empty database; on one thread, as its workers."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    path = write(training={"images": images, "init": "decomposition"}, search={"trials": budget, "sampler": "random"})
    session = open_session(opened_file(path, {"storage": postgresql}))
    found_study(session)
    yield session
    torch.set_num_threads(threads)


@pytest.fixture
def crew(
    workers: int,
    program: tuple[str, ...],
    session: Session,
    forwarder: Forwarder,
    postgresql: str,
    ground: Path,
    chance: random.Random,
) -> Iterator[Crew]:
    direct = sqlalchemy.make_url(postgresql)
    forwarded = direct.set(host="127.0.0.1", port=forwarder.port, query={}).render_as_string(hide_password=False)
    crew = Crew(session.study.path, forwarded, postgresql, ground, chance, program)
    crew.start(workers)
    yield crew
    crew.end()


@pytest.mark.slow
@pytest.mark.timeout(2400)
@pytest.mark.parametrize(("workers", "budget", "images", "program"), [(8, 60, 64 * 50, HURRIED)])
def test_eight_workers_and_every_fault(
    workers: int, budget: int, crew: Crew, session: Session, forwarder: Forwarder, server: Any
) -> None:
    chance, began = crew.chance, time.monotonic()
    crew.until(lambda: len(crew.running()) == workers)
    crew.begin()

    def restart() -> None:
        with outage(server, chance.uniform(0.5, 3)):
            pass

    def cut_off() -> None:
        with forwarder.silence(chance.uniform(2, 6), keeps=chance.random() < 0.5):
            pass

    faults = [crew.kill, crew.kill, crew.terminate, restart, cut_off]
    chance.shuffle(faults)
    at = chance.randrange(3)  # the frozen one wakes while there is work left
    for fault in faults[:at]:
        fault()
        crew.rest(chance.uniform(0.2, 2))
    (frozen, given_up), since = crew.freeze(), time.monotonic()
    for fault in faults[at:]:
        crew.rest(chance.uniform(0.2, 2))
        fault()
    crew.until(lambda: time.monotonic() > since + GRACE and crew.running().get(frozen.pid) != given_up)
    crew.wake(frozen)
    assert crew.ledger.counts().finished < budget, "the budget was met before all faults had come: make it larger"
    crew.until(lambda: not crew.alive)

    codes = list(crew.codes.values())
    assert codes.count(-signal.SIGKILL) == 2
    assert [crew.codes[pid] for pid in crew.told] == [128 + signal.SIGTERM]
    assert crew.codes[frozen.pid] == 0
    trials = crew.ledger.study().get_trials(deepcopy=False)
    assert trials[given_up].state == TrialState.FAIL
    ends = chains(trials)
    assert {end.state for end in ends} == {TrialState.COMPLETE}
    require_sound(crew, session, trials, workers)
    print(f"{len(trials)} trials, {len(ends)} retried, {time.monotonic() - began:.0f} s, exit codes {sorted(codes)}")


@pytest.mark.slow
@pytest.mark.parametrize(("workers", "budget", "images", "program"), [(2, 12, 64 * 250, UNHURRIED)])
def test_the_worker_of_the_very_last_trial(workers: int, budget: int, crew: Crew, session: Session) -> None:
    """Two workers, so that none but the other can ask: the budget is met exactly, or not at all.

    A trial takes seconds, so that one can be caught in the middle of it.
    """
    began, at = time.monotonic(), crew.chance.randrange(1, budget // 2)
    crew.until(lambda: crew.ledger.counts().finished >= at)
    held, number = crew.freeze()
    crew.until(lambda: crew.ledger.counts().finished == budget - 1)
    crew.rest(2 * IDLE)
    counts = crew.ledger.counts()
    assert (counts.finished, counts.running, counts.waiting) == (budget - 1, 1, 0)
    held.kill()
    crew.until(lambda: not crew.alive)
    assert sorted(crew.codes.values()) == [-signal.SIGKILL, 0, 0]  # another came for the one that was killed
    trials = crew.ledger.study().get_trials(deepcopy=False)
    (end,) = chains(trials)
    assert (end.user_attrs["retry_of"], end.state) == (number, TrialState.COMPLETE)
    require_sound(crew, session, trials, workers)
    print(f"{len(trials)} trials, 1 retried, {time.monotonic() - began:.0f} s")


def chains(trials: list[FrozenTrial]) -> list[FrozenTrial]:
    """The last trial of each chain of retries; all others of a chain have failed."""
    successors: dict[int, FrozenTrial] = {}
    for trial in trials:
        if (parent := trial.user_attrs.get("retry_of")) is not None:
            assert parent not in successors, f"trial {parent} was queued again twice"
            assert trials[parent].state == TrialState.FAIL
            successors[parent] = trial
    for trial in trials:
        if trial.state == TrialState.FAIL:
            assert "reason" not in trial.user_attrs, trial.user_attrs["reason"]
            chosen = trial.params or trial.system_attrs.get("fixed_params")
            assert trial.number in successors or not chosen, f"trial {trial.number} was lost"
    return [trial for trial in successors.values() if trial.number not in successors]


def require_sound(crew: Crew, session: Session, trials: list[FrozenTrial], workers: int) -> None:
    """The budget is met, everybody has gone, nothing is lost or counted twice, and the front is what it must be."""
    working = [p.info["cmdline"] for p in psutil.process_iter(["cmdline"])]
    assert not [c for c in working if str(crew.path) in (c or [])]
    for process in crew.processes:
        assert "Traceback" not in crew.log(process), crew.log(process)[-5000:]
    assert {t.state for t in trials} <= {TrialState.COMPLETE, TrialState.FAIL}

    history = crew.ledger.history()
    records = {t.number: t.record for t in history.finished() if t.record}
    distinct = {r.key for r in records.values()}
    assert len(distinct) == len(records)
    budget = session.study.search.trials
    assert budget <= len(distinct) < budget + workers
    printed = dict(crew.printed)
    assert len(printed) == len(crew.printed), "a result was counted twice"
    assert printed == {n: f"{r.measured.accuracy:.2%}" for n, r in records.items() if n in printed}
    told_nobody = len(records) - len(printed)  # those that were killed between the database and the line
    assert told_nobody <= list(crew.codes.values()).count(-signal.SIGKILL)
    require_front(history, session, crew.chance)


def require_front(history: StudyHistory, session: Session, chance: random.Random) -> None:
    """The front is that of the recorded configurations, each as it is measured here, one after the other."""
    records = [t.record for t in history.finished() if t.record and not t.record.failure]
    points = {tuple(r.objectives(history.study.objectives)) for r in records}
    front = [(t.number, t.record) for t in history.front() if t.record]
    of_front = [tuple(r.objectives(history.study.objectives)) for _, r in front]
    assert len(set(of_front)) == len(front)
    assert set(of_front) == {p for p in points if not any(dominates(other, p) for other in points)}
    for number, record in front:
        session.store.find(number, rank_file(history.study, number, record))  # raises where it is not kept
    for _, record in chance.sample(front, min(3, len(front))):
        plan = session.plan(record.configuration, record.schedule, record.recipe)
        assert plan.seed == record.seed
        start, bases = session.start(plan.recipe.init)
        _, again = run_trial(session.subject, bases, plan, session.form, network=start)
        assert again.measured.accuracy == pytest.approx(record.measured.accuracy, abs=1.5 / 128)  # an image
        assert again.pivoted == record.pivoted
