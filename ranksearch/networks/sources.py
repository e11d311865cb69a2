"""Where data comes from: a name in the study file → training and test examples."""

import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torchvision.datasets import CIFAR10, CIFAR100, MNIST, SVHN

from ..errors import DataError, describe, nearest
from .conversion import examples_of
from .examples import Examples
from .factory import call_factory
from .image_folder import load_folder
from .resident import Resident
from .stratified import stratified
from .torchvision_sets import load_torchvision

DIGITS_TEST = 360  # a fifth of the 1,797 images


def load_digits() -> tuple[Examples, Examples]:
    """scikit-learn's 8×8 digits as float32 in [0, 1], 1,437 to train and 360 to test, always the same."""
    from sklearn.datasets import load_digits as bundled

    digits = bundled()
    examples = Resident.of((digits.images[:, None] / 16).astype(np.float32), digits.target)
    train, test = stratified(examples.targets, DIGITS_TEST, seed=0)
    return examples.subset(train), examples.subset(test)


def load_npz(prefix: Path) -> tuple[Examples, Examples | None]:
    """``PREFIX_train.npz`` and, where it exists, ``PREFIX_test.npz``, each with arrays ``x`` and ``y``."""
    train, test = (prefix.with_name(f"{prefix.name}_{part}.npz") for part in ("train", "test"))
    return _read_npz(train), _read_npz(test) if test.exists() else None


@dataclass(frozen=True)
class Source:
    """One kind of source.

    Attributes:
        load: from a path and the asked image size to training and test examples.
        takes: what follows the colon, ``""`` where nothing does.
        resizes: whether the size is used.
        note: what a report must say of its splits.
    """

    load: Callable[[Path, int | None], tuple[Examples, Examples | None]]
    takes: str
    resizes: bool = False
    note: str = ""


SOURCES: dict[str, Source] = {
    "digits": Source(
        lambda path, size: load_digits(),
        "",
        note=f"no official test split exists: {DIGITS_TEST} of the 1,797 digits are set aside, always the same",
    ),
    "mnist": Source(lambda path, size: load_torchvision(MNIST, path), "ROOT"),
    "cifar10": Source(lambda path, size: load_torchvision(CIFAR10, path), "ROOT"),
    "cifar100": Source(lambda path, size: load_torchvision(CIFAR100, path), "ROOT"),
    "svhn": Source(lambda path, size: load_torchvision(SVHN, path), "ROOT"),
    "npz": Source(lambda path, size: load_npz(path), "PREFIX"),
    "folder": Source(load_folder, "DIR", resizes=True),
}


def load_source(source: str, base: Path, size: int | None = None) -> tuple[Examples, Examples | None]:
    """Training and test examples (None where there is no test set).

    Args:
        source: ``"digits"``, ``"mnist:ROOT"``, ``"cifar10:ROOT"``, ``"cifar100:ROOT"``, ``"svhn:ROOT"``,
            ``"npz:PREFIX"``, ``"folder:DIR"``, or ``"package.module:factory"``, which returns
            ``(train, test)``: Datasets or pairs of arrays, ``test`` may be None.
        base: folder that relative paths start from.
        size: pixels that an image folder is resized to.

    Raises:
        DataError: an unknown source, or data that is missing, damaged or of a wrong shape.
    """
    kind, colon, rest = source.partition(":")
    known = SOURCES.get(kind)
    if size is not None and not (known and known.resizes):
        raise DataError(f"data.size resizes image folders (folder:DIR) only, not {source!r}")
    if known:
        if bool(rest) != bool(known.takes):
            raise DataError(f"data.source = {source!r} must be written {kind}{':' if known.takes else ''}{known.takes}")
        return known.load(base / Path(rest).expanduser(), size)
    if not colon:
        raise DataError(f"data.source = {source!r} is unknown{nearest(source, list(SOURCES))}")
    return _from_factory(source)


def _from_factory(source: str) -> tuple[Examples, Examples | None]:
    try:
        made = call_factory(source, {}, DataError)
    except DataError as failure:
        kind = source.partition(":")[0]
        if "." in kind or nearest(kind, list(SOURCES)).startswith("; allowed"):
            raise
        raise DataError(f"{failure}{nearest(kind, list(SOURCES))}") from failure  # "cifra10:ROOT"
    if not (isinstance(made, tuple | list) and len(made) == 2):
        raise DataError(f"data.source = {source!r} must return a pair (train, test), got {type(made).__name__}")
    train, test = made
    return examples_of(train), None if test is None else examples_of(test)


def _read_npz(path: Path) -> Examples:
    if not path.is_file():
        raise DataError(f"{path}: there is no such file; npz:PREFIX reads PREFIX_train.npz and PREFIX_test.npz")
    try:
        with np.load(path, allow_pickle=False) as arrays:
            if missing := [name for name in ("x", "y") if name not in arrays]:
                raise DataError(f"{path} lacks {' and '.join(missing)}; it holds {', '.join(arrays) or 'nothing'}")
            x, y = arrays["x"], arrays["y"]
    except (OSError, ValueError, EOFError, zipfile.BadZipFile) as failure:
        raise DataError(f"{path} is damaged, or holds Python objects: {describe(failure)}") from failure
    if x.dtype != np.uint8 and not np.issubdtype(x.dtype, np.floating):
        raise DataError(f"{path}: x is {x.dtype}; store images as uint8 (0 to 255) or as floats ready to use")
    if x.ndim == 4 and x.shape[3] in (1, 3, 4) and x.shape[1] > 4:
        raise DataError(f"{path}: x is {x.shape}, which looks like N×H×W×C: store x.transpose(0, 3, 1, 2)")
    try:
        return Resident.of(x, torch.from_numpy(y[:, 0] if y.ndim == 2 and y.shape[1] == 1 else y))  # Keras has columns
    except (DataError, TypeError) as failure:
        raise DataError(f"{path}: {failure}") from failure
