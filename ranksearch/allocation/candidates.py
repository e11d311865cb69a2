"""One layer's choices as points of loss against price, and their lower hull at any tilt."""

from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from .choices import Choices, Cost, Ranks
from .hull import lower_hull

#: Ranks per mode that the hull looks at; of more, as many evenly spaced. Single ranks are filled in afterwards.
PER_MODE = 128


class Curve(NamedTuple):
    """The hull's vertices, from the least price to the least loss; arrays of one length."""

    ranks: list[Ranks]
    cost: NDArray[np.int64]  # counts against the budget
    price: NDArray[np.float64]  # the cost as selection sees it, tilted
    loss: NDArray[np.float64]


@dataclass(frozen=True)
class Candidates:
    """The choices of one layer, each with its loss by some :data:`~.distortion.Distortion`.

    Attributes:
        losses: indexed as ``choices.costs``, ≥ 0; the dense layer's is 0.
        sides: what one rank of mode 0 and of mode 1 costs in its 1×1 convolution, plain form, which a tilt weighs;
            none for a layer of one rank.
    """

    choices: Choices
    losses: NDArray[np.float64]
    sides: tuple[int, ...]

    @classmethod
    def of(cls, choices: Choices, losses: NDArray[np.float64], cost: Cost) -> "Candidates":
        spec = choices.spec
        sides = (spec.channels_out, spec.channels_in)
        if cost == "macs":
            sides = (spec.channels_out * spec.positions_out, spec.channels_in * spec.positions_in)
        return cls(choices, losses, sides if spec.format == "tucker2" else ())

    def loss(self, ranks: Ranks) -> float:
        return float(self.losses[tuple(r - 1 for r in ranks)]) if ranks else 0.0

    def price(self, ranks: Ranks, tilt: float) -> float:
        """The cost, and beyond it (e^tilt − 1)·C_out per rank of mode 0, or for tilt < 0 (e^−tilt − 1)·C_in of mode 1.

        So one mode's 1×1 convolution looks e^|tilt| times as dear. Making the other's cheaper too would let the price
        fall with a rank: the pivoted form's cost has −rank² in it.
        """
        return self.choices.cost(ranks) + (float(self._surcharge(tilt) @ ranks) if ranks and self.sides else 0.0)

    def _surcharge(self, tilt: float) -> NDArray[np.float64]:
        """What each rank of each mode costs beyond its cost; a layer of one rank has no tilt."""
        return np.expm1([max(tilt, 0.0), max(-tilt, 0.0)]) * np.array(self.sides)

    def curve(self, tilt: float) -> Curve:
        """The hull over the allowed pairs, thinned to :data:`PER_MODE` ranks per mode, and dense."""
        return self._untilted if tilt == 0 else self._curve(tilt)

    @cached_property
    def _untilted(self) -> Curve:
        return self._curve(0.0)

    @cached_property
    def _points(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        """Ranks ``(n, modes)``, cost and loss of the thinned choices."""
        allowed = self.choices.allowed
        lines = []
        for mode in range(allowed.ndim):
            ranks = np.flatnonzero(allowed.any(axis=tuple(m for m in range(allowed.ndim) if m != mode)))
            lines.append(ranks[np.unique(np.linspace(0, len(ranks) - 1, PER_MODE).round().astype(int))])
        grid = np.ix_(*lines)
        places = np.argwhere(allowed[grid])
        at = tuple(line[place] for line, place in zip(lines, places.T, strict=True))
        return np.stack(at, 1) + 1, self.choices.costs[at], self.losses[at]

    def _curve(self, tilt: float) -> Curve:
        if not self.choices.allowed.any():
            return Curve([()], np.array([self.choices.dense]), np.array([float(self.choices.dense)]), np.zeros(1))
        ranks, cost, loss = self._points
        cost, loss = np.append(cost, self.choices.dense), np.append(loss, 0.0)
        price = cost.astype(float)
        if self.sides:
            price[:-1] += ranks @ self._surcharge(tilt)
        kept = lower_hull(price, loss)
        chosen = [tuple(r) for r in ranks[kept[kept < len(ranks)]].tolist()]
        chosen += [()] * (len(kept) - len(chosen))
        return Curve(chosen, cost[kept], price[kept], loss[kept])
