"""What the page picks from a front: at every position of its sliders the network that ``ranksearch export`` takes."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ..errors import SelectionError
from ..front import SELECTIONS, select
from .study_view import StudyView

MOST = 120  # positions of a slider
STEPS = (0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0)
#: selection with a value → how a slider shows it
SHOWN: dict[str, Callable[[float], str]] = {
    "max-drop": lambda value: f"{value:g} point" + ("" if value == 1 else "s"),
    "min-ratio": lambda value: f"{value:g}×",
}
NAMED = ("knee", "best-accuracy", "smallest")


@dataclass(frozen=True)
class Pick:
    """A selection, and what it leads to.

    Attributes:
        select: as ``ranksearch export --select`` takes it.
        value: what a slider stands at; empty of a selection by name.
        point: key of the point, empty where nothing fits.
        remark: what the selection means, or why nothing fits.
    """

    select: str
    value: str
    point: str
    remark: str


@dataclass(frozen=True)
class Picks:
    """The picks of a study: by name, and along each slider; ``start`` tells where a slider stands at first."""

    named: tuple[Pick, ...] = ()
    drop: tuple[Pick, ...] = ()
    ratio: tuple[Pick, ...] = ()
    start: tuple[int, int] = (0, 0)


def picks(view: StudyView) -> Picks:
    """Every pick of a study; none where nothing is on the front.

    The sliders stand where the usual questions are: one point, four times, or the nearest that has an answer.
    """
    if view.front.empty:
        return Picks()
    study, box = view.study, view.study.box
    deepest = 100 * (study.dense.accuracy - view.front["accuracy"].min())
    drop = tuple(_pick(view, "max-drop", value) for value in _positions(0.0, max(deepest, 1.0)))
    ratio = tuple(_pick(view, "min-ratio", value) for value in _positions(box.ratio_low, box.ratio_high))
    named = tuple(_pick(view, name) for name in NAMED)
    return Picks(named, drop, ratio, (_start(drop, 1.0), _start(ratio, 4.0)))


def _positions(low: float, high: float) -> Iterable[float]:
    """Round values from ``low`` (rounded down) to ``high`` (rounded up)."""
    step = next((s for s in STEPS if (high - low) / s <= MOST), STEPS[-1])
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    return [round(i * step, 2) for i in range(first, last + 1)]


def _pick(view: StudyView, name: str, value: float = 0.0) -> Pick:
    selection = name if name in NAMED else f"{name}={value:g}"
    shown = SHOWN[name](value) if name in SHOWN else ""
    try:
        row = select(view.front, selection, view.study).iloc[0]
    except SelectionError as error:
        return Pick(selection, shown, "", str(error))
    return Pick(selection, shown, f"trials/{row['number']}", SELECTIONS[name].meaning)


def _start(along: tuple[Pick, ...], usual: float) -> int:
    """The position that has an answer and is nearest to the usual one."""
    answered = [i for i, pick in enumerate(along) if pick.point]
    return min(answered, key=lambda i: abs(float(along[i].select.partition("=")[2]) - usual), default=0)
