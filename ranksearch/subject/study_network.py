"""Network and data as a study file names them, before anything is trained or measured."""

import random

import numpy as np
import torch
from msgspec import to_builtins
from torch import nn

from ..errors import DataError
from ..networks import Splits, build_network, make_splits
from ..networks.determinism import isolated_generators
from ..study import StudyFile


def study_splits(study: StudyFile) -> Splits:
    """train, search, test by ``[data]``; raises :class:`DataError` where labels are no integers."""
    splits = make_splits(
        study.data.source,
        search=study.data.search,
        normalize=to_builtins(study.data.normalize),
        augment=study.data.augment,
        size=study.data.size,
        seed=study.search.seed,
        base=study.folder,
        workers=study.data.workers,
        weights_seen=study.network.weights not in ("train", "none"),
    )
    if splits.classes is None:
        raise DataError(
            f"{study.data.source}: labels must be integers from 0 on, one for each input, and these are "
            f"{_described(splits.train.targets)}; for other targets, and your own loss, there is ranksearch.search()"
        )
    return splits


def _described(targets: object) -> str:
    if not isinstance(targets, torch.Tensor):
        return f"a {type(targets).__name__}"
    whole = not (targets.is_floating_point() or targets.is_complex())
    ends = f" from {int(targets.min())} to {int(targets.max())}" if whole and targets.numel() else ""
    return f"{str(targets.dtype).removeprefix('torch.')}{ends}, of shape {tuple(targets.shape)}"


def study_network(study: StudyFile, splits: Splits) -> nn.Module:
    """The network of ``[network]`` as its factory makes it, weights not loaded; equal studies start from equal ones."""
    seed = study.search.seed
    with isolated_generators(torch.device("cpu")):
        random.seed(seed)
        np.random.seed(seed)  # noqa: NPY002 (a factory may draw from it)
        torch.default_generator.manual_seed(seed)  # torch.manual_seed would seed every GPU, too
        return build_network(study.network.model, classes=splits.classes, arguments=study.network.arguments)
