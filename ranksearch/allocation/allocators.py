"""Every way to choose ranks from error tables alone, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import BudgetError
from ..layers import ErrorTable, Form, NetworkSpec, RankConfiguration
from .choices import Cost
from .distortion import DISTORTIONS, Distortion
from .energy import energy
from .evbmf import evbmf, evbmf_weakened
from .rate_distortion import RateDistortion
from .uniform import uniform


@dataclass(frozen=True)
class Allocator:
    """A rule from error tables to ranks.

    Attributes:
        rule: called with the network, the tables, the ratio where one is taken, ``form``, ``multiple_of``, ``cost``.
        takes_ratio: whether it can be asked for a compression ratio; otherwise it finds its own.
        distortion: what it sums over the layers, where it does.
    """

    name: str
    rule: Callable[..., RankConfiguration]
    takes_ratio: bool = True
    distortion: Distortion | None = None

    @classmethod
    def summing(cls, name: str, distortion: Distortion) -> "Allocator":
        """Rate–distortion allocation over ``distortion``, every layer counting alike."""

        def rule(
            network: NetworkSpec,
            tables: Mapping[str, ErrorTable],
            ratio: float,
            *,
            form: Form,
            multiple_of: int,
            cost: Cost,
        ) -> RankConfiguration:
            return RateDistortion(network, tables, form, multiple_of, distortion, cost)(ratio)

        return cls(name, rule, distortion=distortion)

    def __call__(
        self,
        network: NetworkSpec,
        tables: Mapping[str, ErrorTable],
        ratio: float | None,
        *,
        form: Form,
        multiple_of: int = 1,
        cost: Cost = "params",
    ) -> RankConfiguration:
        """Ranks at ``ratio`` or as little above it as single ranks allow.

        Args:
            ratio: dense / compressed, by what ``cost`` counts.

        Raises:
            BudgetError: the ratio cannot be attained, is missing, or is given to an allocator that takes none.
        """
        if self.takes_ratio and ratio is None:
            raise BudgetError(f"allocator {self.name!r} needs a ratio to reach")
        if not self.takes_ratio and ratio is not None:
            raise BudgetError(f"allocator {self.name!r} finds its own ratio and takes none, got {ratio:g}")
        arguments = (network, tables, ratio) if self.takes_ratio else (network, tables)
        return self.rule(*arguments, form=form, multiple_of=multiple_of, cost=cost)


#: ``"rate-distortion"`` sums what a study sums by default; ``"rate-distortion:NAME"`` sums ``DISTORTIONS[NAME]``.
ALLOCATORS: dict[str, Allocator] = {
    a.name: a
    for a in (
        Allocator.summing("rate-distortion", DISTORTIONS["weighted-log"]),
        *(Allocator.summing(f"rate-distortion:{name}", d) for name, d in DISTORTIONS.items()),
        Allocator("uniform", uniform),
        Allocator("energy", energy),
        Allocator("evbmf", evbmf, takes_ratio=False),
        Allocator("evbmf-weakened", evbmf_weakened),
    )
}
