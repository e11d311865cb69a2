"""Joint search of the layers' weights in an allocation, by a quick measurement of each weighting."""

import math
from collections.abc import Callable

import numpy as np

from ..allocation import RateDistortion
from ..layers import RankConfiguration
from ..records import Measurement

STEP = 0.3  # standard deviation of a first change of the log-weights
SUCCESS = 1.5  # the step grows by it where a change helps, and shrinks by its fourth root where it does not


def search_weights(
    allocate: RateDistortion,
    ratio: float,
    look: Callable[[RankConfiguration], Measurement],
    *,
    candidates: int,
    seed: int = 0,
    on_candidate: Callable[[int, float], None] | None = None,
) -> RankConfiguration:
    """Ranks at ``ratio`` that lie nearest to the dense network's outputs among ``candidates`` weightings of the layers.

    A (1+1) evolution strategy over one log-weight per layer, from equal weights: one-fifth rule for the step
    (Rechenberg 1973), and after a change that does not help, its mirror image (Brockhoff et al. 2010). Deterministic
    under ``seed``, as far as ``look`` is.

    Args:
        look: a quick measurement (:class:`~ranksearch.progressive.QuickLook`), on the same images for all.
        candidates: weightings tried, ≥ 1; the first is equal weights. Equal allocations are looked at once.
        on_candidate: called with (candidates tried, least distance so far).

    Raises:
        BudgetError: the ratio cannot be attained.
    """
    names = allocate.network.names
    generator = np.random.default_rng(seed)
    known: dict[str, float] = {}

    def tried(weights: np.ndarray) -> tuple[RankConfiguration, float]:
        configuration = allocate(ratio, dict(zip(names, weights.tolist(), strict=True)))
        if configuration.digest not in known:
            distance = look(configuration).distance
            known[configuration.digest] = math.inf if distance is None else distance
        return configuration, known[configuration.digest]

    best = change = np.zeros(len(names))
    chosen, least = tried(best)
    step, mirrored = STEP, True
    for number in range(2, candidates + 1):
        mirrored = not mirrored
        change = -change if mirrored else step * generator.standard_normal(len(names))
        configuration, distance = tried(best + change)
        if distance < least:
            best, chosen, least, mirrored = best + change, configuration, distance, True  # next: another direction
            step *= SUCCESS
        else:
            step /= SUCCESS**0.25
        if on_candidate:
            on_candidate(number, least)
    return chosen
