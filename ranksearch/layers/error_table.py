"""The distortion of every rank pair of one layer, exact, made once per network."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from ..errors import RankError
from .configuration import Dense, LayerRanks, as_tuple

#: What an error is measured by: the kernel, the layer's output on data, or that weighted by the loss's gradients.
Basis = Literal["weights", "activations", "activations+gradients"]


@dataclass(frozen=True)
class ErrorTable:
    """Distortions of one layer.

    Attributes:
        distortion: expected squared error of the layer's output per position,
            ``[rank_out − 1, rank_in − 1]`` of shape (C_out, C_in), or ``[rank − 1]``; ≥ 0, non-increasing
            along every mode. With Σ = identity it is ‖W − Ŵ‖².
        total: the same with nothing kept, tr(W Σ Wᵀ), or tr(Γ W Σ Wᵀ) where outputs are weighted by Γ too; ≥ 0.
        spectra: squared singular values of the kernel's unfoldings (mode 0, mode 1; one for SVD),
            largest first, under Σ = identity: what energy thresholds and EVBMF look at.
        in_loss: distortions are in units of the network's loss (two-sided bases), so that totals of different
            layers compare; otherwise they do not: a rescaled convolution before batch norm changes them.
    """

    distortion: NDArray[np.float64]
    total: float
    spectra: tuple[NDArray[np.float64], ...]
    in_loss: bool = False

    def __post_init__(self) -> None:
        if self.distortion.ndim != len(self.spectra):
            raise RankError(
                f"an error table of {self.distortion.ndim} modes needs as many spectra, got {len(self.spectra)}"
            )
        if not (np.isfinite(self.total) and np.isfinite(self.distortion).all()):
            raise RankError("an error table must be finite: the layer's weights or statistics hold NaN or infinity")

    @property
    def relative(self) -> NDArray[np.float64]:
        """Distortion as a fraction of the total, in [0, 1]."""
        return np.clip(self.distortion / self.total if self.total > 0 else self.distortion * 0, 0.0, 1.0)

    def __getitem__(self, ranks: LayerRanks) -> float:
        """Distortion at ``ranks``; 0 for a dense layer."""
        if isinstance(ranks, Dense):
            return 0.0
        return float(self.distortion[tuple(r - 1 for r in as_tuple(ranks))])
