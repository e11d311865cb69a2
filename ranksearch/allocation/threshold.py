"""Allocators with one dial: a share in [0, 1] fixes every rank; the share is bisected onto the asked ratio."""

from collections.abc import Callable, Sequence

from ..layers import Form, LayerSpec, NetworkSpec, RankConfiguration, project
from ..layers.configuration import as_tuple
from .budget import network_choices, spendable
from .choices import Cost, Ranks, configuration_of, total_cost

#: (layer, share) → wished ranks, non-decreasing in the share
RanksAt = Callable[[LayerSpec, float], Sequence[int]]


def meet_ratio(
    network: NetworkSpec, ratio: float, form: Form, multiple_of: int, cost: Cost, ranks_at: RanksAt
) -> RankConfiguration:
    """The largest network of the family at ``ratio`` or above.

    Many layers may rise at the same share: of those at the final one, the first that fit are raised.

    Raises:
        BudgetError: the ratio cannot be attained.
    """
    choices = network_choices(network, form, multiple_of, cost)
    budget = spendable(network, choices, ratio, cost)

    def at(share: float) -> list[Ranks]:
        wished = [as_tuple(project(c.spec, tuple(ranks_at(c.spec, share)), form, multiple_of)) for c in choices]
        return [ranks if c.cost(ranks) < c.dense else () for c, ranks in zip(choices, wished, strict=True)]

    low, high = 0.0, 1.0
    for _ in range(50):
        share = (low + high) / 2
        low, high = (share, high) if total_cost(choices, at(share)) <= budget else (low, share)

    chosen = at(low)
    if total_cost(choices, chosen) > budget:  # only where rounding to multiples misses the cheapest ranks
        chosen = [c.cheapest for c in choices]
    left = budget - total_cost(choices, chosen)
    for layer, (of, larger) in enumerate(zip(choices, at(high), strict=True)):
        extra = of.cost(larger) - of.cost(chosen[layer])
        if extra <= left:
            chosen[layer], left = larger, left - extra
    return configuration_of(choices, chosen)
