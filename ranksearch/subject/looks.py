"""The cheap stages of a study: what tells something of a configuration in about a second."""

from collections.abc import Mapping, Sequence

from torch import nn

from ..decomposition import Decomposition
from ..progressive import Elastic, QuickLook
from ..records import CheapStage
from ..records.recipe import Augment
from .subject import Subject


def quick_looks(
    subject: Subject,
    bases: Mapping[str, Decomposition],
    elastic: Elastic | None,
    stages: Sequence[CheapStage],
    images: int,
) -> dict[CheapStage, QuickLook]:
    """Quick looks by stage, ``"elastic"`` left out where there is no elastic adapter.

    Args:
        images: of the search split, about, evenly spaced; and as many training images for batch norm.
    """
    looked_at: dict[str, tuple[nn.Module, Mapping[str, Decomposition], Augment]]
    looked_at = {"untrained": (subject.network, bases, "all")}
    if elastic is not None:
        looked_at["elastic"] = (elastic.network, elastic.bases, elastic.augment)
    found = [(stage, *looked_at[stage]) for stage in stages if stage in looked_at]
    if not found:
        return {}
    quick = subject.search_stage.sample(images)
    return {
        stage: QuickLook.of(
            network,
            its_bases,
            quick.train,
            images,
            quick.measured,
            quick.dense_outputs,
            augment=its_augment,
            split=quick.split,
            task=subject.task,
            precision=quick.precision,
            device=subject.device,
        )
        for stage, network, its_bases, its_augment in found
    }
