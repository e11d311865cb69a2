"""Rate–distortion allocation: the ranks of least weighted loss at a compression ratio.

Minimises Σ_l exp(w_l)·loss_l(ranks) + μ·price over every layer's choices, the dense layer among them. For a
price μ per unit each layer stands at a vertex of its own lower hull (Shoham & Gersho 1988), so the whole path
of solutions, over all μ, is the hulls' edges sorted by loss saved per unit; it is cut at the budget, and
what is left is spent in single ranks.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np

from ..errors import RankError
from ..layers import ErrorTable, Form, NetworkSpec, RankConfiguration
from .budget import network_choices, spendable
from .candidates import Candidates, Curve
from .choices import Choices, Cost, Ranks, configuration_of, total_cost
from .distortion import DISTORTIONS, Distortion
from .fill import fill


@dataclass(frozen=True)
class RateDistortion:
    """Allocation for one network; tables and hulls are made at the first call and kept.

    Attributes:
        tables: error table of each layer, by name.
        distortion: what is summed over the layers, :data:`~.distortion.DISTORTIONS` or measured
            :class:`~.distortion.Profiles`.
        cost: what the ratio counts, ``"params"`` or ``"macs"``. A layer whose compressed cost is not below the
            dense one stays dense.
    """

    network: NetworkSpec
    tables: Mapping[str, ErrorTable] = field(repr=False)
    form: Form = "pivoted"
    multiple_of: int = 1
    distortion: Distortion = DISTORTIONS["weighted-log"]
    cost: Cost = "params"

    def __call__(
        self, ratio: float, weights: Mapping[str, float] | None = None, tilts: Mapping[str, float] | None = None
    ) -> RankConfiguration:
        """The allocation at ``ratio`` or above; no single rank more would fit.

        Args:
            ratio: dense cost / compressed cost of the network, 1 … attainable.
            weights: log-weight of each layer's loss, 0 where not named.
            tilts: of each layer of two ranks, 0 where not named: the 1×1 convolution of its mode 0 looks e^t times as
                dear for t > 0, that of its mode 1 e^(−t) times for t < 0. The budget counts the true cost.

        Raises:
            BudgetError: the ratio cannot be attained.
            RankError: a weight or tilt of a layer that has none.
        """
        weights, tilts = weights or {}, tilts or {}
        _check("weight", weights, self.network.names)
        _check("tilt", tilts, [c.choices.spec.name for c in self.candidates if c.sides])
        factor = [math.exp(weights.get(name, 0.0)) for name in self.network.names]
        tilt = [tilts.get(name, 0.0) for name in self.network.names]

        budget = spendable(self.network, self._choices, ratio, self.cost)
        chosen = cut([c.curve(t) for c, t in zip(self.candidates, tilt, strict=True)], factor, budget)
        chosen = chosen or [c.cheapest for c in self._choices]

        def worth(layer: int, now: Ranks, then: Ranks) -> float:
            of = self.candidates[layer]
            saved = factor[layer] * (of.loss(now) - of.loss(then))
            return saved / max(1.0, of.price(then, tilt[layer]) - of.price(now, tilt[layer]))

        left = budget - total_cost(self._choices, chosen)
        return configuration_of(self._choices, fill(self._choices, chosen, left, worth))

    @cached_property
    def candidates(self) -> tuple[Candidates, ...]:
        """The choices of each layer with their losses, in the network's order."""
        losses = [self.distortion(c.spec.name, self.tables[c.spec.name]) for c in self._choices]
        return tuple(Candidates.of(c, loss, self.cost) for c, loss in zip(self._choices, losses, strict=True))

    @cached_property
    def _choices(self) -> tuple[Choices, ...]:
        return network_choices(self.network, self.form, self.multiple_of, self.cost)


def cut(curves: list[Curve], factors: list[float], budget: int) -> list[Ranks] | None:
    """The point of the Lagrangian path with the smallest μ that costs no more than ``budget``; None if none does.

    Args:
        curves: hull of each layer.
        factors: weight of each layer's loss, > 0.
    """
    saved, owner, cost = [], [], []
    for i, (curve, factor) in enumerate(zip(curves, factors, strict=True)):
        slope = -np.diff(curve.loss) / np.diff(curve.price)
        saved.append(factor * np.minimum.accumulate(slope))  # convex already, but for rounding
        owner.append(np.full(len(slope), i))
        cost.append(np.diff(curve.cost))
    order = np.argsort(-np.concatenate(saved), kind="stable")  # stable: a layer's edges stay in their order
    path = sum(int(c.cost[0]) for c in curves) + np.append(0, np.cumsum(np.concatenate(cost)[order]))
    within = np.flatnonzero(path <= budget)
    if len(within) == 0:
        return None
    taken = np.bincount(np.concatenate(owner)[order[: within[-1]]], minlength=len(curves))
    return [curve.ranks[n] for curve, n in zip(curves, taken, strict=True)]


def _check(what: str, given: Mapping[str, float], takers: Sequence[str]) -> None:
    for name, value in given.items():
        if name not in takers:
            raise RankError(f"layer {name!r} takes no {what}; those that do: {', '.join(takers) or 'none'}")
        if not math.isfinite(value):
            raise RankError(f"layer {name!r}: its {what} must be finite, got {value}")
