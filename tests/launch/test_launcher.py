"""Local workers that share one study and the cores."""

import io
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from ranksearch.errors import RanksearchError, StorageError
from ranksearch.launch.launcher import WorkerDiedError, run_workers
from ranksearch.launch.local_launcher import local_launcher
from ranksearch.launch.placement import Placement
from ranksearch.records import StudyHistory
from ranksearch.runner.founding import found_study
from ranksearch.runner.session import open_session
from ranksearch.study import Ledger, open_storage, opened_file

Command = Callable[..., Any]
Read = Callable[[Path], StudyHistory]


def workers_of(path: Path) -> list[psutil.Process]:
    """Processes that work on the study file."""
    return [
        p
        for p in psutil.process_iter(["cmdline"])
        if "worker" in (p.info["cmdline"] or []) and str(path) in p.info["cmdline"]
    ]


def test_two_workers_share_the_trials_and_the_cores(
    write: Command, ranksearch: Command, history_of: Read, ground: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(ground)  # where the workers find the module barnet
    path = write(training={"images": 64 * 60}, search={"trials": 8, "sampler": "random", "baselines": ["uniform"]})
    left = ranksearch("search", path, "--workers", 2)
    assert (left.code, left.err) == (0, "")
    assert not workers_of(path)
    history = history_of(path)
    records = [t.record for t in history.finished() if t.record]
    assert 8 <= len(records) <= 9  # two that ask at one moment may exceed the budget by one
    assert len({r.key for r in records}) == len(records)
    assert len(history.finished("baselines")) == 4
    assert left.out.count("\ntrial ") == len(records)
    assert left.out.count("\nbaseline ") == 4

    cores = len(psutil.Process().cpu_affinity() or [0])
    assert {r.machine.threads for r in records} == {max(1, cores // 2)}
    trials = Ledger(open_storage(opened_file(path, {}).storage_url), "bars").study().trials
    assert len({t.user_attrs["worker"]["pid"] for t in trials if t.state.name == "COMPLETE"}) == 2


@pytest.mark.slow
def test_stopping_the_parent_stops_its_workers(
    write: Command, start: Callable[..., subprocess.Popen[str]], ranksearch: Command, history_of: Read
) -> None:
    path = write(training={"images": 64 * 300}, search={"trials": 40, "workers": 2})
    process = at_work(start("search", path), path)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err.splitlines()[-1]) == (130, "ranksearch: stopped; the same command goes on")
    assert "Traceback" not in err
    assert not workers_of(path)
    before = history_of(path)
    assert "running" not in {t.state for t in before.trials}
    assert ranksearch("search", path, "--trials", len(before.finished()) + 1, "--workers", 1).code == 0
    assert len(history_of(path).finished()) == len(before.finished()) + 1


@pytest.mark.slow
def test_workers_leave_with_a_parent_that_was_killed(
    write: Command, start: Callable[..., subprocess.Popen[str]], history_of: Read
) -> None:
    path = write(training={"images": 64 * 300}, search={"trials": 40, "workers": 2})
    process = at_work(start("search", path), path)
    process.kill()
    until = time.monotonic() + 60
    while workers_of(path):
        assert time.monotonic() < until
        time.sleep(0.2)
    assert "running" not in {t.state for t in history_of(path).trials}


def at_work(process: subprocess.Popen[str], path: Path) -> subprocess.Popen[str]:
    """A search of two workers, once one of them has finished a trial."""
    assert process.stdout is not None
    for line in process.stdout:
        if line.startswith("trial "):
            break
    assert len(workers_of(path)) == 2
    return process


def leave(monkeypatch: pytest.MonkeyPatch, *codes: int) -> None:
    """Every worker leaves at once, with the next of these exit codes."""
    left, popen = iter(codes), subprocess.Popen
    program = [sys.executable, "-c", "import sys; sys.exit(int(sys.argv[1]))"]
    monkeypatch.setattr(
        "ranksearch.launch.local_launcher.subprocess.Popen", lambda *_, **__: popen([*program, str(next(left))])
    )


@pytest.mark.parametrize(
    ("codes", "error"), [((75, 75), StorageError), ((75, 2), WorkerDiedError), ((2, 0), None), ((0, 75), None)]
)
def test_how_workers_leave(
    codes: tuple[int, int], error: type[RanksearchError] | None, write: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = opened_file(write(training={"images": 64}), {})
    session = open_session(study)
    found_study(session)
    leave(monkeypatch, *codes)
    stream = io.StringIO()

    def launch() -> None:
        console = Console(file=stream, width=200)
        with local_launcher(study, Placement(), console) as start:
            run_workers(start, study, 2, {}, session.ledger, console)

    if error:
        with pytest.raises(error, match="2 of 2 workers left with an error") as told:
            launch()
        assert told.type is error
    else:
        launch()
        died = [code for code in codes if code]
        warning = f"1 of 2 workers left with an error (exit codes {died}); the others met the budget\n"
        assert stream.getvalue() == warning


def test_workers_get_the_minutes_that_are_left(
    write: Command, ranksearch: Command, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: dict[str, float] = {}
    monkeypatch.setattr(
        "ranksearch.verbs.search.run_workers", lambda start, study, n, entries, *_: given.update(entries)
    )
    monkeypatch.setattr("ranksearch.verbs.search.prepare", lambda *_: time.sleep(0.6))
    monkeypatch.setattr("ranksearch.verbs.search.conclude", lambda *_: None)
    assert ranksearch("search", write(), "--workers", 2, "--minutes", 1).code == 0
    assert 0 < given["minutes"] <= 0.99
