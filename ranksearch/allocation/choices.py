"""What a layer may become under a budget: the rank pairs worth having, each with its cost, and dense."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..layers import (
    Dense,
    Form,
    LayerRanks,
    LayerSpec,
    RankConfiguration,
    Svd,
    Tucker2,
    full_ranks,
    legal_mask,
    macs_table,
    params_table,
)

Cost = Literal["params", "macs"]
Ranks = tuple[int, ...]  # (rank_out, rank_in), (rank,), or () for dense: as layers.configuration.as_tuple

#: reason given where a budget leaves a layer dense
ALLOCATED = "allocated dense"


@dataclass(frozen=True)
class Choices:
    """The choices of one layer; tables are indexed ``[rank_out − 1, rank_in − 1]`` or ``[rank − 1]``.

    Attributes:
        costs: parameters, or multiply-accumulates per image, of every rank pair.
        allowed: pairs that are legal, multiples of ``multiple_of`` (or full), smaller than the dense layer in
            parameters and in ``costs``, and cheaper than every allowed pair with more of one rank (in the plain
            form full rank may cost less than the ranks just below it).
        dense: cost of the dense layer.
    """

    spec: LayerSpec
    costs: NDArray[np.int64]
    allowed: NDArray[np.bool_]
    dense: int

    @classmethod
    def of(cls, spec: LayerSpec, form: Form, multiple_of: int = 1, cost: Cost = "params") -> "Choices":
        params = params_table(spec, form)
        costs, dense = (params, spec.params) if cost == "params" else (macs_table(spec, form), spec.macs)
        allowed = legal_mask(spec) & (params < spec.params) & (costs < dense)
        for mode, full in enumerate(full_ranks(spec)):
            ranks = np.arange(1, allowed.shape[mode] + 1)
            np.moveaxis(allowed, mode, -1)[...] &= (ranks % multiple_of == 0) | (ranks == full)
        for mode in range(allowed.ndim):
            line, cost_line = (np.moveaxis(a, mode, -1) for a in (allowed, np.where(allowed, costs, dense)))
            least_beyond = np.minimum.accumulate(cost_line[..., :0:-1], -1)[..., ::-1]
            line[..., :-1] &= cost_line[..., :-1] < least_beyond
        return cls(spec, costs, allowed, dense)

    def cost(self, ranks: Ranks) -> int:
        return int(self.costs[tuple(r - 1 for r in ranks)]) if ranks else self.dense

    @property
    def cheapest(self) -> Ranks:
        """The choice of least cost; dense where no pair is allowed."""
        if not self.allowed.any():
            return ()
        least = np.argmin(np.where(self.allowed, self.costs, self.dense))
        return tuple(int(i) + 1 for i in np.unravel_index(least, self.costs.shape))

    def steps(self, ranks: Ranks) -> list[Ranks]:
        """The next larger choices: in each mode the next allowed rank, the others kept; dense beyond the last."""
        found = []
        for mode, rank in enumerate(ranks):
            line = self.allowed[tuple(slice(None) if m == mode else r - 1 for m, r in enumerate(ranks))][rank:]
            if line.any():
                found.append((*ranks[:mode], rank + 1 + int(line.argmax()), *ranks[mode + 1 :]))
        return found or ([()] if ranks else [])

    def layer_ranks(self, ranks: Ranks) -> LayerRanks:
        if not ranks:
            return Dense(ALLOCATED)
        return Tucker2(*ranks) if self.spec.format == "tucker2" else Svd(*ranks)


def total_cost(choices: Sequence[Choices], chosen: Sequence[Ranks]) -> int:
    """Cost of the compressible layers together."""
    return sum(c.cost(ranks) for c, ranks in zip(choices, chosen, strict=True))


def configuration_of(choices: Sequence[Choices], chosen: Sequence[Ranks]) -> RankConfiguration:
    return RankConfiguration({c.spec.name: c.layer_ranks(ranks) for c, ranks in zip(choices, chosen, strict=True)})
