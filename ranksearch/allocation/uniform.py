"""The same fraction of every mode's full rank, in all layers."""

import math
from collections.abc import Mapping

from ..layers import ErrorTable, Form, LayerSpec, NetworkSpec, RankConfiguration, full_ranks
from .choices import Cost
from .threshold import meet_ratio


def uniform(
    network: NetworkSpec,
    tables: Mapping[str, ErrorTable],
    ratio: float,
    *,
    form: Form,
    multiple_of: int = 1,
    cost: Cost = "params",
) -> RankConfiguration:
    """Ranks ⌊fraction · full⌋ ≥ 1, the fraction as large as the ratio allows. The tables do not matter.

    Raises:
        BudgetError: the ratio cannot be attained.
    """

    def ranks_at(spec: LayerSpec, share: float) -> list[int]:
        return [max(1, math.floor(share * full)) for full in full_ranks(spec)]

    return meet_ratio(network, ratio, form, multiple_of, cost, ranks_at)
