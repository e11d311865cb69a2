"""Which rows of a factor become the identity, so that they need neither storage nor arithmetic.

A factor is defined up to an invertible matrix per rank. With r of its rows chosen by column-pivoted QR
(Businger & Golub 1965; the interpolative decomposition of Cheng et al. 2005), it is
``factor[pivots] = block`` and ``factor[others] = transfer @ block``: ``block`` goes into the core.
"""

from dataclasses import dataclass

import numpy as np
import scipy.linalg
import torch
from torch import Tensor


@dataclass(frozen=True, eq=False)
class Pivoting:
    """Rows of an (n, r) factor, split; indices ascend.

    Attributes:
        pivots: (r,) rows that become the identity.
        others: (n − r,) the other rows.
        block: (r, r), the factor's pivot rows.
        transfer: (n − r, r), the others as combinations of the pivot rows; entries of order 1.
    """

    pivots: Tensor
    others: Tensor
    block: Tensor
    transfer: Tensor

    @property
    def order(self) -> Tensor:
        """(n,) where each row stands in the concatenation of pivots and others."""
        return torch.argsort(torch.cat([self.pivots, self.others]))


def pivot(factor: Tensor) -> Pivoting:
    """Splits an (n, r) ``factor``, n ≥ r, computed in float64, returned in its dtype and device.

    Dependent columns do no harm: rows beyond the numerical rank get transfer entries of zero.
    """
    values = factor.detach().cpu().double().numpy()
    rank = values.shape[1]
    triangle, order = scipy.linalg.qr(values.T, mode="r", pivoting=True)
    diagonal = np.abs(np.diag(triangle))
    independent = int((diagonal > diagonal[0] * len(values) * np.finfo(float).eps).sum())
    others = np.sort(order[rank:])
    transfer = np.zeros((len(values) - rank, rank))
    transfer[:, :independent] = scipy.linalg.solve_triangular(
        triangle[:independent, :independent], triangle[:independent, rank:]
    ).T
    by_row, by_pivot = np.argsort(order[rank:]), np.argsort(order[:rank])
    pivots = torch.from_numpy(order[:rank][by_pivot].astype(np.int64))
    return Pivoting(
        pivots=pivots.to(factor.device),
        others=torch.from_numpy(others.astype(np.int64)).to(factor.device),
        block=factor.detach()[pivots.to(factor.device)],
        transfer=torch.from_numpy(transfer[np.ix_(by_row, by_pivot)]).to(factor),
    )
