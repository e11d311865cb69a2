"""The verb ``status``: how far a study is, how fast, and who is at work on it; reads the storage only."""

import math
from collections.abc import Mapping, Sequence
from datetime import timedelta

from rich.console import Console

from ..records import Room, Trial
from ..study import AtWork, Ledger, StudyFile, open_storage, reaching
from ..study.ledger import QUEUES
from ..terminal.progress import duration, summary
from ..terminal.tables import table

#: what one process does for all, for a reader
STAGES = {
    "founding": "the first minute", "queueing": "queueing", "elastic": "shared training", "screening": "screen",
    "confirming": "confirmation of the front",
}  # fmt: skip
LATELY = 10  # trials, over which the pace is taken


def show_status(study: StudyFile, console: Console) -> None:
    """Prints trials by state, the pace, the time left and the workers.

    Raises:
        StudyFileError: there is no such study yet.
        StorageError: the storage cannot be reached.
    """
    with reaching(study.storage_url):
        ledger = Ledger(open_storage(study.storage_url, create=False), study.name)
        stages = ledger.stages_at_work()
        if stages and not ledger.exists:
            console.print(f"{study.name} is being made")
            print_working(stages, console)
            return
        history, working = ledger.history(), [*stages, *ledger.at_work()]
        counts = {room: ledger.counts(room) for room in QUEUES}
        noted = ledger.budget  # a search may have been given more than the file says, or the file since
    wanted = {room: of.claimed for room, of in counts.items()}
    wanted["trials"] = max(study.search.trials, noted)
    shown = table(study.name, "", "finished", "of them stopped", "running", "waiting", "failed", "copies")
    for room, of in counts.items():
        numbers = (of.stopped, of.running, of.waiting, of.failed, of.copies)
        shown.add_row(room, f"{of.finished} of {wanted[room]}", *map(str, numbers))
    if history.confirmations:
        shown.add_row("confirmations", str(len(history.finished("confirmations"))))
    console.print(shown)
    left = {room: wanted[room] - of.finished for room, of in counts.items() if wanted[room] > of.finished}
    if not left:
        console.print("the budget is met" if working else "finished: the budget is met")
    elif all(one.gone for one in working):
        console.print(f"nobody is at work on the {sum(left.values())} that are left")
    elif told := forecast({room: (number, pace(history.ended(room))) for room, number in left.items()}):
        console.print(told, soft_wrap=True)
    print_working(working, console)
    console.print(summary(history), soft_wrap=True)


def pace(ended: Sequence[Trial]) -> float | None:
    """Seconds from one end of a trial to the next over the last :data:`LATELY`, all workers together, while anybody
    worked; None before the second end."""
    lately = sorted((t.finished, t.started) for t in ended if t.finished)[-LATELY:]
    if len(lately) < 2:
        return None
    busy, until = timedelta(), lately[0][0]
    for finished, started in sorted(lately[1:], key=lambda times: times[1] or until):
        busy += max(timedelta(), finished - max(until, started or until))
        until = max(until, finished)
    return busy.total_seconds() / (len(lately) - 1)


def forecast(left: Mapping[Room, tuple[int, float | None]]) -> str:
    """How many trials of each room are left and about how long they take, at its own pace; unknown, for the whole, as
    long as one of them has none.

    >>> forecast({"trials": (3, 2.0), "finalists": (2, 3600.0)})
    '2.0 s per trial lately, 3 to go; 1 h 0 min per finalist lately, 2 to go: about 2 h 0 min'
    >>> forecast({"finalists": (2, None)})
    '2 finalists to go'
    """
    told, seconds = [], 0.0
    for room, (number, each) in left.items():
        told.append(f"{duration(each)} per {room[:-1]} lately, {number} to go" if each else f"{number} {room} to go")
        seconds += number * (each or math.inf)
    return "; ".join(told) + (f": about {duration(seconds)}" if 0 < seconds < math.inf else "")


def print_working(working: Sequence[AtWork], console: Console) -> None:
    for one in working:
        console.print(line(one), soft_wrap=True)


def line(one: AtWork) -> str:
    """One running trial, or stage, for a reader."""
    what = STAGES.get(one.what) or f"{one.what[:-1]} {one.number}"
    name = f"{what}, for {duration(one.seconds)}"
    if one.worker is None:
        return f"{name}: its worker has not said who it is"
    who = f"process {one.worker.pid} on {one.worker.host.split()[0]}"
    if one.gone:
        return f"{name}: {who} is gone; the next worker queues it again"
    sign = f"last sign {duration(one.silent)} ago" if one.silent is not None else "no sign yet"
    return f"{name}: {who}, {sign}"
