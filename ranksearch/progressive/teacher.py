"""The teacher: the dense network, asked once for its answer to a batch that several runs are shown."""

import copy
import hashlib
from collections.abc import Hashable

import torch
from torch import Tensor, nn

from ..networks import Examples, Resident
from ..records import Recipe
from .precision import FLOAT32, Precision

ROOM = 256 * 1024**2  # bytes of answers that are remembered, where they are needed; the oldest make way
EVERY = 61  # of how many numbers one tells inputs apart; a prime, so that all columns of an image occur


class Teacher:
    """Answers of the dense network to training batches, remembered.

    Runs of equal seed, batch size and augmentation see equal batches: all trials of a study do, and all runs of
    ``finetune`` with one seed. Known answers make a step 1.24 times as fast for a ResNet-20 at 4×,
    1.65 times for a VGG-16 at 20× (reports/steps).

    Args:
        network: dense; copied, left as it is.
    """

    def __init__(self, network: nn.Module, precision: Precision = FLOAT32, device: torch.device | str = "cpu") -> None:
        copied = precision.place(copy.deepcopy(network), torch.device(device))
        self.network, self.precision = copied.requires_grad_(False).eval(), precision
        self._answers: dict[Hashable, Tensor] = {}
        self._bytes = 0

    def answer(self, inputs: Tensor, batch: Hashable) -> Tensor:
        """Its outputs for ``inputs``, without gradient; ``batch`` tells these inputs from all others."""
        if batch not in self._answers:
            with torch.no_grad():  # not inference_mode, whose tensors backward may not read
                answer = self._answers[batch] = self.precision.outputs(self.network, inputs)
            self._bytes += answer.nbytes
            while self._bytes > ROOM and len(self._answers) > 1:
                self._bytes -= self._answers.pop(next(iter(self._answers))).nbytes
        return self._answers[batch]


class Shown:
    """Names the batches of one run as the teacher knows them."""

    def __init__(self, train: Examples, recipe: Recipe, seed: int) -> None:
        self.run = (train.fingerprint, recipe.batch, recipe.augment, seed)
        self.at_rest = isinstance(train, Resident)

    def batch(self, step: int, inputs: Tensor) -> Hashable:
        """Where the data set is the user's own, whose transforms may draw as they like, the inputs are looked at."""
        return (*self.run, step, "" if self.at_rest else _sample(inputs))


def _sample(inputs: Tensor) -> str:
    few = inputs.flatten()[::EVERY].float().cpu().numpy().tobytes()
    return hashlib.blake2b(few, digest_size=16).hexdigest()
