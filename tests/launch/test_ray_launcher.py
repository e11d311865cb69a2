"""Workers on a real Ray cluster of several nodes, on this machine, over a real PostgreSQL."""

import importlib.util
import io
import os
import secrets
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil
import pytest
from optuna.trial import FrozenTrial, TrialState
from rich.console import Console

from ranksearch.launch.placement import LauncherError, Left, Placement, Polled
from ranksearch.launch.ray_launcher import ray_launcher
from ranksearch.progressive import attach
from ranksearch.runner.founding import found_study
from ranksearch.runner.session import open_session
from ranksearch.study import Ledger, StudyFile, opened_file

pytestmark = pytest.mark.slow

MEMORY = 80 * 2**20  # bytes of each node's object store
FACTORY = """
import os, time
from pathlib import Path
from torch import nn
import barnet

class Watched(nn.Sequential):
    \"\"\"Its training waits while the file ``hold`` exists; with ``deadly`` parameters it kills its process.\"\"\"

    def forward(self, x):
        here = Path(__file__).parent
        while self.training and (here / "hold").exists():
            time.sleep(0.02)
        if self.training and (here / "deadly").exists():
            if sum(p.numel() for p in self.parameters()) == int((here / "deadly").read_text()):
                os._exit(9)
        return super().forward(x)

def make():
    return Watched(*barnet.make())
"""


@pytest.fixture(autouse=True, scope="module")
def _private(place: Callable[[], Path]) -> Iterator[None]:
    """Ray stays on loopback, and writes nothing into the user's home or beside other Rays' files."""
    if importlib.util.find_spec("ray") is None:
        (pytest.fail if os.environ.get("CI") else pytest.skip)('no Ray: pip install "ranksearch[ray]"')
    folder = place()
    with pytest.MonkeyPatch.context() as patch:
        for variable, value in {
            "RAY_USAGE_STATS_ENABLED": "0",
            "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",
            "RAY_AUTH_MODE": "token",
            "RAY_AUTH_TOKEN": secrets.token_hex(16),
            "RAY_AUTH_TOKEN_PATH": str(folder / "token"),
            "RAY_TMPDIR": str(folder),
        }.items():
            patch.setenv(variable, value)
        yield


@pytest.fixture(scope="module")
def factory(ground: Path) -> Path:
    """The folder of the module ``watchnet``."""
    (ground / "watchnet.py").write_text(FACTORY)
    return ground


@pytest.fixture(scope="module")
def cluster(factory: Path) -> Iterator[Any]:
    """A head without CPUs and two nodes of one CPU; a test leaves as many as it found."""
    from ray.cluster_utils import Cluster

    with pytest.MonkeyPatch.context() as patch:  # where the workers find the module
        patch.setenv("PYTHONPATH", str(factory), prepend=os.pathsep)
        head = {"num_cpus": 0, "object_store_memory": MEMORY, "include_dashboard": False}
        running = Cluster(initialize_head=True, head_node_args=head)
        for _ in range(2):
            running.add_node(num_cpus=1, object_store_memory=MEMORY)
        yield running
        running.shutdown()


@dataclass(frozen=True)
class Run:
    """A study that was made, its books, and the file that holds its trials."""

    study: StudyFile
    ledger: Ledger
    hold: Path

    @property
    def trials(self) -> list[FrozenTrial]:
        return self.ledger.study().get_trials(deepcopy=False)

    def at_work(self) -> set[int]:
        """Process numbers of the living workers that run a trial."""
        return {one.worker.pid for one in self.ledger.at_work() if one.worker and not one.gone}

    def until_at_work(self, number: int, but: frozenset[int] = frozenset()) -> frozenset[int]:
        """The workers, as soon as so many others than ``but`` run a trial."""
        until(lambda: len(self.at_work() - but) >= number, f"{number} workers at work")
        return frozenset(self.at_work())


Make = Callable[..., Run]


@pytest.fixture
def hold(factory: Path) -> Iterator[Path]:
    """The file, not there yet; neither is it, nor ``deadly``, after the test."""
    yield factory / "hold"
    for name in ("hold", "deadly"):
        (factory / name).unlink(missing_ok=True)


@pytest.fixture
def make(hold: Path, postgresql: str, write: Callable[..., Path]) -> Make:
    """Makes a study on PostgreSQL whose trials wait until ``hold`` is removed."""

    def made(trials: int) -> Run:
        path = write(
            network={"model": "watchnet:make"},
            training={"images": 64, "init": "decomposition"},
            search={"trials": trials, "sampler": "random"},
            screen={"share": 0},
        )
        study = opened_file(path, {"storage": postgresql})
        session = open_session(study)
        found_study(session)
        hold.touch()
        return Run(study, session.ledger, hold)

    return made


def until(condition: Callable[[], bool], what: str, seconds: float = 90) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"not within {seconds:.0f} s: {what}"
        time.sleep(0.3)


def slots() -> list[int]:
    """Process numbers of the tasks that are workers, on all nodes."""
    return [p.pid for p in psutil.process_iter(["cmdline"]) if "ray::work_in_slot" in " ".join(p.info["cmdline"] or [])]


@contextmanager
def launched(cluster: Any, run: Run, number: int, said: io.StringIO | None = None) -> Iterator[Polled]:
    cluster.wait_for_nodes()  # of one that was killed Ray learns after seconds, and counts its room until then
    console = Console(file=said or io.StringIO(), width=200)
    with ray_launcher(run.study, Placement("ray", cluster.address), console) as start:
        yield start(number, {})


def settle(run: Run, poll: Polled, workers: int) -> None:
    """Lets the trials go, waits for the workers, and looks at what they left."""
    run.hold.unlink()
    until(lambda: None not in poll(), "all workers left")
    assert poll() == [Left(0)] * workers
    require_settled(run, workers)


