"""Covariances of patches and gradients: shrinkage, roots, and the average over a kernel's positions.

Σ, the uncentred covariance of a layer's input patches, is (C_in·K, C_in·K) with channels as the slow index, as
``torch.nn.functional.unfold`` orders them. Γ, that of the gradients at its output, is (C_out, C_out). A vector stands
for a diagonal, ``None`` for the identity everywhere.
"""

import scipy.linalg
import torch
from torch import Tensor

from ..errors import RankError

NOTHING = 1e-12  # stands for the variance of what is always zero: a layer without gradients must not count as sensitive


def shrink(covariance: Tensor, rho: float = 0.0, ridge: float = 1e-4) -> Tensor:
    """(1 − ρ)Σ + ρ·diag Σ + ridge·mean(diag Σ)·I: positive definite, whatever is dead or was seen too rarely.

    Args:
        covariance: (n, n), positive semidefinite; or its diagonal alone, (n,).
        rho: in [0, 1], larger where there are few patches for the dimensions: :func:`shrinkage`.
        ridge: > 0, relative to the mean variance (to :data:`NOTHING` where there is none at all).
    """
    diagonal = covariance.diagonal() if covariance.ndim == 2 else covariance
    floor = ridge * (float(diagonal.mean()) or NOTHING)
    if covariance.ndim == 1:
        return covariance + floor
    shrunk = (1 - rho) * covariance
    shrunk.diagonal().add_(rho * diagonal + floor)
    return shrunk


def shrinkage(covariance: Tensor, samples: int) -> float:
    """The ρ in [0, 1] of least expected squared error towards the diagonal, from ``samples`` and Σ alone.

    Σ_{i≠j} Var(s_ij) / Σ_{i≠j} s_ij² (Schäfer & Strimmer 2005, target D; Ledoit & Wolf 2003), with the variances of a
    Gaussian sample, Var(s_ij) = (s_ii·s_jj + s_ij²) / samples, so that no patch is looked at twice. 0 for a diagonal.
    """
    if covariance.ndim == 1:
        return 0.0
    diagonal = covariance.diagonal()
    squares = float(diagonal.square().sum())
    between = float(covariance.square().sum()) - squares
    variances = (float(diagonal.sum()) ** 2 - squares + between) / samples
    return min(1.0, variances / between) if between > 0 else 0.0


def root_of(covariance: Tensor) -> tuple[Tensor, Tensor]:
    """R with RᵀR = Σ and its inverse, both upper triangular, of a positive definite (n, n) matrix; or of a diagonal
    (n,), likewise. By Cholesky: a tenth of what the symmetric root takes, and ‖RM‖ = ‖Σ^½M‖ for any M.

    Raises:
        RankError: the matrix is not positive definite to its precision.
    """
    if covariance.ndim == 1:
        root, failed = covariance.clamp_min(0).sqrt(), False
    else:
        root, info = torch.linalg.cholesky_ex(covariance, upper=True)
        failed = bool(info)
    pivots = (root if root.ndim == 1 else root.diagonal()).square()
    if failed or float(pivots.min()) <= float(pivots.max()) * torch.finfo(root.dtype).eps:
        raise RankError("a covariance must be positive definite to its precision: shrink() makes it so")
    return root, 1 / root if root.ndim == 1 else inverse_of(root)


def inverse_of(triangle: Tensor) -> Tensor:
    """The inverse of an upper triangle, by LAPACK's own routine: half the time of solving for the identity."""
    return torch.from_numpy(scipy.linalg.lapack.dtrtri(triangle.numpy())[0])


def times(covariance: Tensor | None, matrix: Tensor) -> Tensor:
    """Σ·M, of (n, columns)."""
    if covariance is None:
        return matrix
    return covariance[:, None] * matrix if covariance.ndim == 1 else covariance @ matrix


def channel_average(covariance: Tensor, channels: int) -> Tensor:
    """Σ_c: the blocks of Σ at equal kernel positions, averaged; (channels, channels). Σ may be its diagonal."""
    if covariance.ndim == 1:
        return covariance.reshape(channels, -1).mean(1).diag()
    size = len(covariance) // channels
    return torch.einsum("ikjk->ij", covariance.reshape(channels, size, channels, size)) / size
