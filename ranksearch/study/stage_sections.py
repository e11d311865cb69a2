"""The sections of a study file on what comes before its trials: the elastic adapter and the screen."""

from typing import Annotated

import msgspec
from msgspec import Meta

from ..errors import StudyFileError
from ..records import CHEAP_STAGES, CheapStage, Recipe
from ..records.recipe import Augment
from .sections import Count, Fraction, Part, Positive

#: Of the elastic adapter, unless a study says otherwise. Provisional: one network, one seed. On ResNet-20, 2,000 steps
#: reach what each point's own 500 do, and 5,000 gain at the small end what they lose at the large one.
MOST_STEPS, LEAST_STEPS = 2000, 300


class ScreenSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[screen]``: candidates measured without training of their own, whose front is trained.

    Attributes:
        share: of the study's seconds, in [0, 1), all stages together; 0 switches the screen off.
        candidates: of each stage, exactly; instead of the share's seconds.
        images: search images looked at, and training images for batch norm, of the screen and of ``stages`` in trials.
        bypass: least share of the trials that the sampler proposes unseen by the screen.
        enqueue: largest share of the trials that the screen proposes.
        stages: also measured in every trial, so that reports can say how well they rank.
    """

    share: Part = 0.15
    candidates: Count | None = None
    images: Annotated[int, Meta(ge=2)] = 1000
    bypass: Fraction = 0.1
    # Half: the sampler learns from the screen's points but can only correct the screen, where that is wrong, with
    # trials of its own; and training settings, which no screen sees, are chosen with all of them. Provisional: no
    # study has compared shares yet.
    enqueue: Fraction = 0.5
    stages: tuple[CheapStage, ...] = CHEAP_STAGES

    def __post_init__(self) -> None:
        if len(set(self.stages)) < len(self.stages):
            raise StudyFileError(f"screen.stages = {list(self.stages)}: each stage once")


class ElasticSection(msgspec.Struct, frozen=True, kw_only=True):
    """``[elastic]``: one training of the adapters for all rank configurations at once, before the trials.

    Attributes:
        steps: of it; 0 switches it off. Unless given, as many as a quarter of the images of all trials allow, at most
            :data:`MOST_STEPS`, and none where that are fewer than :data:`LEAST_STEPS`.
        batch: images per step, shown to every slice.
        slices: configurations trained in each step, by summed gradients.
        lr, warmup, clip, temperature, augment: as in :class:`Recipe`; SGD, distillation alone, no weight decay.
    """

    steps: Annotated[int, Meta(ge=0)] | None = None
    batch: Count = 128
    slices: Count = 1
    lr: Positive = 0.02
    warmup: Part = 0.1
    clip: Positive = 5.0
    temperature: Positive = 4.0
    augment: Augment = "flip"

    def length(self, images: int) -> int:
        """Steps where all trials together see ``images``; 0 where it is off or would not pay."""
        if self.steps is not None:
            return self.steps
        steps = min(MOST_STEPS, images // 4 // (self.batch * self.slices))
        return steps if steps >= LEAST_STEPS else 0

    def recipe(self, steps: int) -> Recipe:
        """The recipe of ``steps`` ≥ 1."""
        return Recipe(
            images=steps * self.batch, batch=self.batch, lr=self.lr, weight_decay=0.0, warmup=self.warmup,
            clip=self.clip, distillation=1.0, temperature=self.temperature, augment=self.augment,
        )  # fmt: skip