def require_settled(run: Run, workers: int) -> None:
    """The budget of distinct configurations, each lost trial finished by a successor, nothing running."""
    records = [t.record for t in run.ledger.history().finished() if t.record]
    distinct = {record.key for record in records if record.copy_of is None}
    assert run.study.search.trials <= len(distinct) < run.study.search.trials + workers
    assert TrialState.RUNNING not in {t.state for t in run.trials}
    again = {t.number: t.user_attrs["retry_of"] for t in run.trials if "retry_of" in t.user_attrs}
    assert sorted(again.values()) == [t.number for t in run.trials if t.state == TrialState.FAIL]
    assert {run.trials[number].state for number in again} <= {TrialState.COMPLETE, TrialState.FAIL}
    until(lambda: not slots(), "no worker process", seconds=10)


def test_a_killed_worker_is_back_and_a_killed_node_replaced(cluster: Any, make: Make) -> None:
    run = make(trials=8)
    with launched(cluster, run, 2) as poll:
        first = run.until_at_work(2)
        os.kill(min(first), signal.SIGKILL)
        second = run.until_at_work(1, but=first)
        cluster.remove_node(next(iter(cluster.worker_nodes)), allow_graceful=False)
        until(lambda: len(run.at_work()) == 1, "the node's worker is gone")
        cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        run.until_at_work(1, but=first | second)
        settle(run, poll, 2)
    assert [t.state for t in run.trials].count(TrialState.FAIL) == 2


def test_a_slot_without_room_starts_when_a_node_joins(cluster: Any, make: Make) -> None:
    run, said = make(trials=7), io.StringIO()
    with launched(cluster, run, 3, said) as poll:
        assert said.getvalue().startswith("Ray has room for 2 of 3 workers of 1 CPU; the others start as nodes join")
        run.until_at_work(2)
        node = cluster.add_node(num_cpus=1, object_store_memory=MEMORY)
        run.until_at_work(3)
        settle(run, poll, 3)
    cluster.remove_node(node)


def test_a_configuration_that_kills_its_worker(cluster: Any, make: Make, factory: Path) -> None:
    run = make(trials=12)
    session = open_session(run.study)
    deadly = attach(session.subject.network, session.bases, session.variables.allocate(6.0, {}, {}))
    (factory / "deadly").write_text(str(sum(p.numel() for p in deadly.parameters())))
    run.hold.unlink()
    with launched(cluster, run, 2) as poll:
        until(lambda: None not in poll(), "all workers left")
        assert poll() == [Left(0)] * 2
    assert run.ledger.counts().finished >= 12
    died = [t for t in run.trials if t.state == TrialState.FAIL]
    assert [t.user_attrs.get("retries", 0) for t in died] == [0, 1, 2]
    assert len({tuple(t.params.values()) for t in died}) == 1


def test_a_killed_driver_is_run_again(cluster: Any, make: Make, start: Callable[..., subprocess.Popen[str]]) -> None:
    run = make(trials=7)
    options = ["--launcher", "ray", "--address", cluster.address, "--storage", run.study.storage_url]
    command = ["search", run.study.path, *options, "--workers", 2]
    killed = start(*command)
    first = run.until_at_work(2)
    killed.kill()
    until(lambda: not slots(), "the workers went with the driver", seconds=20)
    assert [t.state for t in run.trials].count(TrialState.RUNNING) == 2

    again = start(*command)
    run.until_at_work(2, but=first)
    run.hold.unlink()
    out, err = again.communicate(timeout=120)
    assert (again.returncode, err) == (0, "")
    assert out.count("\ntrial ") == len(run.ledger.history().finished())
    require_settled(run, 2)


def test_sqlite_is_refused_on_several_nodes(cluster: Any, write: Callable[..., Path]) -> None:
    study = opened_file(write(), {})
    law = r"the Ray cluster has 3 nodes, and search.storage = 'sqlite' is SQLite"
    with pytest.raises(LauncherError, match=law), ray_launcher(study, Placement("ray", cluster.address), Console()):
        pass


def test_ctrl_c_ends_a_ray_of_this_machine(
    hold: Path, write: Callable[..., Path], start: Callable[..., subprocess.Popen[str]]
) -> None:
    path = write(network={"model": "watchnet:make"}, training={"images": 64, "init": "decomposition"})
    session = open_session(opened_file(path, {}))
    found_study(session)
    ledger = session.ledger
    hold.touch()
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("RAY_AUTH_MODE", "RAY_AUTH_TOKEN", "RAY_AUTH_TOKEN_PATH", "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER"):
            patch.delenv(variable)
        patch.setenv("HOME", str(path.parent))
        process = start("search", path, "--launcher", "ray")
        until(lambda: bool(ledger.at_work()), "a worker", seconds=60)
    children = [p for p in psutil.Process(process.pid).children(recursive=True) if "ray" in " ".join(p.cmdline())]
    listening = {c.laddr.ip for p in children for c in p.net_connections() if c.status == psutil.CONN_LISTEN}
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (130, "ranksearch: stopped; the same command goes on\n")
    assert listening
    assert all(address.removeprefix("::ffff:") in ("127.0.0.1", "::1") for address in listening)
    until(lambda: not any(p.is_running() for p in children), "Ray is gone", seconds=10)
    assert not (path.parent / ".ray").exists()  # no token in the user's home
    lost, *others = [t for t in ledger.study().get_trials(deepcopy=False) if t.state != TrialState.WAITING]
    assert (lost.state, others) == (TrialState.FAIL, [])
    assert [t.user_attrs["retries"] for t in ledger.study().trials if "retries" in t.user_attrs] == [0]
