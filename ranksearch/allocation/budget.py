"""From a compression ratio to what may be spent, and the range of ratios that can be asked for."""

import math
from collections.abc import Sequence

from ..errors import BudgetError
from ..layers import Form, NetworkSpec
from .choices import Choices, Cost


def network_choices(
    network: NetworkSpec, form: Form, multiple_of: int = 1, cost: Cost = "params"
) -> tuple[Choices, ...]:
    """The choices of every compressible layer, in the network's order."""
    return tuple(Choices.of(spec, form, multiple_of, cost) for spec in network.layers)


def attainable_ratio(network: NetworkSpec, form: Form, multiple_of: int = 1, cost: Cost = "params") -> float:
    """The largest ratio dense / compressed, every layer at its smallest ranks."""
    total, fixed = _totals(network, cost)
    return total / (fixed + sum(c.cost(c.cheapest) for c in network_choices(network, form, multiple_of, cost)))


def rounded_down(ratio: float) -> str:
    """A ratio that can be had where ``ratio`` can.

    >>> rounded_down(4.3779), rounded_down(8.0)
    ('4.37', '8')
    """
    return f"{math.floor(ratio * 100) / 100:g}"


def spendable(network: NetworkSpec, choices: Sequence[Choices], ratio: float, cost: Cost = "params") -> int:
    """What the compressible layers may cost together at ``ratio`` or above.

    Raises:
        BudgetError: the ratio is below 1 or above what the smallest ranks reach.
    """
    total, fixed = _totals(network, cost)
    smallest = fixed + sum(c.cost(c.cheapest) for c in choices)
    # A ratio that is itself total/cost in floating point must give that cost back, of any total.
    whole = math.floor(total / ratio * (1 + 1e-14) + 1e-9) if ratio >= 1 else 0
    if whole < smallest:
        what = {"params": "compression ratio", "macs": "MAC ratio"}[cost]
        raise BudgetError(
            f"{what} {ratio:g} cannot be had: ranks reach from 1 to {rounded_down(total / smallest)} "
            f"({fixed:,} of {total:,} {cost} lie outside the compressible layers)"
        )
    return whole - fixed


def _totals(network: NetworkSpec, cost: Cost) -> tuple[int, int]:
    return (network.params, network.fixed_params) if cost == "params" else (network.macs, network.fixed_macs)
