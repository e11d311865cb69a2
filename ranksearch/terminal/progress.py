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

from ..records import Room, StudyHistory, TrialRecord
from .console import plain_console


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
    front = [(t.record.measured.accuracy, t.record.counted.compression_ratio) for t in history.front() if t.record]
    if not front:
        return "nothing on the front yet"
    volume = history.study.box.hypervolume(*zip(*front, strict=True))
    best, smallest = max(front), max(front, key=lambda p: p[1])
    ends = " … ".join(f"{a:.2%} at {r:.2f}×" for a, r in dict.fromkeys([best, smallest]))
    return f"front of {len(front)}: {ends}, hypervolume {volume:.3f}"


@dataclass
class Pace:
    """Trials of one room: how many there will be, how many there were, how fast the others come.

    Attributes:
        total: how many there will be.
        before: finished before this session.
        done: finished by now.
        began: when the first of this session could begin, by ``time.monotonic()``.
    """

    total: int
    before: int = 0
    done: int = 0
    began: float = field(default_factory=time.monotonic)

    def remaining(self, seconds_per_trial: float) -> float:
        """Seconds left, by this session's own rate as soon as it has one."""
        here = self.done - self.before
        rate = (time.monotonic() - self.began) / here if here > 0 else seconds_per_trial
        return max(0, self.total - self.done) * rate


@dataclass
class Display:
    """Progress of one study, room by room; every method may be called whether or not there is a terminal."""

    console: Console
    paces: dict[str, Pace]
    bar: Progress | None = None
    tasks: dict[str, TaskID] = field(default_factory=dict)

    def finished(self, history: StudyHistory, record: TrialRecord, number: int, room: Room = "trials") -> None:
        """A trial has finished, or was stopped."""
        pace = self.paces[room]
        pace.done = len(history.ended(room))
        for other in self.paces.values():
            if other is not pace and other.done <= other.before:
                other.began = time.monotonic()  # its turn has not come yet
        left = duration(pace.remaining(history.study.seconds_per_trial))
        what = record.failure or f"{record.measured.accuracy:.2%} at {record.counted.compression_ratio:.2f}×"
        what += f", stopped {record.stopped}" if record.stopped else ""
        if self.bar:
            self.bar.update(self.tasks[room], completed=pace.done, description=f"{summary(history)}; {left} left")
        else:
            self.console.print(
                f"{room[:-1]} {number}: {pace.done}/{pace.total}  {what} ({record.origin}); {left} left; "
                f"{summary(history)}",
                soft_wrap=True,
            )

    def step(self, done: int, of: int) -> None:
        """Part of a trial is done."""
        if self.bar and (done % 10 == 0 or done == of):
            for task in self.tasks.values():
                self.bar.update(task, step=f"{done}/{of} steps")


@contextmanager
def display(console: Console | None = None, **paces: Pace) -> Iterator[Display]:
    """Shows progress while the block runs, of each room that is given."""
    console = console or plain_console(file=sys.stdout)
    if not console.is_terminal:
        yield Display(console, paces)
        return
    columns = (
        TextColumn("{task.completed}/{task.total} {task.fields[room]}"),
        BarColumn(bar_width=24),
        TextColumn("{task.fields[step]}"),
        TextColumn("{task.description}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=console) as bar:
        tasks = {
            room: bar.add_task("", total=p.total, completed=p.before, visible=p.total > 0, room=room, step="")
            for room, p in paces.items()
        }
        yield Display(console, paces, bar, tasks)
