"""The verb ``status``: how far a study is, how fast, and who is at work on it; reads the storage only."""

from collections.abc import Sequence
from datetime import timedelta

from rich.console import Console

from ..records import Trial
from ..study import AtWork, Ledger, StudyFile, open_storage, reaching
from ..study.ledger import QUEUES
from ..terminal.progress import duration, summary
from ..terminal.tables import table

#: what one process does for all, for a reader
STAGES = {"founding": "the first minute", "queueing": "queueing", "elastic": "shared training", "screening": "screen"}
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
    shown = table(study.name, "", "finished", "of them stopped", "running", "waiting", "failed", "copies")
    for room, of in counts.items():
        budget = study.search.trials if room == "trials" else of.claimed
        numbers = (of.stopped, of.running, of.waiting, of.failed, of.copies)
        shown.add_row(room, f"{of.finished} of {budget}", *map(str, numbers))
    console.print(shown)
    alive = [one for one in working if not one.gone]
    queued = sum(of.running + of.waiting for room, of in counts.items() if room != "trials")
    left = max(0, study.search.trials - counts["trials"].finished) + queued
    seconds = pace([t for room in QUEUES for t in history.ended(room)])
    if not left:
        console.print("finished: the budget is met")
    elif not alive:
        console.print(f"nobody is at work on the {left} that are left")
    elif seconds is not None:
        console.print(f"{duration(seconds)} per trial lately; {left} to go, about {duration(left * seconds)}")
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
