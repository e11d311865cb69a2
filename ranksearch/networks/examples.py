"""Examples: inputs with targets, in batches that are normalised, augmented and reproducible."""

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import tee
from typing import Any, Self

import torch
from torch import Tensor

from ..errors import DataError
from .augmentation import NO_AUGMENTATION, Augmentation
from .normalization import Normalization, as_input
from .order import AUGMENT, Draw, draws


@dataclass(frozen=True, eq=False, kw_only=True)
class Examples(ABC):
    """Some rows of a store of inputs and targets.

    Attributes:
        rows: int64 ``(n,)``, which examples of the store, in this order.
        normalization: of the inputs; None: uint8 is scaled to [0, 1], floats are used as they are.
        augmentation: of batches that ask for it.
    """

    rows: Tensor
    normalization: Normalization | None = None
    augmentation: Augmentation = NO_AUGMENTATION

    def __len__(self) -> int:
        return len(self.rows)

    @property
    @abstractmethod
    def targets(self) -> Any:
        """All targets in order: a tensor ``(n, …)`` where one target is a number or a tensor."""

    @property
    @abstractmethod
    def digests(self) -> list[bytes] | None:
        """A digest of each stored input, before normalisation; None where inputs are not at rest."""

    @property
    @abstractmethod
    def content(self) -> bytes:
        """A digest of inputs and targets, in order."""

    @abstractmethod
    def item(self, row: int) -> tuple[Tensor, Any]:
        """One stored input and its target; ``row`` counts in the store."""

    @abstractmethod
    def read(self, plan: Iterable[Draw], device: torch.device) -> Iterator[tuple[Tensor, Any]]:
        """Stored inputs and targets of each draw, on ``device``."""

    @cached_property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits over what a network is shown: inputs, targets, order, normalisation."""
        return hashlib.sha256(self.content + repr(self.normalization).encode()).hexdigest()[:16]

    @property
    def classes(self) -> int | None:
        """Number of classes, the largest label + 1; None where targets are not integer labels ≥ 0."""
        targets = self.targets
        labels = isinstance(targets, Tensor) and targets.ndim == 1 and targets.dtype == torch.int64 and len(targets) > 0
        return int(targets.max()) + 1 if labels and int(targets.min()) >= 0 else None

    def subset(self, indices: Tensor | Sequence[int]) -> Self:
        """The examples at ``indices``; nothing is copied."""
        return replace(self, rows=self.rows[torch.as_tensor(indices, dtype=torch.int64)])

    def read_ahead(self, workers: int) -> Self:
        """The same, read ahead by so many processes where examples are not held in memory."""
        return self

    def first(self, number: int) -> Self:
        """The first ``number`` examples, or all where there are fewer."""
        return self.subset(range(min(number, len(self))))

    def prepared(self, normalization: Normalization | None, augmentation: Augmentation) -> Self:
        """The same with another preparation, checked against the first example.

        Raises:
            DataError: a second normalisation, as many means as there are no channels, or crops and flips of
                what is not an image.
        """
        shape = self.example().shape
        if normalization and self.normalization:
            raise DataError(f"the data is normalised by its own transform ({self.normalization}): drop data.normalize")
        if normalization and (len(shape) < 2 or len(normalization.mean) not in (1, shape[1])):
            raise DataError(
                f"data.normalize has {len(normalization.mean)} means, the inputs are {_times(shape[1:])}: "
                "give one per channel, or one for all"
            )
        if augmentation and len(shape) != 4:
            raise DataError(f"data.augment needs images C×H×W, the inputs are {_times(shape[1:])}")
        return replace(self, normalization=normalization or self.normalization, augmentation=augmentation)

    def example(self) -> Tensor:
        """The first input, normalised, as a batch of one."""
        return next(self.read_ahead(0).batches(1, steps=1))[0]

    def pass_size(self, most: int, numbers: int) -> int:
        """Images of one forward pass: at most ``most``, at most ``numbers`` input numbers together, one at least."""
        return max(1, min(most, numbers // self._numbers))

    @cached_property
    def _numbers(self) -> int:
        return self.example().numel()

    def batches(
        self,
        batch: int,
        *,
        seed: int | None = None,
        start: int = 0,
        steps: int | None = None,
        augment: str = "none",
        device: str | torch.device = "cpu",
    ) -> Iterator[tuple[Tensor, Any]]:
        """Batches of float32 inputs and their targets, on ``device``.

        Args:
            batch: examples per batch, ≥ 1.
            seed: None: once through in order, the last batch may be short. Otherwise endless reshuffled
                epochs in full batches; batch ``i`` depends on ``(seed, i)`` alone.
            start: index of the first batch: from there on, what a run from 0 would have given.
            steps: how many batches are given at most.
            augment: which :meth:`~.augmentation.Augmentation.part` of the augmentation applies, drawn from
                ``(seed, batch index)``.

        Raises:
            DataError: no examples, or one that cannot be read.
        """
        device = torch.device(device)
        augmentation = self.augmentation.part(augment)
        plan, order = tee(draws(len(self), batch, seed=seed, start=start, steps=steps))
        for draw, (inputs, targets) in zip(plan, self.read(order, device), strict=False):
            if augmentation:
                inputs = augmentation(inputs, draw.generator(AUGMENT))
            yield as_input(inputs, self.normalization), targets


def _times(shape: Sequence[int]) -> str:
    return "×".join(map(str, shape)) or "single numbers"
