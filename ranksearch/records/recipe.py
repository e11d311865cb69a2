"""How one network is fine-tuned: every training hyper-parameter of a trial, as plain values."""

from typing import Literal

import msgspec

from ..errors import StudyFileError, nearest

OPTIMIZERS = ("sgd", "adamw")
LEARN = ("adapters", "adapters+norm", "all")


class Recipe(msgspec.Struct, frozen=True, kw_only=True):
    """Training settings of one fine-tuning.

    Attributes:
        images: training images seen, ≥ 1 (repeats count).
        batch: images per step.
        optimizer: ``"sgd"`` (Nesterov) or ``"adamw"``; the rate warms up linearly, then falls by a cosine.
        lr: peak learning rate, > 0.
        momentum: of SGD, in [0, 1).
        weight_decay: ≥ 0; not applied to biases and norms.
        warmup: fraction of the steps, in [0, 1).
        clip: largest gradient norm, > 0.
        distillation: weight in [0, 1] of the divergence from the dense network's softened logits
            (Hinton et al. 2015); the rest is the task's own loss.
        temperature: of the softening, > 0.
        learn: ``"adapters"``, ``"adapters+norm"`` (with biases), or ``"all"``; the frozen W₀ never learns.
    """

    images: int = 64_000
    batch: int = 128
    optimizer: Literal["sgd", "adamw"] = "sgd"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.1
    clip: float = 5.0
    distillation: float = 0.9
    temperature: float = 4.0
    learn: Literal["adapters", "adapters+norm", "all"] = "adapters+norm"

    def __post_init__(self) -> None:
        for key, value, allowed in (("optimizer", self.optimizer, OPTIMIZERS), ("learn", self.learn, LEARN)):
            if value not in allowed:
                raise StudyFileError(f"training.{key} = {value!r} is unknown{nearest(str(value), allowed)}")
        for key, low, high in (("images", 1, None), ("batch", 1, None), ("momentum", 0, 1), ("weight_decay", 0, None),
                               ("warmup", 0, 1), ("distillation", 0, 1)):  # fmt: skip
            value = getattr(self, key)
            if value < low or (high is not None and value > high):
                raise StudyFileError(
                    f"training.{key} = {value} must be at least {low}" + (f" and at most {high}" if high else "")
                )
        for key in ("lr", "clip", "temperature"):
            if not getattr(self, key) > 0:
                raise StudyFileError(f"training.{key} = {getattr(self, key)} must be above 0")

    @property
    def steps(self) -> int:
        """Optimiser steps: images / batch, rounded up."""
        return -(-self.images // self.batch)
