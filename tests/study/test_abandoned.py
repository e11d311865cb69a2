import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import optuna
import pytest
import sqlalchemy
from optuna.trial import TrialState

from ranksearch.study import Worker, abandoned, open_storage, run_one
from ranksearch.study.abandoned import (
    GRACE,
    RETRIES,
    hand_back,
    queue_again,
    reap,
    reconcile,
    withdraw,
    worker_of,
)

Together = Callable[..., list[str]]

WORKER = """
import sys, time, optuna
from ranksearch.study import open_storage, run_one
optuna.logging.set_verbosity(optuna.logging.CRITICAL)
study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
def objective(trial):
    trial.suggest_float("x", 0, 1)
    print(trial.number, flush=True)
    time.sleep(600)
run_one(study, objective)
"""


@pytest.fixture
def study(url: str) -> optuna.Study:
    return optuna.create_study(study_name="s", storage=open_storage(url))


@pytest.fixture
def killed(url: str) -> Callable[[optuna.Study], int]:
    """A process takes one trial of the study and is killed by SIGKILL in the middle; the trial's number."""

    def kill(study: optuna.Study) -> int:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parents[2]), "OMP_NUM_THREADS": "1"}
        worker = subprocess.Popen(
            [sys.executable, "-c", WORKER, url], env=environment, stdout=subprocess.PIPE, text=True
        )
        assert worker.stdout is not None
        number = int(worker.stdout.readline())
        trial = study.trials[number]
        assert trial.state == TrialState.RUNNING
        assert reap(study) == []  # it lives
        worker.send_signal(signal.SIGKILL)
        worker.wait()
        return number

    return kill


@pytest.mark.skipif(sys.platform != "linux", reason="a boot has a name on Linux")
def test_machines_of_one_name_are_told_apart() -> None:
    boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    assert boot in Worker.current().host


def test_a_second_signal_does_not_come_between_a_trial_and_the_queue(
    study: optuna.Study, monkeypatch: pytest.MonkeyPatch
) -> None:
    def impatient(*given: Any) -> bool:
        for number in abandoned.LEAVE:
            os.kill(os.getpid(), number)
        return queue_again(*given)

    def stopped(trial: optuna.Trial) -> tuple[float]:
        trial.suggest_float("x", 0, 1)
        raise KeyboardInterrupt

    monkeypatch.setattr(abandoned, "queue_again", lambda study, trial, lost: impatient(study, trial, lost))
    before = [signal.getsignal(number) for number in abandoned.LEAVE]
    with pytest.raises(KeyboardInterrupt):
        run_one(study, stopped)
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert [signal.getsignal(number) for number in abandoned.LEAVE] == before


def test_what_waits_can_be_withdrawn_until_somebody_takes_it(study: optuna.Study) -> None:
    for x in (0.1, 0.2):
        study.enqueue_trial({"x": x})
    first, second = study.trials
    study.ask()
    assert not withdraw(study, first, "not wanted")
    assert withdraw(study, second, "not wanted")
    assert not withdraw(study, second, "not wanted")
    assert [t.state for t in study.trials] == [TrialState.RUNNING, TrialState.FAIL]
    assert study.trials[1].user_attrs["reason"] == "not wanted"
    assert reconcile(study) == []


def _running_under(study: optuna.Study, worker: dict[str, Any] | None, x: float = 0.5) -> int:
    """A trial that some worker left running."""
    attributes = {} if worker is None else {"worker": worker}
    distributions = {"x": optuna.distributions.FloatDistribution(0, 1)}
    study.add_trial(
        optuna.trial.create_trial(
            state=TrialState.RUNNING, params={"x": x}, distributions=distributions, user_attrs=attributes
        )
    )
    return len(study.trials) - 1


GONE = {"host": Worker.current().host, "pid": 2**22 + 1, "started": 0.0}  # above the kernel's largest number
ELSEWHERE = {"host": "elsewhere", "pid": 1, "started": 0.0}


def test_a_killed_worker_loses_no_trial(study: optuna.Study, killed: Callable[[optuna.Study], int]) -> None:
    study.enqueue_trial({"x": 0.25}, user_attrs={"origin": "closed form"})
    assert killed(study) == 0
    assert reap(study) == [0]
    lost, again = study.trials
    assert (lost.state, again.state) == (TrialState.FAIL, TrialState.WAITING)
    assert again.user_attrs == {"origin": "closed form", "retry_of": 0, "retries": 1}
    assert run_one(study, lambda trial: (trial.suggest_float("x", 0, 1),))
    assert study.trials[1].params == {"x": 0.25}
    assert study.trials[1].state == TrialState.COMPLETE
    assert reap(study) == []
    assert reconcile(study) == []


def test_a_trial_is_queued_again_twice_at_most(study: optuna.Study) -> None:
    _running_under(study, GONE)
    for _ in range(RETRIES + 1):
        assert len(reap(study)) == 1
        waiting = [t for t in study.trials if t.state == TrialState.WAITING]
        if waiting:
            assert waiting[0].system_attrs["fixed_params"] == {"x": 0.5}
            study._storage.set_trial_state_values(waiting[0]._trial_id, TrialState.RUNNING)
            study._storage.set_trial_user_attr(waiting[0]._trial_id, "worker", GONE)
    assert [t.state for t in study.trials] == [TrialState.FAIL] * (1 + RETRIES)
    assert reconcile(study) == []


