"""What a running search shows: trials done, time left, best of the front, hypervolume.

On a terminal one live bar; in a log file or a pipe, one line per finished trial.
"""

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeElapsedColumn

from ..pareto import non_dominated
from ..records import StudyHistory, TrialRecord


def duration(seconds: float) -> str:
    """Seconds for a reader.

    >>> duration(8.24), duration(95), duration(7500)
    ('8.2 s', '1 min 35 s', '2 h 5 min')
    """
    if seconds < 60:
        return f"{seconds:.1f} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s" if minutes < 60 else f"{minutes // 60} h {minutes % 60} min"


def summary(history: StudyHistory) -> str:
    """Best of the front and hypervolume in one clause."""
    records = [t.record for t in history.finished() if t.record and not t.record.failure]
    if not records:
        return "no finished trial yet"
    points = [(r.measured.accuracy, r.counted.compression_ratio) for r in records]
    front = [p for p, kept in zip(points, non_dominated(points), strict=True) if kept]
    volume = history.study.box.hypervolume(*zip(*points, strict=True))
    best, smallest = max(front), max(front, key=lambda p: p[1])
    ends = " … ".join(f"{a:.2%} at {r:.2f}×" for a, r in dict.fromkeys([best, smallest]))
    return f"front of {len(front)}: {ends}, hypervolume {volume:.3f}"


@dataclass
class Display:
    """Progress of one study; every method may be called whether or not there is a terminal."""

    total: int
    console: Console
    bar: Progress | None = None
    began: float = field(default_factory=time.monotonic)
    started_with: int | None = None
    task: TaskID | None = None

    def remaining(self, done: int, seconds_per_trial: float) -> float:
        """Seconds left, by this session's own rate as soon as it has one."""
        if self.started_with is None:
            self.started_with = done
        here = done - self.started_with
        rate = (time.monotonic() - self.began) / here if here else seconds_per_trial
        return max(0, self.total - done) * rate

    def finished(self, history: StudyHistory, record: TrialRecord, number: int, room: str = "trials") -> None:
        """A trial has finished."""
        done = len(history.finished(room))  # type: ignore[arg-type]
        left = duration(self.remaining(done, history.study.seconds_per_trial))
        what = record.failure or f"{record.measured.accuracy:.2%} at {record.counted.compression_ratio:.2f}×"
        line = f"{done}/{self.total}  {what}"
        if self.bar and self.task is not None:
            self.bar.update(self.task, completed=done, description=f"{summary(history)}; {left} left")
        else:
            self.console.print(
                f"{room[:-1]} {number}: {line} ({record.origin}); {left} left; {summary(history)}",
                highlight=False,
                soft_wrap=True,
            )

    def step(self, done: int, of: int) -> None:
        """Part of a trial is done."""
        if self.bar and self.task is not None and (done % 10 == 0 or done == of):
            self.bar.update(self.task, step=f"{done}/{of} steps")


@contextmanager
def display(total: int, done: int = 0, console: Console | None = None) -> Iterator[Display]:
    """Shows progress while the block runs."""
    console = console or Console(file=sys.stdout)
    if not console.is_terminal:
        yield Display(total, console, started_with=done)
        return
    columns = (
        TextColumn("{task.completed}/{task.total} trials"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[step]}"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        task = bar.add_task("", total=total, completed=done, step="")
        yield Display(total, console, bar, started_with=done, task=task)
