"""Which examples make up which batch: a function of (seed, batch index) alone, so that a resumed run sees the same."""

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
import torch
from torch import Tensor

from ..errors import DataError

EPOCH, AUGMENT, ITEMS = range(3)  # purposes of random numbers: none may disturb another


def derived_seed(seed: int, purpose: int, index: int) -> int:
    """A 64-bit seed for the ``index``-th use of one purpose, unrelated to its neighbours (NumPy's SeedSequence)."""
    sequence = np.random.SeedSequence((seed % 2**64, purpose, index))
    return int(sequence.generate_state(1, np.uint64)[0])


@dataclass(frozen=True)
class Draw:
    """One batch to come.

    Attributes:
        step: index of the batch, from 0.
        positions: int64 ``(batch,)``, into the examples.
        seed: of the whole sequence; None where it is in order.
    """

    step: int
    positions: Tensor
    seed: int | None = None

    def generator(self, purpose: int) -> torch.Generator:
        """Random numbers that belong to this batch and purpose (on the CPU, so that all devices see the same)."""
        return torch.Generator().manual_seed(derived_seed(self.seed or 0, purpose, self.step))


def draws(count: int, batch: int, *, seed: int | None, start: int = 0, steps: int | None = None) -> Iterator[Draw]:
    """Batches ``start``, ``start + 1``, … of ``count`` examples, at most ``steps`` of them.

    Without a seed: once through in order, the last batch may be short. With a seed: endless epochs, each a
    permutation of its own, cut into full batches as if they were one long list.

    Raises:
        DataError: no examples, or ``batch`` below 1.

    >>> [draw.positions.tolist() for draw in draws(5, 2, seed=None)]
    [[0, 1], [2, 3], [4]]
    >>> sum((draw.positions.tolist() for draw in draws(3, 2, seed=1, steps=3)), []).count(2)
    2
    """
    if count < 1 or batch < 1:
        raise DataError(f"batches of {batch} out of {count} examples: both must be at least 1")
    indices = itertools.count(start) if steps is None else range(start, start + steps)
    if seed is None:
        for step in itertools.takewhile(lambda step: step * batch < count, indices):
            yield Draw(step, torch.arange(step * batch, min(count, (step + 1) * batch)))
        return

    @lru_cache(maxsize=2)
    def permutation(epoch: int) -> Tensor:
        generator = torch.Generator().manual_seed(derived_seed(seed, EPOCH, epoch))
        return torch.randperm(count, generator=generator)

    for step in indices:
        first, end = step * batch, (step + 1) * batch
        epochs = range(first // count, (end - 1) // count + 1)
        parts = [permutation(epoch)[max(0, first - epoch * count) : end - epoch * count] for epoch in epochs]
        yield Draw(step, torch.cat(parts), seed)
