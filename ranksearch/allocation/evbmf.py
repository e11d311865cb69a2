"""Ranks by the global analytic solution of empirical variational Bayesian matrix factorisation (EVBMF).

Nakajima, Sugiyama, Babacan & Tomioka, "Global analytic solution of fully-observed variational Bayesian matrix
factorization", JMLR 14 (2013). Of an L × M matrix (L ≤ M, α = L/M) seen as low rank plus noise of variance σ²,
a singular value γ is kept where γ²/(M σ²) > x̄ = (1 + τ̄)(1 + α/τ̄), τ̄ the root of Φ(τ) + Φ(τ/α) = 0 with
Φ(z) = log(1 + z)/z − 1/2; σ² minimises the free energy of the singular values.
"""

import math
from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import brentq, minimize_scalar

from ..errors import BudgetError
from ..layers import (
    Dense,
    ErrorTable,
    Form,
    LayerRanks,
    LayerSpec,
    NetworkSpec,
    RankConfiguration,
    full_ranks,
    layer_macs,
    network_cost,
    project,
)
from ..layers.configuration import as_tuple
from .choices import Cost
from .threshold import meet_ratio


def evbmf(
    network: NetworkSpec,
    tables: Mapping[str, ErrorTable],
    *,
    form: Form,
    multiple_of: int = 1,
    cost: Cost = "params",
    weakening: float = 1.0,
) -> RankConfiguration:
    """The EVBMF rank of every unfolding, at least 1, projected onto the legal ranks. It takes no ratio.

    Args:
        weakening: in [0, 1]; of the ranks that EVBMF takes away, this share is taken: ⌊full − weakening·(full − EVBMF)⌋
            as in MUSCO (Gusak et al. 2019). Plain EVBMF takes too many where a network is compressed in one step.
    """
    layers: dict[str, LayerRanks] = {}
    for spec in network.layers:
        ranks = project(spec, weakened(spec, layer_ranks(spec, tables[spec.name]), weakening), form, multiple_of)
        if cost == "macs" and layer_macs(spec, ranks, form) >= spec.macs:
            ranks = Dense(f"{as_tuple(ranks)} saves no MACs")
        layers[spec.name] = ranks
    return RankConfiguration(layers)


def evbmf_weakened(
    network: NetworkSpec,
    tables: Mapping[str, ErrorTable],
    ratio: float,
    *,
    form: Form,
    multiple_of: int = 1,
    cost: Cost = "params",
) -> RankConfiguration:
    """EVBMF with the weakening that meets ``ratio``.

    Raises:
        BudgetError: EVBMF itself, which is not weakened then, does not reach the ratio.
    """
    strongest = network_cost(network, evbmf(network, tables, form=form, multiple_of=multiple_of, cost=cost), form)
    reached = strongest.compression_ratio if cost == "params" else strongest.mac_ratio
    if ratio > reached:
        raise BudgetError(f"ratio {ratio:g} cannot be had: EVBMF reaches {reached:.4g}, and less where it is weakened")
    found = {spec.name: layer_ranks(spec, tables[spec.name]) for spec in network.layers}

    def ranks_at(spec: LayerSpec, share: float) -> tuple[int, ...]:
        return weakened(spec, found[spec.name], 1 - share)

    return meet_ratio(network, ratio, form, multiple_of, cost, ranks_at)


def layer_ranks(spec: LayerSpec, table: ErrorTable) -> tuple[int, ...]:
    """The EVBMF rank of each of a layer's unfoldings, at least 1."""
    weights = spec.channels_out * spec.channels_in * spec.kernel_size
    sides = (spec.channels_out, spec.channels_in)[: len(spec.modes)]
    return tuple(max(1, evbmf_rank(s, rows, weights // rows)) for s, rows in zip(table.spectra, sides, strict=True))


def weakened(spec: LayerSpec, ranks: tuple[int, ...], weakening: float) -> tuple[int, ...]:
    """``ranks`` (weakening 1) moved towards full rank (weakening 0)."""
    return tuple(math.floor(f - weakening * (f - r)) for r, f in zip(ranks, full_ranks(spec), strict=True))


def evbmf_rank(spectrum: NDArray[np.float64], rows: int, columns: int) -> int:
    """Number of singular values that stand out of the noise, possibly 0.

    Args:
        spectrum: squared singular values of a ``rows × columns`` matrix, largest first; further ones are 0.
    """
    short, long = sorted((rows, columns))
    squares = np.zeros(short)
    squares[: len(spectrum)] = spectrum[:short]
    alpha = short / long
    bound = _bound(alpha)
    # The noise variance is at most all there is, and at least what the values that are never kept must be.
    first_noise = math.ceil(short / (1 + alpha)) - 1
    high = squares.sum() / (short * long)
    low = max(squares[first_noise] / (long * bound), squares[first_noise:].mean() / long)
    low = min(low, high)  # equal for a flat spectrum, but for rounding
    negligible = np.finfo(float).eps * squares[0]
    if low <= negligible / long:  # no noise at all: what is not zero is signal
        return int((squares > negligible).sum())

    def energy(log_variance: float) -> float:
        return _free_energy(squares / (long * math.exp(log_variance)), alpha, bound) + short * log_variance

    found = minimize_scalar(energy, bounds=(math.log(low), math.log(high)), method="bounded")
    return int((squares > long * math.exp(found.x) * bound).sum())


def _bound(alpha: float) -> float:
    """x̄: the smallest γ²/(M σ²) that is kept."""

    def phi(z: float) -> float:
        return math.log1p(z) / z - 0.5

    # The root lies above √α and grows with α to 2.5129 at α = 1.
    tau = brentq(lambda tau: phi(tau) + phi(tau / alpha), math.sqrt(alpha), 2.52)
    return (1 + tau) * (1 + alpha / tau)


def _free_energy(x: NDArray[np.float64], alpha: float, bound: float) -> float:
    """Σ ψ(x) without its terms in log γ and log σ², for x = γ²/(M σ²)."""
    kept = x[x > bound]
    excess = kept - (1 + alpha)
    tau = (excess + np.sqrt(excess**2 - 4 * alpha)) / 2
    gain = np.log1p(tau) + alpha * np.log1p(tau / alpha) - tau
    return float(x.sum() + gain.sum())
