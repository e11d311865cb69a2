"""How well the cheap stages of a search foretell what training reaches: rank correlations over the trained trials."""

import math
from collections.abc import Iterator

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from ..records import CHEAP_STAGES

FEWEST = 10  # pairs below which nothing is said: an interval would hold nearly every value
NORMAL = 1.959964  # standard deviations that hold 95 % of a normal distribution
TOP = 0.25  # of the trials: the k of precision@k

#: column of a trial table → sign that makes more of it better
JUDGED = {"accuracy": 1.0, "distance": -1.0}


def stage_table(trials: pd.DataFrame) -> pd.DataFrame:
    """How the order that a cheap stage gives agrees with the order after training.

    Args:
        trials: a trial table; failed and stopped trials do not count, they were not trained to the end.

    Returns:
        A row per ``stage``, its ``score`` (``"accuracy"`` or ``"distance"``), and ``trials`` (``"all"``, or
        ``"sampler"``: those that bypassed the screen, on which its own choice of trials weighs nothing). Columns:
        ``n``; for ``target`` the trained ``accuracy`` and ``distance``, and size ``any`` or ``equal``,
        ``TARGET/SIZE`` (Spearman's ρ, positive where the orders agree), ``TARGET/SIZE/low`` and ``…/high`` (95 %);
        ``k``, and ``precision/any``, ``precision/equal``: the share of the ``k`` trials that the stage puts first
        which training also puts first, by accuracy (by chance ``k / n``). NaN below :data:`FEWEST` trials.

    At equal size: the partial rank correlation given log2 of the compression ratio, and for precision the ranks
    that remain of each side after a straight line over those of the ratio. All trials count, where bins of equal
    ratio would leave few in each.
    """
    kept = trials[(trials["failure"] == "") & (trials["stopped"] == "")]
    groups = {"all": kept, "sampler": kept[kept["origin"] == "sampler"]}
    stages = [s for s in CHEAP_STAGES if f"stage/{s}/distance" in trials]
    rows = [
        {"trials": name, "stage": stage, "score": score, **_agreement(group, stage, score)}
        for stage in stages
        for score in reversed(JUDGED)  # the distance first: it is what the screen goes by
        for name, group in groups.items()
    ]
    return pd.DataFrame(rows)


def spearman(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    """Spearman's rank correlation, ties at their mean rank; NaN where either side is constant.

    >>> round(spearman(np.array([1.0, 2, 3, 4]), np.array([1.0, 3, 2, 4])), 3)
    0.8
    """
    return _pearson(_ranks(x), _ranks(y))


def partial_spearman(x: NDArray[np.float64], y: NDArray[np.float64], given: NDArray[np.float64]) -> float:
    """Rank correlation of x and y beyond what each has with a third quantity; NaN where that explains one of them."""
    xy, xz, yz = spearman(x, y), spearman(x, given), spearman(y, given)
    unexplained = (1 - xz**2) * (1 - yz**2)
    if math.isnan(xz) or math.isnan(yz):  # of constant size: equal as it is
        return xy if np.ptp(given) == 0 else math.nan
    return (xy - xz * yz) / math.sqrt(unexplained) if unexplained > 1e-12 else math.nan


def interval(correlation: float, n: int) -> tuple[float, float]:
    """95 % interval of a rank correlation of ``n`` pairs, one fewer for each quantity held equal.

    Fisher's z with the standard error √((1 + ρ²/2) / (n − 3)) of Bonett & Wright (2000).
    """
    if math.isnan(correlation) or n <= 3:
        return math.nan, math.nan
    z = math.atanh(min(max(correlation, -1 + 1e-12), 1 - 1e-12))
    width = NORMAL * math.sqrt((1 + correlation**2 / 2) / (n - 3))
    return min(math.tanh(z - width), correlation), max(math.tanh(z + width), correlation)  # at ±1, clipped above


def precision_at(k: int, score: NDArray[np.float64], target: NDArray[np.float64]) -> float:
    """Share of the ``k`` best by ``score`` that are among the ``k`` best by ``target``; of equals the first counts.

    >>> precision_at(2, np.array([4.0, 3, 2, 1]), np.array([4.0, 1, 3, 2]))
    0.5
    """
    best = [set(np.argsort(-values, kind="stable")[:k].tolist()) for values in (score, target)]
    return len(best[0] & best[1]) / k


def _agreement(trials: pd.DataFrame, stage: str, score: str) -> dict[str, float]:
    """The figures of one row."""
    used = trials[["compression_ratio", "accuracy", "distance", column := f"stage/{stage}/{score}"]].dropna()
    n, k = len(used), max(1, round(TOP * len(used)))
    found: dict[str, float] = {"n": n, "k": k}
    found |= {name: math.nan for target in JUDGED for name in _names(target)}
    found |= {"precision/any": math.nan, "precision/equal": math.nan}
    if n < FEWEST:
        return found
    said, size = JUDGED[score] * used[column].to_numpy(float), np.log2(used["compression_ratio"].to_numpy(float))
    for target, sign in JUDGED.items():
        true = sign * used[target].to_numpy(float)
        pooled, partial = spearman(said, true), partial_spearman(said, true, size)
        figures = (pooled, *interval(pooled, n), partial, *interval(partial, n - 1))
        found |= dict(zip(_names(target), figures, strict=True))
    accuracy = used["accuracy"].to_numpy(float)
    found["precision/any"] = precision_at(k, said, accuracy)
    found["precision/equal"] = precision_at(k, _beyond(said, size), _beyond(accuracy, size))
    return found


def _names(target: str) -> Iterator[str]:
    for size in ("any", "equal"):
        yield from (f"{target}/{size}", f"{target}/{size}/low", f"{target}/{size}/high")


def _ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(pd.Series(values).rank(), float)


def _pearson(x: NDArray[np.float64], y: NDArray[np.float64]) -> float:
    x, y = x - x.mean(), y - y.mean()
    scale = math.sqrt((x @ x) * (y @ y))
    return float(x @ y) / scale if scale > 0 else math.nan


def _beyond(values: NDArray[np.float64], size: NDArray[np.float64]) -> NDArray[np.float64]:
    """What remains of the ranks after a straight line over the ranks of ``size``; rounded, so that ties stay ties."""
    x, y = _ranks(size) - _ranks(size).mean(), _ranks(values)
    left: NDArray[np.float64] = y - (x @ y) / max(x @ x, 1e-12) * x
    return left.round(9)
