"""Trials whose worker is gone: found, ended, and queued again with the same values, at most twice."""

import os
import signal
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext, suppress
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
import optuna
import psutil
from optuna.exceptions import ExperimentalWarning, UpdateFinishedTrialError
from optuna.storages import RDBStorage
from optuna.trial import FrozenTrial, TrialState

from .printable import printable

GRACE = (
    300  # seconds without a beat after which another host's trial counts as abandoned; longer than any outage survived
)
RETRIES = 2  # times that a lost trial is queued again
LEAVE = [getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGUSR1") if hasattr(signal, name)]


class Worker(msgspec.Struct, frozen=True):
    """The process that runs a trial: its host, number and start (seconds since 1970)."""

    host: str
    pid: int
    started: float

    @staticmethod
    def current() -> "Worker":
        return _worker(os.getpid())

    @property
    def plain(self) -> dict[str, Any]:
        return msgspec.structs.asdict(self)

    @property
    def gone(self) -> bool:
        """Whether that process certainly no longer exists; of another host's nothing is certain."""
        if self.host != _host():
            return False
        try:
            process = psutil.Process(self.pid)
            # a reused number belongs to a process that started at another time; clocks are adjusted by seconds
            return process.status() == psutil.STATUS_ZOMBIE or abs(process.create_time() - self.started) > 10
        except psutil.NoSuchProcess:
            return True
        except psutil.AccessDenied:
            return False


@cache
def _host() -> str:
    """The machine's name, its boot, and the namespace of its process numbers: images and containers share names, and
    outside of containers one namespace's number is every machine's."""
    told = [socket.gethostname()]
    with suppress(OSError):
        told.append(Path("/proc/sys/kernel/random/boot_id").read_text().strip())
    with suppress(OSError):
        told.append(os.readlink("/proc/self/ns/pid"))
    return " ".join(told)


@cache
def _worker(pid: int) -> Worker:
    return Worker(_host(), pid, psutil.Process(pid).create_time())


def worker_of(trial: FrozenTrial) -> Worker | None:
    """Who runs or ran a trial; ``None`` where it was killed before it could say."""
    plain = trial.user_attrs.get("worker")
    return None if plain is None else msgspec.convert(printable(plain), Worker)


def queue_again(study: optuna.Study, trial: FrozenTrial, lost: bool = True) -> bool:
    """Puts the values, the plan and the origin of a failed trial back into the queue.

    Args:
        lost: counts towards the two times that a trial may be lost; one that its own worker handed back does not.

    Returns:
        Whether it was queued: not where it was lost too often, or before anything was chosen.
    """
    retries = trial.user_attrs.get("retries", 0) + lost
    values = {**trial.system_attrs.get("fixed_params", {}), **trial.params}
    kept = {k: v for k, v in trial.user_attrs.items() if k in ("origin", "plan")}
    if retries > RETRIES or not (values or kept):
        return False
    study.enqueue_trial(values, user_attrs={**kept, "retry_of": trial.number, "retries": retries})
    return True


def withdraw(study: optuna.Study, trial: FrozenTrial, reason: str) -> bool:
    """Ends a trial that waits in the queue; not where somebody has taken it meanwhile."""
    try:
        taken = study._storage.set_trial_state_values(trial._trial_id, TrialState.RUNNING)
    except UpdateFinishedTrialError:
        return False
    if taken:
        study._storage.set_trial_user_attr(trial._trial_id, "reason", reason)
    return taken and _fail(study, trial)


def reap(study: optuna.Study) -> list[int]:
    """Fails the trials whose worker is gone and queues them again; to be called between two trials.

    A worker of this host is gone when its process is; of another host, or when it left no name, after
    :data:`GRACE` without a sign. A trial that *this* process runs is one that it was stopped in.

    Returns:
        Numbers of the trials that this call ended on this host.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ExperimentalWarning)
        optuna.storages.fail_stale_trials(study)
    ended = []
    for trial in study.get_trials(deepcopy=False, states=(TrialState.RUNNING,)):
        worker, mine = worker_of(trial), Worker.current()
        if worker and (worker.gone or worker == mine) and _fail(study, trial):
            queue_again(study, trial, lost=worker != mine)
            ended.append(trial.number)
    return ended


def reconcile(study: optuna.Study, worker: Worker | None = None) -> list[int]:
    """Queues again what failed without a reason and has no successor: who ended it had no time to, or is about to; the
    storage gives a lost trial one successor only.

    Args:
        worker: whose trials; everybody's by default.

    Returns:
        Numbers of the failed trials that were queued again.
    """
    trials = study.get_trials(deepcopy=False)
    succeeded = {t.user_attrs.get("retry_of") for t in trials}
    lost = [t for t in trials if t.state == TrialState.FAIL and "reason" not in t.user_attrs]
    return [
        t.number
        for t in lost
        if t.number not in succeeded
        and worker in (None, worker_of(t))
        and queue_again(study, t, lost=worker_of(t) != Worker.current())
    ]


def hand_back(study: optuna.Study) -> list[int]:
    """Queues again the trial that this process was stopped in, by Ctrl-C for instance; for the worker to call last.

    A second Ctrl-C, or the SIGTERM that follows a scheduler's first signal, does not come between, unless the storage
    is out of reach: that may last.
    """
    out = getattr(_storage(study), "outage", None) is not None
    with nullcontext() if out else _undisturbed():
        _connect_anew(study)
        return reap(study) + reconcile(study, Worker.current())


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Who asks this process to leave is not heeded: it is leaving."""
    if threading.current_thread() is not threading.main_thread():  # which alone is told of signals
        yield
        return
    before = {number: signal.signal(number, signal.SIG_IGN) for number in LEAVE}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _connect_anew(study: optuna.Study) -> None:
    """Drops the connections that were interrupted: one in the middle of a read stays where it was, and SQLite lets
    nobody write who has not seen what others wrote since (SQLITE_BUSY_SNAPSHOT)."""
    storage = _storage(study)
    if isinstance(storage, RDBStorage):
        storage.scoped_session.remove()
        storage.engine.dispose()


def _storage(study: optuna.Study) -> optuna.storages.BaseStorage:
    """Below Optuna's cache."""
    return getattr(study._storage, "_backend", study._storage)


def _fail(study: optuna.Study, trial: FrozenTrial) -> bool:
    """Whether it was this call that ended the trial."""
    try:
        return study._storage.set_trial_state_values(trial._trial_id, TrialState.FAIL)
    except UpdateFinishedTrialError:
        return False
