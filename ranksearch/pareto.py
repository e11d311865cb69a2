"""Dominance, non-dominated sets and hypervolume, all objectives maximised; what covers a front.

Hypervolume is taken in a box fixed by the study, ``[floor, 1] × [log2 low, log2 high]``, with points
clipped into it: a reference point taken from the data would move as trials arrive and make two
studies incomparable (Zitzler & Thiele 1998 for the indicator; computed exactly by moocore,
Fonseca et al. 2006).
"""

from dataclasses import dataclass

import moocore
import numpy as np
from numpy.typing import ArrayLike, NDArray

from .errors import BudgetError


def dominates(a: ArrayLike, b: ArrayLike) -> bool:
    """Whether ``a`` is at least as good as ``b`` everywhere and better somewhere.

    >>> dominates([0.9, 4.0], [0.9, 3.0]), dominates([0.9, 4.0], [0.9, 4.0])
    (True, False)
    """
    a, b = np.asarray(a, float), np.asarray(b, float)
    return bool(np.all(a >= b) and np.any(a > b))


def non_dominated(points: ArrayLike) -> NDArray[np.bool_]:
    """Mask of the points, ``(n, objectives)``, that no other point dominates; of equal points the first is kept.

    >>> non_dominated([[0.9, 2], [0.8, 4], [0.7, 3], [0.8, 4]]).tolist()
    [True, True, False, False]
    """
    points = np.asarray(points, float)
    if len(points) == 0:
        return np.zeros(0, bool)
    return np.asarray(moocore.is_nondominated(points, maximise=True, keep_weakly=False), bool)


def farthest_first(places: ArrayLike, number: int, first: int = 0, taken: ArrayLike = ()) -> list[int]:
    """Indices of ``number`` places on a line, or of all: ``first``, then always the one farthest from those before, so
    that any beginning covers the line (Gonzalez 1985); with places that are ``taken``, farthest from those from the
    start.

    >>> farthest_first([0, 1, 2, 3, 4], 4)
    [0, 4, 2, 1]
    >>> farthest_first([0, 1, 2, 3, 4], 2, taken=[0, 4])
    [2, 1]
    """
    places, taken = np.asarray(places, float), np.asarray(taken, float)
    order: list[int] = []
    nearest = np.abs(places[:, None] - taken).min(axis=1, initial=np.inf)
    while len(order) < min(number, len(places)):
        order.append(int(nearest.argmax()) if order or taken.size else first)
        nearest = np.minimum(nearest, np.abs(places - places[order[-1]]))
        nearest[order] = -1
    return order


@dataclass(frozen=True)
class Box:
    """The box in which hypervolume is measured, in accuracy (fractions) and compression ratio.

    Attributes:
        accuracy_floor: lower edge of accuracy, in [0, 1); the upper edge is 1.
        ratio_low, ratio_high: edges of the compression ratio, ``0 < low < high``; log2 inside.
    """

    accuracy_floor: float
    ratio_low: float
    ratio_high: float

    def __post_init__(self) -> None:
        if not 0 <= self.accuracy_floor < 1:
            raise BudgetError(f"accuracy_floor = {self.accuracy_floor} must be a fraction in [0, 1)")
        if not 0 < self.ratio_low < self.ratio_high:
            raise BudgetError(f"ratio = [{self.ratio_low}, {self.ratio_high}] must be two numbers with 0 < low < high")

    def normalise(self, accuracy: ArrayLike, ratio: ArrayLike) -> NDArray[np.float64]:
        """Points as ``(n, 2)`` in the unit square, clipped into the box."""
        accuracy, ratio = np.atleast_1d(np.asarray(accuracy, float)), np.atleast_1d(np.asarray(ratio, float))
        low, high = np.log2(self.ratio_low), np.log2(self.ratio_high)
        unit = np.stack(
            [
                (accuracy - self.accuracy_floor) / (1 - self.accuracy_floor),
                (np.log2(ratio) - low) / (high - low),
            ],
            axis=1,
        )
        return np.clip(unit, 0, 1)

    def hypervolume(self, accuracy: ArrayLike, ratio: ArrayLike) -> float:
        """Share of the box, in [0, 1], that the points dominate; 0 without points.

        >>> Box(0.5, 1.0, 4.0).hypervolume([1.0], [2.0])
        0.5
        """
        unit = self.normalise(accuracy, ratio)
        if len(unit) == 0:
            return 0.0
        return float(moocore.hypervolume(unit, ref=[0.0, 0.0], maximise=True))

    def hypervolume_history(self, accuracy: ArrayLike, ratio: ArrayLike) -> NDArray[np.float64]:
        """Hypervolume after each of the points in order, ``(n,)``: never decreasing."""
        unit = self.normalise(accuracy, ratio)
        kept, history, volume = np.zeros((0, 2)), np.zeros(len(unit)), 0.0
        for i, point in enumerate(unit):
            if not any(np.all(other >= point) for other in kept):
                kept = np.vstack([kept, point])
                kept = kept[non_dominated(kept)]
                volume = float(moocore.hypervolume(kept, ref=[0.0, 0.0], maximise=True))
            history[i] = volume
        return history
