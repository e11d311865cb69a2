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

from ..layers import ErrorTable, Form, NetworkSpec, RankConfiguration, project


def evbmf(
    network: NetworkSpec, tables: Mapping[str, ErrorTable], *, form: Form, multiple_of: int = 1
) -> RankConfiguration:
    """The EVBMF rank of every unfolding, at least 1, projected onto the legal ranks. It takes no ratio."""
    layers = {}
    for spec in network.layers:
        weights = spec.channels_out * spec.channels_in * spec.kernel_size
        ranks = tuple(
            evbmf_rank(spectrum, rows, weights // rows)
            for spectrum, rows in zip(
                tables[spec.name].spectra, (spec.channels_out, spec.channels_in)[: len(spec.modes)], strict=True
            )
        )
        layers[spec.name] = project(spec, ranks, form, multiple_of)
    return RankConfiguration(layers)


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
