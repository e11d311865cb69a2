"""Every way to choose ranks from error tables alone, by name."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ..errors import BudgetError
from ..layers import ErrorTable, Form, NetworkSpec, RankConfiguration
from .energy import energy
from .evbmf import evbmf
from .rate_distortion import RateDistortion
from .uniform import uniform


@dataclass(frozen=True)
class Allocator:
    """A rule from error tables to ranks.

    Attributes:
        rule: called with the network, the tables, the ratio where one is taken, ``form`` and ``multiple_of``.
        takes_ratio: whether it can be asked for a compression ratio; otherwise it finds its own.
    """

    name: str
    rule: Callable[..., RankConfiguration]
    takes_ratio: bool = True

    def __call__(
        self,
        network: NetworkSpec,
        tables: Mapping[str, ErrorTable],
        ratio: float | None,
        *,
        form: Form,
        multiple_of: int = 1,
    ) -> RankConfiguration:
        """Ranks at ``ratio`` or as little above it as single ranks allow.

        Raises:
            BudgetError: the ratio cannot be attained, is missing, or is given to an allocator that takes none.
        """
        if self.takes_ratio and ratio is None:
            raise BudgetError(f"allocator {self.name!r} needs a compression ratio")
        if not self.takes_ratio and ratio is not None:
            raise BudgetError(f"allocator {self.name!r} finds its own ratio and takes none, got {ratio:g}")
        arguments = (network, tables, ratio) if self.takes_ratio else (network, tables)
        return self.rule(*arguments, form=form, multiple_of=multiple_of)


def _rate_distortion(
    network: NetworkSpec, tables: Mapping[str, ErrorTable], ratio: float, *, form: Form, multiple_of: int = 1
) -> RankConfiguration:
    return RateDistortion(network, tables, form, multiple_of)(ratio)


ALLOCATORS: dict[str, Allocator] = {
    a.name: a
    for a in (
        Allocator("rate-distortion", _rate_distortion),
        Allocator("uniform", uniform),
        Allocator("energy", energy),
        Allocator("evbmf", evbmf, takes_ratio=False),
    )
}
