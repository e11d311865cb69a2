"""The factors of one low-rank layer, and the kernel they stand for."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..errors import RankError
from ..layers import LayerRanks, Svd, Tucker2


class Decomposition(Protocol):
    """Whatever gives a layer's factors at any legal ranks: nested bases, or a fresh HOOI."""

    def factors(self, ranks: LayerRanks) -> "Factors":
        """The factors of ``ranks``, in storage of their own."""


@dataclass(frozen=True, eq=False)
class Factors:
    """A kernel in Tucker-2 format (Kim et al. 2016), or as a truncated SVD where ``core`` is None.

    Attributes:
        core: (rank_out, rank_in, kH, kW); None for a 1×1 convolution or a linear layer.
        factor_out: (C_out, rank_out), orthonormal columns as made (training may change that).
        factor_in: (C_in, rank_in), orthonormal columns as made; for an SVD, (C_in, rank) carrying the scale:
            Ŵ = factor_out factor_inᵀ.

    Raises:
        RankError: shapes that do not fit each other.
    """

    core: Tensor | None
    factor_out: Tensor
    factor_in: Tensor

    def __post_init__(self) -> None:
        inner = (self.factor_out.shape[1], self.factor_in.shape[1])
        if (inner != self.core.shape[:2]) if self.core is not None else (inner[0] != inner[1]):
            core = tuple(self.core.shape) if self.core is not None else None
            raise RankError(
                f"factors of shapes {tuple(self.factor_out.shape)} and {tuple(self.factor_in.shape)} "
                f"do not fit a core of shape {core}: their columns are its ranks"
            )

    @property
    def ranks(self) -> Tucker2 | Svd:
        """The ranks, in the layer's format."""
        rank_out, rank_in = self.factor_out.shape[1], self.factor_in.shape[1]
        return Svd(rank_out) if self.core is None else Tucker2(rank_out, rank_in)

    def kernel(self) -> Tensor:
        """Ŵ, (C_out, C_in, kH, kW); 1×1 for an SVD. Differentiable."""
        if self.core is None:
            return (self.factor_out @ self.factor_in.T)[:, :, None, None]
        rank_out, rank_in, *size = self.core.shape
        mixed = torch.matmul(self.factor_in, self.core.reshape(rank_out, rank_in, -1))
        return (self.factor_out @ mixed.reshape(rank_out, -1)).reshape(-1, len(self.factor_in), *size)

    @torch.no_grad()
    def relative_error(self, weight: Tensor) -> float:
        """‖W − Ŵ‖ / ‖W‖ (Frobenius) of a dense ``weight`` of any matching shape; 0 where ``weight`` is zero."""
        norm = weight.norm()
        return float((weight - self.kernel().reshape(weight.shape)).norm() / norm) if norm > 0 else 0.0
