"""Nested bases of one layer: decomposed once, after which the factors of any rank pair are leading blocks.

With Σ the covariance of the input patches and Γ that of the output gradients (None: the identity), everything is made
for the distortion ‖Γ^½ (W − Ŵ)_(0) Σ^½‖². Without covariances this is the HOSVD (De Lathauwer et al. 2000) of the two
channel modes. Throughout, K = kH·kW, and a kernel is held as its unfolding W_(0), (C_out, C_in·K).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from ..errors import RankError
from ..layers import Dense, ErrorTable, LayerRanks, LayerSpec, NetworkSpec, Tucker2
from ..layers.legal import require_legal
from .calibration import Covariances
from .covariance import channel_average, inverse_of, root_of, times
from .factors import Factors


@dataclass(frozen=True, eq=False)
class NestedBases:
    """The bases of one layer and the exact distortion of every rank pair.

    Attributes:
        spec: the layer.
        table: distortions by ranks.
        basis_out: (C_out, n) orthonormal, n = min(C_out, C_in·K); factor_out is its leading columns.
        basis_in: (C_in, m) orthonormal, m = min(C_in, C_out·K); None for an SVD.
        coefficients: the kernel in both bases, whitened, (n, m·K); (n, C_in) for an SVD.
        unwhiten_out: (n, n) upper triangular, undoes the whitening by Γ; None is the identity.
        unwhiten_in: (m·K, m·K) lower triangular, undoes the whitening by Σ; (K, m, m), a triangle for each position
            of the kernel, where of Σ the diagonal alone is known; None is the identity.
    """

    spec: LayerSpec
    table: ErrorTable
    basis_out: Tensor
    basis_in: Tensor | None
    coefficients: Tensor
    unwhiten_out: Tensor | None = None
    unwhiten_in: Tensor | None = None

    def factors(self, ranks: LayerRanks) -> Factors:
        """The factors of ``ranks`` with the least-squares core: slices and two small products, in storage of their own.

        Raises:
            RankError: ranks outside the layer's legal range, or a dense layer, which has no factors.
        """
        require_legal(self.spec, ranks)
        if isinstance(ranks, Dense):
            raise RankError(f"layer {self.spec.name!r} stays dense ({ranks.reason}): it has no factors")
        rank_out, rank_in = (
            (ranks.rank_out, ranks.rank_in) if isinstance(ranks, Tucker2) else (ranks.rank, self.spec.channels_in)
        )
        size = rank_in * self.spec.kernel_size
        core = self.coefficients[:rank_out, :size].clone()
        if self.unwhiten_out is not None:
            core = self.unwhiten_out[:rank_out, :rank_out] @ core
        if self.unwhiten_in is not None and self.unwhiten_in.ndim == 3:
            by_position = self.unwhiten_in[:, :rank_in, :rank_in]
            core = torch.einsum("oik,kij->ojk", core.view(rank_out, rank_in, -1), by_position).flatten(1)
        elif self.unwhiten_in is not None:
            core = core @ self.unwhiten_in[:size, :size]
        factor_out = self.basis_out[:, :rank_out].clone()
        if self.basis_in is None:
            return Factors(None, factor_out, core.T.contiguous())
        return Factors(
            core.reshape(rank_out, rank_in, *self.spec.kernel), factor_out, self.basis_in[:, :rank_in].clone()
        )


@torch.no_grad()
def nested_bases(
    spec: LayerSpec,
    weight: Tensor,
    patch_covariance: Tensor | None = None,
    gradient_covariance: Tensor | None = None,
) -> NestedBases:
    """Decomposes one layer, in float64 on the CPU; the bases lie on the weight's device in its dtype, at least float32.

    Args:
        spec: the layer; Tucker-2 or SVD by its kernel.
        weight: (C_out, C_in, kH, kW) or (C_out, C_in).
        patch_covariance: Σ, (C_in·K, C_in·K), channels as the slow index, positive definite
            (:func:`~.covariance.shrink` makes it so); or its diagonal, (C_in·K,).
        gradient_covariance: Γ, (C_out, C_out) or (C_out,), likewise.

    Raises:
        RankError: a weight or covariance that is of another shape, not finite, or not positive definite.
    """
    size = spec.channels_in * spec.kernel_size
    raw = _checked(spec, "weight", weight.flatten(1), (spec.channels_out, size))
    sigma = gamma = None
    if patch_covariance is not None:
        sigma = _checked(spec, "patch covariance", patch_covariance, (size,) * patch_covariance.ndim)
    if gradient_covariance is not None:
        shape = (spec.channels_out,) * gradient_covariance.ndim
        gamma = _checked(spec, "gradient covariance", gradient_covariance, shape)
    try:
        gains, blocks = _decompose(spec, raw, sigma, gamma)
    except (RankError, torch.linalg.LinAlgError) as error:
        raise RankError(f"layer {spec.name!r}: no bases under its covariances ({error}); shrink them first") from None
    kept = torch.promote_types(weight.dtype, torch.float32)
    # Contiguous, as they come out of a file: other strides round otherwise, and equal runs would differ.
    placed: dict[str, Any] = {
        name: None if b is None else b.to(weight.device, kept).contiguous() for name, b in blocks.items()
    }
    return NestedBases(spec, _error_table(spec, gains.numpy(), _spectra(spec, raw), gamma is not None), **placed)


def network_bases(
    network: nn.Module, spec: NetworkSpec, covariances: Covariances | None = None
) -> dict[str, NestedBases]:
    """The bases of every compressible layer by its name; from the weights alone (Σ, Γ identities) unless calibrated."""
    known = covariances or Covariances({}, {})
    return {
        layer.name: nested_bases(
            layer,
            network.get_parameter(f"{layer.name}.weight"),
            known.patches.get(layer.name),
            known.gradients.get(layer.name),
        )
        for layer in spec.layers
    }


def _checked(spec: LayerSpec, what: str, matrix: Tensor, shape: tuple[int, ...]) -> Tensor:
    if matrix.shape != shape:
        raise RankError(f"layer {spec.name!r}: its {what} must be {shape}, got {tuple(matrix.shape)}")
    if not torch.isfinite(matrix).all():
        raise RankError(f"layer {spec.name!r}: its {what} holds NaN or infinity")
    return matrix.detach().cpu().double()


def _decompose(
    spec: LayerSpec, kernel: Tensor, sigma: Tensor | None, gamma: Tensor | None
) -> tuple[Tensor, dict[str, Tensor | None]]:
    """What each entry (for an SVD, each row) of the coefficients retains, then the tensors of :class:`NestedBases`."""
    channels = spec.channels_in
    if gamma is not None:
        root, inverse = root_of(gamma)
        kernel = times(root, kernel)
    basis_out, unwhiten_out = _left_vectors(kernel, sigma), None
    coefficients = basis_out.T @ kernel
    if gamma is not None:
        basis_out, unwhiten_out = torch.linalg.qr(times(inverse, basis_out))
    blocks: dict[str, Tensor | None] = {"basis_out": basis_out, "unwhiten_out": unwhiten_out}

    if spec.format == "svd":
        weighted = _times(coefficients, sigma)
        return (coefficients * weighted).sum(1), blocks | {"coefficients": coefficients, "basis_in": None}
    unfolding = _input_unfolding(kernel, channels)
    if sigma is None:
        basis_in, unwhiten_in = _left_vectors(unfolding), None
        coefficients = _project(coefficients, basis_in)
    else:
        root, inverse = root_of(channel_average(sigma, channels))
        # Orthonormal columns that span, one after the other, what the whitened ones span.
        basis_in = torch.linalg.qr(inverse @ _left_vectors(root @ unfolding))[0]
        projected = _project(_times(coefficients, sigma), basis_in)
        if sigma.ndim == 1:  # positions do not mix
            of_positions = sigma.reshape(channels, -1).T[:, :, None]
            lower = torch.linalg.cholesky(basis_in.T @ (of_positions * basis_in))
            by_position = projected.reshape(len(projected), basis_in.shape[1], -1).permute(2, 1, 0)
            by_position = torch.linalg.solve_triangular(lower, by_position, upper=False)
            coefficients = by_position.permute(2, 1, 0).flatten(1)
            unwhiten_in = torch.linalg.inv(lower)
        else:
            lower = torch.linalg.cholesky(_project(_project(sigma, basis_in).T, basis_in))
            coefficients = torch.linalg.solve_triangular(lower, projected.T, upper=False).T
            unwhiten_in = inverse_of(lower.T).T
    blocks |= {"coefficients": coefficients, "basis_in": basis_in, "unwhiten_in": unwhiten_in}
    return coefficients.square(), blocks


def _left_vectors(matrix: Tensor, sigma: Tensor | None = None) -> Tensor:
    """Eigenvectors of M Σ Mᵀ, largest first, for M of (rows, columns): (rows, min(rows, columns)), orthonormal."""
    basis = None
    if matrix.shape[0] > matrix.shape[1]:
        basis, matrix = torch.linalg.qr(matrix)
    vectors = torch.linalg.eigh(_times(matrix, sigma) @ matrix.T)[1].flip(1)
    return vectors if basis is None else basis @ vectors


def _times(matrix: Tensor, sigma: Tensor | None) -> Tensor:
    """M Σ; Σ may be the identity (None) or its diagonal."""
    if sigma is None:
        return matrix
    return matrix * sigma if sigma.ndim == 1 else matrix @ sigma


def _input_unfolding(kernel: Tensor, channels: int) -> Tensor:
    """W_(1), (C_in, C_out·K), from W_(0)."""
    return kernel.reshape(len(kernel), channels, -1).transpose(0, 1).reshape(channels, -1)


def _project(matrix: Tensor, basis: Tensor) -> Tensor:
    """matrix · (basis ⊗ I_K): (n, C_in·K) and (C_in, m) to (n, m·K)."""
    rows, size = len(matrix), matrix.shape[1] // len(basis)
    positions_first = matrix.reshape(rows, len(basis), size).transpose(1, 2).reshape(rows * size, len(basis))
    return (positions_first @ basis).reshape(rows, size, -1).transpose(1, 2).flatten(1)  # one large product


def _spectra(spec: LayerSpec, kernel: Tensor) -> tuple[NDArray[np.float64], ...]:
    """Squared singular values of the unfoldings, largest first: as many as the full ranks."""
    unfoldings = [kernel] if spec.format == "svd" else [kernel, _input_unfolding(kernel, spec.channels_in)]
    wide = [matrix if matrix.shape[0] <= matrix.shape[1] else matrix.T for matrix in unfoldings]
    return tuple(torch.linalg.eigvalsh(matrix @ matrix.T).flip(0).clamp_min(0).numpy() for matrix in wide)


def _error_table(
    spec: LayerSpec, gains: NDArray[np.float64], spectra: tuple[NDArray[np.float64], ...], in_loss: bool
) -> ErrorTable:
    """The exact table: what a rank pair retains is a sum of squares over a leading block (Pythagoras)."""
    shape: tuple[int, ...] = (spec.channels_out, spec.channels_in)
    if spec.format == "svd":
        shape = (min(shape),)
    else:
        gains = gains.reshape(len(gains), -1, spec.kernel_size).sum(2)
    retained = gains
    for axis in range(gains.ndim):
        retained = retained.cumsum(axis)
    total = float(retained.flat[-1])
    distortion = np.pad(total - retained, [(0, n - m) for n, m in zip(shape, gains.shape, strict=True)], mode="edge")
    return ErrorTable(distortion.clip(min=0), total, spectra, in_loss)
