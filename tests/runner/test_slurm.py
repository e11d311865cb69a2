"""The recipe for Slurm on a real Slurm: Debian's, two nodes on this machine, on loopback, as whoever runs the test."""

import getpass
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest

from ranksearch.records import StudyHistory
from ranksearch.study import AtWork, Ledger, open_storage, opened_file

pytestmark = pytest.mark.slow

RECIPE = Path(__file__).parents[2] / "studies" / "cluster" / "slurm.sbatch"
DAEMONS = {
    "munged": "--foreground --force --socket={folder}/munge --key-file={folder}/munge.key --pid-file={folder}/munge.pid"
    " --log-file={folder}/munge.log --seed-file={folder}/munge.seed",
    "slurmctld": "-D -c",
    "slurmd -N one": "-D",
    "slurmd -N two": "-D",
}
# cred_expire is what a requeued task waits: 120 seconds unless told otherwise, and at least 5
CONFIGURATION = """
ClusterName=test
SlurmctldHost=localhost
SlurmctldPort={ports[0]}
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
AuthInfo=socket={folder}/munge,cred_expire=5
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
SchedulerParameters=sched_interval=2,bf_interval=2
StateSaveLocation={folder}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/%n.pid
SlurmdSpoolDir={folder}/%n
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
MpiDefault=none
MailProg=/bin/true
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
NodeName=one NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[1]}
NodeName=two NodeHostname=localhost NodeAddr=127.0.0.1 Port={ports[2]}
PartitionName=all Nodes=one,two Default=YES
"""

BUDGET = 10  # trials

Command = Callable[..., Any]


@dataclass(frozen=True)
class Cluster:
    """Slurm's commands, and its nodes' environment."""

    environment: dict[str, str]

    def __call__(self, *command: object) -> str:
        left = subprocess.run([*map(str, command)], env=self.environment, capture_output=True, text=True)
        assert left.returncode == 0, left.stderr
        return left.stdout

    def submit(self, study: Path, folder: Path) -> str:
        """The recipe as an array of two; its number."""
        small = ["--array=0-1", "--cpus-per-task=1", "--mem=0", f"--chdir={folder}", f"--output={study.parent}/%a.log"]
        return self("sbatch", "--parsable", *small, RECIPE, study).strip()

    def tasks(self, array: str) -> list[tuple[str, str]]:
        """How both tasks ended and how often they were started again, once both have ended."""
        wait_for(lambda: not self("squeue", "--noheader"), 240)
        shown = self("scontrol", "show", "job", array)
        return list(zip(re.findall(r"JobState=(\w+)", shown), re.findall(r"Restarts=(\d+)", shown), strict=True))


def wait_for(found: Callable[[], Any], seconds: float) -> Any:
    """What ``found`` finds, when it does."""
    until = time.monotonic() + seconds
    while not (now := found()):
        assert time.monotonic() < until, f"nothing within {seconds} s"
        time.sleep(0.1)
    return now


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}:/usr/sbin"
    missing = [p for p in ("munged", "slurmctld", "slurmd", "sbatch") if not shutil.which(p, path=path)]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"no Slurm: {', '.join(missing)}")
    folder = tmp_path_factory.mktemp("slurm")
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(3)]
    ports = [s.getsockname()[1] for s in sockets]
    for s in sockets:
        s.close()
    configuration = folder / "slurm.conf"
    configuration.write_text(CONFIGURATION.format(folder=folder, ports=ports, user=getpass.getuser()))
    key = folder / "munge.key"
    key.touch(0o600)
    key.write_bytes(os.urandom(128))
    running = Cluster(os.environ | {"PATH": path, "SLURM_CONF": str(configuration)})
    daemons = []
    try:
        for name, options in DAEMONS.items():
            with (folder / f"{name.split()[-1]}.out").open("w") as log:
                command = [*name.split(), *options.format(folder=folder).split()]
                daemons.append(subprocess.Popen(command, env=running.environment, stdout=log, stderr=log))
            if name == "munged":
                wait_for((folder / "munge").exists, 30)
        wait_for(lambda: running("sinfo", "--noheader", "--format=%D %t").split() == ["2", "idle"], 60)
        yield running
    finally:
        with suppress(AssertionError):  # a controller that never came up
            running("scancel", "--user", getpass.getuser())
            wait_for(lambda: not running("squeue", "--noheader"), 60)
        for daemon in reversed(daemons):
            daemon.terminate()
            daemon.wait(60)


@pytest.fixture
def study(write: Command) -> Path:
    """Nobody has made it yet; its trials are long enough to be hit in the middle."""
    return write(training={"images": 64 * 200}, search={"trials": BUDGET}, screen={"share": 0})


def both_at_work(study: Path) -> list[AtWork]:
    """Two running trials of two workers, when there are."""
    file = opened_file(study, {})
    ledger = Ledger(open_storage(file.storage_url), file.name)

    def working() -> list[AtWork]:
        now = ledger.at_work() if ledger.exists else []
        return now if len(now) == 2 and all(w.worker for w in now) else []

    return wait_for(working, 240)


def test_tasks_whose_worker_is_killed_or_told_to_stop_come_back_and_meet_the_budget(
    cluster: Cluster, study: Path, ground: Path, history_of: Callable[[Path], StudyHistory]
) -> None:
    array = cluster.submit(study, ground)
    killed, told = (w.worker.pid for w in both_at_work(study) if w.worker)
    task = psutil.Process(told).environ()["SLURM_ARRAY_TASK_ID"]
    os.kill(killed, signal.SIGKILL)
    cluster("scancel", "--batch", "--signal=TERM", f"{array}_{task}")  # what --signal=B: sends before the time limit
    assert cluster.tasks(array) == [("COMPLETED", "1")] * 2
    history = history_of(study)
    assert len({t.record.key for t in history.finished() if t.record}) == len(history.finished()) >= BUDGET
    states = [t.state for t in history.trials]
    assert states.count("failed") in (1, 2)  # the two that were hit; one may just have ended
    assert "running" not in states


def test_cancelled_tasks_stay_away_and_hand_their_trials_back(
    cluster: Cluster, study: Path, ground: Path, history_of: Callable[[Path], StudyHistory]
) -> None:
    array = cluster.submit(study, ground)
    both_at_work(study)
    cluster("scancel", array)
    assert cluster.tasks(array) == [("CANCELLED", "0")] * 2
    history = history_of(study)
    assert len(history.finished()) < BUDGET
    assert "running" not in {t.state for t in history.trials}
