"""MNIST, CIFAR-10, CIFAR-100 and SVHN through torchvision, as arrays instead of PIL images."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.utils.data import Dataset
from torchvision import transforms
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN, FashionMNIST, VisionDataset

from ..errors import DataError, describe
from .normalization import Normalization
from .resident import Resident


def _one_channel(dataset: Any) -> tuple[Any, Any]:
    return dataset.data[:, None], dataset.targets


def _channels_last(dataset: Any) -> tuple[Any, Any]:
    return dataset.data.transpose(0, 3, 1, 2), torch.tensor(dataset.targets)


def _channels_first(dataset: Any) -> tuple[Any, Any]:
    return dataset.data, dataset.labels


ARRAYS: dict[type, Callable[[Any], tuple[Any, Any]]] = {  # uint8 (N, C, H, W) and labels, as each class keeps them
    MNIST: _one_channel,
    FashionMNIST: _one_channel,
    CIFAR10: _channels_last,
    CIFAR100: _channels_last,
    SVHN: _channels_first,
}


def raw_examples(dataset: Dataset) -> Resident | None:
    """``dataset`` in memory, giving exactly what its items are; None where it is not one of :data:`ARRAYS`,
    or transforms its items in another way than ToTensor and Normalize do."""
    reader = ARRAYS.get(type(dataset))
    if reader is None or dataset.target_transform is not None:  # type: ignore[attr-defined]
        return None
    transform = dataset.transform  # type: ignore[attr-defined]
    match transform.transforms if isinstance(transform, transforms.Compose) else [transform]:
        case [None] | [transforms.ToTensor()]:
            normalization = None
        case [transforms.ToTensor(), transforms.Normalize() as normalize]:
            normalization = Normalization(tuple(map(float, normalize.mean)), tuple(map(float, normalize.std)))
        case _:
            return None
    return replace(Resident.of(*reader(dataset)), normalization=normalization)


def known_labels(dataset: Dataset) -> Tensor | None:
    """Labels that a torchvision data set keeps in memory and gives unchanged."""
    labels = getattr(dataset, "targets", None)
    theirs = type(dataset).__getitem__.__module__.startswith("torchvision.")
    plain = isinstance(dataset, VisionDataset) and theirs and dataset.target_transform is None
    if not plain or not isinstance(labels, list) or not all(isinstance(label, int) for label in labels):
        return None
    return torch.tensor(labels)


def load_torchvision(kind: type[VisionDataset], root: Path) -> tuple[Resident, Resident]:
    """Official training and test images, from ``root``, downloaded there if they are not yet and can be.

    CIFAR and SVHN files are checked against their published md5.

    Raises:
        DataError: not there and not downloadable, or damaged.
    """
    parts = [{"split": "train"}, {"split": "test"}] if kind is SVHN else [{"train": True}, {"train": False}]
    train, test = (_open(kind, root, part) for part in parts)
    return train, test


def _open(kind: type[VisionDataset], root: Path, part: dict[str, Any]) -> Resident:
    make: Callable[..., VisionDataset] = kind
    try:
        dataset = make(root, **part, download=False)
    except RuntimeError as absent:  # torchvision's word for missing and for a wrong md5
        try:
            dataset = make(root, **part, download=True)
        except Exception as failure:
            raise DataError(
                f"{kind.__name__} is not (whole) in {root} ({describe(absent)}) and cannot be downloaded "
                f"({describe(failure)}): put torchvision's files there"
            ) from failure
    except Exception as failure:
        raise DataError(f"{kind.__name__} in {root} is damaged: {describe(failure)}") from failure
    examples = raw_examples(dataset)
    assert examples is not None  # no transform was asked for
    return examples
