"""Which configurations a step of the elastic adapter's training takes: repeatable draws by (seed, step).

One slice after another is drawn around the closed form, log-uniform in its ratio; where a step has several, the last
alternates between the smallest network (the sandwich rule of slimmable networks, Yu & Huang 2019) and the closed-form
front. Provisional: on ResNet-20, one seed, one slice a step served all sizes at least as well as two at 1.6 times the
cost, and drawing small networks more often (as in FLORA, 2024) cost more at 4× than it won at 8×.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from ..layers import RankConfiguration

Allocate = Callable[[float, Mapping[str, float], Mapping[str, float]], RankConfiguration]

WIDER = 1.06  # how far beyond the study's highest ratio is drawn: what lies at the edge needs neighbours on both sides
NOISE = 0.5  # standard deviation of the layers' log-weights: the search strays as far from the closed form
FRONT = 8  # points of the closed-form front, equally spaced in log2


@dataclass(frozen=True)
class Slices:
    """The slices of each step.

    Attributes:
        allocate: ranks from (compression ratio, log-weight by layer, tilt by layer).
        layers: names of those that take a weight.
        ratio: the study's lowest and highest compression ratio.
        attainable: the largest ratio that ``allocate`` can reach.
        number: slices per step, ≥ 1; with one, all are drawn.
        seed: of the draws.
    """

    allocate: Allocate
    layers: tuple[str, ...]
    ratio: tuple[float, float]
    attainable: float
    number: int = 1
    seed: int = 0

    def __call__(self, step: int) -> tuple[RankConfiguration, ...]:
        """The slices of ``step``, from 0 on."""
        random = np.random.default_rng((self.seed, step))
        drawn = tuple(self._draw(random) for _ in range(max(1, self.number - 1)))
        if self.number == 1:
            return drawn
        front = self.closed_form
        return (*drawn, front[-1] if step % 2 == 0 else front[(step // 2) % (len(front) - 1)])

    @cached_property
    def closed_form(self) -> tuple[RankConfiguration, ...]:
        """The allocations without weights over the study's range; the smallest network comes last."""
        return tuple(self.allocate(float(ratio), {}, {}) for ratio in np.geomspace(*self.ratio, FRONT))

    def _draw(self, random: np.random.Generator) -> RankConfiguration:
        """One around the closed form, log-uniform in its ratio."""
        low, high = self.ratio[0], min(self.ratio[1] * WIDER, self.attainable)
        ratio = low * math.exp(random.uniform(0, math.log(high / low)))
        weights = dict(zip(self.layers, NOISE * random.standard_normal(len(self.layers)), strict=True))
        return self.allocate(min(ratio, high), {name: float(w) for name, w in weights.items()}, {})
