"""The screen: candidates by the hundred, measured without training of their own; the best of them are trained."""

import math
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

import numpy as np
from rich.console import Console
from rich.status import Status

from ..layers import RankConfiguration
from ..pareto import farthest_first, non_dominated
from ..progressive import QuickLook
from ..records import CheapStage, ScreenedCandidate, trial_seed
from ..study import Proposals
from ..study.variables import Values
from ..terminal.progress import duration
from .founding import ratios
from .session import Session

CLOSED_FORM = 16  # allocations without weights over the study's range, looked at before anything is sampled
HANDED_ON = 32  # points of a stage's front that the next stage looks at first
SHOW_EVERY = 30  # seconds between two lines where there is no terminal
ORIGIN = "screen"  # of the trials that it queues


def screen_stage(session: Session, console: Console, workers: int = 1, until: float = math.inf) -> None:
    """Looks at candidates by every cheap stage in turn and queues the front of the last; goes on where it stopped.

    Done once per study, in one process, while others begin with trials: a screen that is over is not taken up again,
    whatever its settings become.

    Args:
        workers: that will share out the trials; with those that are at work already, they shorten the screen.
        until: by ``time.monotonic()``; after it the screen is left as it is, for a later session to go on with.
    """
    books = session.ledger.screen
    if time.monotonic() >= until or not (is_due(session) and session.looks):
        return
    workers += len(session.ledger.at_work())
    screen = partial(_screen, session, console, screen_seconds(session) / workers, until)
    session.ledger.once("screening", lambda: books.queued is not None, screen, wait=False)
    if books.queued is None:
        late = time.monotonic() >= until
        console.print(f"screen: {'the time is over' if late else 'another process is at it; the trials begin without'}")


def _screen(session: Session, console: Console, seconds: float, until: float) -> None:
    """The whole screen, in so many seconds, or as much of it as there is time for."""
    screen, books, places = session.study.screen, session.ledger.screen, free_places(session)
    books.make()
    first = [session.variables.rank_values(ratio) for ratio in ratios(session, CLOSED_FORM)]
    for stage, look in session.looks.items():
        each = seconds / len(session.looks)
        with _shown(console, stage, each, screen.candidates) as shows:
            _look_at_candidates(session, stage, look, first, each, until, shows)
        if time.monotonic() >= until:
            return
        best = spread(front_of(session, books.candidates(stage)), HANDED_ON)
        first = [c.values for c in best] + [values for values in first if values not in [c.values for c in best]]
    queued, found = _queued(session), front_of(session, books.candidates(stage))
    known, taken = {one.digest for one in queued}, [session.ratio(one) for one in queued]
    new = [candidate for candidate in found if candidate.configuration.digest not in known]
    chosen = spread(new, min(places, free_places(session)), taken)
    for candidate in chosen:  # looked at untrained, it says nothing of learning rate and decay
        session.ledger.enqueue(session.variables.with_default_training(candidate.values), ORIGIN)
    number = session.ledger.unsampled()[ORIGIN]
    books.close(number)
    every = books.candidates()
    console.print(
        f"screen: {len(every):,} candidates in {duration(sum(c.seconds for c in every))}; "
        f"{number} of its front are queued as trials",
        soft_wrap=True,
    )


def is_due(session: Session) -> bool:
    """Whether there is anything to screen for: the screen is on and not over, and trials are left to it, or queued by
    one that was killed at it."""
    on = session.study.screen.share > 0 and session.ledger.screen.queued is None
    return on and (free_places(session) > 0 or session.ledger.unsampled()[ORIGIN] > 0)


def seconds_left(session: Session) -> float:
    """What the screen will still take; 0 where it is not due, and unknown (0) where candidates are counted."""
    if not is_due(session) or session.study.screen.candidates:
        return 0.0
    return max(0.0, screen_seconds(session) - sum(c.seconds for c in session.ledger.screen.candidates()))


def screen_seconds(session: Session) -> float:
    """What the screen may take: its share of the seconds of trials and screen together."""
    search, share = session.study.search, session.study.screen.share
    trials = search.trials * session.ledger.record.seconds_per_trial
    whole = trials / (1 - share)
    return share * min(whole, search.minutes * 60 if search.minutes else math.inf)


def free_places(session: Session) -> int:
    """How many trials the screen may queue: its part of the budget, and what others have left of it.

    The closed form's trials count as the screen's: neither was proposed by the sampler.
    """
    trials, screen = session.study.search.trials, session.study.screen
    queued = session.ledger.unsampled()
    unsampled = math.floor((1 - screen.bypass) * trials + 1e-9) - sum(queued.values())
    left = trials - session.ledger.counts().claimed
    return max(0, min(round(screen.enqueue * trials) - queued[ORIGIN], unsampled, left))


