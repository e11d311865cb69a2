"""How one network is fine-tuned: every training hyper-parameter of a trial, as plain values."""

import math
from collections.abc import Callable
from typing import Literal, get_args

import msgspec

from ..errors import StudyFileError, nearest

Optimizer = Literal["sgd", "adamw"]
Learn = Literal["adapters", "adapters+norm", "all"]
Init = Literal["decomposition", "elastic", "hooi"]
Augment = Literal["all", "flip", "none"]
OPTIMIZERS: tuple[Optimizer, ...] = get_args(Optimizer)
LEARN: tuple[Learn, ...] = get_args(Learn)
INIT: tuple[Init, ...] = get_args(Init)
AUGMENT: tuple[Augment, ...] = get_args(Augment)

#: keys, whether a finite number fits, and the law in words
RANGES: tuple[tuple[tuple[str, ...], Callable[[float], bool], str], ...] = (
    (("images", "batch"), lambda x: x >= 1, "at least 1"),
    (("lr", "clip", "temperature"), lambda x: x > 0, "above 0 and finite"),
    (("weight_decay",), lambda x: x >= 0, "at least 0 and finite"),
    (("momentum", "warmup"), lambda x: 0 <= x < 1, "at least 0 and below 1"),
    (("distillation",), lambda x: 0 <= x <= 1, "at least 0 and at most 1"),
)


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
        learn: ``"adapters"``, ``"adapters+norm"`` (with biases), or ``"all"``; neither the frozen W₀ ever learns, nor
            what its owner froze (``requires_grad``), unless that is all of the network.
        init: where the adapter starts: the layer's truncated ``"decomposition"``; a ``"hooi"`` of its own for every
            rank pair, seconds each; or its slice of the study's ``"elastic"`` adapter, with its norms and biases.
        augment: how much of the data's augmentation is used: ``"all"``, its ``"flip"`` without the crops, ``"none"``.
    """

    images: int = 64_000
    batch: int = 128
    optimizer: Optimizer = "sgd"
    lr: float = 0.02
    momentum: float = 0.9
    weight_decay: float = 1e-4
    warmup: float = 0.1
    clip: float = 5.0
    distillation: float = 0.9
    temperature: float = 4.0
    learn: Learn = "adapters+norm"
    init: Init = "decomposition"  # also of records that are older than the elastic adapter
    augment: Augment = "all"

    def __post_init__(self) -> None:
        choices = {"optimizer": OPTIMIZERS, "learn": LEARN, "init": INIT, "augment": AUGMENT}
        for key, allowed in choices.items():
            if (value := getattr(self, key)) not in allowed:
                raise StudyFileError(f"training.{key} = {value!r} is unknown{nearest(str(value), allowed)}")
        for keys, fits, law in RANGES:
            for key in keys:
                value = getattr(self, key)
                if not (math.isfinite(value) and fits(value)):
                    raise StudyFileError(f"training.{key} = {value} must be {law}")

    @property
    def control(self) -> "Recipe":
        """Of the dense network that is trained as long beside a compressed one: all of it learns, from where it is."""
        return msgspec.structs.replace(self, learn="all", init="decomposition")

    @property
    def steps(self) -> int:
        """Optimiser steps: images / batch, rounded up."""
        return -(-self.images // self.batch)
