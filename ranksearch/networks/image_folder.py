"""Folders of images, one folder per class."""

import logging
from pathlib import Path

import torch
from torchvision import transforms
from torchvision.datasets import ImageFolder

from ..errors import DataError, describe
from .examples import Examples
from .resident import RESIDENT_BYTES, Resident
from .streamed import Streamed

TEST_NAMES = ("test", "val")  # the first that exists
LOG = logging.getLogger(__name__)


def load_folder(folder: Path, size: int | None = None) -> tuple[Examples, Examples | None]:
    """``folder/train`` and ``folder/test`` (or ``val``), or ``folder`` as one tree without a test set.

    Images become RGB, uint8 ``(3, H, W)``; they are held in memory up to 2 GiB, beyond that read as needed.

    Args:
        size: every image is resized, its shorter side to ``size``, and cut to the central square;
            None: all must have one size already.

    Raises:
        DataError: no such folder, no images, an unreadable one, several sizes, or other classes in test than in train.
    """
    if not folder.is_dir():
        raise DataError(f"folder:{folder}: there is no such folder")
    if not (folder / "train").is_dir():
        return _load_tree(folder, size)[0], None
    train, classes = _load_tree(folder / "train", size)
    found = [name for name in TEST_NAMES if (folder / name).is_dir()]
    if not found:
        return train, None
    for unused in found[1:]:
        LOG.warning("folder:%s: %s/ is not used, the test split is %s/", folder, unused, found[0])
    test, test_classes = _load_tree(folder / found[0], size)
    if test_classes != classes:
        odd = sorted(set(classes) ^ set(test_classes))
        raise DataError(f"folder:{folder}: train/ and {found[0]}/ must hold the same classes; only one has {odd[:5]}")
    return train, test


def _load_tree(root: Path, size: int | None) -> tuple[Examples, list[str]]:
    """All images below ``root``, and the names of their classes in label order."""
    resize = [] if size is None else [transforms.Resize(size, antialias=True), transforms.CenterCrop(size)]
    try:
        folder = ImageFolder(str(root), transform=transforms.Compose([*resize, transforms.PILToTensor()]))
    except FileNotFoundError as failure:
        raise DataError(f"{root} must hold one folder of images per class: {describe(failure)}") from failure
    labels = torch.tensor(folder.targets)
    shape = _read(folder, 0).shape
    if len(folder) * shape.numel() > RESIDENT_BYTES:
        return Streamed.of(folder, labels), folder.classes
    images = torch.empty((len(folder), *shape), dtype=torch.uint8)
    for row in range(len(folder)):
        image = _read(folder, row)
        if image.shape != shape:
            raise DataError(
                f"{folder.samples[row][0]} is {image.shape[1]}×{image.shape[2]} pixels, the first image "
                f"{shape[1]}×{shape[2]}: set [data] size = PIXELS to resize all"
            )
        images[row] = image
    return Resident.of(images, labels), folder.classes


def _read(folder: ImageFolder, row: int) -> torch.Tensor:
    try:
        return folder[row][0]
    except Exception as failure:  # Pillow raises its own types and OSError for a damaged file
        raise DataError(f"{folder.samples[row][0]} cannot be read as an image: {describe(failure)}") from failure