def front_of(session: Session, candidates: Sequence[ScreenedCandidate]) -> list[ScreenedCandidate]:
    """The candidates within the study's range that no other one is better than, from the largest network on."""
    low, high = session.study.ranks.ratio
    within = [c for c in candidates if c.distance is not None and low <= c.compression_ratio <= 1.05 * high]
    kept = non_dominated([c.objectives for c in within])
    return sorted((c for c, on_front in zip(within, kept, strict=True) if on_front), key=lambda c: c.compression_ratio)


def spread(
    candidates: Sequence[ScreenedCandidate], number: int, taken: Sequence[float] = ()
) -> list[ScreenedCandidate]:  # fmt: skip
    """At most ``number`` of them, evenly spaced in log2 of their ratio: the first, then the farthest from those, and
    from ratios that are ``taken``."""
    places = np.log2([c.compression_ratio for c in candidates])
    return [candidates[i] for i in farthest_first(places, number, taken=np.log2(taken))]


def _queued(session: Session) -> list[RankConfiguration]:
    """What is a trial already without the sampler: the closed form's, what a screen queued that was killed."""
    variables = session.variables
    whole = [v for v in session.ledger.queued() if v.keys() >= variables.rank_space().keys()]  # not cut short in asking
    return [variables.decode_ranks(values) for values in whole]


@dataclass
class _Shows:
    """One line that tells how a stage goes on: live on a terminal, now and then elsewhere."""

    console: Console
    stage: CheapStage
    seconds: float
    candidates: int | None
    live: Status | None = None
    last: float = 0.0

    def update(self, found: Sequence[ScreenedCandidate], spent: float, over: bool = False) -> None:
        """``found`` by this stage so far, in so many seconds."""
        until = f"of {self.candidates:,}" if self.candidates else f"in {duration(spent)} of {duration(self.seconds)}"
        rate = len(found) / spent if spent else 0.0
        line = f"screen, {self.stage}: {len(found):,} candidates {until}, {rate:.1f} per second; {_best(found)}"
        if self.live:
            self.live.update(line)
        if over or (not self.live and time.monotonic() - self.last > SHOW_EVERY):
            self.last = time.monotonic()
            self.console.print(line, soft_wrap=True)


@contextmanager
def _shown(console: Console, stage: CheapStage, seconds: float, candidates: int | None) -> Iterator[_Shows]:
    shows = _Shows(console, stage, seconds, candidates, last=time.monotonic())
    if not console.is_terminal:
        yield shows
        return
    with console.status(f"screen, {stage}") as shows.live:
        yield shows


def _best(found: Sequence[ScreenedCandidate]) -> str:
    """The least distance at some ratios, or above."""
    told = []
    for octave in range(1, 8):
        distances = [c.distance for c in found if c.distance is not None and c.compression_ratio >= 2**octave]
        if distances:
            told.append(f"{min(distances):.3g} at {2**octave}×")
    return f"least distance {', '.join(told)}" if told else "no finite output yet"


def _look_at_candidates(
    session: Session,
    stage: CheapStage,
    look: QuickLook,
    first: Sequence[Values],
    seconds: float,
    until: float,
    shows: _Shows,
) -> None:
    """One stage to its end: so many candidates where the study file says so, else for so many seconds."""
    books, variables, exactly = session.ledger.screen, session.variables, session.study.screen.candidates
    space = variables.rank_space()
    proposals = Proposals(space, seed=trial_seed(session.study.search.seed, f"screen {stage}"), first=first)
    found = list(books.candidates(stage))
    for candidate in found:
        proposals.replay(candidate.values, candidate.objectives)
    number, spent, mark = len(books.candidates()), sum(c.seconds for c in found), time.perf_counter()
    while time.monotonic() < until and (len(found) < exactly if exactly else spent < seconds):
        values = proposals.ask()
        configuration = variables.decode_ranks(values)
        measured = look(configuration)
        mark, before = time.perf_counter(), mark
        candidate = ScreenedCandidate(
            number=number,
            stage=stage,
            values=values,
            configuration=configuration,
            compression_ratio=session.ratio(configuration),
            accuracy=measured.accuracy,
            distance=measured.distance,
            seconds=mark - before,
        )
        proposals.tell(candidate.objectives)
        books.add(candidate, space)
        found.append(candidate)
        number, spent = number + 1, spent + candidate.seconds
        shows.update(found, spent)
    shows.update(found, spent, over=True)
