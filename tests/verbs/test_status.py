"""The verb ``status``: states, pace, time left, and who is at work."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest

from ranksearch.records import Trial
from ranksearch.study import AtWork, Ledger, Worker, open_storage, opened_file
from ranksearch.verbs.status import LATELY, line, pace

Command = Callable[..., Any]


def test_a_study_is_told_from_its_storage(write: Command, ranksearch: Command) -> None:
    path = write(search={"trials": 2})
    left = ranksearch("status", path)
    assert left.code == 2
    assert "no such study yet" in left.err
    assert ranksearch("search", path).code == 0
    left = ranksearch("status", path)
    assert (left.code, left.err) == (0, "")
    assert "2 of 2" in left.out
    assert "finished: the budget is met" in left.out
    assert (
        "no trial is left: 2 finished, 2 asked for; a larger number of trials goes on" in ranksearch("search", path).out
    )
    assert "hypervolume" in left.out

    assert ranksearch("search", path, "--trials", 3).code == 0
    assert "3 of 3" in ranksearch("status", path).out  # what the search was given, not what the file says
    write(search={"trials": 6})
    assert "nobody is at work on the 3 that are left" in ranksearch("status", path).out
    Ledger(open_storage(opened_file(path, {}).storage_url), "bars").study().ask()
    out = ranksearch("status", path).out
    assert "per trial lately, 3 to go: about" in out
    assert f"process {Worker.current().pid} on" in out


def test_a_stage_is_work_too(write: Command, ranksearch: Command) -> None:
    path = write()
    ledger = Ledger(open_storage(opened_file(path, {}).storage_url), "bars")
    told: list[str] = []
    ledger.once("founding", lambda: bool(told), lambda: told.append(ranksearch("status", path).out))
    assert "bars is being made" in told[0]
    assert "the first minute, for 0." in told[0]
    assert f" s: process {Worker.current().pid} on" in told[0]
    told.clear()
    assert ranksearch("search", write(search={"trials": 1})).code == 0
    write(search={"trials": 2})
    ledger.once("screening", lambda: bool(told), lambda: told.append(ranksearch("status", path).out))
    assert "screen, for" in told[0]
    assert "nobody" not in told[0]


def ended(seconds: float) -> Trial:
    return Trial(number=0, state="complete", finished=datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds))


def test_the_pace_is_that_of_the_last_trials() -> None:
    assert pace([]) is None
    assert pace([ended(3)]) is None
    assert pace([ended(10), ended(0), ended(4)]) == pytest.approx(5)
    slow = [ended(-1000 * i) for i in range(1, 5)]
    assert pace(slow + [ended(2 * i) for i in range(LATELY)]) == pytest.approx(2)


def test_a_pause_is_no_pace() -> None:
    def ran(start: float, end: float) -> Trial:
        return msgspec.structs.replace(ended(end), started=ended(start).finished)

    night = [ran(0, 4), ran(4, 8), ran(10_000, 10_004)]
    assert pace(night) == pytest.approx(4)
    two_at_a_time = [ran(0, 4), ran(2, 6), ran(4, 8), ran(6, 10)]
    assert pace(two_at_a_time) == pytest.approx(2)


@pytest.mark.parametrize(
    ("worker", "silent", "told"),
    [
        (None, None, "trial 4, for 1 min 5 s: its worker has not said who it is"),
        (Worker("there pid:[1]", 7, 0.0), None, "trial 4, for 1 min 5 s: process 7 on there, no sign yet"),
        (Worker("there", 7, 0.0), 12.0, "trial 4, for 1 min 5 s: process 7 on there, last sign 12.0 s ago"),
        (Worker(Worker.current().host, 2**22 + 1, 0.0), 1.0, "is gone; the next worker queues it again"),
    ],
)
def test_a_running_trial_in_one_line(worker: Worker | None, silent: float | None, told: str) -> None:
    assert told in line(AtWork("trials", 4, worker, 65.0, silent))


def test_paths_are_not_needed(write: Command, ranksearch: Command, tmp_path: Path) -> None:
    """Neither network nor data are read: they may be on the workers' machines only."""
    path = write(search={"trials": 2})
    assert ranksearch("search", path).code == 0
    text = path.read_text()
    path.write_text(text.replace("barnet:make", "elsewhere:make").replace('bars"', 'nowhere"'))
    assert ranksearch("status", path).code == 0
