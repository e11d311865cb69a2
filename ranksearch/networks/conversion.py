"""What users hand over (arrays, Datasets) as Examples, and two Examples as one."""

from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import ConcatDataset, Dataset, Subset, TensorDataset

from ..errors import DataError
from .examples import Examples
from .normalization import as_input
from .resident import Resident, Store
from .streamed import Streamed
from .torchvision_sets import known_labels, raw_examples


def examples_of(data: Any) -> Examples:
    """Examples from a pair of arrays or tensors ``(inputs, targets)``, or any map-style torch Dataset.

    Held in memory: arrays, a TensorDataset of two tensors, and torchvision's MNIST, CIFAR and SVHN whose
    transform is no more than ToTensor and Normalize. Any other Dataset is streamed, its transforms and all.

    Raises:
        DataError: none of these.

    >>> len(examples_of((torch.rand(6, 1, 8, 8), torch.arange(6))))
    6
    """
    match data:
        case Examples():
            return data
        case (Tensor() | np.ndarray() as inputs, Tensor() | np.ndarray() as targets):
            return Resident.of(inputs, targets)
        case TensorDataset(tensors=(inputs, targets)) if type(data) is TensorDataset:  # a subclass gives what it likes
            return Resident.of(inputs, targets)
        case Subset() if type(data) is Subset:
            return examples_of(data.dataset).subset(list(data.indices))
        case Dataset():
            return raw_examples(data) or Streamed.of(data, known_labels(data))
    raise DataError(f"data must be a torch Dataset, or a pair (inputs, targets) of arrays; got {type(data).__name__}")


def concatenate(first: Examples, second: Examples) -> Examples:
    """``first``, then ``second``, augmented as ``first``.

    Nothing is copied where both come from one store. Sets of different kinds, or normalised differently
    (transforms of a Dataset on one side, ours on the other), are joined as the network sees their items.

    Raises:
        DataError: inputs of different shapes.
    """
    shapes = [tuple(part.example().shape[1:]) for part in (first, second)]
    if shapes[0] != shapes[1]:
        raise DataError(f"two sets cannot be joined: inputs {shapes[0]} and {shapes[1]} must have one shape")
    rows = torch.cat([first.rows, second.rows])
    alike = first.normalization == second.normalization
    match first, second:
        case Resident(), Resident() if alike and first.store is second.store:
            return replace(first, rows=rows)
        case Streamed(), Streamed() if alike and first.dataset is second.dataset:
            return replace(first, rows=rows)
        case Resident(), Resident() if alike and first.kind == second.kind:
            inputs = torch.cat([part.store.inputs[part.rows] for part in (first, second)])
            targets = torch.cat([first.targets, second.targets])
            return replace(first, rows=torch.arange(len(rows)), store=Store(inputs, targets))
    workers = max(part.workers if isinstance(part, Streamed) else 0 for part in (first, second))
    joined = Streamed.of(ConcatDataset([_Seen(first), _Seen(second)])).read_ahead(workers)
    return replace(joined, augmentation=first.augmentation)


class _Seen(Dataset):
    """The items of some examples, normalised; numbers as tensors, so that both sides collate."""

    def __init__(self, examples: Examples) -> None:
        self.examples = examples

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, index: int) -> tuple[Tensor, Any]:
        stored, target = self.examples.item(int(self.examples.rows[index]))
        number = isinstance(target, int | float | np.number | Tensor)
        return as_input(stored[None], self.examples.normalization)[0], torch.as_tensor(target) if number else target
