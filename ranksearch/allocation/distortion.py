"""What an allocation sums over the layers: the loss of every rank pair of one layer, from its error table."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from ..errors import RankError
from ..layers import ErrorTable

#: (layer's name, its error table) → loss of every rank pair, indexed as the table; 0 where nothing is lost
Distortion = Callable[[str, ErrorTable], NDArray[np.float64]]

#: A share of retained energy below this counts as this: −log stays finite where a rank keeps nothing.
LEAST_RETAINED = 1e-12


def relative(name: str, table: ErrorTable) -> NDArray[np.float64]:
    """The share of the output's energy that is lost, in [0, 1]."""
    return table.relative


def log(name: str, table: ErrorTable) -> NDArray[np.float64]:
    """−log(1 − relative distortion): summed over layers, −log of Zhang et al.'s (2016) product of retained energies.

    It grows without bound as a layer loses everything.
    """
    return _blown_up(table.relative)


def weighted_log(name: str, table: ErrorTable) -> NDArray[np.float64]:
    """√total · −log(1 − relative distortion), where totals are in units of the network's loss; else as :func:`log`.

    The root damps: taken linearly, a sensitivity that holds for small errors ruins layers that lose much.
    """
    return np.sqrt(table.total if table.in_loss else 1.0) * log(name, table)


def absolute(name: str, table: ErrorTable) -> NDArray[np.float64]:
    """The distortion itself; compares between layers only where it is in units of the network's loss."""
    return table.distortion


DISTORTIONS: dict[str, Distortion] = {
    "relative": relative,
    "log": log,
    "weighted-log": weighted_log,
    "absolute": absolute,
}


@dataclass(frozen=True)
class Profiles:
    """Measured losses: what the network's outputs lost while one layer alone was compressed, at a few sizes each.

    Between a layer's points, log loss is linear in log x, x = −log(1 − relative distortion); outside them loss is
    proportional to x, so that it vanishes with the distortion and grows without bound as a layer loses everything.
    Measured losses that fall as more is lost are noise: each counts at least as much as those before.

    Attributes:
        points: of each layer, (relative distortion, loss) by rising relative distortion, which lies within (0, 1];
            losses > 0. None for a layer that has no choice of ranks.
    """

    points: Mapping[str, Sequence[tuple[float, float]]]

    def __post_init__(self) -> None:
        for name, points in self.points.items():
            rising = all(a < b for (a, _), (b, _) in pairwise(points))
            if not (rising and all(0 < share <= 1 and 0 < loss < np.inf for share, loss in points)):
                raise RankError(
                    f"layer {name!r}: the points of a profile must have rising relative distortions within (0, 1] and "
                    f"losses above 0, got {list(points)}"
                )

    def __call__(self, name: str, table: ErrorTable) -> NDArray[np.float64]:
        """Losses of the layer ``name``.

        Raises:
            RankError: the layer has no profile.
        """
        if name not in self.points:
            raise RankError(f"layer {name!r} has no profile; measured were {', '.join(self.points) or 'none'}")
        x = _blown_up(table.relative)
        if not self.points[name]:
            return np.zeros_like(x)
        shares, losses = (np.array(column) for column in zip(*self.points[name], strict=True))
        known, losses = _blown_up(shares), np.maximum.accumulate(losses)
        inside = np.clip(x, known[0], known[-1])
        return np.exp(np.interp(np.log(inside), np.log(known), np.log(losses))) * x / inside


def _blown_up(share: NDArray[np.float64]) -> NDArray[np.float64]:
    """−log(1 − share), above 0 wherever something is lost."""
    with np.errstate(divide="ignore"):
        return np.minimum(-np.log1p(-share), -np.log(LEAST_RETAINED))
