"""What a training reads and is measured on: of the search, or of the last word."""

from dataclasses import dataclass, replace

import torch

from ..networks import Examples
from ..progressive import Precision, Task, judged
from ..records import Measurement


@dataclass(frozen=True)
class Stage:
    """What a training reads and what it is measured on.

    Attributes:
        split: name of the measured split, ``"search"`` or ``"test"``.
        dense_outputs: of the dense network on ``measured``, (images, …), float32 on the CPU.
        reestimate: training images for batch-norm statistics.
        precision: of re-estimation and measuring: the fast one while searching, float32 for the last word.
    """

    split: str
    train: Examples
    measured: Examples
    dense_outputs: torch.Tensor
    reestimate: int
    precision: Precision

    def dense(self, task: Task) -> Measurement:
        """What the dense network reaches here."""
        return judged(self.dense_outputs, self.measured, None, task, self.split)

    def sample(self, images: int) -> "Stage":
        """The same, measured on so many images at most, the same ones always: drawn, since data may be sorted."""
        few = torch.randperm(len(self.measured), generator=torch.Generator().manual_seed(0))[:images].sort().values
        return replace(self, measured=self.measured.subset(few), dense_outputs=self.dense_outputs[few])
