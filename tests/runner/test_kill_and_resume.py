"""A search that is killed or stopped in the middle of a trial: the same command goes on."""

import signal
import sqlite3
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from ranksearch.records import StudyHistory, Trial

Command = Callable[..., Any]
Start = Callable[..., subprocess.Popen[str]]
Read = Callable[[Path], StudyHistory]

STATES = "SELECT state FROM trials JOIN studies USING (study_id) WHERE study_name = 'bars'"  # not the turns of founding
LONG = {"images": 64 * 100}  # a trial long enough to be hit in the middle


def until_one_runs(path: Path, process: subprocess.Popen[str], finished: int = 2) -> None:
    """Waits until ``finished`` trials are finished and another has run for a moment."""
    database = path.with_suffix(".db")
    for _ in range(6000):
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)
        if database.exists():
            with sqlite3.connect(f"file:{database}?mode=ro", uri=True) as connection:
                try:
                    states = [s for (s,) in connection.execute(STATES)]
                except sqlite3.OperationalError:  # no tables yet
                    continue
            if states.count("COMPLETE") >= finished and "RUNNING" in states:
                time.sleep(0.1)
                return
    raise AssertionError("no trial ran within two minutes")


def finished(history: StudyHistory) -> dict[int, Trial]:
    return {t.number: t for t in history.finished()}


def goes_on(path: Path, before: StudyHistory, ranksearch: Command, history_of: Read) -> None:
    """Runs the same command to its end: nothing finished is lost or measured again, the budget is exact."""
    left = ranksearch("search", path)
    assert (left.code, left.err) == (0, "")
    after = history_of(path)
    assert finished(before).items() <= finished(after).items()
    assert len(finished(after)) == 5
    assert len({t.record.key for t in after.finished() if t.record}) == 5
    assert "running" not in {t.state for t in after.trials}


def test_kill_9(write: Command, start: Start, ranksearch: Command, history_of: Read) -> None:
    path = write(training=LONG, search={"trials": 5})
    process = start("search", path)
    until_one_runs(path, process)
    process.kill()
    process.wait()
    before = history_of(path)
    (lost,) = [t for t in before.trials if t.state == "running"]
    assert len(before.finished()) >= 2
    goes_on(path, before, ranksearch, history_of)
    after = history_of(path)
    assert next(t for t in after.trials if t.number == lost.number).state == "failed"
    # what was lost was queued again and is among the finished: all six closed-form seeds but one came first
    assert {t.record.origin for t in after.finished() if t.record} == {"closed form"}


@pytest.mark.parametrize(
    ("sent", "code", "told"),
    [
        (signal.SIGINT, 130, "ranksearch: stopped; the same command goes on\n"),
        pytest.param(signal.SIGTERM, 143, "", marks=pytest.mark.slow),
        pytest.param(signal.SIGUSR1, 143, "", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_search_hands_its_trial_back(
    sent: signal.Signals, code: int, told: str, write: Command, start: Start, ranksearch: Command, history_of: Read
) -> None:
    path = write(training=LONG, search={"trials": 5})
    process = start("search", path)
    until_one_runs(path, process)
    process.send_signal(sent)
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (code, told)
    before = history_of(path)
    assert "running" not in {t.state for t in before.trials}
    assert [t.state for t in before.trials].count("waiting") == 6 - len(before.finished())  # seeds, all of them
    goes_on(path, before, ranksearch, history_of)


@pytest.mark.slow
def test_told_to_stop_again_and_again_it_hands_its_trial_back_all_the_same(
    write: Command, start: Start, history_of: Read
) -> None:
    """A scheduler signals every process of a job, and its script, or a launcher, passes on what it gets."""
    path = write(training=LONG, search={"trials": 5})
    process = start("search", path)
    until_one_runs(path, process)
    while process.poll() is None:
        process.terminate()
        time.sleep(0.002)
    assert (process.returncode, process.communicate()[1]) == (143, "")
    assert "running" not in {t.state for t in history_of(path).trials}
