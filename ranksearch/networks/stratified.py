"""A part taken out of labelled examples so that every class keeps its share."""

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError


def stratified(targets: Tensor, count: int, seed: int, *, classes: bool = True) -> tuple[Tensor, Tensor]:
    """Indices of the rest and of the ``count`` chosen, both ascending, disjoint and together all.

    scikit-learn's ``train_test_split``, whose RandomState stream is frozen: the same everywhere.

    Args:
        targets: ``(n, …)``; int64 labels where ``classes``, else only their number matters.
        count: 1 ≤ count < n.
        classes: whether the shares of the classes are kept.

    Raises:
        DataError: ``count`` out of range, fewer chosen (or left) than classes, or a class with one member.
    """
    total = len(targets)
    if not 1 <= count < total:
        raise DataError(f"cannot take {count:,} out of {total:,} examples: 1 to {total - 1:,} are possible")
    if classes:
        labels, sizes = torch.unique(targets, return_counts=True)
        if int(sizes.min()) < 2:
            raise DataError(
                f"class {int(labels[sizes.argmin()])} has one example only: a split needs two of every class"
            )
        if min(count, total - count) < len(labels):
            raise DataError(
                f"{count:,} out of {total:,} examples: with {len(labels)} classes, {len(labels)} to "
                f"{total - len(labels):,} can be taken"
            )
    from sklearn.model_selection import train_test_split

    rest, chosen = train_test_split(
        np.arange(total), test_size=count, random_state=seed, stratify=targets.numpy() if classes else None
    )
    return torch.from_numpy(np.sort(rest)), torch.from_numpy(np.sort(chosen))