def test_who_is_gone() -> None:
    me = Worker.current()
    assert not me.gone
    assert msgspec.structs.replace(me, started=me.started - 3600).gone  # its number was given to another process
    assert msgspec.structs.replace(me, pid=GONE["pid"]).gone
    assert not Worker(**ELSEWHERE).gone


@pytest.mark.skipif(os.name == "nt", reason="zombies exist on Unix only")
def test_a_zombie_is_gone() -> None:
    child = subprocess.Popen([sys.executable, "-c", "pass"])
    zombie = msgspec.structs.replace(Worker.current(), pid=child.pid, started=time.time())
    for _ in range(100):
        if zombie.gone:
            break
        time.sleep(0.1)
    assert zombie.gone
    child.wait()


def test_other_hosts_are_left_to_their_heartbeat(study: optuna.Study) -> None:
    number = _running_under(study, ELSEWHERE)
    storage = study._storage
    storage.record_heartbeat(study.trials[number]._trial_id)
    assert reap(study) == []
    with storage._backend.engine.begin() as connection:
        late = f"datetime('now', '-{GRACE + 5} seconds')"
        connection.execute(sqlalchemy.text(f"UPDATE trial_heartbeats SET heartbeat = {late}"))
    assert reap(study) == []  # Optuna ended it
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert study.trials[1].user_attrs["retry_of"] == number


def test_a_trial_without_a_name_is_given_the_grace(study: optuna.Study) -> None:
    number = _running_under(study, None)
    assert reap(study) == []
    assert [t.state for t in study.trials] == [TrialState.RUNNING]
    with study._storage._backend.engine.begin() as connection:
        connection.execute(sqlalchemy.text("UPDATE trials SET datetime_start = '2020-01-01 00:00:00.000000'"))
    assert reap(study) == []  # the storage knows that it never beat
    assert [t.state for t in study.trials] == [TrialState.FAIL, TrialState.WAITING]
    assert study.trials[1].user_attrs["retry_of"] == number


def test_what_a_reaper_left_half_done_is_repaired_once(study: optuna.Study) -> None:
    number = _running_under(study, GONE)
    study._storage.set_trial_state_values(study.trials[number]._trial_id, TrialState.FAIL)  # and then it died
    assert reap(study) == []
    assert reconcile(study) == [number]
    assert reconcile(study) == []
    assert study.trials[1].state == TrialState.WAITING


def test_a_lost_trial_has_one_successor_whoever_queues_it(url: str, study: optuna.Study, together: Together) -> None:
    number = _running_under(study, GONE)
    study._storage.set_trial_state_values(study.trials[number]._trial_id, TrialState.FAIL)
    code = """
import optuna
from ranksearch.study import open_storage
from ranksearch.study.abandoned import queue_again
study = optuna.load_study(study_name="s", storage=open_storage(sys.argv[1]))
lost = study.trials[0]
begin()
queue_again(study, lost)
"""
    together(code, url, number=4)
    assert [t.user_attrs.get("retry_of") for t in study.trials] == [None, number]
    study._storage.set_trial_state_values(study.trials[1]._trial_id, TrialState.RUNNING)
    study.tell(1, 0.5)
    assert queue_again(study, study.trials[0])  # late; what is known of the successor stays
    assert [t.state for t in study.get_trials(deepcopy=False)] == [TrialState.FAIL, TrialState.COMPLETE]


def test_what_failed_for_a_reason_is_not_repeated(study: optuna.Study) -> None:
    def fails(trial: optuna.Trial) -> tuple[float]:
        trial.suggest_float("x", 0, 1)
        raise MemoryError("too large")

    assert not run_one(study, fails, catch=(MemoryError,))
    assert reconcile(study) == []
    assert hand_back(study) == []


def test_a_trial_killed_before_anything_was_chosen_is_not_repeated(study: optuna.Study) -> None:
    study.add_trial(optuna.trial.create_trial(state=TrialState.RUNNING, user_attrs={"worker": GONE}))
    assert reap(study) == [0]
    assert len(study.trials) == 1


def test_a_plan_without_variables_is_repeated(study: optuna.Study) -> None:
    study.enqueue_trial({}, user_attrs={"plan": {"a": 1}, "origin": "baseline"})
    trial = study.trials[0]
    assert queue_again(study, trial)
    assert study.trials[1].user_attrs == {"plan": {"a": 1}, "origin": "baseline", "retry_of": 0, "retries": 1}


def test_handing_back_does_not_count_as_a_loss(study: optuna.Study) -> None:
    _running_under(study, Worker.current().plain)
    _running_under(study, ELSEWHERE)
    assert hand_back(study) == [0]
    assert study.trials[2].user_attrs == {"retry_of": 0, "retries": 0}
    assert study.trials[1].state == TrialState.RUNNING
    assert worker_of(study.trials[2]) is None
