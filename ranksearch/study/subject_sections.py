"""The sections of a study file on what is compressed: the dense network and its data."""

import re
from typing import Annotated, Any

import msgspec
from msgspec import Meta

from ..errors import StudyFileError
from ..records import Recipe
from ..records.recipe import Optimizer
from .sections import Count, Fraction, Part, Positive


class PretrainingSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[network.training]``: how ``weights = "train"`` trains the dense network; see :class:`Recipe`."""

    epochs: Count = 30
    batch: Count = 128
    optimizer: Optimizer = "sgd"
    lr: Positive = 0.1
    momentum: Part = 0.9
    weight_decay: Annotated[float, Meta(ge=0)] = 5e-4
    warmup: Part = 0.1
    clip: Positive = 5.0

    def recipe(self, images: int) -> Recipe:
        """The recipe on ``images`` training images: everything learns, nothing is distilled."""
        values = msgspec.structs.asdict(self)
        return Recipe(images=values.pop("epochs") * images, distillation=0.0, learn="all", **values)


class NetworkSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[network]``.

    Attributes:
        model: the name of one of ours, ``"torchvision:NAME"`` or ``"package.module:factory"``.
        weights: a checkpoint, ``"train"`` (by ``training``) or ``"none"`` (as the factory made it).
        expect_accuracy: below it on the search split, the study refuses to start.
        arguments: keyword arguments of the factory.
    """

    model: str
    weights: str = "none"
    expect_accuracy: Fraction | None = None
    arguments: dict[str, Any] = {}
    training: PretrainingSection = PretrainingSection()


class DataSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[data]``.

    Attributes:
        source: ``"digits"``, ``"mnist:ROOT"``, ``"cifar10:ROOT"``, ``"npz:PREFIX"``, ``"folder:DIR"``,
            ``"package.module:factory"``, …
        search: images taken out of the training data for every decision, ≥ 1.
        normalize: as the network was trained: ``mean`` and ``std`` of inputs in [0, 1], one number or one per channel.
        augment: of training images: ``"crop:PADDING"``, ``"flip"``.
        size: side to which images of a folder are resized.
        reestimate: training images from which batch-norm statistics are re-estimated before measuring; five times as
            many where test accuracies are measured.
        workers: processes that read ahead what is not held in memory: folders above 2 GiB, and data sets of one's own.
    """

    source: str
    search: Count
    normalize: dict[str, float | tuple[float, ...]] | None = None
    augment: tuple[str, ...] = ()
    size: Count | None = None
    reestimate: Count = 2000
    workers: Annotated[int, Meta(ge=0)] = 0

    def __post_init__(self) -> None:
        if self.normalize is not None and self.normalize.keys() != {"mean", "std"}:
            raise StudyFileError(f"data.normalize needs mean and std and nothing else, got {sorted(self.normalize)}")
        for name in self.augment:
            if not re.fullmatch(r"flip|crop:\d+", name):
                raise StudyFileError(f"data.augment = {name!r} is unknown; allowed: flip, crop:PADDING")
