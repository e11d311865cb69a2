"""What a running search tells: one line per trial in a log, the time left, the front."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from rich.console import Console

from ranksearch.records import StudyHistory
from ranksearch.terminal.progress import Display, Pace, display, summary


@pytest.fixture
def history(
    write: Callable[..., Path], ranksearch: Callable[..., Any], history_of: Callable[[Path], StudyHistory]
) -> StudyHistory:
    path = write(training={"images": 128}, search={"trials": 3})
    assert ranksearch("search", path).code == 0
    return history_of(path)


def test_the_time_left_is_the_estimate_and_then_this_sessions_own_rate(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = [100.0]
    monkeypatch.setattr("time.monotonic", lambda: clock[0])
    pace = Pace(10, before=4, done=4, began=100.0)
    assert pace.remaining(seconds_per_trial=7.0) == 6 * 7.0
    clock[0] += 30
    pace.done = 6
    assert pace.remaining(seconds_per_trial=7.0) == 4 * 15.0  # two trials in thirty seconds
    pace.done = 12
    assert pace.remaining(seconds_per_trial=7.0) == 0


def test_each_room_has_its_own_total_and_rate(history: StudyHistory, monkeypatch: pytest.MonkeyPatch) -> None:
    record = history.finished()[-1].record
    assert record
    clock = [0.0]
    monkeypatch.setattr("ranksearch.terminal.progress.time.monotonic", lambda: clock[0])
    stream = io.StringIO()
    shows = Display(Console(file=stream), {"trials": Pace(3, before=2, began=0.0), "baselines": Pace(4, began=0.0)})
    clock[0] = 50.0
    shows.finished(history, record, 2)
    for number in range(3):
        clock[0] += 5.0
        one_more = history.trials[: number + 1]
        shows.finished(msgspec.structs.replace(history, baselines=one_more), record, number, "baselines")
    told = [[*line.split("; ")[0].split()[:3], line.split("; ")[1]] for line in stream.getvalue().splitlines()]
    assert told == [
        ["trial", "2:", "3/3", "0.0 s left"],
        ["baseline", "0:", "1/4", "15.0 s left"],  # from the last trial's end, not from the session's beginning
        ["baseline", "1:", "2/4", "10.0 s left"],
        ["baseline", "2:", "3/4", "5.0 s left"],
    ]


def test_a_resumed_study_with_no_trial_left_tells_the_baselines_time(history: StudyHistory) -> None:
    record = history.finished()[-1].record
    assert record
    stream = io.StringIO()
    shows = Display(Console(file=stream), {"trials": Pace(3, before=3), "baselines": Pace(2)})
    shows.finished(msgspec.structs.replace(history, baselines=history.trials[:1]), record, 0, "baselines")
    assert "baseline 0: 1/2" in stream.getvalue()
    assert "-" not in stream.getvalue().split("; ")[1]


def test_a_log_gets_one_line_per_trial_and_a_terminal_a_bar(history: StudyHistory) -> None:
    record = history.finished()[-1].record
    assert record
    for terminal in (False, True):
        stream = io.StringIO()
        console = Console(file=stream, force_terminal=terminal, width=200)
        with display(console, trials=Pace(3, before=2), finalists=Pace(0)) as shows:
            for step in (1, 2):
                shows.step(step, 2)
            shows.finished(history, record, 2)
        text = stream.getvalue()
        if terminal:
            assert "3/3 trials" in text
            assert "finalists" not in text  # nothing to do there
            assert "2/2 steps" in text
        else:
            assert text.count("\n") == 1
            assert text.startswith(f"trial 2: 3/3  {record.measured.accuracy:.2%} at ")
            assert "(closed form); 0.0 s left; front of " in text
        assert f"hypervolume {_volume(history):.3f}" in text


def _volume(history: StudyHistory) -> float:
    records = [t.record for t in history.finished() if t.record]
    accuracies, ratios = zip(*((r.measured.accuracy, r.counted.compression_ratio) for r in records), strict=True)
    return history.study.box.hypervolume(accuracies, ratios)


def test_a_summary_names_the_ends_of_the_front(history: StudyHistory) -> None:
    records = [t.record for t in history.finished() if t.record]
    best = max((r.measured.accuracy, r.counted.compression_ratio) for r in records)
    smallest = max(r.counted.compression_ratio for r in records)
    text = summary(history)
    assert f"{best[0]:.2%} at {best[1]:.2f}×" in text
    assert f"at {smallest:.2f}×, hypervolume" in text
