"""Which of the two cheap stages ranks a study's networks better: a paired bootstrap over its trained trials."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.stats import rankdata

from ..records import CHEAP_STAGES, CheapStage

ENOUGH = 30  # trained trials, below which a study does not overrule the default order of stages
RESAMPLES = 2000


@dataclass(frozen=True)
class StageComparison:
    """How much better the last cheap stage ranks than the first.

    Attributes:
        first, last: the stages, in the order in which the screen asks them.
        n: trained trials that both have looked at.
        difference: last − first of Spearman's ρ between (minus) a stage's distance and the accuracy after training, at
            equal size; NaN where either is not defined.
        low, high: its 95 % interval.
    """

    first: CheapStage
    last: CheapStage
    n: int
    difference: float
    low: float
    high: float

    @property
    def better(self) -> CheapStage | None:
        """The stage that ranks better; None below :data:`ENOUGH` trials, or where the interval holds 0."""
        if self.n < ENOUGH or not (self.low > 0 or self.high < 0):
            return None
        return self.last if self.low > 0 else self.first


def compare_stages(trials: pd.DataFrame, *, seed: int = 0) -> StageComparison | None:
    """Both stages on the same trials, drawn with replacement again and again: what they share cancels out.

    Percentile interval of the paired bootstrap (Efron & Tibshirani 1993, chapter 13).

    Args:
        trials: a trial table; failed and stopped trials do not count.
        seed: of the resamples.

    Returns:
        None where one of the stages, or every trial that both looked at, is missing.
    """
    first, last = CHEAP_STAGES
    columns = [f"stage/{stage}/distance" for stage in (first, last)]
    if not set(columns) <= set(trials):
        return None
    trained = trials[(trials["failure"] == "") & (trials["stopped"] == "")]
    used = trained[["accuracy", "compression_ratio", *columns]].dropna().to_numpy(float)
    if len(used) < 2:
        return None
    accuracy, ratio, *distances = used.T
    rows = np.random.default_rng(seed).integers(len(used), size=(RESAMPLES, len(used)))
    rows = np.vstack([np.arange(len(used)), rows])  # the trials themselves first
    sizes, reached = rankdata(ratio[rows], axis=1), rankdata(accuracy[rows], axis=1)
    foretold = [_at_equal_size(rankdata(-distance[rows], axis=1), reached, sizes) for distance in distances]
    differences = foretold[1] - foretold[0]
    drawn = differences[1:][np.isfinite(differences[1:])]
    low, high = np.quantile(drawn, [0.025, 0.975]) if len(drawn) else (math.nan, math.nan)
    return StageComparison(first, last, len(used), float(differences[0]), float(low), float(high))


def _at_equal_size(x: NDArray[np.float64], y: NDArray[np.float64], z: NDArray[np.float64]) -> NDArray[np.float64]:
    """Partial correlation of x and y given z, row by row; as :func:`~.stages.partial_spearman` of their ranks."""
    xy, xz, yz = _correlation(x, y), _correlation(x, z), _correlation(y, z)
    unexplained = (1 - xz**2) * (1 - yz**2)
    with np.errstate(divide="ignore", invalid="ignore"):
        partial = np.where(unexplained > 1e-12, (xy - xz * yz) / np.sqrt(unexplained), np.nan)
    return np.where(np.ptp(z, axis=1) == 0, xy, partial)


def _correlation(x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.float64]:
    x, y = x - x.mean(1, keepdims=True), y - y.mean(1, keepdims=True)
    scale = np.sqrt((x * x).sum(1) * (y * y).sum(1))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.where(scale > 0, (x * y).sum(1) / scale, np.nan)
