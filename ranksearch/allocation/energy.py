"""Each mode's smallest rank that retains a share of its spectrum's energy, one share for all modes and layers."""

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from ..layers import ErrorTable, Form, LayerSpec, NetworkSpec, RankConfiguration
from .choices import Cost
from .threshold import meet_ratio


def energy(
    network: NetworkSpec,
    tables: Mapping[str, ErrorTable],
    ratio: float,
    *,
    form: Form,
    multiple_of: int = 1,
    cost: Cost = "params",
) -> RankConfiguration:
    """Energy thresholds, the share as large as the ratio allows.

    Raises:
        BudgetError: the ratio cannot be attained.
    """
    retained = {spec.name: [_retained(s) for s in tables[spec.name].spectra] for spec in network.layers}

    def ranks_at(spec: LayerSpec, share: float) -> list[int]:
        return [int(np.searchsorted(kept, share)) + 1 for kept in retained[spec.name]]

    return meet_ratio(network, ratio, form, multiple_of, cost, ranks_at)


def _retained(spectrum: NDArray[np.float64]) -> NDArray[np.float64]:
    """Share of the energy, the sum of squared singular values, in the first 1, 2, … of them; 1 where there is none."""
    total = spectrum.sum()
    return np.cumsum(spectrum) / total if total > 0 else np.ones_like(spectrum)
